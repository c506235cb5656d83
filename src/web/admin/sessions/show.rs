//! `/admin/sessions/{sid}`: one session, and the picture of its rotations.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;

use super::{Badge, id_of, kind_words};
use crate::auth::session_search::history_life;
use crate::auth::sessions::{SessionDetail, find_session};
use crate::domain::session::SessionKind;
use crate::domain::user::UserId;
use crate::web::admin::agent;
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::admin::rotations::{self, Entry, Facts, NARROW, Node, Scene, WIDE, lay_out};
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/session.html")]
struct SessionPage {
    layout: Layout,
    id: String,
    log_name: String,
    user_id: String,
    /// Where all sessions of the user are.
    of_user: String,
    /// Where the audit trail has this session.
    audit: String,
    username: String,
    badge: Badge,
    is_live: bool,
    is_own: bool,
    kind: &'static str,
    is_console: bool,
    summary: String,
    is_bad: bool,
    scenes: [Scene; 2],
    entries: Vec<Entry>,
    kept_days: u64,
    is_pruned: bool,
    agent: String,
    raw_agent: String,
    created: Moment,
    created_from: String,
    used: Moment,
    used_ago: String,
    used_from: String,
    idle_expires: Moment,
    expires: Moment,
    generation: u32,
}

/// `GET /admin/sessions/{sid}`
pub async fn show_session(state: Data<State>, console: Console, path: Path<String>) -> Result<HttpResponse, Problem> {
    let id = id_of(&path)?;
    let detail = find_session(&state.auth, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    page::show(&session_page(&state, &console, &detail))
}

/// `GET /admin/users/{id}/sessions/{sid}`: the same page, if the session is this user's.
pub async fn show_session_of_user(
    state: Data<State>,
    _: Console,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (user, session) = path.into_inner();
    let id = id_of(&session)?;
    let found = find_session(&state.auth, id).await?;
    let is_of_user = found.is_some_and(|found| UserId::parse(&user) == Some(found.session.user_id));
    if is_of_user { Ok(page::see_other(&format!("/admin/sessions/{id}"))) } else { Err(Problem::new(Code::NotFound)) }
}

fn session_page(state: &State, console: &Console, detail: &SessionDetail) -> SessionPage {
    let now = state.auth.now();
    let (session, zone) = (&detail.session, console.zone());
    let facts = Facts::of(detail, now);
    let address = |ip: Option<std::net::IpAddr>| ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
    let first = detail.history.first().map_or(0, |issued| issued.generation.get());
    SessionPage {
        layout: console.layout(format!("Session of {}", detail.user.username.as_str()), Tab::Sessions),
        id: session.id.to_string(),
        log_name: session.id.log_name(),
        user_id: session.user_id.to_string(),
        of_user: format!("/admin/sessions?user={}&state=any", session.user_id),
        audit: format!("/admin/audit?session={}", session.id),
        username: detail.user.username.as_str().to_owned(),
        badge: Badge::of(session, now),
        is_live: session.is_live(now),
        is_own: session.id == console.principal().session_id,
        kind: kind_words(session.kind),
        is_console: session.kind == SessionKind::Console,
        summary: rotations::summary(&facts, &zone),
        is_bad: detail.presented.is_some() || Badge::of(session, now).tone == "bad",
        scenes: [lay_out(&facts, &zone, WIDE), lay_out(&facts, &zone, NARROW)],
        entries: rotations::entries(&facts, &zone),
        kept_days: rotations::days(history_life(&state.auth)),
        is_pruned: session.kind == SessionKind::Api && first != 1,
        agent: agent::short(session.user_agent.as_deref()),
        raw_agent: session.user_agent.clone().unwrap_or_default(),
        created: zone.moment(session.created_at),
        created_from: address(session.created_ip),
        used: zone.moment(session.rotated_at),
        used_ago: rotations::ago(now, session.rotated_at),
        used_from: address(session.rotated_ip),
        idle_expires: zone.moment(session.idle_expires_at.min(session.expires_at)),
        expires: zone.moment(session.expires_at),
        generation: session.generation.get(),
    }
}
