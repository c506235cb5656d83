//! How a client says who it is: by HTTP Basic, in the body, or not at all (RFC 6749 §2.3).

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::{OauthError, Refused};
use super::form::Parameters;
use crate::auth::access_tokens::FIRST_PARTY_CLIENT;
use crate::auth::clients::{AuthenticatedClient, authenticate_client};
use crate::domain::client::Client;
use crate::secret::Secret;
use crate::web::state::State;
use crate::web::unwaited::to_the_end;
use crate::web::urlencoded;

/// What a request says of the client that sends it.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Nothing.
    None,
    /// An id without a secret: public clients do that.
    Id(String),
    /// An id and a secret.
    Secret(String, Secret<String>),
}

/// The client that a request comes from.
pub(super) enum Asker {
    /// The first-party client: public, so that whoever holds its tokens is it.
    FirstParty,
    /// A client's id that nobody has proved.
    Unproven,
    /// A registered client.
    Registered(Box<AuthenticatedClient>),
}

impl Credentials {
    /// Reads them. Two ways at once are refused (RFC 6749 §2.3), but an id in the body beside the same one in the header.
    pub(super) fn of(request: &HttpRequest, parameters: &Parameters) -> Result<Self, OauthError> {
        let (id, secret) = (parameters.get("client_id"), parameters.get("client_secret"));
        let twice = Refused::InvalidRequest("Send the client's credentials in one way, in the header or in the body.");
        let Some((name, password)) = basic(request.headers())? else {
            return match (id, secret) {
                (None, None) => Ok(Self::None),
                (None, Some(_)) => Err(Refused::InvalidRequest("Send client_id with client_secret.").into()),
                (Some(id), None) => Ok(Self::Id(id.to_owned())),
                (Some(id), Some(secret)) => Ok(Self::Secret(id.to_owned(), Secret::new(secret.to_owned()))),
            };
        };
        if secret.is_some() || id.is_some_and(|id| id != name) {
            return Err(twice.into());
        }
        // Some libraries write a public client's id into the header, too, with an empty secret.
        if password.expose().is_empty() { Ok(Self::Id(name)) } else { Ok(Self::Secret(name, password)) }
    }

    /// Who that is. A secret that is there must be right.
    pub(super) async fn check(self, state: &Data<State>, client: &Client) -> Result<Asker, OauthError> {
        match self {
            Self::None => Ok(Asker::FirstParty),
            Self::Id(id) if id == FIRST_PARTY_CLIENT => Ok(Asker::FirstParty),
            Self::Id(_) => Ok(Asker::Unproven),
            Self::Secret(id, secret) => {
                let (state, client) = (state.clone(), client.clone());
                let work = async move { authenticate_client(&state.auth, &id, secret.expose(), &client).await };
                Ok(Asker::Registered(Box::new(to_the_end(work).await??)))
            }
        }
    }
}

/// The id and the secret of an `Authorization: Basic` header, both encoded as in a form before (RFC 6749 §2.3.1).
/// Another scheme is no way to prove who a client is.
pub(in crate::web) fn basic(headers: &HeaderMap) -> Result<Option<(String, Secret<String>)>, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refused::InvalidRequest("Send one Authorization header."));
    }
    let text = first.to_str().map_err(|_| Refused::InvalidClient)?;
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refused::InvalidClient);
    }
    let parse = || {
        let decoded = zeroize::Zeroizing::new(STANDARD.decode(credentials.trim_start_matches(' ')).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (id, secret) = decoded.split_at_checked(colon)?;
        Some((urlencoded::decode(id)?, Secret::new(urlencoded::decode(secret.get(1..)?)?)))
    };
    parse().map(Some).ok_or(Refused::InvalidClient)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(value: &str) -> Result<Option<(String, String)>, Refused> {
        let request = TestRequest::post().insert_header((header::AUTHORIZATION, value)).to_http_request();
        basic(request.headers()).map(|found| found.map(|(id, secret)| (id, secret.expose().clone())))
    }

    #[test]
    fn both_parts_of_basic_are_decoded_as_in_a_form_and_the_first_colon_is_between_them() {
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let both = |id: &str, secret: &str| Ok(Some((id.to_owned(), secret.to_owned())));
        assert_eq!(read(&encoded("rlc_a:rls_b")), both("rlc_a", "rls_b"));
        assert_eq!(read(&encoded("a%3Ab:c+d:e%25")), both("a:b", "c d:e%"));
        assert_eq!(read(&encoded("relatch:")), both("relatch", ""));
        assert_eq!(read(&encoded("a:b").replace("Basic ", "bAsIc   ")), both("a", "b"));
        for wrong in ["Basic", "Basic ", "Basic a:b", "Basic YQ==", "Bearer abc", "Basic YTpi YTpi", "", "Basic é"] {
            assert_eq!(read(wrong), Err(Refused::InvalidClient), "{wrong}");
        }
        assert_eq!(read(&encoded("a%ff:b")), Err(Refused::InvalidClient));
        assert_eq!(read(&encoded("a:%zz")), Err(Refused::InvalidClient));
    }
}
