//! `/admin/clients/new` and `POST /admin/clients`: registering a client. Its first secret is on the answer, and nowhere
//! else.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::fields::{self, Choice};
use super::{refusal, show_secret};
use crate::auth::clients::{self, NewClient};
use crate::web::admin::confirm::Confirmed;
use crate::web::admin::flash::Flash;
use crate::web::admin::form::{Fields, FormErrors};
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/client_new.html")]
struct NewClientPage {
    layout: Layout,
    called: String,
    audience: String,
    days: String,
    choices: Vec<Choice>,
    errors: FormErrors,
}

/// `GET /admin/clients/new`
pub async fn show_new_client(console: Console) -> Result<HttpResponse, Problem> {
    page::show(&new_client_page(&console, &Fields::default(), FormErrors::default()))
}

/// `POST /admin/clients`
pub async fn create_client(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Problem> {
    let again = |errors| page::show_again(&new_client_page(&console, &fields, errors));
    let (described, secret_expires_at) = match (fields::describe(&fields), fields::expiry(&fields, state.auth.now())) {
        (Ok(described), Ok(expiry)) => (described, expiry),
        (Err(errors), _) | (_, Err(errors)) => return again(errors),
    };
    let new =
        NewClient { name: described.name, audience: described.audience, scopes: described.scopes, secret_expires_at };
    match clients::create_client(&state.auth, console.actor(), new, &client).await {
        Ok((made, secret)) => {
            let title = format!("{} was registered", made.client.name.as_str());
            show_secret(&console, title, made.client.id, &secret)
        }
        Err(error) => match refusal(error) {
            Ok(text) => {
                let mut shown = new_client_page(&console, &fields, FormErrors::default());
                shown.layout.flashes.push(Flash::refused(text));
                page::show_again(&shown)
            }
            Err(refusal) => refusal.answer(),
        },
    }
}

fn new_client_page(console: &Console, fields: &Fields, errors: FormErrors) -> NewClientPage {
    NewClientPage {
        layout: console.layout("Register a client", Tab::Clients),
        called: fields.text("name").to_owned(),
        audience: fields.text("audience").to_owned(),
        days: fields.text("days").to_owned(),
        choices: fields::choices(fields::scopes(fields)),
        errors,
    }
}
