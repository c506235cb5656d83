//! Before something dangerous: a page that says what will happen, and the password once more.

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::form::{Fields, FormErrors, Posted, TOKEN};
use super::guard::{Console, to_sign_in};
use super::page::{self, Layout, Tab};
use super::signed_out;
use crate::auth::console::{ConfirmError, confirm_password};
use crate::auth::failure::Failure;
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::problem::Problem;
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

/// The field in which the password is given again.
const PASSWORD: &str = "confirm_password";

/// What is said while passwords have to wait.
pub(super) const TOO_MANY: &str =
    "Too many wrong passwords were given for your account. Wait a little before you give it again.";

/// A form as [`Posted`] has it, from somebody who gave their password in the last five minutes.
///
/// A handler that takes this runs for nobody else: others get a page that asks for the password, carries all fields
/// along and sends them to the same handler again. Whoever gives it gets another key, so that the cookie from before
/// is worth nothing.
pub struct Confirmed {
    /// The admin.
    pub console: Console,
    /// What was written.
    pub fields: Fields,
}

#[derive(Template)]
#[template(path = "admin/confirm_password.html")]
struct PasswordPage<'a> {
    layout: Layout,
    action: &'a str,
    fields: Vec<(String, String)>,
    errors: FormErrors,
}

impl FromRequest for Confirmed {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move { Posted::from_request(&request, &mut payload).await?.confirmed(&request).await }.boxed_local()
    }
}

impl Posted {
    /// The same form from somebody who gave their password in the last five minutes, for handlers that ask for it in
    /// some cases alone. The error is the page to answer with.
    pub async fn confirmed(self, request: &HttpRequest) -> Result<Confirmed, Error> {
        let Self { console, mut fields } = self;
        let password = fields.take(PASSWORD);
        if console.is_confirmed() {
            return Ok(Confirmed { console, fields });
        }
        let Some(password) = password else {
            return Err(page::instead(ask(request, &console, &fields, FormErrors::default())?));
        };
        let state = State::of(request)?;
        let ClientOf(client) = ClientOf::extract(request).await?;
        // Whoever is told to ask again would do so with a key that is worth nothing any more.
        Deadline::lift(request);
        let user = console.clone();
        let work = async move { confirm_password(&state.auth, user.user(), &password, &client).await };
        match to_the_end(work).await? {
            Ok(key) => {
                console.adopt(&key)?;
                Ok(Confirmed { console, fields })
            }
            Err(ConfirmError::WrongPassword) => {
                let errors = FormErrors::one(PASSWORD, "The password is wrong.");
                Err(page::instead(ask(request, &console, &fields, errors)?))
            }
            Err(ConfirmError::TooManyWrong) => Err(page::instead(signed_out::after_wrong_passwords()?)),
            Err(ConfirmError::SessionChanged) => Err(page::instead(to_sign_in(request))),
            Err(ConfirmError::Failed(failure @ Failure::TooManyAttempts { .. })) => {
                let errors = FormErrors::one(PASSWORD, TOO_MANY);
                Err(page::instead(page::show_problem(
                    &failure.into(),
                    &password_page(request, &console, &fields, errors),
                )?))
            }
            Err(ConfirmError::Failed(failure)) => Err(Problem::from(failure).into()),
        }
    }
}

fn ask(request: &HttpRequest, console: &Console, fields: &Fields, errors: FormErrors) -> Result<HttpResponse, Problem> {
    let shown = password_page(request, console, fields, errors);
    if shown.errors.is_empty() { page::show(&shown) } else { page::show_again(&shown) }
}

fn password_page<'a>(
    request: &'a HttpRequest,
    console: &Console,
    fields: &Fields,
    errors: FormErrors,
) -> PasswordPage<'a> {
    PasswordPage {
        layout: console.layout("Give your password again", Tab::Me),
        action: request.uri().path_and_query().map_or("", |target| target.as_str()),
        fields: fields.iter().filter(|(name, _)| name != TOKEN).cloned().collect(),
        errors,
    }
}

/// A page between a button and what it does: what is affected, what is not, and the button once more.
#[derive(Template)]
#[template(path = "admin/confirmation.html")]
pub struct Confirmation {
    /// The title is the question.
    pub layout: Layout,
    /// What will happen, a sentence each.
    pub affected: Vec<String>,
    /// What will not, a sentence each.
    pub unaffected: Vec<String>,
    /// Where the form goes.
    pub action: String,
    /// What it carries besides the token.
    pub fields: Vec<(String, String)>,
    /// What the button says: the same verb as the title.
    pub button: String,
    /// Whether it takes something away.
    pub is_dangerous: bool,
    /// Where to go instead.
    pub back: String,
}
