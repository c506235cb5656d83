//! `/reset`: choosing another password, behind the one-time link that an admin has made. For anybody with a link.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::form::{self, FormErrors};
use super::page::{self, Layout};
use super::visitor::{self, Visitor};
use crate::auth::reset_link::{ResetError, look_at_reset_link, reset_with_link};
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::query::Query;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/reset.html")]
struct ResetPage<'a> {
    layout: Layout,
    link: &'a str,
    username: &'a str,
    hint: String,
    errors: FormErrors,
    is_insecure: bool,
}

#[derive(Template)]
#[template(path = "admin/reset_link.html")]
struct BadLinkPage {
    layout: Layout,
}

#[derive(Template)]
#[template(path = "admin/reset_done.html")]
struct DonePage {
    layout: Layout,
}

/// The link's token, or that it was used.
#[derive(Deserialize)]
pub struct ResetQuery {
    t: Option<String>,
    done: Option<String>,
}

/// `GET /reset`
pub async fn show_reset(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    Query(query): Query<ResetQuery>,
) -> Result<HttpResponse, Problem> {
    let link = query.t.unwrap_or_default();
    if link.is_empty() && query.done.is_some() {
        return page::show(&DonePage { layout: Layout::of_visitor("Your password was changed") });
    }
    let Some(user) = look_at_reset_link(&state.auth, &link, &client).await? else { return bad_link() };
    let visitor = Visitor::of(&request, &state)?;
    let shown = reset_page(&state, &visitor, &link, user.username.as_str(), FormErrors::default());
    visitor.remember(&state, page::hide_address(page::show(&shown)?))
}

/// `POST /reset`
pub async fn reset_password(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let fields = form::read(&request, payload.into_inner()).await?;
    visitor::check_token(&request, &state, &fields)?;
    let link = fields.text("t");
    let error = match reset_with_link(&state.auth, link, fields.text("password"), &client).await {
        Ok(_) => return Ok(page::see_other("/reset?done=1")),
        Err(ResetError::InvalidLink) => return bad_link(),
        Err(ResetError::Failed(failure)) => return Err(failure.into()),
        Err(ResetError::Unacceptable(error)) => error,
    };
    let Some(user) = look_at_reset_link(&state.auth, link, &client).await? else { return bad_link() };
    let errors = FormErrors::one("password", format!("The new password {error}."));
    let visitor = Visitor::of(&request, &state)?;
    page::show_again(&reset_page(&state, &visitor, link, user.username.as_str(), errors))
}

fn bad_link() -> Result<HttpResponse, Problem> {
    let layout = Layout::of_visitor("This reset link does not work");
    page::show_with(StatusCode::NOT_FOUND, &BadLinkPage { layout }).map(page::hide_address)
}

fn reset_page<'a>(
    state: &State,
    visitor: &Visitor,
    link: &'a str,
    username: &'a str,
    errors: FormErrors,
) -> ResetPage<'a> {
    let layout = Layout { form_token: visitor.form_token(state), ..Layout::of_visitor("Choose a new password") };
    let hint = format!("At least {} characters. A sentence is a good password.", state.auth.password_min_length());
    ResetPage { layout, link, username, hint, errors, is_insecure: state.is_insecure() }
}
