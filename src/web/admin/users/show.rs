//! `GET /admin/users/{id}`: who somebody is, their sessions, and what can be done with the account.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;

use super::state_words::{self, Badge};
use super::{id_of, path_of};
use crate::auth::audit::list::{AuditEvent, EventQuery, list_events};
use crate::auth::guessing::blocks::{Place, blocks_of_user};
use crate::auth::sessions::{WithSessions, user_with_sessions};
use crate::domain::role::Role;
use crate::domain::session::{Session, SessionState};
use crate::domain::user::{User, UserId, UserStatus};
use crate::web::admin::flash::Flash;
use crate::web::admin::form::FormErrors;
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

/// How many sessions and events are shown.
const SESSIONS: u32 = 100;
const EVENTS: u32 = 20;

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    layout: Layout,
    path: String,
    id: i64,
    username: String,
    email: String,
    /// What was written for another e-mail address, or the address.
    new_email: String,
    role: Role,
    other_role: Role,
    badge: Badge,
    is_active: bool,
    is_deleted: bool,
    is_self: bool,
    created: Moment,
    last_login: Option<Moment>,
    /// Since when the user is disabled or deleted.
    since: Option<Moment>,
    live_sessions: usize,
    sessions: Vec<Row>,
    is_cut: bool,
    events: Vec<EventRow>,
    /// From how many places sign-ins are refused.
    blocks: usize,
    /// Whether no network has a guess left but those that the user signed in from.
    is_exhausted: bool,
    errors: FormErrors,
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

struct Row {
    id: String,
    short_id: String,
    badge: Badge,
    is_live: bool,
    began: Moment,
    last_used: Moment,
    address: String,
    agent: String,
    ended: Option<Moment>,
    why: &'static str,
    by: String,
}

/// `GET /admin/users/{id}`
pub async fn show_user(state: Data<State>, console: Console, path: Path<String>) -> Result<HttpResponse, Problem> {
    let id = id_of(&path)?;
    page::show(&user_page(&state, &console, id, FormErrors::default(), None).await?)
}

/// The page once more, with why something was not done.
pub(super) async fn show_refusal(
    state: &State,
    console: &Console,
    id: UserId,
    status: StatusCode,
    text: &str,
) -> Result<HttpResponse, Problem> {
    let mut shown = user_page(state, console, id, FormErrors::default(), None).await?;
    shown.layout.flashes.push(Flash::refused(text));
    page::show_with(status, &shown)
}

/// The page once more, with what is wrong with the e-mail address.
pub(super) async fn show_email_again(
    state: &State,
    console: &Console,
    id: UserId,
    written: &str,
    text: String,
) -> Result<HttpResponse, Problem> {
    let errors = FormErrors::one("email", text);
    page::show_again(&user_page(state, console, id, errors, Some(written)).await?)
}

async fn user_page(
    state: &State,
    console: &Console,
    id: UserId,
    errors: FormErrors,
    new_email: Option<&str>,
) -> Result<UserPage, Problem> {
    let found = user_with_sessions(&state.auth, id, SESSIONS + 1).await?;
    let WithSessions { user, mut sessions } = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let shown = usize::try_from(SESSIONS).unwrap_or(usize::MAX);
    let is_cut = sessions.len() > shown;
    sessions.truncate(shown);
    let asked = EventQuery { subject: Some(id.to_string()), ..EventQuery::default() };
    let events = list_events(&state.auth, asked, None, EVENTS).await?.events;
    let blocks = blocks_of_user(&state.auth, id).await?;
    let now = state.auth.now();
    Ok(UserPage {
        blocks: blocks.len(),
        is_exhausted: blocks.iter().any(|block| block.key.place == Place::Account),
        layout: console.layout(format!("User {}", user.username.as_str()), Tab::Users),
        path: path_of(&user),
        id: user.id.get(),
        username: user.username.as_str().to_owned(),
        email: user.email.as_str().to_owned(),
        new_email: new_email.unwrap_or(user.email.as_str()).to_owned(),
        role: user.role,
        other_role: match user.role {
            Role::Admin => Role::User,
            Role::User => Role::Admin,
        },
        badge: state_words::of_user(&user),
        is_active: user.is_active(),
        is_deleted: matches!(user.status, UserStatus::Deleted { .. }),
        is_self: user.id == console.principal().user.id,
        created: console.moment(user.created_at),
        last_login: user.last_login_at.map(|at| console.moment(at)),
        since: since(console, &user),
        live_sessions: sessions.iter().filter(|(session, _)| session.is_live(now)).count(),
        sessions: sessions.into_iter().map(|(session, ended_by)| row(state, console, session, ended_by)).collect(),
        is_cut,
        events: events.into_iter().map(|event| event_row(console, event)).collect(),
        errors,
    })
}

fn since(console: &Console, user: &User) -> Option<Moment> {
    match user.status {
        UserStatus::Active => None,
        UserStatus::Disabled { at } | UserStatus::Deleted { at } => Some(console.moment(at)),
    }
}

fn row(state: &State, console: &Console, session: Session, ended_by: Option<String>) -> Row {
    let now = state.auth.now();
    let ended = match session.state {
        SessionState::Ended { at, reason } => Some((at, reason)),
        SessionState::Open => None,
    };
    let by = match session.ended_by {
        None => String::new(),
        Some(id) if id == session.user_id => "themselves".to_owned(),
        Some(id) => ended_by.unwrap_or_else(|| format!("user {id} (removed)")),
    };
    let id = session.id.to_string();
    Row {
        badge: state_words::of_session(&session, now),
        is_live: session.is_live(now),
        began: console.moment(session.created_at),
        last_used: console.moment(session.rotated_at),
        address: session.rotated_ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
        agent: session.user_agent.unwrap_or_else(|| "unknown".to_owned()),
        ended: ended.map(|(at, _)| console.moment(at)),
        why: ended.map_or("", |(_, reason)| state_words::why(reason)),
        by,
        short_id: id.chars().skip(24).collect(),
        id,
    }
}

fn event_row(console: &Console, event: AuditEvent) -> EventRow {
    let (tone, sign) = match event.severity.as_str() {
        "critical" => ("bad", "✕"),
        "warning" => ("warn", "!"),
        _ => ("calm", "✓"),
    };
    let by = event.actor.map(|actor| actor.username.unwrap_or_else(|| format!("user {} (removed)", actor.id)));
    EventRow {
        at: console.moment(event.occurred_at),
        by: by.unwrap_or(event.actor_kind),
        address: event.address.map_or_else(|| "–".to_owned(), |address| address.to_string()),
        kind: event.kind,
        result: event.result,
        tone,
        sign,
    }
}
