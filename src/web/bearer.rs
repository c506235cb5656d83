//! The guards: a handler that takes [`AuthenticatedUser`], [`AdminUser`] or [`AdminOr`] a scope runs for nobody else.

use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::client::ClientOf;
use super::problem::{Code, Problem};
use super::state::State;
use crate::auth::Actor;
use crate::auth::audit::denial::{note_client_denied, note_denied};
use crate::auth::authenticate::{AuthenticateError, Bearer, Principal, authenticate};
use crate::auth::clients::ClientPrincipal;
use crate::auth::ended;
use crate::domain::role::Role;
use crate::domain::scope::Scope;
use crate::domain::session::SessionId;

/// Somebody with a valid access token.
pub struct AuthenticatedUser(pub Arc<Principal>);

/// An admin with a valid access token. The store decides who is one, not the token's claim.
pub struct AdminUser(pub Arc<Principal>);

/// An admin, or a registered client with a token that has this scope.
pub struct AdminOr<S> {
    /// Which of the two it is.
    pub caller: Caller,
    scope: PhantomData<S>,
}

/// Whoever may do what admins do, if with a client's scope alone.
pub enum Caller {
    /// An admin.
    Admin(Arc<Principal>),
    /// A client.
    Client(Arc<ClientPrincipal>),
}

impl Caller {
    /// On whose authority verbs act.
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::Admin(principal) => Actor::User(principal),
            Self::Client(principal) => Actor::Client(principal),
        }
    }

    /// The session that asks; clients have none.
    pub fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Admin(principal) => Some(principal.session_id),
            Self::Client(_) => None,
        }
    }
}

/// A scope as a type, so that a handler's signature says which one it takes.
pub trait Needed {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! needed {
    ($($name:ident)*) => {
        $(
            /// A scope of the same name.
            pub struct $name;

            impl Needed for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )*
    };
}

needed! { Introspect UsersRead SessionsRead SessionsRevoke AuditRead }

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
            admins_alone(&request, &principal).await?;
            Ok(Self(principal))
        }
        .boxed_local()
    }
}

impl<S: Needed + 'static> FromRequest for AdminOr<S> {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let caller = match bearer(&request).await? {
                Bearer::User(principal) => {
                    admins_alone(&request, &principal).await?;
                    Caller::Admin(principal)
                }
                Bearer::Client(principal) if principal.scopes.contains(S::SCOPE) => Caller::Client(principal),
                Bearer::Client(principal) => return Err(refuse_client(&request, &principal).await?),
            };
            Ok(Self { caller, scope: PhantomData })
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

/// Lets admins pass. Puts down who else asked for what.
async fn admins_alone(request: &HttpRequest, principal: &Principal) -> Result<(), Problem> {
    match principal.user.role {
        Role::Admin => Ok(()),
        Role::User => {
            let ClientOf(client) = ClientOf::extract(request).await?;
            note_denied(&State::of(request)?.auth, principal, &asked(request), &client).await;
            Err(Problem::new(Code::InsufficientRole))
        }
    }
}

/// Why a client may not do this, once that is put down.
async fn refuse_client(request: &HttpRequest, principal: &ClientPrincipal) -> Result<Problem, Problem> {
    let ClientOf(client) = ClientOf::extract(request).await?;
    note_client_denied(&State::of(request)?.auth, principal, &asked(request), &client).await;
    Ok(Problem::new(Code::InsufficientScope))
}

/// The route as the route table has it, not as it was written.
fn asked(request: &HttpRequest) -> String {
    format!("{} {}", request.method(), request.match_pattern().unwrap_or_default())
}

/// The user whose token it is. What users do for themselves no client does for them.
async fn principal(request: &HttpRequest) -> Result<Arc<Principal>, Problem> {
    match bearer(request).await? {
        Bearer::User(principal) => Ok(principal),
        Bearer::Client(principal) => Err(refuse_client(request, &principal).await?),
    }
}

async fn bearer(request: &HttpRequest) -> Result<Bearer, Problem> {
    let token = bearer_token(request)?;
    let state = State::of(request)?;
    match authenticate(&state.auth, &token).await {
        Ok(bearer) => Ok(bearer),
        Err(error) => {
            let ClientOf(client) = ClientOf::extract(request).await?;
            match error {
                AuthenticateError::Ended(session) => ended::log_use_of_ended(session, &client, "the session has ended"),
                AuthenticateError::Expired => ended::log_use_of_expired(&client),
                _ => {}
            }
            Err(error.into())
        }
    }
}

/// Whether there is one `Authorization` header, and it says that it has an access token.
pub fn is_bearer(request: &HttpRequest) -> bool {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(first), None) = (headers.next(), headers.next()) else { return false };
    let scheme = first.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer")
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
