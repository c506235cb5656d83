//! Tokens that are genuine, and what became of their holder: the store decides, at the very next request.

use reqwest::Method;
use serde_json::{Value, json};

use super::forge::{Forge, changed, every_algorithm, variables};
use crate::harness::{PASSWORD, Person, TestApp};

#[tokio::test]
async fn f17_a_subject_who_is_not_the_sessions_user_is_refused() {
    every_algorithm(async |forge| {
        let other = forge.app.user("other").await;
        let admin = forge.app.admin("root").await;
        let subjects = [
            json!("999999999"),
            json!("0"),
            json!("-1"),
            json!("9223372036854775807"),
            json!("9223372036854775808"),
            json!("relatch"),
            json!("saif"),
            json!("saif@example.com"),
            json!("' OR 1=1--"),
            json!(other.id.to_string()),
            json!(admin.id.to_string()),
        ];
        // The name claims stay the holder's own: they decide nothing.
        forge.refuses_claims("sub", subjects).await;
        let borrowed = changed(&forge.claims, "sid", json!(other.session_id)).to_string();
        forge.refuses([("another's session".to_owned(), forge.saying(borrowed))]).await;
        let whole =
            changed(&changed(&forge.claims, "sid", json!(other.session_id)), "sub", json!(other.id.to_string()));
        let answer = forge.present(&forge.saying(whole.to_string())).await.expect_status(200);
        assert_eq!(answer.json()["id"], other.id, "as a control: both together are the other's token");
    })
    .await;
}

#[tokio::test]
async fn f17_a_session_that_does_not_exist_is_refused() {
    every_algorithm(async |forge| {
        let sid = &forge.person.session_id;
        let sids = [
            "00000000-0000-0000-0000-000000000000".to_owned(),
            "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
            format!("{}0", &sid[..35]),
            format!("{}1", &sid[..35]),
            format!("{{{sid}}}"),
            format!("urn:uuid:{sid}"),
            sid.replace('-', ""),
        ];
        forge.refuses_claims("sid", sids.into_iter().filter(|other| other != sid).map(Value::from)).await;
    })
    .await;
}

#[tokio::test]
async fn f17_name_claims_decide_nothing() {
    let forge = Forge::of("HS256").await;
    let admin = forge.app.admin("root").await;
    let named = changed(&changed(&forge.claims, "unique_name", json!("root")), "email", json!("root@example.com"));
    let named = changed(&changed(&named, "name", json!("root")), "preferred_username", json!("root"));
    let token = forge.saying(named.to_string());
    let answer = forge.present(&token).await.expect_status(200);
    assert_eq!(answer.text_at("username"), "saif");
    assert_ne!(answer.json()["id"], admin.id);
    forge.present_at("/api/users", &token).await.expect_problem(403, "insufficient_role");
    forge.accepts("without names", &forge.without_claim("unique_name")).await;
}

#[tokio::test]
async fn f19_a_role_in_the_token_gives_nothing() {
    every_algorithm(async |forge| {
        for role in ["Admin", "admin", "0", "Owner", ""] {
            let token = forge.with_claim("role", role);
            let answer = forge.present_at("/api/users", &token).await.expect_problem(403, "insufficient_role");
            assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\""), "{answer:?}");
            assert_eq!(forge.present(&token).await.expect_status(200).text_at("role"), "User");
        }
        let more = changed(&changed(&forge.claims, "roles", json!(["Admin"])), "scope", json!("admin"));
        let token = forge.saying(changed(&more, "admin", json!(true)).to_string());
        forge.present_at("/api/users", &token).await.expect_problem(403, "insufficient_role");
    })
    .await;
}

#[tokio::test]
async fn f19_an_admins_token_that_calls_them_a_user_is_still_an_admins() {
    let app = TestApp::with(&variables("HS256")).await;
    let admin = app.admin("root").await;
    let forge = Forge::on(app, admin).await;
    assert_eq!(forge.claims["role"], "Admin");
    forge.present_at("/api/users", &forge.with_claim("role", "User")).await.expect_status(200);
}

/// Two sessions of one person, somebody else's, and an admin; what the admin does must strike the one and spare the other.
struct Scene {
    app: TestApp,
    admin: Person,
    person: Person,
    elsewhere: Person,
    bystander: Person,
}

impl Scene {
    async fn of(algorithm: &'static str) -> Self {
        let app = TestApp::with(&variables(algorithm)).await;
        let (admin, person, bystander) = (app.admin("root").await, app.user("saif").await, app.user("lina").await);
        let scene = Self { elsewhere: app.sign_in("saif").await, app, admin, person, bystander };
        // Everybody's token was in use before, so that whatever is remembered of it must be dropped.
        for somebody in [&scene.admin, &scene.person, &scene.elsewhere, &scene.bystander] {
            somebody.profile().await.expect_status(200);
        }
        scene
    }

    fn path(&self) -> String {
        format!("/api/users/{}", self.person.id)
    }

    /// Both sessions' access tokens are refused at once; everybody else's are not.
    async fn has_lost_all(&self, what: &str) {
        for person in [&self.person, &self.elsewhere] {
            refused_everywhere(person, what).await;
        }
        self.bystander.profile().await.expect_status(200);
        self.admin.profile().await.expect_status(200);
    }
}

