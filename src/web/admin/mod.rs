//! The web console under `/admin`: pages that work without scripts, for admins alone.
//!
//! A handler takes [`guard::Console`] to show a page, [`form::Posted`] to act on a form, or [`confirm::Confirmed`] where
//! the password must have been given lately. Every action ends with a redirect and a message on the next page.

pub mod account;
pub mod agent;
pub mod assets;
pub mod audit;
pub mod blocks;
pub mod chart;
pub mod clients;
pub mod confirm;
pub mod dashboard;
pub mod error_page;
pub mod exporting;
pub mod flash;
pub mod form;
pub mod guard;
pub mod keys;
pub mod maintenance;
pub mod moment;
pub mod next;
pub mod origin;
pub mod page;
pub mod reset;
pub mod rotations;
pub mod session_store;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod sign_in;
pub mod sign_out;
mod signed_out;
pub mod users;
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
    path == "/admin" || path.starts_with("/admin/") || path == "/reset"
}

/// A size as people read it.
fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (number.saturating_mul(10), "bytes");
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        unit = larger;
    }
    if unit == "bytes" { format!("{number} bytes") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
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

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_size_is_written_with_a_unit_that_fits() {
        for (number, written) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (16 << 20, "16.0 MiB"),
            (1_099_511_627_776, "1.0 TiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(bytes(number), written);
        }
    }
}
