//! Which events each request leaves, and which it does not.

use std::time::Duration;

use relatch::store::audit_events::StoredEvent;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{all, count};
use crate::harness::{Answer, PASSWORD, Person, TestApp, dump, execute};

const PROXY: [(&str, &str); 1] = [("TRUSTED_PROXIES", "127.0.0.0/8")];

/// Sends a request from an address and with an agent that can be recognised.
async fn send(app: &TestApp, request: RequestBuilder) -> Answer {
    app.send(request.header("x-forwarded-for", "203.0.113.7").header("user-agent", "Canary/1.0")).await
}

/// Looks at what is new since the last look.
struct Watch<'a> {
    app: &'a TestApp,
    last: i64,
}

impl<'a> Watch<'a> {
    async fn of(app: &'a TestApp) -> Self {
        let mut watch = Self { app, last: 0 };
        watch.news().await;
        watch
    }

    async fn news(&mut self) -> Vec<StoredEvent> {
        let news: Vec<_> = all(self.app).await.into_iter().filter(|event| event.id > self.last).collect();
        self.last = news.last().map_or(self.last, |event| event.id);
        news
    }

    /// There is one new event, of this kind, that tells of this request; gives its details.
    async fn expect(
        &mut self,
        answer: &Answer,
        kind: &str,
        actor: (&str, Option<i64>),
        subject: Option<i64>,
        session: Option<&str>,
    ) -> Value {
        let news = self.news().await;
        assert_eq!(news.len(), 1, "{kind}: {news:?}");
        let event = &news[0];
        let session_id = event.session_id.as_ref().map(|id| uuid_text(id));
        assert_eq!(event.kind, kind);
        assert_eq!((event.actor_kind.as_str(), event.actor_user_id), actor, "{event:?}");
        assert_eq!((event.subject_user_id, session_id.as_deref()), (subject, session), "{event:?}");
        assert_eq!(event.address().unwrap().unwrap().to_string(), "203.0.113.7", "{event:?}");
        assert_eq!(event.user_agent.as_deref(), Some("Canary/1.0"), "{event:?}");
        assert_eq!(event.request_id.as_deref(), Some(answer.header("x-request-id")), "{event:?}");
        assert_eq!(event.occurred_at, self.app.now().as_micros(), "{event:?}");
        serde_json::from_str(&event.detail).unwrap()
    }

    async fn expect_nothing(&mut self, what: &str) {
        assert_eq!(self.news().await, [], "{what}");
    }
}

fn uuid_text(bytes: &[u8]) -> String {
    let id = <[u8; 16]>::try_from(bytes).unwrap();
    relatch::domain::session::SessionId::from_bytes(id).to_string()
}

fn credentials(name: &str, password: &str) -> Value {
    json!({ "username": name, "password": password })
}

