//! `POST /admin/clients/{id}/secrets…`: giving a client a secret, and taking one away.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::show::{show_again, show_refusal};
use super::{fields, id_of, path_of, refusal, show_secret};
use crate::auth::clients::{add_secret, find_client, revoke_secret as revoke};
use crate::domain::registered_client::SecretId;
use crate::web::admin::confirm::{Confirmation, Confirmed};
use crate::web::admin::form::Posted;
use crate::web::admin::page::{self, Tab};
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

/// `POST /admin/clients/{id}/secrets`
pub async fn create_secret(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Problem> {
    let id = id_of(&path)?;
    let expires_at = match fields::expiry(&fields, state.auth.now()) {
        Ok(expires_at) => expires_at,
        Err(errors) => return show_again(&state, &console, id, &fields, errors).await,
    };
    match add_secret(&state.auth, console.actor(), id, expires_at, &client).await {
        Ok(secret) => show_secret(&console, "A new secret".to_owned(), id, &secret),
        Err(error) => match refusal(error) {
            Ok(text) => show_refusal(&state, &console, id, text).await,
            Err(refusal) => refusal.answer(),
        },
    }
}

/// `POST /admin/clients/{id}/secrets/{sid}/revoke`
pub async fn revoke_secret(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<(String, String)>,
    Posted { console, fields }: Posted,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let id = id_of(&path.0)?;
    let secret = SecretId::parse(&path.1).ok_or_else(not_found)?;
    if !fields.is_confirmed() {
        let found = find_client(&state.auth, id).await?.ok_or_else(not_found)?;
        let is_last = found.secrets.iter().all(|one| one.id == secret || !one.is_valid(state.auth.now()));
        let mut affected =
            vec!["The secret, and every access token that was got with it, is refused at once.".to_owned()];
        let mut unaffected = Vec::new();
        if is_last {
            affected
                .push("It is the client's only one: the client cannot do anything until it has another.".to_owned());
        } else {
            unaffected.push("The client's other secret, and the tokens that were got with that.".to_owned());
        }
        return page::show(&Confirmation {
            layout: console.layout(format!("Revoke the secret: {}?", found.client.name.as_str()), Tab::Clients),
            affected,
            unaffected,
            action: format!("{}/secrets/{secret}/revoke", path_of(id)),
            fields: Vec::new(),
            button: "Revoke the secret".to_owned(),
            is_dangerous: true,
            back: path_of(id),
        });
    }
    match revoke(&state.auth, console.actor(), id, secret, &client).await {
        Ok(()) => console.done("The secret is revoked.", &path_of(id)),
        Err(error) => match refusal(error) {
            Ok(text) => show_refusal(&state, &console, id, text).await,
            Err(refusal) => refusal.answer(),
        },
    }
}
