//! The page after something that has ended the session of whoever did it: a message for the next page would be lost with it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::page::{self, Layout};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/signed_out.html")]
struct SignedOutPage<'a> {
    layout: Layout,
    text: &'a str,
}

/// Says what has happened, and leads to the sign-in.
pub(super) fn show(status: StatusCode, title: &str, text: &str) -> Result<HttpResponse, Problem> {
    page::show_with(status, &SignedOutPage { layout: Layout::of_visitor(title), text })
}

/// For the last of too many wrong passwords.
pub(super) fn after_wrong_passwords() -> Result<HttpResponse, Problem> {
    let text = "The password was wrong five times in a row, so this session has ended. Nothing was changed.";
    show(StatusCode::FORBIDDEN, "You are signed out", text)
}