#[tokio::test]
async fn s3_what_users_do_is_written_down_with_who_whom_where_and_which_request() {
    let app = TestApp::with(&PROXY).await;
    let mut watch = Watch::of(&app).await;
    let post = |path: &str, body: Value| app.request(Method::POST, path).json(&body);
    let account = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    let made = send(&app, post("/api/users/register", account)).await.expect_status(201);
    let id = made.json()["id"].as_i64().unwrap();
    watch.expect(&made, "user.registered", ("anonymous", None), Some(id), None).await;

    let me = ("user", Some(id));
    let sign_in = async |watch: &mut Watch<'_>| {
        let answer = send(&app, post("/api/auth/login", credentials("saif", PASSWORD))).await.expect_status(200);
        let person = Person::of_pair(&app, &answer);
        watch.expect(&answer, "login.succeeded", me, Some(id), Some(&person.session_id)).await;
        person
    };
    let person = sign_in(&mut watch).await;
    let wrong = send(&app, post("/api/auth/login", credentials("saif", "wrong password"))).await.expect_status(401);
    watch.expect(&wrong, "login.failed", ("anonymous", None), Some(id), None).await;
    let nobody = send(&app, post("/api/auth/login", credentials("nobody", "wrong password"))).await.expect_status(401);
    watch.expect(&nobody, "login.failed", ("anonymous", None), None, None).await;

    let body = json!({ "currentPassword": "wrong password", "newPassword": "another sentence" });
    let failed = send(&app, person.request(Method::POST, "/api/users/password").json(&body)).await.expect_status(403);
    watch.expect(&failed, "password.change_failed", me, Some(id), None).await;
    let denied = send(&app, person.request(Method::GET, "/api/users")).await.expect_status(403);
    let detail = watch.expect(&denied, "access.denied", me, Some(id), Some(&person.session_id)).await;
    assert_eq!(detail, json!({ "asked": "GET /api/users" }));

    let refreshed = app.refresh(&person.refresh_token).await.expect_status(200);
    watch.expect_nothing("a rotation is history, not an event").await;
    let out = send(&app, person.request(Method::POST, "/api/auth/logout")).await.expect_status(204);
    let detail = watch.expect(&out, "session.ended", me, Some(id), Some(&person.session_id)).await;
    assert_eq!(detail, json!({ "reason": "logout" }));
    app.refresh(&refreshed.text_at("refreshToken")).await.expect_status(401);
    app.post("/api/auth/revoke-token", &json!(refreshed.text_at("refreshToken"))).await.expect_status(204);
    watch.expect_nothing("an ended session's token tells nothing new").await;

    let (one, two) = (sign_in(&mut watch).await, sign_in(&mut watch).await);
    let path = format!("/api/users/me/sessions/{}", one.session_id);
    let ended = send(&app, two.request(Method::DELETE, &path)).await.expect_status(204);
    watch.expect(&ended, "session.ended", me, Some(id), Some(&one.session_id)).await;
    two.delete(&path).await.expect_status(204);
    watch.expect_nothing("what has ended does not end again").await;
    let revoke = post("/api/auth/revoke-token", json!(two.refresh_token));
    let revoked = send(&app, revoke).await.expect_status(204);
    watch.expect(&revoked, "session.revoked", ("anonymous", None), Some(id), Some(&two.session_id)).await;

    let (one, _two) = (sign_in(&mut watch).await, sign_in(&mut watch).await);
    let all_out = send(&app, one.request(Method::POST, "/api/auth/logout-all")).await.expect_status(204);
    let detail = watch.expect(&all_out, "sessions.revoked", me, Some(id), Some(&one.session_id)).await;
    assert_eq!(detail, json!({ "reason": "logout_all", "sessionsEnded": 2 }));

    let one = sign_in(&mut watch).await;
    let body = json!({ "currentPassword": PASSWORD, "newPassword": "another sentence" });
    let changed = send(&app, one.request(Method::POST, "/api/users/password").json(&body)).await.expect_status(200);
    let session = changed.text_at("sessionId");
    let detail = watch.expect(&changed, "password.changed", me, Some(id), Some(&session)).await;
    assert_eq!(detail, json!({ "sessionsEnded": 1 }));
}

#[tokio::test]
async fn s5_what_admins_do_is_written_down_with_who_whom_where_and_which_request() {
    let app = TestApp::with(&PROXY).await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    let mut watch = Watch::of(&app).await;
    let me = ("user", Some(admin.id));
    let path = format!("/api/users/{}", user.id);
    let patch = async |watch: &mut Watch<'_>, body: Value, kind: &str| {
        let answer = send(&app, admin.request(Method::PATCH, &path).json(&body)).await.expect_status(200);
        let detail = watch.expect(&answer, kind, me, Some(user.id), None).await;
        admin.patch(&path, &body).await.expect_status(200);
        watch.expect_nothing("what is so already is not changed").await;
        detail
    };
    let email = json!({ "email": "other@example.com" });
    assert_eq!(patch(&mut watch, email, "user.updated").await, json!({ "changed": ["email"] }));
    let role = patch(&mut watch, json!({ "role": "Admin" }), "user.role_changed").await;
    assert_eq!(role, json!({ "from": "User", "to": "Admin" }));
    patch(&mut watch, json!({ "role": 1 }), "user.role_changed").await;
    assert_eq!(patch(&mut watch, json!({ "disabled": true }), "user.disabled").await, json!({ "sessionsEnded": 1 }));
    let login = app.request(Method::POST, "/api/auth/login").json(&credentials("saif", PASSWORD));
    let denied = send(&app, login).await.expect_problem(401, "invalid_credentials");
    watch.expect(&denied, "login.denied", ("anonymous", None), Some(user.id), None).await;
    app.login("saif", "wrong password").await.expect_problem(401, "invalid_credentials");
    assert_eq!(watch.news().await[0].kind, "login.failed");
    patch(&mut watch, json!({ "disabled": false }), "user.enabled").await;

    let one = app.sign_in("saif").await;
    watch.news().await;
    let single = format!("/api/sessions/{}", one.session_id);
    let revoked = send(&app, admin.request(Method::DELETE, &single)).await.expect_status(204);
    let detail = watch.expect(&revoked, "session.revoked", me, Some(user.id), Some(&one.session_id)).await;
    assert_eq!(detail, json!({ "reason": "ended_by_admin" }));
    let (_one, _two) = (app.sign_in("saif").await, app.sign_in("saif").await);
    watch.news().await;
    let every = format!("{path}/sessions");
    let revoked = send(&app, admin.request(Method::DELETE, &every)).await.expect_status(204);
    let detail = watch.expect(&revoked, "sessions.revoked", me, Some(user.id), None).await;
    assert_eq!(detail, json!({ "reason": "ended_by_admin", "sessionsEnded": 2 }));

    let (_one, _two) = (app.sign_in("saif").await, app.sign_in("saif").await);
    watch.news().await;
    let filter = json!({ "role": "User", "ip": "127.0.0.0/8" });
    let bulk = |dry_run: bool| {
        let body = json!({ "filter": filter, "dryRun": dry_run });
        admin.request(Method::POST, "/api/sessions/revoke").json(&body)
    };
    send(&app, bulk(true)).await.expect_status(200);
    watch.expect_nothing("counting ends nothing").await;
    let revoked = send(&app, bulk(false)).await.expect_status(200);
    let detail = watch.expect(&revoked, "sessions.revoked", me, None, None).await;
    assert_eq!(detail, json!({ "filter": filter, "matched": 2, "sessionsEnded": 2 }));

    let account = json!({ "username": "made", "email": "made@example.com", "password": PASSWORD });
    let made = send(&app, admin.request(Method::POST, "/api/users/register").json(&account)).await.expect_status(201);
    watch.expect(&made, "user.created", me, made.json()["id"].as_i64(), None).await;
    let deleted = send(&app, admin.request(Method::DELETE, &path)).await.expect_status(204);
    watch.expect(&deleted, "user.deleted", me, Some(user.id), None).await;
    admin.delete(&path).await.expect_status(404);
    admin.delete(&format!("/api/users/{}", admin.id)).await.expect_problem(409, "last_admin");
    watch.expect_nothing("what was refused for good reasons has changed nothing").await;
}

