//! What is done with one user: `POST /admin/users/{id}/…`. What takes something away asks first: without the field that
//! the confirmation page adds, nothing happens. What changes an admin's account asks for the password, too: with a copy of
//! a cookie alone nobody gets to be the only admin, or another one.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{Error, HttpRequest, HttpResponse};
use askama::Template;

use super::show::{show_email_again, show_refusal};
use super::{id_of, path_of};
use crate::auth::end_session::{EndError, end_sessions_of_user};
use crate::auth::reset_link::{ResetLinkError, make_reset_token};
use crate::auth::update_user::{UpdateError, UserChanges, delete_user as delete, restore_user as restore, update_user};
use crate::auth::users::find_user;
use crate::domain::role::Role;
use crate::domain::user::{User, UserStatus};
use crate::web::admin::confirm::Confirmation;
use crate::web::admin::form::Posted;
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

/// What was decided without the password must not be done with somebody who needs it.
const ROLE_CHANGED: &str =
    "Their role was changed meanwhile; nothing was done. Look at it, and do it again if it is still right.";

/// A link that is shown once, on the answer to the form itself: kept for another page, it would have to be stored.
#[derive(Template)]
#[template(path = "admin/user_reset_link.html")]
pub(super) struct ResetLinkPage {
    pub(super) layout: Layout,
    pub(super) username: String,
    pub(super) link: String,
    pub(super) back: String,
}

/// `POST /admin/users/{id}/disable`
pub async fn disable_user(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    if !posted.fields.is_confirmed() {
        let affected = vec![
            "They cannot sign in until they are enabled again.".to_owned(),
            "All of their sessions end, and their refresh tokens are refused.".to_owned(),
        ];
        return Ok(ask(&state, &posted.console, &user, "disable", "Disable", affected, vec![])?);
    }
    let (console, if_role) = confirmed_for(&user, posted, &request).await?;
    let changes = UserChanges { disabled: Some(true), if_role, ..UserChanges::default() };
    let done = update_user(&state.auth, console.actor(), user.id, changes, &client).await;
    Ok(finish(&state, &console, &user, done, Ends::OwnSession, "is disabled. Their sessions have ended.").await?)
}

/// `POST /admin/users/{id}/enable`
pub async fn enable_user(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    let (console, if_role) = confirmed_for(&user, posted, &request).await?;
    let changes = UserChanges { disabled: Some(false), if_role, ..UserChanges::default() };
    let done = update_user(&state.auth, console.actor(), user.id, changes, &client).await;
    Ok(finish(&state, &console, &user, done, Ends::Nothing, "is enabled and may sign in.").await?)
}

/// `POST /admin/users/{id}/role`. Making somebody an admin asks for the password, as what is done with an admin does.
pub async fn change_role(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    let role = Role::parse(posted.fields.text("role"));
    let Some(role) = role else {
        let detail = "A role is Admin or User.";
        return Err(Problem::with_detail(Code::ValidationFailed, detail).into());
    };
    if !posted.fields.is_confirmed() {
        let affected = vec![
            match role {
                Role::Admin => "They may see and change all users and sessions, yours too.".to_owned(),
                Role::User => "They lose the console, and see and end no more than what is their own.".to_owned(),
            },
            "Their sessions of the console end, and their access tokens are refused here at once.".to_owned(),
        ];
        let unaffected = vec!["Sessions of applications go on: the next refresh gives the new role.".to_owned()];
        let what = format!("Change the role to {role}");
        return Ok(ask_with(&state, &posted.console, &user, ("role", &what), affected, unaffected, Some(role))?);
    }
    let (console, if_role) = match role {
        Role::Admin => (posted.confirmed(&request).await?.console, None),
        Role::User => confirmed_for(&user, posted, &request).await?,
    };
    let changes = UserChanges { role: Some(role), if_role, ..UserChanges::default() };
    let done = update_user(&state.auth, console.actor(), user.id, changes, &client).await;
    Ok(finish(&state, &console, &user, done, Ends::OwnSession, &format!("has the role {role}.")).await?)
}

