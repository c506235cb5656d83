//! `/admin/keys`: the keys that sign access tokens.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::guard::Console;
use super::moment::Moment;
use super::page::{self, Layout, Tab};
use crate::auth::keys::{KeyRole, list_keys};
use crate::web::problem::Problem;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "admin/keys.html")]
struct KeysPage {
    layout: Layout,
    keys: Vec<Row>,
}

struct Row {
    kid: String,
    algorithm: String,
    role: KeyRole,
    created: Option<Moment>,
    superseded: Option<Moment>,
    accepted_until: Option<Moment>,
}

/// `GET /admin/keys`
pub async fn list_signing_keys(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    let keys = list_keys(&state.auth).await?;
    let moment = |at: Option<_>| at.map(|at| console.moment(at));
    let row = |key: crate::auth::keys::SigningKeyFacts| Row {
        created: moment(key.created_at),
        superseded: moment(key.superseded_at),
        accepted_until: moment(key.accepted_until),
        role: key.role,
        kid: key.kid,
        algorithm: key.algorithm,
    };
    page::show(&KeysPage { layout: console.layout("Keys", Tab::Keys), keys: keys.into_iter().map(row).collect() })
}