#[tokio::test]
async fn theft_and_a_session_too_many_are_written_down_once() {
    let app = TestApp::with(&[("MAX_SESSIONS_PER_USER", "2"), ("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let first = app.user("saif").await;
    app.advance(Duration::from_secs(1));
    let second = app.sign_in("saif").await;
    app.advance(Duration::from_secs(1));
    let mut watch = Watch::of(&app).await;
    app.sign_in("saif").await;
    let news = watch.news().await;
    let kinds: Vec<_> = news.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["session.limit_reached", "login.succeeded"]);
    assert_eq!(uuid_text(news[0].session_id.as_ref().unwrap()), first.session_id);
    assert_eq!((news[0].actor_kind.as_str(), news[0].subject_user_id), ("system", Some(first.id)));

    let next = app.refresh(&second.refresh_token).await.expect_status(200).text_at("refreshToken");
    app.refresh(&next).await.expect_status(200);
    app.advance(Duration::from_secs(60));
    watch.expect_nothing("refreshes").await;
    let request = app.request(Method::POST, "/api/auth/refresh-token").json(&json!(second.refresh_token));
    let theft = send(&app, request).await.expect_problem(401, "refresh_token_reused");
    let actor = ("anonymous", None);
    let detail = watch.expect(&theft, "session.reuse_detected", actor, Some(first.id), Some(&second.session_id)).await;
    assert_eq!(detail, json!({ "presented": 1, "current": 3 }));
    for token in [&second.refresh_token, &next] {
        app.refresh(token).await.expect_problem(401, "session_revoked");
    }
    watch.expect_nothing("a known theft").await;
}

#[tokio::test]
async fn what_costs_an_attacker_nothing_fills_no_table() {
    let app = TestApp::start().await;
    let user = app.user("saif").await;
    let mut watch = Watch::of(&app).await;
    let forged = format!("{}x", &user.refresh_token[..user.refresh_token.len() - 1]);
    for token in [forged.as_str(), "rlr_nothing", ""] {
        app.refresh(token).await;
        app.post("/api/auth/revoke-token", &json!(token)).await;
    }
    app.get("/api/users").await.expect_status(401);
    app.login("saif", &"long".repeat(1_000)).await.expect_status(400);
    app.post("/api/users/register", &json!({ "username": "x", "email": "x", "password": "x", "role": 0 })).await;
    watch.expect_nothing("without a password's work and without a genuine token").await;
    for path in ["/api/users", "/api/sessions", "/api/audit-events", "/api/users/1"] {
        user.get(path).await.expect_problem(403, "insufficient_role");
    }
    user.post(
        "/api/users/register",
        &json!({ "username": "new", "email": "n@example.com", "password": PASSWORD, "role": 0 }),
    )
    .await
    .expect_status(403);
    assert_eq!(count(&watch.news().await, "access.denied"), 1, "once a minute for each session");
    app.advance(Duration::from_secs(60));
    user.get("/api/users").await.expect_status(403);
    assert_eq!(count(&watch.news().await, "access.denied"), 1);
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_no_event_and_one_without_an_event_is_not_made() {
    let app = TestApp::start().await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    app.user("other").await;
    let mut watch = Watch::of(&app).await;
    let path = format!("/api/users/{}", user.id);
    // The second part fails: the first, and its event, go with it.
    let patch = json!({ "email": "other@example.com", "role": "Admin", "disabled": true });
    admin.patch(&path, &patch).await.expect_problem(409, "already_taken");
    watch.expect_nothing("a failed change").await;
    user.profile().await.expect_status(200);
    // Where an event cannot be written, nothing happens.
    execute(&app.database, "ALTER TABLE audit_events RENAME TO elsewhere").await;
    for answer in [
        app.login("saif", PASSWORD).await,
        app.login("saif", "wrong password").await,
        admin.patch(&path, &json!({ "role": "Admin" })).await,
        user.post_nothing("/api/auth/logout").await,
        app.register("new").await,
    ] {
        assert_eq!(answer.status, 500, "{answer:?}");
    }
    execute(&app.database, "ALTER TABLE elsewhere RENAME TO audit_events").await;
    watch.expect_nothing("nothing happened").await;
    user.profile().await.expect_status(200);
    assert_eq!(admin.get(&path).await.json()["role"], "User");
    app.register("new").await.expect_status(201);
}

#[tokio::test]
async fn s1_s7_no_event_holds_a_password_or_a_token() {
    let app = TestApp::start().await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    let canaries = ["canary-typed-as-name", "canary wrong password", "canary new password"];
    app.login(canaries[0], canaries[1]).await.expect_status(401);
    app.login(&format!("{}@example.com", canaries[0]), canaries[1]).await.expect_status(401);
    let body = json!({ "currentPassword": canaries[1], "newPassword": canaries[2] });
    user.post("/api/users/password", &body).await.expect_status(403);
    let body = json!({ "currentPassword": PASSWORD, "newPassword": canaries[2] });
    let pair = user.post("/api/users/password", &body).await.expect_status(200);
    let next = app.refresh(&pair.text_at("refreshToken")).await.expect_status(200);
    app.post("/api/auth/revoke-token", &json!(next.text_at("refreshToken"))).await.expect_status(204);
    admin.get("/api/users?search=canary").await.expect_status(200);
    let text = format!("{:?}", all(&app).await);
    let secrets = [
        PASSWORD.to_owned(),
        user.refresh_token.clone(),
        user.access_token.clone(),
        pair.text_at("refreshToken"),
        next.text_at("refreshToken"),
        next.text_at("jwtToken"),
    ];
    for secret in canaries.iter().map(|canary| (*canary).to_owned()).chain(secrets) {
        assert!(!text.contains(&secret), "{secret}");
    }
    assert!(!dump(&app.database).await.contains(canaries[0]));
}

#[tokio::test]
async fn purged_accounts_and_what_operators_do_have_their_events() {
    use relatch::auth::change_password::reset_password;
    use relatch::auth::end_everything::end_everything;
    use relatch::auth::maintenance::prune;
    use relatch::auth::setup_link::make_setup_token;
    use relatch::domain::user::UserId;
    let app = TestApp::start().await;
    let mut watch = Watch { app: &app, last: 0 };
    let first = watch.news().await;
    assert_eq!((first[0].kind.as_str(), first[0].actor_kind.as_str()), ("signing_key.created", "system"));
    make_setup_token(app.app.auth()).await.unwrap().unwrap();
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    let id = UserId::new(user.id).unwrap();
    reset_password(app.app.auth(), id, "another sentence").await.unwrap();
    admin.delete(&format!("/api/users/{id}")).await.expect_status(204);
    app.advance(Duration::from_hours(31 * 24));
    prune(app.app.auth()).await.unwrap().unwrap();
    end_everything(app.app.auth()).await.unwrap();
    let news = watch.news().await;
    let seen: Vec<_> = news.iter().map(|event| (event.kind.as_str(), event.actor_kind.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("setup_link.created", "operator"),
            ("user.created", "operator"),
            ("login.succeeded", "user"),
            ("user.registered", "anonymous"),
            ("login.succeeded", "user"),
            ("password.reset", "operator"),
            ("user.deleted", "user"),
            ("user.purged", "system"),
            ("store.restored", "operator"),
            ("signing_key.retired", "operator"),
            ("signing_key.created", "operator"),
            ("signing_key.created", "operator"),
        ]
    );
    assert_eq!(news[7].subject_user_id, Some(user.id));
}
