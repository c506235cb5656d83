//! The role guard: a handler that takes [`AuthenticatedUser`] or [`AdminUser`] runs for nobody else.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::client::ClientOf;
use super::problem::{Code, Problem};
use super::state::State;
use crate::auth::audit::denial::note_denied;
use crate::auth::authenticate::{Principal, authenticate};
use crate::domain::role::Role;

/// Somebody with a valid access token.
pub struct AuthenticatedUser(pub Arc<Principal>);

/// An admin with a valid access token. The store decides who is one, not the token's claim.
pub struct AdminUser(pub Arc<Principal>);

/// Anybody; a token that is there must be valid all the same.
pub struct AnyUser(pub Option<Arc<Principal>>);

/// First the one, then the other: whoever may not do something is told that before their body is read. Arguments of
/// a handler that stand side by side are extracted at the same time. A body can take its time, so the first is asked for
/// again behind it: what was revoked meanwhile is worth nothing.
pub struct Then<A, B>(pub A, pub B);

impl<A, B> FromRequest for Then<A, B>
where
    A: FromRequest<Error = Problem> + 'static,
    B: FromRequest<Error = Problem> + 'static,
{
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            A::from_request(&request, &mut Payload::None).await?;
            let second = B::from_request(&request, &mut payload).await?;
            Ok(Self(A::from_request(&request, &mut Payload::None).await?, second))
        }
        .boxed_local()
    }
}

type Extracted<T> = LocalBoxFuture<'static, Result<T, Problem>>;

impl FromRequest for AuthenticatedUser {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move { principal(&request).await.map(Self) }.boxed_local()
    }
}

impl FromRequest for AdminUser {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let principal = principal(&request).await?;
            match principal.user.role {
                Role::Admin => Ok(Self(principal)),
                Role::User => {
                    note(&request, &principal).await?;
                    Err(Problem::new(Code::InsufficientRole))
                }
            }
        }
        .boxed_local()
    }
}

impl FromRequest for AnyUser {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            match principal(&request).await {
                Ok(principal) => Ok(Self(Some(principal))),
                Err(problem) if problem.code() == Code::AuthenticationRequired && !has_authorization(&request) => {
                    Ok(Self(None))
                }
                Err(problem) => Err(problem),
            }
        }
        .boxed_local()
    }
}

/// Puts down who asked for what. The route is named as the route table has it, not as it was written.
async fn note(request: &HttpRequest, principal: &Principal) -> Result<(), Problem> {
    let state = State::of(request)?;
    let ClientOf(client) = ClientOf::extract(request).await?;
    let asked = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    note_denied(&state.auth, principal, &asked, &client).await;
    Ok(())
}

async fn principal(request: &HttpRequest) -> Result<Arc<Principal>, Problem> {
    let token = bearer_token(request)?;
    let state = State::of(request)?;
    Ok(authenticate(&state.auth, &token).await?)
}

fn has_authorization(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::AUTHORIZATION)
}

/// The token of the one `Authorization` header (RFC 6750 §2.1). The scheme's name is of any case and one or more
/// spaces follow it (RFC 9110 §11.4).
fn bearer_token(request: &HttpRequest) -> Result<String, Problem> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (headers.next(), headers.next());
    if second.is_some() {
        return Err(Problem::new(Code::InvalidRequest));
    }
    let Some(first) = first else { return Err(Problem::new(Code::AuthenticationRequired)) };
    let Ok(text) = first.to_str() else { return Err(Problem::new(Code::InvalidToken)) };
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::new(Code::AuthenticationRequired));
    }
    let token = credentials.trim_start_matches(' ');
    let is_token68 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_token68) {
        return Err(Problem::new(Code::InvalidToken));
    }
    Ok(token.to_owned())
}
