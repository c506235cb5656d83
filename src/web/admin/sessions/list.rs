//! `/admin/sessions`: everybody's sessions, by any filter.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::query::{Asked, SIZES};
use super::{Badge, end_of, grouped};
use crate::auth::session_search::{
    From, LOOK_AT, Listed, Order, SearchPage, SessionSearch, StateFilter, search_sessions,
};
use crate::auth::users::ListError;
use crate::domain::session::SessionKind;
use crate::domain::timestamp::Timestamp;
use crate::web::admin::agent;
use crate::web::admin::form::FormErrors;
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::problem::Problem;
use crate::web::query::Query;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/sessions.html")]
struct ListPage {
    layout: Layout,
    asked: Asked,
    errors: FormErrors,
    rows: Vec<Row>,
    /// What the filter matches can be revoked together.
    can_revoke_matching: bool,
    is_filtered: bool,
    /// A filter is used that is not always in sight.
    has_more: bool,
    zone: String,
    notice: String,
    looked: String,
    count: String,
    previous: String,
    next: String,
    sizes: [u32; 3],
}

struct Row {
    id: String,
    user_id: String,
    username: String,
    badge: Badge,
    is_live: bool,
    is_own: bool,
    end: Option<(Moment, String)>,
    is_console: bool,
    created: Moment,
    used: Moment,
    address: String,
    agent: String,
    raw_agent: String,
    generation: u32,
}

/// `GET /admin/sessions`
pub async fn list_sessions(
    state: Data<State>,
    console: Console,
    Query(asked): Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (search, errors) = asked.parse(&state, &console).await?;
    let mut notice = String::new();
    let mut found = None;
    if errors.is_empty() {
        found = Some(match search_sessions(&state.auth, search.clone()).await {
            Err(ListError::BadCursor(_)) => {
                notice = "That place in the list is unknown here. This is its beginning.".to_owned();
                let first = SessionSearch { from: From::Start, ..search.clone() };
                search_sessions(&state.auth, first).await
            }
            found => found,
        }?);
    }
    let is_good = errors.is_empty();
    let shown = list_page(&console, asked, errors, &search, found, notice, state.auth.now());
    if is_good { page::show(&shown) } else { page::show_again(&shown) }
}

fn list_page(
    console: &Console,
    asked: Asked,
    errors: FormErrors,
    search: &SessionSearch,
    found: Option<SearchPage>,
    notice: String,
    now: Timestamp,
) -> ListPage {
    let link = |name: &str, cursor: Option<&String>| {
        cursor.map_or_else(String::new, |cursor| asked.url(Some((name, cursor.as_str()))))
    };
    let (previous, next) = found.as_ref().map_or_else(Default::default, |found| {
        (link("before", found.previous.as_ref()), link("after", found.next.as_ref()))
    });
    let looked = found.as_ref().and_then(|found| found.looked_to).map_or_else(String::new, |time| {
        let which = match (asked.has_place(), search.order) {
            (true, _) => "next",
            (false, Order::NewestFirst) => "newest",
            (false, Order::OldestFirst) => "oldest",
        };
        format!(
            "Looked at the {which} {} sessions, as far as {}.",
            grouped(u64::from(LOOK_AT)),
            console.moment(time).local
        )
    });
    let rows: Vec<Row> =
        found.into_iter().flat_map(|found| found.items).map(|row| row_of(&row, console, now)).collect();
    let may_be_live = matches!(search.state, StateFilter::Live | StateFilter::Any);
    ListPage {
        layout: console.layout("Sessions", Tab::Sessions),
        can_revoke_matching: errors.is_empty()
            && may_be_live
            && search.filter != Default::default()
            && !rows.is_empty(),
        is_filtered: !asked.pairs().is_empty(),
        has_more: asked.pairs().iter().any(|(name, _)| !["user", "ip", "state", "size"].contains(name)),
        zone: console.zone().name().to_owned(),
        count: match rows.len() {
            0 => String::new(),
            1 => "1 session on this page".to_owned(),
            many => format!("{many} sessions on this page"),
        },
        asked,
        errors,
        rows,
        notice,
        looked,
        previous,
        next,
        sizes: SIZES,
    }
}

fn row_of(row: &Listed, console: &Console, now: Timestamp) -> Row {
    let session = &row.session;
    Row {
        id: session.id.to_string(),
        user_id: session.user_id.to_string(),
        username: row.user.username.as_str().to_owned(),
        badge: Badge::of(session, now),
        is_live: session.is_live(now),
        is_own: session.id == console.principal().session_id,
        end: end_of(session, row.ended_by.as_deref(), console, now),
        is_console: session.kind == SessionKind::Console,
        created: console.moment(session.created_at),
        used: console.moment(session.rotated_at),
        address: session.rotated_ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
        agent: agent::short(session.user_agent.as_deref()),
        raw_agent: session.user_agent.clone().unwrap_or_default(),
        generation: session.generation.get(),
    }
}
