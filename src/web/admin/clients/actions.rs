//! What is done with one client: `POST /admin/clients/{id}/…`. What takes something away asks first; what gives more, or
//! cannot be undone, asks for the password.

use actix_web::web::{Data, Path};
use actix_web::{Error, HttpRequest, HttpResponse};

use super::show::{show_again, show_refusal};
use super::{fields, id_of, path_of, refusal};
use crate::auth::clients::{self, ClientChanges, ManageError, find_client};
use crate::domain::registered_client::{ClientId, RegisteredClient};
use crate::web::admin::confirm::{Confirmation, Confirmed};
use crate::web::admin::form::Posted;
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Tab};
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

/// `POST /admin/clients/{id}/settings`
pub async fn change_settings(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let before = find(&state, &path).await?;
    let described = match fields::describe(&posted.fields) {
        Ok(described) => described,
        Err(errors) => return Ok(show_again(&state, &posted.console, before.id, &posted.fields, errors).await?),
    };
    let gets_more = !before.scopes.contains_all(described.scopes) || before.audience != described.audience;
    let console = if gets_more { posted.confirmed(&request).await?.console } else { posted.console };
    let changes = ClientChanges {
        name: Some(described.name),
        audience: Some(described.audience),
        scopes: Some(described.scopes),
        disabled: None,
    };
    let done = clients::update_client(&state.auth, console.actor(), before.id, changes, &client).await;
    Ok(finish(&state, &console, before.id, done.map(|_| ()), "The client is changed.").await?)
}

/// `POST /admin/clients/{id}/disable`
pub async fn disable_client(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Posted { console, fields }: Posted,
) -> Result<HttpResponse, Problem> {
    let found = find(&state, &path).await?;
    if !fields.is_confirmed() {
        let affected = vec!["Its secrets and its access tokens are refused at once.".to_owned()];
        let unaffected = vec![
            "Its secrets are kept: enabled again, the client goes on with them.".to_owned(),
            "Sessions and tokens of users are not touched.".to_owned(),
        ];
        return ask(&console, &found, "disable", "Disable", affected, unaffected);
    }
    let changes = ClientChanges { disabled: Some(true), ..ClientChanges::default() };
    let done = clients::update_client(&state.auth, console.actor(), found.id, changes, &client).await;
    finish(&state, &console, found.id, done.map(|_| ()), "The client is disabled.").await
}

/// `POST /admin/clients/{id}/enable`
pub async fn enable_client(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Confirmed { console, .. }: Confirmed,
) -> Result<HttpResponse, Problem> {
    let found = find(&state, &path).await?;
    let changes = ClientChanges { disabled: Some(false), ..ClientChanges::default() };
    let done = clients::update_client(&state.auth, console.actor(), found.id, changes, &client).await;
    finish(&state, &console, found.id, done.map(|_| ()), "The client is enabled.").await
}

/// `POST /admin/clients/{id}/delete`
pub async fn delete_client(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let found = find(&state, &path).await?;
    if !posted.fields.is_confirmed() {
        let affected = vec![
            "The client, its secrets and its access tokens are gone. This cannot be undone.".to_owned(),
            "Its id is never used again.".to_owned(),
        ];
        let unaffected = vec!["What it did stays in the audit trail.".to_owned()];
        return Ok(ask(&posted.console, &found, "delete", "Delete", affected, unaffected)?);
    }
    let console = posted.confirmed(&request).await?.console;
    match clients::delete_client(&state.auth, console.actor(), found.id, &client).await {
        Ok(()) => Ok(console.done(format!("{} is deleted.", found.name.as_str()), "/admin/clients")?),
        Err(error) => Ok(finish(&state, &console, found.id, Err(error), "").await?),
    }
}

async fn find(state: &State, path: &str) -> Result<RegisteredClient, Problem> {
    let found = find_client(&state.auth, id_of(path)?).await?;
    found.map(|found| found.client).ok_or_else(|| Problem::new(Code::NotFound))
}

fn ask(
    console: &Console,
    client: &RegisteredClient,
    action: &str,
    verb: &str,
    affected: Vec<String>,
    unaffected: Vec<String>,
) -> Result<HttpResponse, Problem> {
    page::show(&Confirmation {
        layout: console.layout(format!("{verb}: {}?", client.name.as_str()), Tab::Clients),
        affected,
        unaffected,
        action: format!("{}/{action}", path_of(client.id)),
        fields: Vec::new(),
        button: verb.to_owned(),
        is_dangerous: true,
        back: path_of(client.id),
    })
}

/// Back to the client's page with what was done, or the page with why it was not.
async fn finish(
    state: &State,
    console: &Console,
    id: ClientId,
    done: Result<(), ManageError>,
    text: &str,
) -> Result<HttpResponse, Problem> {
    match done.map_err(refusal) {
        Ok(()) => console.done(text, &path_of(id)),
        Err(Ok(text)) => show_refusal(state, console, id, text).await,
        Err(Err(refusal)) => refusal.answer(),
    }
}
