//! `/admin/blocks`: whom too many wrong passwords keep out, and letting them try again. It asks for the password: with a
//! copy of a cookie alone nobody gets more guesses.

use actix_web::web::{Data, Path};
use actix_web::{Error, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::confirm::Confirmed;
use super::guard::Console;
use super::moment::Moment;
use super::page::{self, Layout, Tab};
use super::users::id_of;
use crate::auth::guessing::blocks::{
    Block, ClearError, Owner, Place, Which, block_of, clear_blocks, handle_of, list_blocks,
};
use crate::auth::users::ListError;
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::query::{LIMIT, Query};
use crate::web::state::State;

const PATH: &str = "/admin/blocks";

#[derive(Template)]
#[template(path = "admin/blocks.html")]
struct BlocksPage {
    layout: Layout,
    rows: Vec<Row>,
    next: String,
    count: String,
    is_lost: bool,
    is_off: bool,
}

struct Row {
    /// What the button sends.
    handle: String,
    /// Where the user's or the client's page is; empty for nobody.
    path: String,
    name: String,
    network: String,
    failures: u32,
    last: Moment,
    until: Moment,
}

/// Which page is asked for.
#[derive(Deserialize)]
pub struct ListQuery {
    after: Option<String>,
}

/// `GET /admin/blocks`
pub async fn show_blocks(
    state: Data<State>,
    console: Console,
    Query(query): Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let (page, is_lost) = match list_blocks(&state.auth, query.after.as_deref(), LIMIT).await {
        // A cursor of before the server's secret was exchanged, or of nobody's: the first page is always there.
        Err(ListError::BadCursor(_)) => (list_blocks(&state.auth, None, LIMIT).await?, true),
        page => (page?, false),
    };
    let rows: Vec<_> = page.items.into_iter().map(|block| row(&state, &console, block)).collect();
    page::show(&BlocksPage {
        layout: console.layout("Blocks", Tab::Blocks),
        count: match rows.len() {
            1 => "1 block".to_owned(),
            many => format!("{many} blocks, what lasts longest first"),
        },
        rows,
        next: page.next.map(|cursor| format!("{PATH}?after={cursor}")).unwrap_or_default(),
        is_lost,
        is_off: state.auth.is_unthrottled(),
    })
}

/// `POST /admin/blocks/clear`
pub async fn clear_block(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Error> {
    let cleared = match block_of(&state.auth, fields.text("block")) {
        Some(key) => clear_blocks(&state.auth, console.actor(), Which::One(key), &client).await,
        None => Ok(0),
    };
    Ok(finish(&console, cleared, PATH)?)
}

/// `POST /admin/users/{id}/clear-blocks`
pub async fn clear_blocks_of_user(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Confirmed { console, .. }: Confirmed,
) -> Result<HttpResponse, Error> {
    let id = id_of(&path)?;
    let cleared = clear_blocks(&state.auth, console.actor(), Which::OfUser(id), &client).await;
    Ok(finish(&console, cleared, &format!("/admin/users/{id}"))?)
}

fn finish(console: &Console, cleared: Result<usize, ClearError>, back: &str) -> Result<HttpResponse, Problem> {
    match cleared {
        Ok(0) => console.done("The block was not there any more.", back),
        Ok(_) => console.done("The block was lifted: passwords may be tried again.", back),
        Err(ClearError::NoLongerPermitted) => Ok(page::see_other("/admin/sign-in")),
        Err(ClearError::Failed(failure)) => Err(failure.into()),
    }
}

fn row(state: &State, console: &Console, block: Block) -> Row {
    let name = block.name.unwrap_or_default();
    let (path, name) = match block.owner {
        Owner::User(id) => (format!("/admin/users/{id}"), name),
        Owner::Client(id) => (format!("/admin/clients/{id}"), name),
        Owner::Nobody => (String::new(), "a name that nobody has".to_owned()),
    };
    Row {
        handle: handle_of(&state.auth, &block.key),
        path,
        name,
        network: match (block.key.place, block.owner) {
            (Place::Network(network), _) => network.to_string(),
            (Place::Account, Owner::User(_)) => "all but the user’s own".to_owned(),
            (Place::Account, Owner::Client(_) | Owner::Nobody) => "all".to_owned(),
        },
        failures: block.failures,
        last: console.moment(block.last_failed_at),
        until: console.moment(block.key.until),
    }
}
