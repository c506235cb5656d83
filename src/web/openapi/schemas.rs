//! Schemas of what is not made by serde from a struct that stands beside its handler.

use utoipa::ToSchema;

/// An audit event.
#[derive(ToSchema)]
#[schema(as = AuditEvent, rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
pub(super) struct AuditEventJson {
    id: i64,
    #[schema(format = DateTime)]
    occurred_at: String,
    kind: String,
    result: String,
    severity: String,
    actor_kind: String,
    actor: Option<NamedUserJson>,
    subject: Option<NamedUserJson>,
    #[schema(value_type = Option<uuid::Uuid>)]
    session_id: Option<String>,
    address: Option<String>,
    user_agent: Option<String>,
    #[schema(value_type = Option<uuid::Uuid>)]
    request_id: Option<String>,
    detail: Option<serde_json::Value>,
    /// Its place in the chain; `null` until it is sealed.
    seal_number: Option<i64>,
    seal_digest: Option<String>,
    /// The registered client that acted, or is concerned.
    client_id: Option<String>,
}

/// A user of an audit event. The name is missing once the account has been deleted for good.
#[derive(ToSchema)]
#[schema(as = NamedUser)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
pub(super) struct NamedUserJson {
    id: i64,
    username: Option<String>,
}

/// How the server is.
#[derive(ToSchema)]
#[schema(as = Health)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
pub(super) struct HealthJson {
    status: String,
}

/// The public parts of the signing keys (RFC 7517 §5).
#[derive(ToSchema)]
#[schema(as = Jwks)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
pub(super) struct JwksJson {
    keys: Vec<serde_json::Value>,
}

/// Where the status lists are.
#[derive(ToSchema)]
#[schema(as = StatusLists)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
pub(super) struct StatusListsJson {
    status_lists: Vec<String>,
}
