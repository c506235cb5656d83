//! The operations, in the order of the route table.

use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post};

use super::describe::Caller::{Admin, AdminOr, Anybody, AnybodyOrUser, Client, ClientOrBearer, User};
use super::describe::{Description, one_of, string};
use super::schemas::{AuditEventJson, HealthJson, JwksJson, StatusListsJson};
use crate::domain::scope::Scope::{AuditRead, SessionsRead, SessionsRevoke, UsersRead};
use crate::web::api::account::PasswordChange;
use crate::web::api::clients::{
    ClientJson, ClientPatch, Registration as ClientRegistration, SecretJson, SecretRequest,
};
use crate::web::api::sessions::{BulkRevocation, BulkRevoked};
use crate::web::api::tokens::{Credentials, RefreshToken};
use crate::web::api::users::{Created, Registration, UserPatch};
use crate::web::api::wire::{PairJson, SessionDetailJson, SessionJson, UserJson};
use crate::web::oauth::introspect::{ActiveJson, InactiveJson};
use crate::web::oauth::token::TokenJson;
use crate::web::problem::Code;
use crate::web::well_known::metadata::Metadata;

pub(super) fn describe(to: &mut Description) {
    tokens(to);
    account(to);
    users(to);
    sessions(to);
    rest(to);
    clients(to);
    oauth(to);
    well_known(to);
}

fn tokens(to: &mut Description) {
    to.operation((Post, "/api/auth/login"), "create_session", "Sign in", Anybody)
        .body::<Credentials>()
        .answers::<PairJson>(200, "A session has begun.")
        .refuses(&[Code::InvalidCredentials, Code::TooManyAttempts])
        .writes()
        .done();
    to.operation(
        (Post, "/api/auth/refresh-token"),
        "refresh_session",
        "Spend a refresh token for the next pair",
        Anybody,
    )
    .body::<RefreshToken>()
    .answers::<PairJson>(200, "The next pair of the session.")
    .refuses(&[
        Code::RefreshTokenInvalid,
        Code::RefreshTokenExpired,
        Code::RefreshTokenReused,
        Code::SessionRevoked,
        Code::AccountDisabled,
        Code::TooManyRefreshes,
        Code::TooManyAttempts,
        Code::OutcomeUnknown,
    ])
    .writes()
    .done();
    to.operation((Post, "/api/auth/revoke-token"), "revoke_token", "End the session of a refresh token", Anybody)
        .body::<RefreshToken>()
        .answers_nothing(204, "The session has ended, or the token was none of this server's.")
        .refuses(&[Code::TooManyAttempts])
        .writes()
        .done();
    to.operation((Post, "/api/auth/logout"), "end_current_session", "Sign out", User)
        .answers_nothing(204, "The session has ended.")
        .writes()
        .done();
    to.operation((Post, "/api/auth/logout-all"), "end_own_sessions", "Sign out everywhere", User)
        .answers_nothing(204, "All sessions of the user have ended.")
        .writes()
        .done();
}

fn account(to: &mut Description) {
    to.operation((Post, "/api/users/register"), "create_user", "Make an account", AnybodyOrUser)
        .body::<Registration>()
        .answers::<Created>(201, "The account, whose address is in Location.")
        .refuses(&[Code::AlreadyTaken, Code::RegistrationClosed, Code::RoleNotPermitted, Code::TooManyAttempts])
        .writes()
        .done();
    for (method, id) in [(Get, "show_profile"), (Post, "show_profile_by_post")] {
        to.operation((method, "/api/users/profile"), id, "Show the own account", User)
            .answers::<UserJson<'_>>(200, "The account.")
            .done();
    }
    to.operation((Post, "/api/users/password"), "change_password", "Choose another password", User)
        .body::<PasswordChange>()
        .answers::<PairJson>(200, "A new pair; every earlier session has ended.")
        .refuses(&[Code::WrongPassword, Code::NotFound, Code::AccountChanged, Code::TooManyAttempts])
        .writes()
        .done();
    to.operation((Get, "/api/users/me/sessions"), "list_own_sessions", "List the own live sessions", User)
        .answers_many::<SessionJson<'_>>("The sessions, the newest first.")
        .done();
    to.operation((Delete, "/api/users/me/sessions/{sid}"), "end_own_session", "End one of the own sessions", User)
        .answers_nothing(204, "The session has ended.")
        .writes()
        .done();
}

