//! `/admin/settings`: the configuration as it is, read-only. It is changed in the environment or in `.env`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::guard::Console;
use super::page::{self, Layout, Tab};
use crate::config::{Setting, Source, VARIABLES};
use crate::web::problem::Problem;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage<'a> {
    layout: Layout,
    rows: Vec<Row<'a>>,
    dotenv: String,
}

struct Row<'a> {
    setting: &'a Setting,
    meaning: &'static str,
    is_secret: bool,
}

/// `GET /admin/settings`
pub async fn show_settings(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    let rows = state.settings.iter().filter_map(|setting| {
        let variable = VARIABLES.iter().find(|variable| variable.name == setting.name)?;
        Some(Row { setting, meaning: variable.meaning, is_secret: variable.secret })
    });
    let layout = console.layout("Settings", Tab::Settings);
    page::show(&SettingsPage { layout, rows: rows.collect(), dotenv: dotenv(&state.settings) })
}

/// What has a value, as a file `.env` that another instance can start with; defaults are commented out.
fn dotenv(settings: &[Setting]) -> String {
    let line = |setting: &Setting| match (&setting.assignment, setting.source) {
        (Some(assignment), Source::Default) => Some(format!("# {assignment}\n")),
        (Some(assignment), Source::Environment | Source::DotEnv) => Some(format!("{assignment}\n")),
        (None, Source::Default) => None,
        (None, Source::Environment | Source::DotEnv) => Some(format!("# {} is set and not shown here\n", setting.name)),
    };
    settings.iter().filter_map(line).collect()
}
