//! `/admin/setup`: making the first admin, behind the one-time link that the server prints.

use actix_session::Session;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::form::{self, Fields, FormErrors};
use super::page::{self, Layout};
use super::sign_in;
use super::visitor::{self, Visitor};
use crate::auth::console::{self, SetUpError, SetUpLink};
use crate::auth::register::{NewAccount, RegisterError};
use crate::domain::role::Role;
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::query::Query;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/setup.html")]
struct SetUpPage<'a> {
    layout: Layout,
    link: &'a str,
    username: &'a str,
    email: &'a str,
    errors: FormErrors,
    is_insecure: bool,
}

#[derive(Template)]
#[template(path = "admin/setup_link.html")]
struct BadLinkPage {
    layout: Layout,
}

/// The link's token.
#[derive(Deserialize)]
pub struct SetUpQuery {
    t: Option<String>,
}

/// `GET /admin/setup`
pub async fn show_setup(
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<SetUpQuery>,
) -> Result<HttpResponse, Problem> {
    let link = query.t.unwrap_or_default();
    match console::look_at_link(&state.auth, &link).await? {
        SetUpLink::NotNeeded => Err(Problem::new(Code::NotFound)),
        SetUpLink::Invalid => bad_link(),
        SetUpLink::Valid => {
            let visitor = Visitor::of(&request, &state)?;
            let layout = set_up_layout(&state, &visitor);
            let (errors, is_insecure) = (FormErrors::default(), state.is_insecure());
            let shown = SetUpPage { layout, link: &link, username: "", email: "", errors, is_insecure };
            visitor.remember(&state, page::hide_address(page::show(&shown)?))
        }
    }
}

/// `POST /admin/setup`
pub async fn create_admin(
    request: HttpRequest,
    state: Data<State>,
    session: Session,
    ClientOf(client): ClientOf,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let fields: Fields = form::read(&request, payload.into_inner()).await?;
    visitor::check_token(&request, &state, &fields)?;
    let (link, username, email) = (fields.text("t"), fields.text("username"), fields.text("email"));
    let account = NewAccount { username, email, password: fields.text("password"), role: Role::Admin };
    let errors = match console::set_up(&state.auth, link, account, &client).await {
        Ok(signed_in) => return sign_in::begin(&state, &session, &signed_in, "/admin"),
        Err(SetUpError::NotNeeded) => return Err(Problem::new(Code::NotFound)),
        Err(SetUpError::InvalidLink) => return bad_link(),
        Err(SetUpError::Failed(failure)) => return Err(failure.into()),
        Err(SetUpError::Refused(error)) => errors_of(error)?,
    };
    let visitor = Visitor::of(&request, &state)?;
    let (layout, is_insecure) = (set_up_layout(&state, &visitor), state.is_insecure());
    page::show_again(&SetUpPage { layout, link, username, email, errors, is_insecure })
}

/// What is wrong with a new account, for a form with the fields `username`, `email` and `password`.
pub fn errors_of(error: RegisterError) -> Result<FormErrors, Problem> {
    let mut errors = FormErrors::default();
    match error {
        RegisterError::Invalid(wrong) => {
            if let Some(error) = wrong.username {
                errors.add("username", format!("The username {error}."));
            }
            if let Some(error) = wrong.email {
                errors.add("email", format!("The e-mail address {error}."));
            }
            if let Some(error) = wrong.password {
                errors.add("password", format!("The password {error}."));
            }
        }
        RegisterError::Taken(taken) => {
            if taken.username {
                errors.add("username", "The username is taken.");
            }
            if taken.email {
                errors.add("email", "The e-mail address is taken.");
            }
        }
        other => return Err(other.into()),
    }
    Ok(errors)
}

fn bad_link() -> Result<HttpResponse, Problem> {
    let layout = Layout::of_visitor("This set-up link does not work");
    page::show_with(StatusCode::FORBIDDEN, &BadLinkPage { layout }).map(page::hide_address)
}

fn set_up_layout(state: &State, visitor: &Visitor) -> Layout {
    Layout { form_token: visitor.form_token(state), ..Layout::of_visitor("Make the first admin") }
}
