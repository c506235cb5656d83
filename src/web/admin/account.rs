//! `/admin/me`: the admin's own sessions, password and way of seeing the console.

use actix_session::Session;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::confirm::{Confirmed, TOO_MANY};
use super::form::{Fields, FormErrors, Posted};
use super::guard::Console;
use super::moment::{Moment, Zone};
use super::page::{self, Layout, Tab};
use super::{sign_in, signed_out};
use crate::auth::change_password::ChangePasswordError;
use crate::auth::console;
use crate::auth::end_session::end_own_session;
use crate::auth::failure::Failure;
use crate::auth::sessions::live_sessions_of;
use crate::domain::preferences::{Preferences, Theme};
use crate::domain::session::{SessionId, SessionKind};
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

#[derive(Template)]
#[template(path = "admin/me.html")]
struct AccountPage<'a> {
    layout: Layout,
    username: &'a str,
    email: &'a str,
    sessions: Vec<OwnSession>,
    themes: [Theme; 3],
    preferences: Preferences,
    hint: String,
    errors: FormErrors,
}

struct OwnSession {
    id: String,
    is_console: bool,
    is_current: bool,
    began: Moment,
    last_used: Moment,
    address: String,
    agent: String,
}

/// `GET /admin/me`
pub async fn show_account(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    let preferences = console.user().preferences.clone();
    page::show(&account_page(&state, &console, preferences, FormErrors::default()).await?)
}

/// `POST /admin/me/preferences`
pub async fn set_preferences(state: Data<State>, Posted { console, fields }: Posted) -> Result<HttpResponse, Problem> {
    let (wanted, errors) = preferences_of(&fields);
    if !errors.is_empty() {
        return page::show_again(&account_page(&state, &console, wanted, errors).await?);
    }
    console::set_preferences(&state.auth, console.principal().user.id, wanted).await?;
    console.done("Your preferences were saved.", "/admin/me")
}

/// `POST /admin/me/password`
pub async fn change_password(
    request: HttpRequest,
    state: Data<State>,
    session: Session,
    ClientOf(client): ClientOf,
    Posted { console, fields }: Posted,
) -> Result<HttpResponse, Problem> {
    // Whoever is told to ask again would do so with a password that is theirs no more.
    Deadline::lift(&request);
    let (shared, user) = (state.clone(), console.clone());
    let work = async move {
        let (current, new) = (fields.text("current_password"), fields.text("new_password"));
        console::change_password(&shared.auth, user.user(), current, new, &client).await
    };
    let errors = match to_the_end(work).await? {
        Ok(signed_in) => {
            let answer = sign_in::begin(&state, &session, &signed_in, "/admin/me")?;
            console.done("Your password was changed. All of your other sessions have ended.", "/admin/me")?;
            return Ok(answer);
        }
        Err(ChangePasswordError::WrongPassword) => {
            FormErrors::one("current_password", "The current password is wrong.")
        }
        Err(ChangePasswordError::Failed(failure @ Failure::TooManyAttempts { .. })) => {
            let errors = FormErrors::one("current_password", TOO_MANY);
            let preferences = console.user().preferences.clone();
            let shown = account_page(&state, &console, preferences, errors).await?;
            return page::show_problem(&failure.into(), &shown);
        }
        Err(ChangePasswordError::TooManyWrong) => return signed_out::after_wrong_passwords(),
        Err(ChangePasswordError::AccountChanged) => return Ok(page::see_other("/admin/sign-in")),
        Err(ChangePasswordError::Unacceptable(error)) => {
            FormErrors::one("new_password", format!("The new password {error}."))
        }
        Err(error) => return Err(error.into()),
    };
    let preferences = console.user().preferences.clone();
    page::show_again(&account_page(&state, &console, preferences, errors).await?)
}

/// `POST /admin/me/sessions/{sid}/end`
pub async fn end_session(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Posted { console, .. }: Posted,
) -> Result<HttpResponse, Problem> {
    let id = SessionId::parse(&path).ok_or_else(|| Problem::new(Code::NotFound))?;
    end_own_session(&state.auth, &console.principal().user, id, &client).await?;
    console.done("The session was ended.", "/admin/me")
}

/// `POST /admin/me/sessions/end-others`. Whoever has a copy of a cookie must not keep its owner out with it.
pub async fn end_other_sessions(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Confirmed { console, .. }: Confirmed,
) -> Result<HttpResponse, Problem> {
    let ended = console::end_others(&state.auth, console.user(), &client).await?;
    let text = match ended {
        0 => "There was no other session.".to_owned(),
        1 => "One other session was ended.".to_owned(),
        many => format!("{many} other sessions were ended."),
    };
    console.done(text, "/admin/me")
}

fn preferences_of(fields: &Fields) -> (Preferences, FormErrors) {
    let mut errors = FormErrors::default();
    let theme = Theme::parse(fields.text("theme"));
    if theme.is_none() {
        errors.add("theme", "Choose one of the themes.");
    }
    let zone = Zone::parse(fields.text("time_zone"));
    if zone.is_none() {
        errors.add("time_zone", "Write a name of the time zone database, such as Europe/Berlin.");
    }
    let written = || fields.text("time_zone").to_owned();
    let wanted = Preferences {
        theme: theme.unwrap_or_default(),
        time_zone: zone.map_or_else(written, |zone| zone.name().to_owned()),
        shortcuts: fields.is_ticked("shortcuts"),
    };
    (wanted, errors)
}

async fn account_page<'a>(
    state: &State,
    console: &'a Console,
    preferences: Preferences,
    errors: FormErrors,
) -> Result<AccountPage<'a>, Problem> {
    let user = &console.principal().user;
    let sessions = live_sessions_of(&state.auth, user.id).await?;
    let own = |session: crate::domain::session::Session| OwnSession {
        is_current: session.id == console.principal().session_id,
        is_console: session.kind == SessionKind::Console,
        began: console.moment(session.created_at),
        last_used: console.moment(session.rotated_at),
        address: session.rotated_ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
        agent: session.user_agent.unwrap_or_else(|| "unknown".to_owned()),
        id: session.id.to_string(),
    };
    Ok(AccountPage {
        layout: console.layout("My account", Tab::Me),
        username: user.username.as_str(),
        email: user.email.as_str(),
        sessions: sessions.into_iter().map(own).collect(),
        themes: Theme::ALL,
        preferences,
        hint: format!("At least {} characters.", state.auth.password_min_length()),
        errors,
    })
}
