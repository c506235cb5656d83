//! The tokens in the console's forms: HMACs that bind a form to whoever it was made for (ASVS 5.0 §3.5.1).

use crate::auth::Auth;
use crate::domain::session::SessionId;
use crate::keyring;

/// Whom a form was made for.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// A session.
    Session(SessionId),
    /// A browser that has not signed in, by the random value of its cookie.
    Visitor(&'a str),
}

impl Form<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Session(id) => [b"session\0".as_slice(), id.as_bytes()].concat(),
            Self::Visitor(value) => [b"visitor\0".as_slice(), value.as_bytes()].concat(),
        }
    }
}

/// The token of a form.
pub fn form_token(auth: &Auth, form: Form<'_>) -> String {
    auth.keyring.primary().form_tag(&form.bytes())
}

/// Whether this is the token of the form. Takes a time that depends on the lengths alone.
pub fn is_form_token(auth: &Auth, form: Form<'_>, token: &str) -> bool {
    let bytes = form.bytes();
    auth.keyring.all().any(|keys| keyring::equal(keys.form_tag(&bytes).as_bytes(), token.as_bytes()))
}
