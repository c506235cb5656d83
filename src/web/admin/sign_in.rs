//! `/admin/sign-in`

use actix_session::Session;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::flash::{self, Flash};
use super::form::{self, Fields, FormErrors};
use super::guard;
use super::moment::Zone;
use super::next::Next;
use super::page::{self, Layout};
use super::session_store;
use super::visitor::{self, Visitor};
use crate::auth::console::{self, SignedIn};
use crate::auth::failure::Failure;
use crate::auth::login::LoginError;
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::query::Query;
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

/// The same for everybody, whether or not they exist and whether or not the password was right.
const TOO_MANY: &str = "There were too many attempts. Wait a little, sign in from where you usually do, or ask another \
    admin to lift the block.";

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage {
    layout: Layout,
    next: String,
    identifier: String,
    errors: FormErrors,
    /// Whether a cookie would get lost: the console is not served over plain http to other machines.
    is_insecure: bool,
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub struct SignInQuery {
    next: Option<String>,
}

/// `GET /admin/sign-in`
pub async fn show_sign_in(
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<SignInQuery>,
) -> Result<HttpResponse, Problem> {
    let next = query.next.as_deref().and_then(Next::parse);
    if guard::look_up(&request).await?.is_some() {
        return Ok(page::see_other(target(next.as_ref())));
    }
    let visitor = Visitor::of(&request, &state)?;
    let shown = sign_in_page(&state, &visitor, next.as_ref(), "", FormErrors::default());
    visitor.remember(&state, page::show(&shown)?)
}

/// `POST /admin/sign-in`
pub async fn create_session(
    request: HttpRequest,
    state: Data<State>,
    session: Session,
    ClientOf(client): ClientOf,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let fields: Fields = form::read(&request, payload.into_inner()).await?;
    visitor::check_token(&request, &state, &fields)?;
    let next = Next::parse(fields.text("next"));
    let identifier = fields.text("identifier");
    let (shared, name, password) = (state.clone(), identifier.to_owned(), fields.text("password").to_owned());
    let work = async move { console::sign_in(&shared.auth, &name, &password, &client).await };
    match to_the_end(work).await? {
        Ok(signed_in) => {
            let answer = begin(&state, &session, &signed_in, target(next.as_ref()))?;
            if let Some(at) = signed_in.previous_login_at {
                let preferences = console::preferences(&state.auth, signed_in.user.id).await?;
                let moment = Zone::named(&preferences.time_zone).moment(at);
                let text = format!("You are signed in. Your last sign-in was at {}.", moment.local);
                flash::say(&session, Flash::done(text))?;
            }
            Ok(answer)
        }
        Err(LoginError::Failed(failure @ Failure::TooManyAttempts { .. })) => {
            let errors = FormErrors::one("identifier", TOO_MANY);
            let visitor = Visitor::of(&request, &state)?;
            let shown = sign_in_page(&state, &visitor, next.as_ref(), identifier, errors);
            page::show_problem(&failure.into(), &shown)
        }
        Err(LoginError::Failed(failure)) => Err(failure.into()),
        Err(LoginError::InvalidCredentials | LoginError::Password(_)) => {
            let errors = FormErrors::one("identifier", "The username or the password is wrong.");
            let visitor = Visitor::of(&request, &state)?;
            let shown = sign_in_page(&state, &visitor, next.as_ref(), identifier, errors);
            page::show_again(&shown)
        }
    }
}

/// Gives the browser the cookie of a session that has begun, in place of whatever it had.
pub(super) fn begin(
    state: &State,
    session: &Session,
    signed_in: &SignedIn,
    path: &str,
) -> Result<HttpResponse, Problem> {
    session.clear();
    session_store::adopt(session, &signed_in.key)?;
    visitor::forget(state, page::see_other(path))
}

fn target(next: Option<&Next>) -> &str {
    next.map_or("/admin", Next::as_str)
}

fn sign_in_page(
    state: &State,
    visitor: &Visitor,
    next: Option<&Next>,
    identifier: &str,
    errors: FormErrors,
) -> SignInPage {
    SignInPage {
        layout: Layout { form_token: visitor.form_token(state), ..Layout::of_visitor("Sign in") },
        next: next.map_or_else(String::new, |next| next.as_str().to_owned()),
        identifier: identifier.to_owned(),
        errors,
        is_insecure: state.is_insecure(),
    }
}
