//! `/admin/audit`: the audit trail, filtered, page by page, and on its way to elsewhere.

mod filter;

use actix_web::http::header;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use futures_util::stream;

use super::exporting::{BrokenOff, Exporting, log};
use super::form::FormErrors;
use super::guard::Console;
use super::moment::Moment;
use super::page::{self, Layout, Tab};
use super::sessions::grouped;
use crate::auth::audit::export::{Export, Format, to_json};
use crate::auth::audit::exported::Exported;
use crate::auth::audit::list::{self, AuditEvent, LOOK_AT, NamedUser};
use crate::auth::audit::{Kind, Outcome};
use crate::auth::users::ListError;
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::query::{LIMIT, Query};
use crate::web::state::State;
use filter::{Filter, Place};

const PATH: &str = "/admin/audit";

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage<'a> {
    layout: Layout,
    filter: &'a Filter,
    errors: FormErrors,
    families: Vec<String>,
    kinds: [Kind; Kind::ALL.len()],
    outcomes: [Outcome; Outcome::ALL.len()],
    rows: Vec<Row>,
    is_live: bool,
    is_lost: bool,
    nothing: String,
    /// How far was looked, when that was not to the end.
    looked: String,
    wider: Option<String>,
    previous: String,
    next: String,
    count: String,
}

struct Row {
    at: Moment,
    kind: String,
    result: String,
    is_critical: bool,
    actor: Party,
    subject: Party,
    address: String,
    request_id: String,
    session: Option<String>,
    client: Option<String>,
    json: String,
}

/// Somebody who acted, or whom it concerns.
struct Party {
    label: String,
    id: Option<String>,
}

/// `GET /admin/audit`
pub async fn list_events(
    state: Data<State>,
    console: Console,
    Query(filter): Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let zone = console.zone();
    let filter = filter.tidied();
    let (query, errors) = filter.parse(&zone);
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let (mut found, mut is_lost) = (None, false);
    if errors.is_empty() {
        found = match list::list_events(&state.auth, query.clone(), filter.cursor(), LIMIT).await {
            // A cursor of before the server's secret was exchanged, or of nobody's: the first page is always there.
            Err(ListError::BadCursor(_)) => {
                is_lost = true;
                Some(list::list_events(&state.auth, query, None, LIMIT).await?)
            }
            found => Some(found?),
        };
    }
    let url = |place: Place, cursor: &Option<String>| {
        cursor.as_deref().map(|cursor| filter.url(place, cursor)).unwrap_or_default()
    };
    let (previous, next) = found
        .as_ref()
        .map_or_else(Default::default, |found| (url(Place::Before, &found.previous), url(Place::After, &found.next)));
    let looked_to = found.as_ref().and_then(|found| found.looked_to);
    let looked = looked_to.map_or_else(String::new, |time| {
        let many = grouped(LOOK_AT.unsigned_abs());
        format!("Looked at up to {many} events, as far as {}.", console.moment(time).local)
    });
    let nothing = if looked.is_empty() { filter.nothing() } else { "None of them is like this.".to_owned() };
    let rows: Vec<_> = found.into_iter().flat_map(|found| found.events).map(|event| row(&event, &console)).collect();
    let shown = AuditPage {
        layout: console.layout("Audit", Tab::Audit),
        families: filter::families(),
        kinds: Kind::ALL,
        outcomes: Outcome::ALL,
        // Another page would not be where it was ten seconds later.
        is_live: filter.is_live() && errors.is_empty() && filter.cursor().is_none(),
        is_lost,
        looked,
        nothing,
        wider: filter.wider(&zone, state.auth.now()),
        count: match rows.len() {
            1 => "1 event".to_owned(),
            many => format!("{many} events, the newest first"),
        },
        rows,
        previous,
        next,
        errors,
        filter: &filter,
    };
    page::show_with(status, &shown)
}

/// Whether this is the page that a browser asks for again by itself.
pub(super) fn is_live(request: &HttpRequest) -> bool {
    let filter = || web::Query::<Filter>::from_query(request.query_string());
    request.path() == PATH && filter().is_ok_and(|filter| filter.into_inner().tidied().is_live())
}

/// `GET /admin/audit/export`: everything that the filter means, in the order in which it happened.
pub async fn export_events(
    state: Data<State>,
    ClientOf(client): ClientOf,
    console: Console,
    Query(filter): Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let filter = filter.tidied();
    let (query, errors) = filter.parse(&console.zone());
    if !errors.is_empty() {
        return Ok(page::see_other(&filter.path(PATH)));
    }
    let (format, name, content_type) = match filter.is_csv() {
        true => (Format::Csv, "csv", "text/csv; charset=utf-8"),
        false => (Format::Ndjson, "ndjson", "application/x-ndjson"),
    };
    let day = console.zone().day_of(state.auth.now());
    let exporting = Exporting::begin(&state, &console, client, Exported::Events, name).await?;
    let mut export = Export::begin(&state.auth, query);
    // The first part is read before there is an answer, so that a failing database is one.
    let first = export.next(&state.auth).await?;
    let part = move |events: &[AuditEvent]| events.iter().map(|event| format.line(event)).collect::<String>();
    let begin = format!("{}{}", format.heading(), part(&first));
    let parts = stream::try_unfold(
        (state, exporting, export, Some(begin)),
        move |(state, exporting, mut export, begun)| async move {
            if let Some(text) = begun {
                return Ok(Some((Bytes::from(text), (state, exporting, export, None))));
            }
            let next = async {
                exporting.go_on(&state).await?;
                Ok::<_, BrokenOff>(export.next(&state.auth).await?)
            };
            let events = next.await.inspect_err(log)?;
            let text = (!events.is_empty()).then(|| Bytes::from(part(&events)));
            Ok::<_, BrokenOff>(text.map(|text| (text, (state, exporting, export, None))))
        },
    );
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"relatch-audit-{day}.{name}\"")))
        .streaming(parts))
}

fn row(event: &AuditEvent, console: &Console) -> Row {
    let named = |user: &NamedUser| Party {
        label: user.username.clone().unwrap_or_else(|| "removed".to_owned()),
        id: Some(user.id.to_string()),
    };
    Row {
        at: console.moment(event.occurred_at),
        kind: event.kind.clone(),
        result: event.result.clone(),
        is_critical: event.severity == "critical",
        actor: event.actor.as_ref().map_or_else(|| Party { label: event.actor_kind.clone(), id: None }, named),
        subject: event.subject.as_ref().map_or_else(|| Party { label: "–".to_owned(), id: None }, named),
        address: event.address.map_or_else(|| "–".to_owned(), |address| address.to_string()),
        request_id: event.request_id.clone().unwrap_or_default(),
        session: event.session_id.map(|id| id.to_string()),
        client: event.client_id.map(|id| id.to_string()),
        json: with_visible_marks(&serde_json::to_string_pretty(&to_json(event)).unwrap_or_default()),
    }
}

/// The same JSON with escapes for the marks that turn a line's direction: an agent could make a line read as another.
fn with_visible_marks(json: &str) -> String {
    let turns =
        |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| if turns(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(shown).collect()
}
