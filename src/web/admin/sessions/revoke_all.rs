//! Revoking everybody's sessions: the one button that signs out the whole deployment.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::revoke::{end_all_that_match, number_of, revoked, unaffected};
use crate::auth::bulk_revocation::{BulkError, BulkFilter};
use crate::auth::session_search::{StateFilter, count_sessions};
use crate::web::admin::confirm::Confirmed;
use crate::web::admin::form::FormErrors;
use crate::web::admin::guard::Console;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::state::State;

/// What must be typed.
const PHRASE: &str = "REVOKE ALL";

#[derive(Template)]
#[template(path = "admin/revoke_all.html")]
struct RevokeAllPage {
    layout: Layout,
    affected: Vec<String>,
    unaffected: Vec<String>,
    label: String,
    errors: FormErrors,
}

/// `POST /admin/sessions/revoke-all`: asks first, and takes the words and the password.
pub async fn revoke_all_sessions(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Problem> {
    let errors = match fields.text("phrase").trim() {
        PHRASE => FormErrors::default(),
        _ if !fields.is_ticked("phrase") => {
            return page::show(&page_of(&state, &console, FormErrors::default()).await?);
        }
        _ => FormErrors::one("phrase", format!("Type {PHRASE}, in capital letters.")),
    };
    if !errors.is_empty() {
        return page::show_again(&page_of(&state, &console, errors).await?);
    }
    let ended = match end_all_that_match(&request, state, &console, BulkFilter::default(), client).await? {
        Err(BulkError::NoLongerPermitted) => return Ok(page::see_other("/admin/sign-in")),
        ended => ended?,
    };
    tracing::warn!(by = %console.principal().user.id, sessions = ended, "everybody's sessions were revoked");
    console.done(revoked(ended), "/admin/sessions")
}

async fn page_of(state: &State, console: &Console, errors: FormErrors) -> Result<RevokeAllPage, Problem> {
    let tally = count_sessions(&state.auth, BulkFilter::default(), StateFilter::Live).await?;
    Ok(RevokeAllPage {
        layout: console.layout("Revoke everybody's sessions?", Tab::Sessions),
        affected: vec![
            format!(
                "{} end at once: every user's, every admin's, of applications and of the console.",
                number_of(tally)
            ),
            "Your own session, too: you are signed out and must sign in again.".to_owned(),
            "This cannot be undone. Every user has to sign in again.".to_owned(),
        ],
        unaffected: unaffected(state, console),
        label: format!("Type {PHRASE}"),
        errors,
    })
}
