//! What several answers hold, written out field by field, so that nothing gets out that is not named here.

use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::auth::cursor::Page;
use crate::auth::pair::Pair;
use crate::auth::sessions::{Issued, SessionDetail};
use crate::domain::role::Role;
use crate::domain::session::{Session, SessionId, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId, UserStatus};
use crate::web::problem::{Code, Problem};
use crate::web::query::LIMIT;
use crate::web::state::State;

/// A role in a request: 0 or `"Admin"`, 1 or `"User"`.
#[derive(Clone, Copy)]
pub(super) struct RoleJson(pub(super) Role);

impl<'de> Deserialize<'de> for RoleJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Role;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("0, 1, \"Admin\" or \"User\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Role, E> {
                let role = i64::try_from(number).ok().and_then(Role::from_number);
                role.ok_or_else(|| E::custom("unknown role"))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Role, E> {
                Role::parse(name).ok_or_else(|| E::custom("unknown role"))
            }
        }
        deserializer.deserialize_any(Visitor).map(Self)
    }
}

impl PartialSchema for RoleJson {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 1]));
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["Admin", "User"]));
        AnyOfBuilder::new().item(name).item(number).into()
    }
}

impl ToSchema for RoleJson {
    fn name() -> std::borrow::Cow<'static, str> {
        "Role".into()
    }
}

/// A signed-in user, an access token, and the refresh token for the next pair.
#[derive(Serialize, ToSchema)]
#[schema(as = Pair)]
#[serde(rename_all = "camelCase")]
pub struct PairJson<'a> {
    id: i64,
    username: &'a str,
    email: &'a str,
    role: &'static str,
    jwt_token: &'a str,
    refresh_token: &'a str,
    /// `Bearer`
    token_type: &'static str,
    /// For how many seconds the access token is valid.
    expires_in: u64,
    /// After how many seconds the client should refresh.
    refresh_after: u64,
    #[schema(format = DateTime)]
    refresh_token_expires_at: String,
    #[schema(value_type = uuid::Uuid)]
    session_id: String,
}

/// The pair of tokens.
pub(super) fn pair(pair: &Pair) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    // RFC 6749 §5.1 asks for both.
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer.insert_header((header::PRAGMA, HeaderValue::from_static("no-cache")));
    answer.json(PairJson {
        id: pair.user.id.get(),
        username: pair.user.username.as_str(),
        email: pair.user.email.as_str(),
        role: pair.user.role.as_str(),
        jwt_token: pair.access_token.expose(),
        refresh_token: pair.refresh_token.expose(),
        token_type: "Bearer",
        expires_in: pair.expires_in.as_secs(),
        refresh_after: pair.refresh_after.as_secs(),
        refresh_token_expires_at: pair.refresh_token_expires_at.to_string(),
        session_id: pair.session_id.to_string(),
    })
}

/// A user, for themselves and for admins.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub struct UserJson<'a> {
    id: i64,
    username: &'a str,
    email: &'a str,
    role: &'static str,
    status: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_login_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    disabled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    deleted_at: Option<String>,
}

impl<'a> From<&'a User> for UserJson<'a> {
    fn from(user: &'a User) -> Self {
        let (status, disabled_at, deleted_at) = match user.status {
            UserStatus::Active => ("active", None, None),
            UserStatus::Disabled { at } => ("disabled", Some(at), None),
            UserStatus::Deleted { at } => ("deleted", None, Some(at)),
        };
        Self {
            id: user.id.get(),
            username: user.username.as_str(),
            email: user.email.as_str(),
            role: user.role.as_str(),
            status,
            created_at: user.created_at.to_string(),
            last_login_at: text(user.last_login_at),
            disabled_at: text(disabled_at),
            deleted_at: text(deleted_at),
        }
    }
}

/// A session. There is no token in it and nothing that one could be made of.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(rename_all = "camelCase")]
pub struct SessionJson<'a> {
    id: String,
    user_id: i64,
    /// `console` for a session of the web console, `api` for any other.
    kind: &'static str,
    state: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(value_type = Option<String>)]
    created_ip: Option<IpAddr>,
    #[schema(format = DateTime)]
    last_used_at: String,
    #[schema(value_type = Option<String>)]
    last_used_ip: Option<IpAddr>,
    user_agent: Option<&'a str>,
    generation: u32,
    #[schema(format = DateTime)]
    idle_expires_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    end_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ended_by: Option<i64>,
    /// Whether it is the one that asks.
    current: bool,
}

