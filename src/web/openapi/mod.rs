//! The OpenAPI description of everything that programs call, made of the structs that handlers read and write.
//!
//! The operations stand in `operations`; a test holds them against the route table, and every answer that the tests ever
//! get against what is said of it here.

mod describe;
mod links;
mod operations;
mod schemas;

use utoipa::openapi::OpenApi;

use describe::Description;

/// The description, for a server that is reached under this URL.
pub fn document(public_url: &str) -> OpenApi {
    let mut description = Description::new(public_url);
    operations::describe(&mut description);
    description.finish()
}