fn users(to: &mut Description) {
    to.operation((Get, "/api/users"), "list_users", "List users", AdminOr(UsersRead))
        .query("search", "What the username or the e-mail address begins with.", string())
        .query("role", "Only those with this role.", one_of(&["Admin", "User", "0", "1"]))
        .query("status", "Only these.", one_of(&["active", "disabled", "deleted"]))
        .paged()
        .answers_many::<UserJson<'_>>("A page of users; Link leads to the next one.")
        .done();
    to.operation((Get, "/api/users/{id}"), "show_user", "Show a user", AdminOr(UsersRead))
        .answers::<UserJson<'_>>(200, "The user.")
        .done();
    to.operation((Patch, "/api/users/{id}"), "update_user", "Change a user", Admin)
        .body::<UserPatch>()
        .answers::<UserJson<'_>>(200, "The user as changed.")
        .refuses(&[Code::AlreadyTaken, Code::LastAdmin])
        .writes()
        .done();
    to.operation((Delete, "/api/users/{id}"), "delete_user", "Delete a user", Admin)
        .answers_nothing(204, "The user is deleted, and can be restored for 30 days.")
        .refuses(&[Code::LastAdmin])
        .writes()
        .done();
}

fn sessions(to: &mut Description) {
    for (path, id, scope) in [
        ("/api/users/{id}/sessions", "list_sessions_of_user", UsersRead),
        ("/api/sessions", "list_sessions", SessionsRead),
    ] {
        to.operation((Get, path), id, "List sessions", AdminOr(scope))
            .query("state", "live, or all: those that have ended or expired, too.", one_of(&["live", "all"]))
            .paged()
            .answers_many::<SessionJson<'_>>("A page of sessions; Link leads to the next one.")
            .done();
    }
    to.operation(
        (Delete, "/api/users/{id}/sessions"),
        "end_sessions_of_user",
        "Sign a user out everywhere",
        AdminOr(SessionsRevoke),
    )
    .answers_nothing(204, "All sessions of the user have ended.")
    .writes()
    .done();
    to.operation(
        (Post, "/api/sessions/revoke"),
        "revoke_sessions",
        "End all sessions that match",
        AdminOr(SessionsRevoke),
    )
    .body::<BulkRevocation>()
    .answers::<BulkRevoked>(200, "How many there were, and how many were ended.")
    .writes()
    .done();
    to.operation(
        (Get, "/api/sessions/{sid}"),
        "show_session",
        "Show a session with its rotations",
        AdminOr(SessionsRead),
    )
    .answers::<SessionDetailJson<'_>>(200, "The session.")
    .done();
    to.operation((Delete, "/api/sessions/{sid}"), "end_session", "End a session", AdminOr(SessionsRevoke))
        .answers_nothing(204, "The session has ended.")
        .writes()
        .done();
}

fn rest(to: &mut Description) {
    to.operation(
        (Get, "/api/audit-events"),
        "list_audit_events",
        "List audit events, the newest first",
        AdminOr(AuditRead),
    )
    .query("actor", "Who did it: an id, a username or an e-mail address.", string())
    .query("subject", "Whom it was about, likewise.", string())
    .query("session", "The session's id.", string())
    .query("client", "The registered client that did it, or that it was about.", string())
    .query("kind", "The kind, or several such as login.*", string())
    .query("result", "How it went.", one_of(&["succeeded", "failed", "denied"]))
    .query("address", "From where: an address or a CIDR.", string())
    .query("requestId", "The id of the request.", string())
    .query("from", "The first day, or a time of RFC 3339.", string())
    .query("to", "The last day, which counts, or a time of RFC 3339.", string())
    .query("timeZone", "In which days begin: Z, or an offset such as +01:00.", string())
    .paged()
    .answers_many::<AuditEventJson>("A page of events; Link leads to its neighbours.")
    .done();
    to.operation((Get, "/problems/{code}"), "show_problem", "Say what a problem's code means", Anybody)
        .answers_as(200, "Title and advice, for people.", "text/plain; charset=utf-8")
        .done();
    to.operation((Get, "/health/live"), "show_liveness", "Whether the process answers", Anybody)
        .answers::<HealthJson>(200, "It does.")
        .done();
    to.operation((Get, "/health/ready"), "show_readiness", "Whether the database answers, too", Anybody)
        .answers::<HealthJson>(200, "It does.")
        .done();
}