impl<'a> SessionJson<'a> {
    pub(super) fn new(session: &'a Session, now: Timestamp, asking: Option<SessionId>) -> Self {
        let (state, ended) = match session.state {
            SessionState::Ended { at, reason } => ("ended", Some((at, reason))),
            SessionState::Open if session.is_expired(now) => ("expired", None),
            SessionState::Open => ("live", None),
        };
        Self {
            id: session.id.to_string(),
            user_id: session.user_id.get(),
            kind: session.kind.as_str(),
            state,
            created_at: session.created_at.to_string(),
            created_ip: session.created_ip,
            last_used_at: session.rotated_at.to_string(),
            last_used_ip: session.rotated_ip,
            user_agent: session.user_agent.as_deref(),
            generation: session.generation.get(),
            idle_expires_at: session.idle_expires_at.to_string(),
            expires_at: session.expires_at.to_string(),
            ended_at: ended.map(|(at, _)| at.to_string()),
            end_reason: ended.map(|(_, reason)| reason.as_str()),
            ended_by: session.ended_by.map(UserId::get),
            current: Some(session.id) == asking,
        }
    }
}

/// A session with its user and rotations.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionDetail)]
#[serde(rename_all = "camelCase")]
pub struct SessionDetailJson<'a> {
    #[serde(flatten)]
    session: SessionJson<'a>,
    user: UserJson<'a>,
    rotations: Vec<RotationJson<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Rotation)]
#[serde(rename_all = "camelCase")]
struct RotationJson<'a> {
    generation: u32,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(value_type = Option<String>)]
    created_ip: Option<IpAddr>,
    user_agent: Option<&'a str>,
    #[schema(format = DateTime)]
    expires_at: String,
    /// When and from where the token was revoked: by the making of the next one, or by the session's end.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    #[schema(value_type = Option<String>)]
    revoked_ip: Option<IpAddr>,
    replaced_by: Option<u32>,
}

impl<'a> SessionDetailJson<'a> {
    pub(super) fn new(detail: &'a SessionDetail, now: Timestamp, asking: Option<SessionId>) -> Self {
        let next = detail.history.iter().skip(1).map(Some).chain([None]);
        let rotation = |(issued, next): (&'a Issued, Option<&'a Issued>)| {
            // In the history of a long session the middle is missing.
            let next = next.filter(|next| issued.generation.is_parent_of(next.generation));
            let end = match detail.session.state {
                SessionState::Ended { at, .. } if issued.generation == detail.session.generation => Some(at),
                _ => None,
            };
            RotationJson {
                generation: issued.generation.get(),
                created_at: issued.created_at.to_string(),
                created_ip: issued.created_ip,
                user_agent: issued.user_agent.as_deref(),
                expires_at: issued.expires_at.to_string(),
                revoked_at: text(next.map(|next| next.created_at).or(end)),
                revoked_ip: match next {
                    Some(next) => next.created_ip,
                    None => end.and(detail.ended_ip),
                },
                // In the history of a long session the middle is missing, and with it when the last one before was replaced.
                replaced_by: (issued.generation < detail.session.generation).then(|| issued.generation.get() + 1),
            }
        };
        Self {
            session: SessionJson::new(&detail.session, now, asking),
            user: (&detail.user).into(),
            rotations: detail.history.iter().zip(next).map(rotation).collect(),
        }
    }
}

/// A page as an array, with the address of the next one in `Link` (RFC 8288). `path` may hold no other query.
pub(super) fn page<'a, T, J: Serialize>(
    state: &State,
    page: &'a Page<T>,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    limit: u32,
    to_json: impl Fn(&'a T) -> J,
) -> Result<HttpResponse, Problem> {
    let mut answer = HttpResponse::Ok();
    if let Some(next) = &page.next {
        let url = page_url(state, path, parameters, limit, next)?;
        answer.insert_header((header::LINK, format!("<{url}>; rel=\"next\"")));
    }
    Ok(answer.json(page.items.iter().map(to_json).collect::<Vec<_>>()))
}

/// The address of another page of a list.
pub(super) fn page_url(
    state: &State,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    limit: u32,
    cursor: &str,
) -> Result<url::Url, Problem> {
    let mut url = url::Url::parse(state.public_url.as_str())
        .and_then(|url| url.join(path))
        .map_err(|error| Problem::failure(error, false))?;
    for (name, value) in parameters.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        url.query_pairs_mut().append_pair(name, value);
    }
    if limit != LIMIT {
        url.query_pairs_mut().append_pair("limit", &limit.to_string());
    }
    url.query_pairs_mut().append_pair("cursor", cursor);
    Ok(url)
}

/// The user that a path names. What cannot be an id names nobody.
pub(super) fn user_id(path: &str) -> Result<UserId, Problem> {
    UserId::parse(path).ok_or_else(|| Problem::new(Code::NotFound))
}

/// The session that a path names.
pub(super) fn session_id(path: &str) -> Result<SessionId, Problem> {
    SessionId::parse(path).ok_or_else(|| Problem::new(Code::NotFound))
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
