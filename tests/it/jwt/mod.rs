//! The JWT door of our own API: tokens that carry a genuine signature and are wrong in one thing.

mod claims;
mod flood;
pub mod forge;
mod header;
mod holder;
mod keys;
mod signature;

pub use forge::{Signer, part, variables};

use forge::{ALGORITHMS, every_algorithm};

#[tokio::test]
async fn a_token_that_is_taken_apart_and_signed_again_is_accepted_under_every_algorithm() {
    let seen = std::sync::Mutex::new(Vec::new());
    every_algorithm(async |forge| {
        forge.accepts("as issued", &forge.person.access_token).await;
        forge.accepts("forged", &forge.unchanged()).await;
        seen.lock().unwrap().push(forge.header["alg"].as_str().unwrap().to_owned());
    })
    .await;
    assert_eq!(seen.into_inner().unwrap(), ALGORITHMS);
}
