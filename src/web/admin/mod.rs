//! The web console under `/admin`: pages that work without scripts, for admins alone.
//!
//! A handler takes [`guard::Console`] to show a page, [`form::Posted`] to act on a form, or [`confirm::Confirmed`] where
//! the password must have been given lately. Every action ends with a redirect and a message on the next page.

pub mod account;
pub mod assets;
pub mod chart;
pub mod confirm;
pub mod dashboard;
pub mod error_page;
pub mod flash;
pub mod form;
pub mod guard;
pub mod keys;
pub mod moment;
pub mod next;
pub mod origin;
pub mod page;
pub mod session_store;
pub mod settings;
pub mod setup;
pub mod sign_in;
pub mod sign_out;
pub mod visitor;

use actix_session::SessionMiddleware;
use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_web::cookie::{Key, SameSite};
use actix_web::web::Data;

use super::state::State;
use crate::auth::console;
use session_store::ConsoleStore;

/// Whether a path is one of the console's, so that whoever asks is a person with a browser.
pub fn is_page(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// The sessions of the console, for the scope that they are used in. The cookie holds a key and its signature, no data.
pub fn sessions(state: &Data<State>) -> SessionMiddleware<ConsoleStore> {
    let key = Key::from(console::cookie_key(&state.auth).expose());
    SessionMiddleware::builder(ConsoleStore::new(state.clone()), key)
        .cookie_name(state.cookie_name("relatch"))
        .cookie_secure(state.cookies_are_secure())
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Strict)
        .cookie_path("/".to_owned())
        .cookie_content_security(CookieContentSecurity::Signed)
        .session_lifecycle(BrowserSession::default())
        .build()
}
