//! `POST /admin/users/bulk`: what is done with all users that are ticked. A page shows first who they are.

use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::actions::until_tokens_end;
use crate::auth::user_batches::{BATCH_MAX, BatchAction, BatchError, BatchReport, Reach, change_users, find_users};
use crate::domain::role::Role;
use crate::domain::user::{User, UserId};
use crate::web::admin::confirm::Confirmation;
use crate::web::admin::flash::Flash;
use crate::web::admin::form::{Fields, Posted};
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Tab};
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

const BACK: &str = "/admin/users";

/// `POST /admin/users/bulk`. When admins are to be kept out or let in, it asks for the password, too.
pub async fn change_ticked_users(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let Posted { console, fields } = &posted;
    let action = match fields.text("action") {
        "revoke" => BatchAction::RevokeSessions,
        "disable" => BatchAction::Disable,
        "enable" => BatchAction::Enable,
        _ => return Err(Problem::with_detail(Code::ValidationFailed, "Choose what is to be done.").into()),
    };
    let ids: Vec<UserId> = fields.values("id").filter_map(UserId::parse).take(BATCH_MAX).collect();
    if ids.is_empty() {
        console.say(Flash::refused("No user is ticked. Tick those that it is to be done with."))?;
        return Ok(page::see_other(BACK));
    }
    let users = find_users(&state.auth, ids.clone()).await.map_err(Problem::from)?;
    if !fields.is_confirmed() {
        return Ok(ask(&state, console, action, &users, fields)?);
    }
    let needs_password = action != BatchAction::RevokeSessions && users.iter().any(|user| user.role == Role::Admin);
    let (console, reach) = match needs_password {
        true => (posted.confirmed(&request).await?.console, Reach::Everybody),
        false => (posted.console, Reach::AllButAdmins),
    };
    let report = match change_users(&state.auth, console.actor(), action, reach, &ids, &client).await {
        Ok(report) => report,
        Err(BatchError::RoleChanged) => {
            console.say(Flash::refused("One of them was made an admin meanwhile; nothing was done. Do it again."))?;
            return Ok(page::see_other(BACK));
        }
        Err(BatchError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        Err(BatchError::Failed(failure)) => return Err(Problem::from(failure).into()),
    };
    let me = console.principal().user.id;
    let spared = report.last_admin.as_ref().is_some_and(|user| user.id == me);
    if action != BatchAction::Enable && ids.contains(&me) && !spared {
        // The session that a message would be kept for has ended with the others.
        return Ok(page::see_other("/admin/sign-in"));
    }
    let (done, refused) = account(action, &report);
    console.say(Flash { is_good: report.done > 0 || refused.is_empty(), text: done })?;
    if !refused.is_empty() {
        console.say(Flash::refused(refused))?;
    }
    Ok(page::see_other(BACK))
}

fn ask(
    state: &State,
    console: &Console,
    action: BatchAction,
    users: &[User],
    posted: &Fields,
) -> Result<HttpResponse, Problem> {
    let (verb, what) = match action {
        BatchAction::RevokeSessions => ("Revoke all sessions of", "All sessions of these users end:"),
        BatchAction::Disable => {
            ("Disable", "These users cannot sign in until they are enabled again, and their sessions end:")
        }
        BatchAction::Enable => ("Enable", "These users may sign in again:"),
    };
    let number = match users.len() {
        1 => "one user".to_owned(),
        many => format!("{many} users"),
    };
    let mut affected = Vec::new();
    let takes_away = action != BatchAction::Enable;
    if takes_away && users.iter().any(|user| user.id == console.principal().user.id) {
        affected.push("You are among them: you are signed out of the console at once.".to_owned());
    }
    affected.push(what.to_owned());
    affected.extend(users.iter().map(|user| format!("{} ({})", user.username.as_str(), user.email.as_str())));
    let mut unaffected = vec!["Nobody else is affected.".to_owned()];
    if takes_away {
        unaffected.push(until_tokens_end(state, console));
    }
    let mut fields = vec![("action".to_owned(), posted.text("action").to_owned())];
    fields.extend(users.iter().map(|user| ("id".to_owned(), user.id.to_string())));
    page::show(&Confirmation {
        layout: console.layout(format!("{verb} {number}?"), Tab::Users),
        affected,
        unaffected,
        action: "/admin/users/bulk".to_owned(),
        fields,
        button: format!("{verb} {number}"),
        is_dangerous: takes_away,
        back: BACK.to_owned(),
    })
}

/// What was done, and what was not.
fn account(action: BatchAction, report: &BatchReport) -> (String, String) {
    let users = |number: usize| if number == 1 { "One user".to_owned() } else { format!("{number} users") };
    let was = |number: usize| if number == 1 { "was" } else { "were" };
    let (done, already) = match action {
        BatchAction::RevokeSessions => {
            (format!("{} {} signed out", users(report.done), was(report.done)), "signed out")
        }
        BatchAction::Disable => (format!("{} {} disabled", users(report.done), was(report.done)), "disabled"),
        BatchAction::Enable => (format!("{} {} enabled", users(report.done), was(report.done)), "enabled"),
    };
    let done = match action {
        BatchAction::Enable => format!("{done}."),
        _ => format!("{done}; sessions ended: {}.", report.sessions_ended),
    };
    let mut refused = Vec::new();
    if report.unchanged > 0 {
        refused.push(format!("{} {} {already} already.", users(report.unchanged), was(report.unchanged)));
    }
    if report.missing > 0 {
        refused.push(format!("{} {} left out: deleted, or not there.", users(report.missing), was(report.missing)));
    }
    if let Some(user) = &report.last_admin {
        let name = user.username.as_str();
        refused.push(format!("{name} was left out: nobody else who may sign in would be an admin."));
    }
    (done, refused.join(" "))
}
