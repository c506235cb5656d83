//! Which operation leads to which: what of a request or an answer names the next one (OpenAPI 3.1, Link Object).

use serde_json::{Value, json};
use utoipa::openapi::link::{Link, LinkBuilder};

/// An operation and the status of its answer, the operation that this leads to, and what is named there and how.
type Step = (&'static str, u16, &'static str, Next);

/// What the next operation is given.
enum Next {
    /// Variable parts of its path.
    Path(&'static [(&'static str, &'static str)]),
    /// Members of its body.
    Body(&'static [(&'static str, &'static str)]),
}

use Next::{Body, Path};

const ID: Next = Path(&[("id", "$response.body#/id")]);
const FIRST_ID: Next = Path(&[("id", "$response.body#/0/id")]);
const SAME_ID: Next = Path(&[("id", "$request.path.id")]);
const FIRST_SID: Next = Path(&[("sid", "$response.body#/0/id")]);
const SESSION_ID: Next = Path(&[("sid", "$response.body#/sessionId")]);
const REFRESH_TOKEN: Next = Body(&[("refreshToken", "$response.body#/refreshToken")]);

const STEPS: &[Step] = &[
    ("create_session", 200, "refresh_session", REFRESH_TOKEN),
    ("create_session", 200, "revoke_token", REFRESH_TOKEN),
    ("create_session", 200, "show_session", SESSION_ID),
    ("create_session", 200, "end_session", SESSION_ID),
    ("create_session", 200, "show_user", ID),
    (
        "create_session",
        200,
        "create_token",
        Body(&[
            ("grant_type", "refresh_token"),
            ("client_id", "relatch"),
            ("refresh_token", "$response.body#/refreshToken"),
        ]),
    ),
    ("refresh_session", 200, "refresh_session", REFRESH_TOKEN),
    ("refresh_session", 200, "revoke_token", REFRESH_TOKEN),
    ("refresh_session", 200, "show_session", SESSION_ID),
    (
        "create_user",
        201,
        "create_session",
        Body(&[("username", "$request.body#/username"), ("password", "$request.body#/password")]),
    ),
    ("create_user", 201, "show_user", ID),
    ("create_user", 201, "update_user", ID),
    ("create_user", 201, "delete_user", ID),
    ("create_user", 201, "list_sessions_of_user", ID),
    ("create_user", 201, "end_sessions_of_user", ID),
    ("list_users", 200, "show_user", FIRST_ID),
    ("update_user", 200, "show_user", ID),
    ("delete_user", 204, "show_user", SAME_ID),
    ("list_own_sessions", 200, "end_own_session", FIRST_SID),
    ("list_sessions", 200, "show_session", FIRST_SID),
    ("list_sessions", 200, "end_session", FIRST_SID),
    ("list_sessions_of_user", 200, "show_session", FIRST_SID),
    ("end_session", 204, "show_session", Path(&[("sid", "$request.path.sid")])),
    ("create_client", 201, "show_client", ID),
    ("create_client", 201, "update_client", ID),
    ("create_client", 201, "delete_client", ID),
    ("create_client", 201, "create_secret", ID),
    (
        "create_client",
        201,
        "create_token",
        Body(&[
            ("grant_type", "client_credentials"),
            ("client_id", "$response.body#/id"),
            ("client_secret", "$response.body#/clientSecret"),
        ]),
    ),
    ("create_secret", 201, "delete_secret", Path(&[("id", "$request.path.id"), ("sid", "$response.body#/id")])),
    ("list_clients", 200, "show_client", FIRST_ID),
    ("update_client", 200, "show_client", ID),
    ("delete_client", 204, "show_client", SAME_ID),
    ("create_token", 200, "introspect_token", Body(&[("token", "$response.body#/access_token")])),
    ("create_token", 200, "revoke_any_token", Body(&[("token", "$response.body#/access_token")])),
];

/// The links of one answer, each with its name.
pub(super) fn of(operation: &str, status: u16) -> impl Iterator<Item = (&'static str, Link)> {
    STEPS.iter().filter(move |step| step.0 == operation && step.1 == status).map(|(_, _, next, given)| {
        let link = LinkBuilder::new().operation_id(*next);
        let link = match given {
            Path(parts) => parts.iter().fold(link, |link, (name, value)| link.parameter(*name, *value)),
            Body(members) => link.request_body(Some(
                members.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Value>(),
            )),
        };
        (*next, link.build())
    })
}