async fn refused_everywhere(person: &Person, what: &str) {
    let requests = [
        (Method::GET, "/api/users/profile"),
        (Method::POST, "/api/users/profile"),
        (Method::GET, "/api/users/me/sessions"),
        (Method::POST, "/api/auth/logout"),
        (Method::POST, "/api/auth/logout-all"),
        (Method::GET, "/api/users"),
        (Method::GET, "/api/sessions"),
    ];
    for (method, path) in requests {
        let answer = crate::harness::Answer::of(person.request(method.clone(), path).send().await.unwrap()).await;
        assert_eq!(answer.status, 401, "{what}: {method} {path}: {answer:?}");
        answer.expect_problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn f18_a_role_change_is_felt_at_the_next_request() {
    for algorithm in ["ES256", "HS256"] {
        let scene = Scene::of(algorithm).await;
        scene.admin.patch(&scene.path(), &json!({ "role": "Admin" })).await.expect_status(200);
        scene.has_lost_all("raised").await;
        let raised = scene.app.sign_in("saif").await;
        raised.get("/api/users").await.expect_status(200);
        scene.admin.patch(&scene.path(), &json!({ "role": "User" })).await.expect_status(200);
        refused_everywhere(&raised, "demoted").await;
        scene.has_lost_all("demoted").await;
        let pair = scene.app.refresh(&raised.refresh_token).await.expect_status(200);
        let demoted = Person::of_pair(&scene.app, &pair);
        assert_eq!(pair.text_at("role"), "User");
        demoted.get("/api/users").await.expect_problem(403, "insufficient_role");
    }
}

#[tokio::test]
async fn f18_a_disabled_user_is_out_at_the_next_request_and_old_tokens_stay_dead() {
    let scene = Scene::of("ES256").await;
    scene.admin.patch(&scene.path(), &json!({ "disabled": true })).await.expect_status(200);
    scene.has_lost_all("disabled").await;
    scene.app.refresh(&scene.person.refresh_token).await.expect_status(401);
    scene.admin.patch(&scene.path(), &json!({ "disabled": false })).await.expect_status(200);
    scene.has_lost_all("enabled again").await;
    scene.app.sign_in("saif").await.profile().await.expect_status(200);
}

#[tokio::test]
async fn f18_a_deleted_user_is_out_at_the_next_request() {
    let scene = Scene::of("ES256").await;
    scene.admin.delete(&scene.path()).await.expect_status(204);
    scene.has_lost_all("deleted").await;
    scene.app.refresh(&scene.person.refresh_token).await.expect_status(401);
    scene.app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn f18_a_new_password_ends_every_earlier_session_at_the_next_request() {
    let scene = Scene::of("ES256").await;
    let body = json!({ "currentPassword": PASSWORD, "newPassword": "another P@ssword 123" });
    let pair = scene.person.post("/api/users/password", &body).await.expect_status(200);
    scene.has_lost_all("another password").await;
    for old in [&scene.person, &scene.elsewhere] {
        scene.app.refresh(&old.refresh_token).await.expect_problem(401, "session_revoked");
    }
    Person::of_pair(&scene.app, &pair).profile().await.expect_status(200);
}

#[tokio::test]
async fn f18_a_logout_ends_its_own_session_and_logout_all_the_others_too() {
    let scene = Scene::of("ES256").await;
    scene.person.post_nothing("/api/auth/logout").await.expect_status(204);
    refused_everywhere(&scene.person, "signed out").await;
    scene.elsewhere.profile().await.expect_status(200);
    scene.elsewhere.post_nothing("/api/auth/logout-all").await.expect_status(204);
    scene.has_lost_all("signed out everywhere").await;
}

#[tokio::test]
async fn f18_what_an_admin_revokes_is_refused_at_the_next_request() {
    let scene = Scene::of("ES256").await;
    scene.admin.delete(&format!("/api/sessions/{}", scene.person.session_id)).await.expect_status(204);
    refused_everywhere(&scene.person, "one session revoked").await;
    scene.elsewhere.profile().await.expect_status(200);
    scene.admin.delete(&format!("{}/sessions", scene.path())).await.expect_status(204);
    scene.has_lost_all("all sessions revoked").await;
}

#[tokio::test]
async fn f18_a_user_ends_their_own_session_elsewhere() {
    let scene = Scene::of("ES256").await;
    let path = |person: &Person| format!("/api/users/me/sessions/{}", person.session_id);
    scene.bystander.delete(&path(&scene.person)).await.expect_problem(404, "not_found");
    scene.person.profile().await.expect_status(200);
    scene.elsewhere.delete(&path(&scene.person)).await.expect_status(204);
    refused_everywhere(&scene.person, "ended from elsewhere").await;
    scene.elsewhere.profile().await.expect_status(200);
}

#[tokio::test]
async fn f18_a_token_that_outlives_its_session_is_refused_with_it() {
    // The session may live for a day; a token of its last minutes ends with it.
    let app = TestApp::with(&[("SESSION_MAX_DAYS", "1"), ("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "1")]).await;
    let person = app.user("saif").await;
    app.advance(std::time::Duration::from_secs(24 * 3600 - 60));
    let pair = app.refresh(&person.refresh_token).await.expect_status(200);
    assert!(pair.json()["expiresIn"].as_u64().unwrap() <= 60, "{pair:?}");
    let forge = Forge::on(app, person).await;
    let now = forge.app.now().as_seconds();
    let longer = changed(&changed(&forge.claims, "iat", json!(now)), "exp", json!(now + 600));
    let token = forge.saying(longer.to_string());
    forge.accepts("a forged longer one, while the session lives", &token).await;
    forge.app.advance(std::time::Duration::from_secs(61));
    forge.present(&token).await.expect_problem(401, "invalid_token");
}