fn well_known(to: &mut Description) {
    to.operation((Get, "/.well-known/jwks.json"), "show_jwks", "Show the public keys of access tokens", Anybody)
        .answers::<JwksJson>(200, "The keys, the next one among them; none with HS256.")
        .answers_nothing(304, "They are those of If-None-Match.")
        .done();
    for (path, id) in [
        ("/.well-known/oauth-authorization-server", "show_metadata"),
        ("/.well-known/openid-configuration", "show_openid_configuration"),
    ] {
        to.operation((Get, path), id, "Show where the endpoints are and what they take", Anybody)
            .answers::<Metadata<'_>>(200, "The metadata (RFC 8414).")
            .answers_nothing(304, "They are those of If-None-Match.")
            .done();
    }
    to.operation((Get, "/status-lists"), "list_status_lists", "Show where the status lists are", Anybody)
        .answers::<StatusListsJson>(200, "Their addresses.")
        .answers_nothing(304, "They are those of If-None-Match.")
        .refuses(&[Code::NotFound])
        .done();
    to.operation((Get, "/status-lists/{name}"), "show_status_list", "Show which access tokens were revoked", Anybody)
        .answers_as(200, "The list, as a signed JWT.", "application/statuslist+jwt")
        .answers_nothing(304, "It is that of If-None-Match.")
        .refuses(&[Code::HistoryUnsupported])
        .done();
}

fn clients(to: &mut Description) {
    to.operation((Get, "/api/clients"), "list_clients", "List registered clients", Admin)
        .paged()
        .answers_many::<ClientJson<'_>>("A page of clients; Link leads to the next one.")
        .done();
    to.operation((Post, "/api/clients"), "create_client", "Register a client", Admin)
        .body::<ClientRegistration>()
        .answers::<ClientJson<'_>>(201, "The client, with its first secret, this once.")
        .writes()
        .done();
    to.operation((Get, "/api/clients/{id}"), "show_client", "Show a client", Admin)
        .answers::<ClientJson<'_>>(200, "The client.")
        .done();
    to.operation((Patch, "/api/clients/{id}"), "update_client", "Change a client", Admin)
        .body::<ClientPatch>()
        .answers::<ClientJson<'_>>(200, "The client as changed.")
        .writes()
        .done();
    to.operation((Delete, "/api/clients/{id}"), "delete_client", "Delete a client", Admin)
        .answers_nothing(204, "There is no such client any more.")
        .writes()
        .done();
    to.operation((Post, "/api/clients/{id}/secrets"), "create_secret", "Make another secret of a client", Admin)
        .body::<SecretRequest>()
        .answers::<SecretJson<'_>>(201, "The secret, this once.")
        .refuses(&[Code::TooManySecrets])
        .writes()
        .done();
    to.operation((Delete, "/api/clients/{id}/secrets/{sid}"), "delete_secret", "Revoke a secret of a client", Admin)
        .answers_nothing(204, "The secret is of no use any more.")
        .writes()
        .done();
}

/// A parameter of a form: its name, what it means, and which values there are, if not any.
type Parameter = (&'static str, &'static str, &'static [&'static str]);

/// The client's credentials may be in the header instead, as HTTP Basic.
const CLIENT: [Parameter; 2] = [
    ("client_id", "The client: relatch for first-party applications.", &[]),
    ("client_secret", "One of its secrets.", &[]),
];

fn oauth(to: &mut Description) {
    let [id, secret] = CLIENT;
    let grant: Parameter = ("*grant_type", "What the token is got with.", &["refresh_token", "client_credentials"]);
    let refresh_token: Parameter = ("refresh_token", "For that grant.", &[]);
    let scope: Parameter = ("scope", "For client_credentials.", &[]);
    let token: Parameter = ("*token", "An access token or a refresh token.", &[]);
    let hint: Parameter = ("token_type_hint", "Not looked at: tokens are told apart by themselves.", &[]);
    to.operation((Post, "/oauth/token"), "create_token", "Get an access token (RFC 6749)", Client)
        .form(&[grant, refresh_token, scope, id, secret])
        .answers::<TokenJson<'_>>(200, "The token.")
        .oauth_errors(&[
            (400, "invalid_request, invalid_grant, invalid_scope, unsupported_grant_type"),
            (401, "invalid_client"),
            (429, "slow_down"),
        ])
        .done();
    to.operation((Post, "/oauth/revoke"), "revoke_any_token", "End a token's session (RFC 7009)", Client)
        .form(&[token, hint, id, secret])
        .answers_nothing(200, "The session has ended, or the token was worth nothing.")
        .oauth_errors(&[
            (400, "invalid_request, invalid_grant, unsupported_token_type"),
            (401, "invalid_client"),
            (429, "slow_down"),
        ])
        .done();
    to.operation(
        (Post, "/oauth/introspect"),
        "introspect_token",
        "Ask what a token is worth (RFC 7662)",
        ClientOrBearer,
    )
    .form(&[token, hint, id, secret])
    .answers_either::<ActiveJson<'_>, InactiveJson>(200, "What it is worth.")
    .oauth_errors(&[
        (400, "invalid_request"),
        (401, "invalid_client, invalid_token"),
        (403, "insufficient_scope"),
        (429, "slow_down"),
    ])
    .done();
}
