//! Errors as people see them in a browser. The same problems as the API's, on a page.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::guard::Console;
use super::page::{self, Layout};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/error.html")]
struct ErrorPage<'a> {
    layout: Layout,
    detail: &'a str,
    request_id: &'a str,
}

#[derive(Template)]
#[template(path = "admin/not_an_admin.html")]
struct NotAnAdmin {
    layout: Layout,
}

/// The page of a problem, with the id under which the log has more about it.
pub fn of_problem(problem: &Problem, request_id: &str) -> HttpResponse {
    let layout = Layout::of_visitor(problem.code().title());
    let shown = ErrorPage { layout, detail: problem.detail(), request_id };
    let answer = problem.begin_answer().finish();
    match shown.render() {
        Ok(text) => page::with_body(answer, text),
        Err(error) => {
            tracing::error!(%error, "the page of an error could not be written");
            answer
        }
    }
}

/// For somebody who is signed in and may not see the console.
pub(super) fn not_an_admin(console: &Console) -> Result<HttpResponse, Problem> {
    let user = Some(console.principal().user.username.as_str().to_owned());
    let layout =
        Layout { user, form_token: console.form_token(), ..Layout::of_visitor("Only admins may see the console") };
    page::show_with(StatusCode::FORBIDDEN, &NotAnAdmin { layout })
}
