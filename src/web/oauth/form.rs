//! The parameters of a request (RFC 6749 §3.2): each once at most; empty is as good as not there; the rest is ignored.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::error::{OauthError, Refused};
use crate::web::problem::{Code, Problem};
use crate::web::{json, urlencoded};

/// The parameters of the body. Those in the address do not count.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(in crate::web) fn parse(body: &[u8]) -> Result<Self, Refused> {
        let pairs = urlencoded::parse(body)
            .ok_or(Refused::InvalidRequest("The parameters must be UTF-8, encoded as a form."))?;
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two.first() == two.last()) {
            return Err(Refused::InvalidRequest("A parameter is there twice. Send each parameter once."));
        }
        Ok(Self(pairs))
    }

    /// A parameter, if it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl FromRequest for Parameters {
    type Error = OauthError;
    type Future = LocalBoxFuture<'static, Result<Self, OauthError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        async move {
            let body = json::read_body(&request, payload).await?;
            if request.headers().contains_key(header::CONTENT_ENCODING) {
                return Err(Refused::EncodedBody.into());
            }
            if !urlencoded::is_form(&request) {
                return Err(Problem::new(Code::UnsupportedMediaType).into());
            }
            Ok(Self::parse(&body)?)
        }
        .boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a5_a6_a7_each_parameter_counts_once_and_an_empty_one_not_at_all() {
        let parameters = Parameters::parse(b"grant_type=refresh_token&refresh_token=&foo=1").unwrap();
        assert_eq!(parameters.get("grant_type"), Some("refresh_token"));
        assert_eq!((parameters.get("refresh_token"), parameters.get("scope")), (None, None));
        for twice in ["a=1&a=2", "a=1&a=1", "a=1&b=2&%61=3", "a&a", "a=&a=1", "token=x&=1&="] {
            assert!(Parameters::parse(twice.as_bytes()).is_err(), "{twice}");
        }
        assert!(Parameters::parse(b"token=%ff").is_err());
        assert!(Parameters::parse(b"").is_ok());
    }
}
