//! Whether a form was sent by a page of this server (ASVS 5.0 §3.5.1), besides its token.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::config::PublicUrl;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what another site has sent.
pub(super) fn check(request: &HttpRequest) -> Result<(), Problem> {
    let state = State::of(request)?;
    if is_own(request.headers(), &state.public_url) { Ok(()) } else { Err(refuse("it came from another site")) }
}

/// A form that is not accepted. The log gets the reason, the person what to do.
pub(super) fn refuse(reason: &str) -> Problem {
    Problem::with_cause(Code::FormRefused, reason)
}

/// Browsers say where a request comes from in `Sec-Fetch-Site` and `Origin`; where neither is there, in `Referer`. It must
/// be ours, and an opaque origin, `null`, is nobody's. When nothing is said, the token decides.
fn is_own(headers: &HeaderMap, own: &PublicUrl) -> bool {
    let all = |name: HeaderName| headers.get_all(name).map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>();
    let (sites, origins, referers) = (all(SEC_FETCH_SITE), all(header::ORIGIN), all(header::REFERER));
    let is_ours =
        |url: &&str| *url == own.as_str() || url.strip_prefix(own.as_str()).is_some_and(|r| r.starts_with('/'));
    sites.iter().all(|site| *site == "same-origin")
        && origins.iter().all(|origin| *origin == own.as_str())
        && (sites.len() + origins.len() > 0 || referers.iter().all(is_ours))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn own(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let variables = [("PUBLIC_URL".to_owned(), "https://auth.example.com".to_owned())];
        is_own(&map, &crate::config::from_sources(variables, []).unwrap().config.public_url)
    }

    #[test]
    fn o2_only_what_comes_from_our_own_pages_passes() {
        let (ours, site) = ("https://auth.example.com", "sec-fetch-site");
        for accepted in [
            &[][..],
            &[(site, "same-origin")],
            &[(site, "same-origin"), ("origin", ours)],
            &[("origin", ours)],
            &[(site, "same-origin"), ("origin", ours), ("referer", "https://auth.example.com/admin/users?q=a")],
            &[("referer", "https://auth.example.com/")],
            &[("referer", ours)],
            &[("referer", "https://auth.example.com/admin/sign-in")],
        ] {
            assert!(own(accepted), "{accepted:?}");
        }
        for refused in [
            &[(site, "cross-site")][..],
            &[(site, "same-site")],
            &[(site, "none")],
            &[(site, "")],
            &[(site, "same-origin"), (site, "cross-site")],
            &[(site, "cross-site"), ("origin", ours)],
            &[(site, "same-origin"), ("origin", "https://evil.example")],
            &[(site, "same-origin"), ("origin", "null")],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("origin", "http://auth.example.com")],
            &[("origin", "https://auth.example.com.evil.example")],
            &[("origin", ours), ("origin", "https://evil.example")],
            &[("origin", "null"), ("referer", ours)],
            &[("referer", "https://auth.example.com.evil.example/")],
            &[("referer", "https://evil.example/https://auth.example.com/")],
        ] {
            assert!(!own(refused), "{refused:?}");
        }
    }
}
