//! The operations, in the order of the route table.

use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post};

use super::describe::Caller::{Admin, Anybody, AnybodyOrUser, User};
use super::describe::{Description, one_of, string};
use super::schemas::{AuditEventJson, HealthJson, JwksJson, StatusListsJson};
use crate::web::api::account::PasswordChange;
use crate::web::api::sessions::{BulkRevocation, BulkRevoked};
use crate::web::api::tokens::{Credentials, RefreshToken};
use crate::web::api::users::{Created, Registration, UserPatch};
use crate::web::api::wire::{PairJson, SessionDetailJson, SessionJson, UserJson};
use crate::web::problem::Code;
use crate::web::well_known::metadata::Metadata;

pub(super) fn describe(to: &mut Description) {
    tokens(to);
    account(to);
    users(to);
    sessions(to);
    rest(to);
    well_known(to);
}

fn tokens(to: &mut Description) {
    to.operation((Post, "/api/auth/login"), "create_session", "Sign in", Anybody)
        .body::<Credentials>()
        .answers::<PairJson>(200, "A session has begun.")
        .refuses(&[Code::InvalidCredentials])
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
        Code::OutcomeUnknown,
    ])
    .writes()
    .done();
    to.operation((Post, "/api/auth/revoke-token"), "revoke_token", "End the session of a refresh token", Anybody)
        .body::<RefreshToken>()
        .answers_nothing(204, "The session has ended, or the token was none of this server's.")
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
        .refuses(&[Code::AlreadyTaken, Code::RegistrationClosed, Code::RoleNotPermitted])
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
        .refuses(&[Code::WrongPassword, Code::NotFound, Code::AccountChanged])
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
    to.operation((Get, "/api/users"), "list_users", "List users", Admin)
        .query("search", "What the username or the e-mail address begins with.", string())
        .query("role", "Only those with this role.", one_of(&["Admin", "User", "0", "1"]))
        .query("status", "Only these.", one_of(&["active", "disabled", "deleted"]))
        .paged()
        .answers_many::<UserJson<'_>>("A page of users; Link leads to the next one.")
        .done();
    to.operation((Get, "/api/users/{id}"), "show_user", "Show a user", Admin)
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
    for (path, id) in [("/api/users/{id}/sessions", "list_sessions_of_user"), ("/api/sessions", "list_sessions")] {
        to.operation((Get, path), id, "List sessions", Admin)
            .query("state", "live, or all: those that have ended or expired, too.", one_of(&["live", "all"]))
            .paged()
            .answers_many::<SessionJson<'_>>("A page of sessions; Link leads to the next one.")
            .done();
    }
    to.operation((Delete, "/api/users/{id}/sessions"), "end_sessions_of_user", "Sign a user out everywhere", Admin)
        .answers_nothing(204, "All sessions of the user have ended.")
        .writes()
        .done();
    to.operation((Post, "/api/sessions/revoke"), "revoke_sessions", "End all sessions that match", Admin)
        .body::<BulkRevocation>()
        .answers::<BulkRevoked>(200, "How many there were, and how many were ended.")
        .writes()
        .done();
    to.operation((Get, "/api/sessions/{sid}"), "show_session", "Show a session with its rotations", Admin)
        .answers::<SessionDetailJson<'_>>(200, "The session.")
        .done();
    to.operation((Delete, "/api/sessions/{sid}"), "end_session", "End a session", Admin)
        .answers_nothing(204, "The session has ended.")
        .writes()
        .done();
}

fn rest(to: &mut Description) {
    to.operation((Get, "/api/audit-events"), "list_audit_events", "List audit events, the newest first", Admin)
        .query("actor", "Who did it: an id, a username or an e-mail address.", string())
        .query("subject", "Whom it was about, likewise.", string())
        .query("session", "The session's id.", string())
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
