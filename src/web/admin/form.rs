//! What forms of the console send: read within limits, checked for who made them, and taken apart.

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::guard::{Console, look_up, to_sign_in};
use super::{origin, page};
use crate::domain::role::Role;
use crate::web::json;
use crate::web::problem::{Code, Problem};
use crate::web::urlencoded;

/// The field of the token.
pub const TOKEN: &str = "token";

/// The field that a confirmation page adds.
const CONFIRMED: &str = "confirmed";

/// The fields of a form, as they were written.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// What was written into a field; empty when it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default()
    }

    /// Every value of a field that can be there more than once, such as ticked rows.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let named: Vec<&str> =
            self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        named.into_iter()
    }

    /// Whether a box was ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether a confirmation page has sent it.
    pub fn is_confirmed(&self) -> bool {
        self.text(CONFIRMED) == "yes"
    }

    /// All fields, for a page that sends them once more.
    pub fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let value = self.values(name).next().map(str::to_owned);
        self.0.retain(|(other, _)| other != name);
        value
    }

    /// The one token; of two, none is meant.
    pub(in crate::web) fn token(&self) -> &str {
        let mut tokens = self.values(TOKEN);
        match (tokens.next(), tokens.next()) {
            (Some(token), None) => token,
            _ => "",
        }
    }

    /// Parses a form. No text of ours has a NUL in it, and Postgres takes none.
    pub(in crate::web) fn parse(body: &[u8]) -> Option<Self> {
        let pairs = urlencoded::parse(body)?;
        pairs.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0')).then_some(Self(pairs))
    }
}

/// Reads a form, whoever sent it; its token is the caller's to check.
pub(super) async fn read(request: &HttpRequest, payload: Payload) -> Result<Fields, Problem> {
    origin::check(request)?;
    let is_form = urlencoded::is_form(request);
    let body = json::read_body(request, payload).await?;
    if !is_form {
        let detail = "The console takes forms alone, as application/x-www-form-urlencoded. Use its pages.";
        return Err(Problem::with_detail(Code::UnsupportedMediaType, detail));
    }
    Fields::parse(&body).ok_or_else(|| Problem::with_detail(Code::InvalidRequest, "The form is not UTF-8 text."))
}

/// A form that an admin has sent from a page that was made for their session.
pub struct Posted {
    /// The admin.
    pub console: Console,
    /// What was written.
    pub fields: Fields,
}

impl FromRequest for Posted {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        async move {
            // The guard let somebody pass; a body can take its time, so they are looked up again behind it.
            Console::extract(&request).await?;
            let fields = read(&request, payload).await?;
            let console = match look_up(&request).await? {
                Some(console) if console.principal().user.role == Role::Admin => console,
                _ => return Err(page::instead(to_sign_in(&request))),
            };
            check_token(&console, &fields)?;
            Ok(Self { console, fields })
        }
        .boxed_local()
    }
}

/// Refuses a form that was not made for this session.
pub(super) fn check_token(console: &Console, fields: &Fields) -> Result<(), Problem> {
    if console.accepts_form_token(fields.token()) { Ok(()) } else { Err(origin::refuse("its token is wrong")) }
}

/// What is wrong with a form, field by field, in the order of the fields.
#[derive(Clone, Default)]
pub struct FormErrors(Vec<FormError>);

/// What is wrong with one field.
#[derive(Clone)]
pub struct FormError {
    /// The field's name, which is its `id` too.
    pub field: &'static str,
    /// A sentence that says what to do.
    pub text: String,
}

impl FormErrors {
    /// One thing is wrong.
    pub fn one(field: &'static str, text: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, text);
        errors
    }

    /// Something else is wrong, too.
    pub fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push(FormError { field, text: text.into() });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is wrong.
    pub fn iter(&self) -> impl Iterator<Item = &FormError> {
        self.0.iter()
    }

    /// What is wrong with a field; empty when nothing is.
    pub fn of(&self, field: &str) -> &str {
        self.0.iter().find(|error| error.field == field).map_or("", |error| error.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l8_j13_a_form_with_a_nul_or_with_what_is_not_utf_8_is_refused() {
        assert!(Fields::parse(b"a=x&b=%C3%A4").is_some());
        for body in ["%00=a", "a=x%00", "a=%ff"] {
            assert!(Fields::parse(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn of_two_tokens_none_counts() {
        let fields = |body: &str| Fields::parse(body.as_bytes()).unwrap();
        assert_eq!(fields("token=a").token(), "a");
        assert_eq!(fields("token=a&token=a").token(), "");
        assert_eq!(fields("tokens=a").token(), "");
    }
}
