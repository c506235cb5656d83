//! `GET /admin/clients`: all clients, the newest first.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::path_of;
use super::show::{Badge, badge};
use crate::auth::clients::{WithSecrets, list_clients};
use crate::auth::users::ListError;
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::problem::Problem;
use crate::web::query::{LIMIT, Query};
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/clients.html")]
struct ClientsPage {
    layout: Layout,
    rows: Vec<Row>,
    next: String,
    count: String,
    is_lost: bool,
}

struct Row {
    path: String,
    name: String,
    id: String,
    badge: Badge,
    scopes: String,
    secrets: usize,
    used: Option<Moment>,
    address: String,
}

/// Which page is asked for.
#[derive(Deserialize)]
pub struct ListQuery {
    after: Option<String>,
}

/// `GET /admin/clients`
pub async fn show_clients(
    state: Data<State>,
    console: Console,
    Query(query): Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let (page, is_lost) = match list_clients(&state.auth, query.after.as_deref(), LIMIT).await {
        // A cursor of before the server's secret was exchanged, or of nobody's: the first page is always there.
        Err(ListError::BadCursor(_)) => (list_clients(&state.auth, None, LIMIT).await?, true),
        page => (page?, false),
    };
    let now = state.auth.now();
    let row = |WithSecrets { client, secrets }: &WithSecrets| Row {
        path: path_of(client.id),
        name: client.name.as_str().to_owned(),
        id: client.id.to_string(),
        badge: badge(client),
        scopes: client.scopes.to_string(),
        secrets: secrets.iter().filter(|secret| secret.is_valid(now)).count(),
        used: client.last_used_at.map(|at| console.moment(at)),
        address: client.last_used_ip.map(|ip| ip.to_string()).unwrap_or_default(),
    };
    let rows: Vec<_> = page.items.iter().map(row).collect();
    page::show(&ClientsPage {
        layout: console.layout("Clients", Tab::Clients),
        count: match rows.len() {
            1 => "1 client".to_owned(),
            many => format!("{many} clients, the newest first"),
        },
        rows,
        next: page.next.map(|cursor| format!("/admin/clients?after={cursor}")).unwrap_or_default(),
        is_lost,
    })
}
