//! `GET /admin/clients/{id}`: what a client is and may do, its secrets, and what happened to it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;

use super::fields::{self, Choice};
use super::{id_of, path_of};
use crate::auth::audit::list::{AuditEvent, EventQuery, list_events};
use crate::auth::clients::{SECRETS_MAX, WithSecrets, find_client};
use crate::domain::registered_client::{ApiAudience, ClientId, ClientSecret, RegisteredClient};
use crate::web::admin::flash::Flash;
use crate::web::admin::form::{Fields, FormErrors};
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

/// How many events are shown.
const EVENTS: u32 = 20;

/// A state by colour, sign and word.
pub(super) struct Badge {
    pub(super) tone: &'static str,
    pub(super) sign: &'static str,
    pub(super) text: &'static str,
}

/// A client's state.
pub(super) fn badge(client: &RegisteredClient) -> Badge {
    if client.is_active() {
        Badge { tone: "good", sign: "●", text: "Active" }
    } else {
        Badge { tone: "warn", sign: "■", text: "Disabled" }
    }
}

#[derive(Template)]
#[template(path = "admin/client.html")]
struct ClientPage {
    layout: Layout,
    path: String,
    id: String,
    badge: Badge,
    is_active: bool,
    since: Option<Moment>,
    created: Moment,
    created_by: Option<i64>,
    used: Option<Moment>,
    address: String,
    scopes: String,
    /// As it is, or as it was written.
    called: String,
    audience: String,
    choices: Vec<Choice>,
    days: String,
    secrets: Vec<SecretRow>,
    can_have_another: bool,
    events: Vec<EventRow>,
    /// Where all of them are.
    trail: String,
    errors: FormErrors,
}

struct SecretRow {
    id: String,
    made: Moment,
    expires: Option<Moment>,
    is_valid: bool,
    used: Option<Moment>,
}

struct EventRow {
    at: Moment,
    kind: String,
    result: String,
    tone: &'static str,
    sign: &'static str,
    by: String,
    address: String,
}

/// `GET /admin/clients/{id}`
pub async fn show_client(state: Data<State>, console: Console, path: Path<String>) -> Result<HttpResponse, Problem> {
    page::show(&client_page(&state, &console, id_of(&path)?).await?)
}

/// The page once more, with why something was not done.
pub(super) async fn show_refusal(
    state: &State,
    console: &Console,
    id: ClientId,
    text: &str,
) -> Result<HttpResponse, Problem> {
    let mut shown = client_page(state, console, id).await?;
    shown.layout.flashes.push(Flash::refused(text));
    page::show_with(StatusCode::CONFLICT, &shown)
}

/// The page once more, with what was written into a form and what is wrong with it.
pub(super) async fn show_again(
    state: &State,
    console: &Console,
    id: ClientId,
    written: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, Problem> {
    let mut shown = client_page(state, console, id).await?;
    if !errors.of("days").is_empty() {
        shown.days = written.text("days").to_owned();
    } else {
        shown.called = written.text("name").to_owned();
        shown.audience = written.text("audience").to_owned();
        shown.choices = fields::choices(fields::scopes(written));
    }
    page::show_again(&ClientPage { errors, ..shown })
}

async fn client_page(state: &State, console: &Console, id: ClientId) -> Result<ClientPage, Problem> {
    let found = find_client(&state.auth, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let query = EventQuery { client: Some(id), ..EventQuery::default() };
    let events = list_events(&state.auth, query, None, EVENTS).await?.events;
    let WithSecrets { client, secrets } = found;
    let now = state.auth.now();
    let moment = |at: Option<_>| at.map(|at| console.moment(at));
    let secret = |secret: &ClientSecret| SecretRow {
        id: secret.id.to_string(),
        made: console.moment(secret.created_at),
        expires: moment(secret.expires_at),
        is_valid: secret.is_valid(now),
        used: moment(secret.last_used_at),
    };
    let valid = secrets.iter().filter(|secret| secret.is_valid(now)).count();
    Ok(ClientPage {
        layout: console.layout(client.name.as_str(), Tab::Clients),
        path: path_of(id),
        id: id.to_string(),
        badge: badge(&client),
        is_active: client.is_active(),
        since: moment(client.disabled_at),
        created: console.moment(client.created_at),
        created_by: client.created_by.map(|user| user.get()),
        used: moment(client.last_used_at),
        address: client.last_used_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        scopes: client.scopes.to_string(),
        called: client.name.as_str().to_owned(),
        audience: client.audience.as_ref().map_or("", ApiAudience::as_str).to_owned(),
        choices: fields::choices(client.scopes),
        days: String::new(),
        secrets: secrets.iter().map(secret).collect(),
        can_have_another: i64::try_from(valid).unwrap_or(i64::MAX) < SECRETS_MAX,
        trail: format!("/admin/audit?client={id}"),
        events: events.into_iter().map(|event| event_row(event, console)).collect(),
        errors: FormErrors::default(),
    })
}

fn event_row(event: AuditEvent, console: &Console) -> EventRow {
    let (tone, sign) = match event.result.as_str() {
        "succeeded" => ("good", "✓"),
        "failed" => ("warn", "✗"),
        _ => ("bad", "⊘"),
    };
    let by = event.actor.map(|actor| actor.username.unwrap_or_else(|| format!("#{}", actor.id)));
    EventRow {
        at: console.moment(event.occurred_at),
        kind: event.kind,
        result: event.result,
        tone,
        sign,
        by: by.unwrap_or(event.actor_kind),
        address: event.address.map_or_else(|| "–".to_owned(), |address| address.to_string()),
    }
}
