//! `GET /admin/users/export`: the list as a file, written while it is read, a part at a time.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use futures_util::stream;
use serde::Serialize;

use super::query::UsersQuery;
use super::state_words;
use crate::auth::audit::exported::Exported;
use crate::auth::failure::Failure;
use crate::auth::user_list::{ExportPlace, ListedUser, UserListQuery, export_users as read_part};
use crate::domain::csv::cell;
use crate::web::admin::exporting::{BrokenOff, Exporting, log};
use crate::web::admin::guard::Console;
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::query::Query;
use crate::web::state::State;

/// How many users are read and written at a time.
const PART: usize = 1_000;
const HEADING: &str = "id,username,email,role,status,created_at,last_login_at,live_sessions\r\n";

#[derive(Clone, Copy)]
enum Format {
    Csv,
    Ndjson,
}

/// A line of the export.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: i64,
    username: &'a str,
    email: &'a str,
    role: &'static str,
    status: String,
    created_at: String,
    last_login_at: Option<String>,
    live_sessions: i64,
}

/// Where an export is: what comes next, or the end.
enum Next {
    Part(Option<ExportPlace>),
    End,
}

/// `GET /admin/users/export`
pub async fn export_users(
    state: Data<State>,
    ClientOf(client): ClientOf,
    console: Console,
    Query(query): Query<UsersQuery>,
) -> Result<HttpResponse, Problem> {
    let format = match query.format.as_deref() {
        Some("csv") => Format::Csv,
        Some("ndjson") => Format::Ndjson,
        _ => return Err(Problem::with_detail(Code::ValidationFailed, "The format is csv or ndjson.")),
    };
    let (extension, content_type, name) = match format {
        Format::Csv => ("csv", "text/csv; charset=utf-8; header=present", "attachment; filename=\"users.csv\""),
        Format::Ndjson => ("ndjson", "application/x-ndjson", "attachment; filename=\"users.ndjson\""),
    };
    let exporting = Exporting::begin(&state, &console, client, Exported::Users, extension).await?;
    // The first part is read before the answer begins: what fails until then is an error like any other.
    let asked = query.shown().query();
    let (first, next) = part(&state, &asked, None, format).await?;
    let heading = if matches!(format, Format::Csv) { HEADING } else { "" };
    let begin = Bytes::from(format!("{heading}{first}"));
    let rest = stream::try_unfold((state, exporting, asked, next), move |(state, exporting, asked, next)| async move {
        let Next::Part(from) = next else { return Ok(None) };
        let next = async {
            exporting.go_on(&state).await?;
            Ok::<_, BrokenOff>(part(&state, &asked, from, format).await?)
        };
        let (text, next) = next.await.inspect_err(log)?;
        Ok::<_, BrokenOff>(Some((Bytes::from(text), (state, exporting, asked, next))))
    });
    let body = futures_util::StreamExt::chain(stream::iter([Ok(begin)]), rest);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .streaming(body))
}

async fn part(
    state: &State,
    asked: &UserListQuery,
    from: Option<ExportPlace>,
    format: Format,
) -> Result<(String, Next), Failure> {
    let (users, next) = read_part(&state.auth, asked, from, PART).await?;
    let mut text = String::new();
    for listed in &users {
        match format {
            Format::Csv => text.push_str(&csv(&line(listed))),
            // Nothing in a line can fail to be written as JSON.
            Format::Ndjson => text.push_str(&serde_json::to_string(&line(listed)).unwrap_or_default()),
        }
        text.push_str(if matches!(format, Format::Csv) { "\r\n" } else { "\n" });
    }
    Ok((text, next.map_or(Next::End, |place| Next::Part(Some(place)))))
}

fn line(ListedUser { user, live_sessions }: &ListedUser) -> Line<'_> {
    Line {
        id: user.id.get(),
        username: user.username.as_str(),
        email: user.email.as_str(),
        role: user.role.as_str(),
        status: state_words::of_user(user).text.to_lowercase(),
        created_at: user.created_at.to_string(),
        last_login_at: user.last_login_at.map(|at| at.to_string()),
        live_sessions: *live_sessions,
    }
}

fn csv(line: &Line<'_>) -> String {
    let last_login_at = line.last_login_at.as_deref().unwrap_or_default();
    let text = [line.username, line.email, line.role, &line.status, &line.created_at, last_login_at].map(cell);
    format!("{},{},{}", line.id, text.join(","), line.live_sessions)
}
