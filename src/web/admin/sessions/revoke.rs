//! Revoking sessions: one, those that were ticked, and all that a filter matches. A page asks first.

use actix_web::web::{Data, Path};
use actix_web::{Error, HttpRequest, HttpResponse};

use super::query::Asked;
use super::{grouped, id_of, sessions};
use crate::auth::bulk_revocation::{BulkError, BulkFilter, end_matching};
use crate::auth::end_session::{EndError, end_session, end_these_sessions};
use crate::auth::session_search::{StateFilter, Tally, count_sessions};
use crate::auth::sessions::find_session;
use crate::auth::users::find_user;
use crate::domain::client::Client;
use crate::domain::session::SessionId;
use crate::web::admin::confirm::Confirmation;
use crate::web::admin::form::Posted;
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Tab};
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

/// How many sessions can be ticked: as many as a page has.
const TICKED_MAX: usize = 50;

/// `POST /admin/sessions/{sid}/revoke`
pub async fn revoke_session(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Posted { console, fields }: Posted,
) -> Result<HttpResponse, Problem> {
    let id = id_of(&path)?;
    let page = format!("/admin/sessions/{id}");
    if !fields.is_confirmed() {
        let detail = find_session(&state.auth, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
        let is_own = id == console.principal().session_id;
        let mut affected = vec![format!("The session of {} ends at once.", detail.user.username.as_str())];
        affected.extend(is_own.then(|| "It is your own: you are signed out.".to_owned()));
        return ask(&console, &state, "Revoke this session?", affected, &format!("{page}/revoke"), Vec::new(), page);
    }
    match end_session(&state.auth, console.actor(), id, &client).await {
        Err(EndError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        ended => ended?,
    };
    console.done("The session was revoked.", &page)
}

/// `POST /admin/sessions/revoke`: those that were ticked.
pub async fn revoke_sessions(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Posted { console, fields }: Posted,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::of(&fields);
    let back = asked.url(None);
    let ids: Vec<SessionId> = fields.values("id").map(id_of).collect::<Result<_, _>>()?;
    if ids.is_empty() || ids.len() > TICKED_MAX {
        let text = if ids.is_empty() { "Tick the sessions to revoke." } else { "Tick at most 50 sessions." };
        console.say(crate::web::admin::flash::Flash::refused(text))?;
        return Ok(page::see_other(&back));
    }
    if !fields.is_confirmed() {
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let mut affected = vec![format!("{} you ticked: what of them is live ends at once.", sessions(count))];
        affected.extend(own_is_among(&console, &ids).then(|| "Your own is among them: you are signed out.".to_owned()));
        let carried = ids.iter().map(|id| ("id".to_owned(), id.to_string())).chain(asked.fields()).collect();
        let title = format!("Revoke {}?", sessions(count));
        return ask(&console, &state, &title, affected, "/admin/sessions/revoke", carried, back);
    }
    let ended = match end_these_sessions(&state.auth, console.actor(), ids, &client).await {
        Err(EndError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        ended => ended?,
    };
    console.done(revoked(u64::try_from(ended).unwrap_or(u64::MAX)), &back)
}

/// `POST /admin/sessions/revoke-matching`: all that the list's filter matches, on whichever page of it. Unless it names
/// one user it asks for the password: a filter can say a lot and still match everybody's sessions.
pub async fn revoke_matching_sessions(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let asked = Asked::of(&posted.fields);
    let back = asked.url(None);
    let (search, errors) = asked.parse(&state, &posted.console).await?;
    let may_be_live = matches!(search.state, StateFilter::Live | StateFilter::Any);
    if !errors.is_empty() || !may_be_live || search.filter == Default::default() {
        let detail = "The filter says nothing, or nothing that can be revoked. Go back to the list and filter it.";
        return Err(Problem::with_detail(Code::ValidationFailed, detail).into());
    }
    if !posted.fields.is_confirmed() {
        let tally =
            count_sessions(&state.auth, search.filter.clone(), StateFilter::Live).await.map_err(Problem::from)?;
        let count = number_of(tally);
        let mut affected = vec![format!("{count} match the filter now. All that match when you confirm end at once.")];
        if let Some(id) = search.filter.user_id {
            // What was written can be a name and another's id: it is said whom it came to.
            let user = find_user(&state.auth, id).await.map_err(Problem::from)?;
            let name = user.ok_or_else(|| Problem::new(Code::NotFound))?.username;
            affected.push(format!("Only where the user is {} (id {id}).", name.as_str()));
        }
        affected.extend(
            asked
                .pairs()
                .iter()
                .filter(|(name, _)| !["user", "size", "order", "state"].contains(name))
                .map(|(name, value)| format!("Only where {} {value}.", label(name))),
        );
        affected.push("If your own session matches, you are signed out.".to_owned());
        let title = format!("Revoke {}?", count_in_title(tally));
        let action = "/admin/sessions/revoke-matching";
        let asked = match search.filter.user_id {
            Some(id) => asked.of_user(id),
            None => asked,
        };
        return Ok(ask(&posted.console, &state, &title, affected, action, asked.fields(), back)?);
    }
    let console = match search.filter.user_id {
        Some(_) => posted.console,
        None => posted.confirmed(&request).await?.console,
    };
    match end_all_that_match(&request, state, &console, search.filter, client).await? {
        Err(BulkError::NoLongerPermitted) => Ok(page::see_other("/admin/sign-in")),
        ended => Ok(console.done(revoked(ended.map_err(Problem::from)?), &back)?),
    }
}

/// Ends them all, however long that takes and whoever still waits for it.
pub(super) async fn end_all_that_match(
    request: &HttpRequest,
    state: Data<State>,
    console: &Console,
    filter: BulkFilter,
    client: Client,
) -> Result<Result<u64, BulkError>, Problem> {
    Deadline::lift(request);
    let console = console.clone();
    to_the_end(async move { end_matching(&state.auth, console.actor(), filter, &client).await }).await
}

/// As exact as the count is.
pub(super) fn number_of(tally: Tally) -> String {
    let count = sessions(tally.found);
    if tally.is_exact {
        format!("{count} that are live")
    } else {
        format!("At least {count} that are live (of the newest {} that were looked at)", grouped(50_000))
    }
}

fn count_in_title(tally: Tally) -> String {
    match (tally.is_exact, tally.found) {
        (true, found) => sessions(found),
        (false, 0) => "the sessions that match".to_owned(),
        (false, found) => format!("at least {}", sessions(found)),
    }
}

/// What no revocation reaches.
pub(super) fn unaffected(state: &State, console: &Console) -> Vec<String> {
    let until = console.moment(state.auth.access_tokens_end_by()).local;
    vec![
        format!(
            "Access tokens at APIs that verify them without asking: they are accepted there until they expire, at \
             {until} at the latest. Here they are refused at once."
        ),
        "Passwords: whoever knows one can sign in again. Disable the account to keep somebody out.".to_owned(),
    ]
}

fn ask(
    console: &Console,
    state: &State,
    title: &str,
    affected: Vec<String>,
    action: &str,
    fields: Vec<(String, String)>,
    back: String,
) -> Result<HttpResponse, Problem> {
    let mut affected = affected;
    affected.push("This cannot be undone: a token that was refused stays refused.".to_owned());
    page::show(&Confirmation {
        layout: console.layout(title, Tab::Sessions),
        affected,
        unaffected: unaffected(state, console),
        action: action.to_owned(),
        fields,
        button: "Revoke".to_owned(),
        is_dangerous: true,
        back,
    })
}

fn own_is_among(console: &Console, ids: &[SessionId]) -> bool {
    ids.contains(&console.principal().session_id)
}

fn label(name: &str) -> &'static str {
    match name {
        "role" => "the user's role is",
        "ip" => "the last address is in",
        "agent" => "the agent contains",
        "used_before" => "the last use was on or before",
        "used_after" => "the last use was on or after",
        "created_before" => "it began on or before",
        "created_after" => "it began on or after",
        _ => "the kind is",
    }
}

/// How many were ended, for the next page.
pub(super) fn revoked(count: u64) -> String {
    match count {
        0 => "Nothing was left to revoke: they had ended before.".to_owned(),
        1 => "1 session was revoked.".to_owned(),
        many => format!("{} were revoked.", sessions(many)),
    }
}