/// `POST /admin/users/{id}/revoke-sessions`
pub async fn revoke_sessions(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Posted { console, fields }: Posted,
) -> Result<HttpResponse, Problem> {
    let user = find(&state, &path).await?;
    if !fields.is_confirmed() {
        let affected = vec![
            "All of their sessions end, those of the console too.".to_owned(),
            "Their refresh tokens and their access tokens are refused here at once. This cannot be undone.".to_owned(),
        ];
        let unaffected = vec!["They may sign in again.".to_owned()];
        return ask(&state, &console, &user, "revoke-sessions", "Revoke all sessions", affected, unaffected);
    }
    let ended = match end_sessions_of_user(&state.auth, console.actor(), user.id, &client).await {
        Err(EndError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        ended => ended?,
    };
    if is_self(&console, &user) {
        return Ok(page::see_other("/admin/sign-in"));
    }
    let text = match ended {
        0 => "There was no session to end.".to_owned(),
        1 => "One session was ended.".to_owned(),
        many => format!("{many} sessions were ended."),
    };
    console.done(text, &path_of(&user))
}

/// `POST /admin/users/{id}/delete`. It asks for the password, too.
pub async fn delete_user(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    if !posted.fields.is_confirmed() {
        let affected = vec![
            "They cannot sign in, and all of their sessions end.".to_owned(),
            "After 30 days the account is removed for good, with its sessions.".to_owned(),
        ];
        let unaffected = vec![
            "Until then the account can be restored.".to_owned(),
            "Until then nobody else can have the username or the e-mail address.".to_owned(),
        ];
        return Ok(ask(&state, &posted.console, &user, "delete", "Delete", affected, unaffected)?);
    }
    let console = posted.confirmed(&request).await?.console;
    let done = delete(&state.auth, console.actor(), user.id, &client).await;
    let text = "is deleted, and can be restored for 30 days.";
    Ok(finish(&state, &console, &user, done, Ends::OwnSession, text).await?)
}

/// `POST /admin/users/{id}/restore`
pub async fn restore_user(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    if !matches!(user.status, UserStatus::Deleted { .. }) {
        let text = "The user is not deleted.";
        return Ok(show_refusal(&state, &posted.console, user.id, StatusCode::CONFLICT, text).await?);
    }
    // Nobody changes the role of an account that is deleted.
    let (console, _) = confirmed_for(&user, posted, &request).await?;
    let done = restore(&state.auth, console.actor(), user.id, &client).await;
    Ok(finish(&state, &console, &user, done, Ends::Nothing, "is restored. Their sessions stay ended.").await?)
}

/// `POST /admin/users/{id}/email`
pub async fn change_email(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    let written = posted.fields.text("email").to_owned();
    let (console, if_role) = confirmed_for(&user, posted, &request).await?;
    let changes = UserChanges { email: Some(&written), if_role, ..UserChanges::default() };
    let text = match update_user(&state.auth, console.actor(), user.id, changes, &client).await {
        Err(UpdateError::Email(error)) => format!("The e-mail address {error}."),
        Err(UpdateError::EmailTaken) => "The e-mail address is taken.".to_owned(),
        done => {
            let text = "has another e-mail address.";
            return Ok(finish(&state, &console, &user, done, Ends::Nothing, text).await?);
        }
    };
    Ok(show_email_again(&state, &console, user.id, &written, text).await?)
}

/// `POST /admin/users/{id}/reset-link`. For an admin it asks for the password: it is as good as their account. So it does for
/// oneself, or whoever has got hold of a session could choose another password without knowing this one.
pub async fn make_reset_link(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &path).await?;
    let (console, if_role) = confirmed_for(&user, posted, &request).await?;
    let refusal = match make_reset_token(&state.auth, console.actor(), user.id, if_role, &client).await {
        Ok(token) => {
            return Ok(page::show(&ResetLinkPage {
                layout: console.layout(format!("Reset link for {}", user.username.as_str()), Tab::Users),
                username: user.username.as_str().to_owned(),
                link: format!("{}/reset?t={}", state.public_url, token.expose()),
                back: path_of(&user),
            })?);
        }
        Err(ResetLinkError::NotFound) => "The user is deleted: restore them first.",
        Err(ResetLinkError::Disabled) => "The user is disabled: enable them first.",
        Err(ResetLinkError::RoleChanged) => ROLE_CHANGED,
        Err(ResetLinkError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        Err(ResetLinkError::Failed(failure)) => return Err(Problem::from(failure).into()),
    };
    Ok(show_refusal(&state, &console, user.id, StatusCode::CONFLICT, refusal).await?)
}

async fn find(state: &State, path: &str) -> Result<User, Problem> {
    find_user(&state.auth, id_of(path)?).await?.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Goes on with the password where the user is an admin. Without it, what follows is right for the role that was looked at
/// alone.
async fn confirmed_for(user: &User, posted: Posted, request: &HttpRequest) -> Result<(Console, Option<Role>), Error> {
    match user.role {
        Role::Admin => Ok((posted.confirmed(request).await?.console, None)),
        Role::User => Ok((posted.console, Some(Role::User))),
    }
}

fn is_self(console: &Console, user: &User) -> bool {
    user.id == console.principal().user.id
}

/// Until when tokens are good elsewhere, whatever is done here.
pub(super) fn until_tokens_end(state: &State, console: &Console) -> String {
    let until = console.moment(state.auth.access_tokens_end_by()).local;
    format!("APIs that verify access tokens without asking here accept those that are out until {until} at the latest.")
}

fn ask(
    state: &State,
    console: &Console,
    user: &User,
    action: &str,
    verb: &str,
    affected: Vec<String>,
    unaffected: Vec<String>,
) -> Result<HttpResponse, Problem> {
    ask_with(state, console, user, (action, verb), affected, unaffected, None)
}

fn ask_with(
    state: &State,
    console: &Console,
    user: &User,
    (action, verb): (&str, &str),
    mut affected: Vec<String>,
    mut unaffected: Vec<String>,
    role: Option<Role>,
) -> Result<HttpResponse, Problem> {
    if is_self(console, user) {
        affected.insert(0, "This is your own account: you are signed out of the console at once.".to_owned());
    }
    unaffected.push(until_tokens_end(state, console));
    let fields = role.map(|role| ("role".to_owned(), role.as_str().to_owned())).into_iter().collect();
    page::show(&Confirmation {
        layout: console.layout(format!("{verb}: {}?", user.username.as_str()), Tab::Users),
        affected,
        unaffected,
        action: format!("{}/{action}", path_of(user)),
        fields,
        button: verb.to_owned(),
        is_dangerous: true,
        back: path_of(user),
    })
}

/// What it ends when somebody does it with their own account.
#[derive(Clone, Copy)]
enum Ends {
    Nothing,
    OwnSession,
}

/// Back to the user's page with what was done, or the page with why it was not.
async fn finish(
    state: &State,
    console: &Console,
    user: &User,
    done: Result<User, UpdateError>,
    ends: Ends,
    text: &str,
) -> Result<HttpResponse, Problem> {
    let refusal = match done {
        // The session that a message would be kept for has ended with it.
        Ok(_) if matches!(ends, Ends::OwnSession) && is_self(console, user) => {
            return Ok(page::see_other("/admin/sign-in"));
        }
        Ok(_) => {
            return console.done(format!("{} {text}", user.username.as_str()), &path_of(user));
        }
        Err(UpdateError::LastAdmin) => {
            "This is the last admin who may sign in. Make somebody else an admin first; nothing was changed."
        }
        Err(UpdateError::NotFound) => "The user is deleted: restore them first. Nothing was changed.",
        Err(UpdateError::RoleChanged) => ROLE_CHANGED,
        Err(UpdateError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        Err(error) => return Err(error.into()),
    };
    show_refusal(state, console, user.id, StatusCode::CONFLICT, refusal).await
}
