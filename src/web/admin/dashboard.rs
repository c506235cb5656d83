//! `/admin`: how many there are, what happened by the hour, and what needs attention.
//!
//! Numbers come from what was counted before: no page counts users, sessions or events.

mod activity;
mod attention;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::chart::Chart;
use super::guard::Console;
use super::moment::Moment;
use super::page::{self, Layout, Tab};
use crate::auth::overview::overview;
use crate::web::problem::Problem;
use crate::web::query::Query;
use crate::web::state::State;
use activity::{Activity, HourRow, Range};
use attention::{Attention, attention};

#[derive(Template)]
#[template(path = "admin/dashboard.html")]
struct DashboardPage<'a> {
    layout: Layout,
    counted: Option<Counted>,
    logins: u64,
    failed: u64,
    alarms: u64,
    logins_path: String,
    alarms_path: String,
    attention: Vec<Attention>,
    ranges: [Range; 3],
    range: Range,
    charts: Vec<Chart>,
    begin: String,
    end: String,
    rows: Vec<HourRow>,
    has_logins: bool,
    has_refreshes: bool,
    base: &'a str,
}

struct Counted {
    live_sessions: u64,
    accounts: u64,
    at: Moment,
}

/// What the charts are of.
#[derive(Deserialize)]
pub struct DashboardQuery {
    range: Option<String>,
}

/// `GET /admin`
pub async fn show_dashboard(
    state: Data<State>,
    console: Console,
    Query(query): Query<DashboardQuery>,
) -> Result<HttpResponse, Problem> {
    let range = Range::parse(query.range.as_deref());
    // The numbers are of 24 hours, whatever the charts are of; whether there was ever anything is seen in 30 days.
    let overview = overview(&state.auth, Range::Month.begin(state.auth.now())).await?;
    let zone = console.zone();
    let activity = Activity::of(&overview.hours);
    let day = Range::Day.hours(overview.at);
    let since = Range::Day.begin(overview.at);
    let hours = range.hours(overview.at);
    let label = |at: Option<&_>| at.map(|at| zone.hour(*at)).unwrap_or_default();
    let counted = overview.pruning.map(|pruning| Counted {
        live_sessions: pruning.live_sessions,
        accounts: pruning.accounts,
        at: console.moment(pruning.at),
    });
    page::show(&DashboardPage {
        layout: console.layout("Dashboard", Tab::Dashboard),
        counted,
        logins: activity.logins.total(&day),
        failed: activity.failed.total(&day),
        alarms: activity.alarms.total(&day),
        logins_path: format!("/admin/audit?type=login.*&from={since}"),
        alarms_path: format!("/admin/audit?type=session.reuse_detected&from={since}"),
        attention: attention(&overview, &state.lifted_limits, &console),
        ranges: Range::ALL,
        range,
        begin: label(hours.first()),
        end: label(hours.last()),
        rows: activity.rows(&hours, &zone),
        has_logins: activity.logins.any() || activity.failed.any(),
        has_refreshes: activity.refreshes.any(),
        charts: activity.charts(&hours, &zone),
        base: state.public_url.as_str(),
    })
}
