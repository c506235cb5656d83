//! Browsers that have not signed in: a random cookie, which says nothing, binds the forms that they get to see.
//!
//! It keeps another site from signing somebody in to an account that is not theirs (login CSRF).

use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::form::Fields;
use super::origin;
use crate::auth::console::{Form, form_token, is_form_token};
use crate::auth::entropy;
use crate::web::problem::Problem;
use crate::web::state::State;

/// A browser that has not signed in.
pub(super) struct Visitor {
    value: String,
    is_new: bool,
}

impl Visitor {
    /// The browser as its cookie has it, or a new one.
    pub(super) fn of(request: &HttpRequest, state: &State) -> Result<Self, Problem> {
        match sent(request, state) {
            Some(value) => Ok(Self { value, is_new: false }),
            None => {
                let value = entropy::secret_text().map_err(|error| Problem::failure(error, false))?;
                Ok(Self { value: value.expose().clone(), is_new: true })
            }
        }
    }

    /// The token of a form for this browser.
    pub(super) fn form_token(&self, state: &State) -> String {
        form_token(&state.auth, Form::Visitor(&self.value))
    }

    /// Puts the cookie into an answer, unless the browser has it.
    pub(super) fn remember(&self, state: &State, mut answer: HttpResponse) -> Result<HttpResponse, Problem> {
        if self.is_new {
            let cookie = cookie(state, self.value.clone());
            answer.add_cookie(&cookie).map_err(|error| Problem::failure(error, false))?;
        }
        Ok(answer)
    }
}

/// Refuses a form that was not made for this browser.
pub(super) fn check_token(request: &HttpRequest, state: &State, fields: &Fields) -> Result<(), Problem> {
    let is_own =
        sent(request, state).is_some_and(|value| is_form_token(&state.auth, Form::Visitor(&value), fields.token()));
    if is_own { Ok(()) } else { Err(origin::refuse("its token is not this browser's")) }
}

/// Takes the cookie away, now that the browser has signed in.
pub(super) fn forget(state: &State, mut answer: HttpResponse) -> Result<HttpResponse, Problem> {
    let mut cookie = cookie(state, String::new());
    cookie.make_removal();
    answer.add_cookie(&cookie).map_err(|error| Problem::failure(error, false))?;
    Ok(answer)
}

fn sent(request: &HttpRequest, state: &State) -> Option<String> {
    let cookie = request.cookie(&state.cookie_name("relatch-pre"))?;
    let value = cookie.value();
    URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32).then(|| value.to_owned())
}

fn cookie(state: &State, value: String) -> Cookie<'static> {
    Cookie::build(state.cookie_name("relatch-pre"), value)
        .secure(state.cookies_are_secure())
        .http_only(true)
        .same_site(SameSite::Strict)
        .path("/")
        .finish()
}
