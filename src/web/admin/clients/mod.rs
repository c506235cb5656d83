//! `/admin/clients`: programs with an id and a secret of their own.

pub mod actions;
pub mod create;
mod fields;
pub mod list;
pub mod secrets;
pub mod show;

use actix_web::HttpResponse;
use askama::Template;

use super::guard::Console;
use super::page::{self, Layout, Tab};
use crate::auth::clients::{ManageError, NewSecret};
use crate::domain::registered_client::ClientId;
use crate::web::problem::{Code, Problem};

/// The client that a path names.
fn id_of(path: &str) -> Result<ClientId, Problem> {
    ClientId::parse(path).ok_or_else(|| Problem::new(Code::NotFound))
}

/// Where a client's page is.
fn path_of(id: ClientId) -> String {
    format!("/admin/clients/{id}")
}

/// A secret that is shown once, on the answer to the form itself: kept for another page, it would have to be stored.
#[derive(Template)]
#[template(path = "admin/client_secret.html")]
struct SecretPage {
    layout: Layout,
    id: String,
    secret: String,
    expires: Option<super::moment::Moment>,
    back: String,
}

fn show_secret(console: &Console, title: String, id: ClientId, secret: &NewSecret) -> Result<HttpResponse, Problem> {
    page::show(&SecretPage {
        layout: console.layout(title, Tab::Clients),
        id: id.to_string(),
        secret: secret.value.expose().clone(),
        expires: secret.facts.expires_at.map(|at| console.moment(at)),
        back: path_of(id),
    })
}

/// Why nothing was changed, for the page that the form was on; the rest is an answer of its own.
fn refusal(error: ManageError) -> Result<&'static str, Refusal> {
    match error {
        ManageError::NoScope => Ok("Choose one scope at least. Nothing was changed."),
        ManageError::ExpiryInThePast => Ok("A secret expires in the future. Nothing was changed."),
        ManageError::TooManySecrets => Ok("The client has two secrets already. Revoke one of them first."),
        ManageError::NoLongerPermitted => Err(Refusal::SignedOut),
        error => Err(Refusal::Problem(error.into())),
    }
}

/// What is answered instead of the page.
enum Refusal {
    SignedOut,
    Problem(Problem),
}

impl Refusal {
    fn answer(self) -> Result<HttpResponse, Problem> {
        match self {
            Self::SignedOut => Ok(page::see_other("/admin/sign-in")),
            Self::Problem(problem) => Err(problem),
        }
    }
}
