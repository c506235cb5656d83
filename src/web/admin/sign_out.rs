//! `/admin/sign-out`, for everybody who is signed in, admin or not.

use actix_session::Session;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::{form, guard, page};
use crate::auth::console;
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::state::State;

/// `POST /admin/sign-out`
pub async fn end_session(
    request: HttpRequest,
    state: Data<State>,
    session: Session,
    ClientOf(client): ClientOf,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let fields = form::read(&request, payload.into_inner()).await?;
    let mut answer = page::see_other("/admin/sign-in");
    if let Some(console) = guard::look_up(&request).await? {
        form::check_token(&console, &fields)?;
        console::sign_out(&state.auth, console.user(), &client).await?;
        session.purge();
        // So that Back shows nothing (ASVS 5.0 §14.3.1).
        let everything = HeaderValue::from_static("\"cache\", \"cookies\", \"storage\"");
        answer.headers_mut().insert(HeaderName::from_static("clear-site-data"), everything);
    }
    Ok(answer)
}
