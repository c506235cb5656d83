//! `/admin`

use actix_web::HttpResponse;
use askama::Template;

use super::guard::Console;
use super::page::{self, Layout, Tab};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/dashboard.html")]
struct DashboardPage<'a> {
    layout: Layout,
    username: &'a str,
}

/// `GET /admin`
pub async fn show_dashboard(console: Console) -> Result<HttpResponse, Problem> {
    let layout = console.layout("Dashboard", Tab::Dashboard);
    page::show(&DashboardPage { layout, username: console.principal().user.username.as_str() })
}
