//! `/admin/users/new` and `POST /admin/users`: making an account, with a password or with a link to choose one.

use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse};
use askama::Template;

use super::actions::ResetLinkPage;
use super::path_of;
use crate::auth::register::{NewAccount, register};
use crate::auth::register_with_link::register_with_link;
use crate::domain::role::Role;
use crate::web::admin::form::{Fields, FormErrors, Posted};
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::admin::setup::errors_of;
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/user_new.html")]
struct NewUserPage {
    layout: Layout,
    username: String,
    email: String,
    role: Role,
    roles: [Role; 2],
    with_password: bool,
    hint: String,
    errors: FormErrors,
}

/// `GET /admin/users/new`
pub async fn show_new_user(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    page::show(&new_user_page(&state, &console, &Fields::default(), FormErrors::default()))
}

/// `POST /admin/users`. Making an admin asks for the password of whoever does it.
pub async fn create_user(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    posted: Posted,
) -> Result<HttpResponse, Error> {
    let role = Role::parse(posted.fields.text("role"));
    let (console, fields) = match role {
        Some(Role::Admin) => {
            let confirmed = posted.confirmed(&request).await?;
            (confirmed.console, confirmed.fields)
        }
        _ => (posted.console, posted.fields),
    };
    let Some(role) = role else {
        let errors = FormErrors::one("role", "Choose one of the roles.");
        return Ok(page::show_again(&new_user_page(&state, &console, &fields, errors))?);
    };
    let (username, email) = (fields.text("username"), fields.text("email"));
    let made = if fields.text("how") == "password" {
        let account = NewAccount { username, email, password: fields.text("password"), role };
        register(&state.auth, console.actor(), account, &client).await.map(|user| (user, None))
    } else {
        let made = register_with_link(&state.auth, console.actor(), username, email, role, &client).await;
        made.map(|(user, token)| (user, Some(token)))
    };
    match made {
        Ok((user, None)) => Ok(console.done(format!("{} was created.", user.username.as_str()), &path_of(&user))?),
        Ok((user, Some(token))) => Ok(page::show(&ResetLinkPage {
            layout: console.layout(format!("{} was created", user.username.as_str()), Tab::Users),
            username: user.username.as_str().to_owned(),
            link: format!("{}/reset?t={}", state.public_url, token.expose()),
            back: path_of(&user),
        })?),
        Err(error) => {
            let errors = errors_of(error)?;
            Ok(page::show_again(&new_user_page(&state, &console, &fields, errors))?)
        }
    }
}

fn new_user_page(state: &State, console: &Console, fields: &Fields, errors: FormErrors) -> NewUserPage {
    NewUserPage {
        layout: console.layout("Create a user", Tab::Users),
        username: fields.text("username").to_owned(),
        email: fields.text("email").to_owned(),
        role: Role::parse(fields.text("role")).unwrap_or(Role::User),
        roles: [Role::User, Role::Admin],
        with_password: fields.text("how") == "password",
        hint: format!("At least {} characters. Not needed with a link.", state.auth.password_min_length()),
        errors,
    }
}
