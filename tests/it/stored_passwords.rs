//! How passwords are stored: salted, strengthened when the cost rises, and harmless when damaged or from elsewhere.

use diesel::prelude::*;
use relatch::auth::import_user::{ImportError, ImportedAccount, import_user};
use relatch::domain::role::Role;
use relatch::domain::user::UserId;
use relatch::store::schema::users;

use crate::harness::{PASSWORD, TestApp};
use crate::passwords::{CHANGE, change};

pub async fn stored_hash(app: &TestApp, id: i64) -> String {
    let id = UserId::new(id).unwrap();
    let store = app.database.store();
    let hash = store.read(move |connection| relatch::store::users::password_hash(connection, id)).await;
    hash.unwrap().unwrap()
}

async fn store_hash(app: &TestApp, id: i64, hash: &str) {
    let (store, hash) = (app.database.store(), hash.to_owned());
    let user = users::table.find(id);
    let write = move |connection: &mut _| diesel::update(user).set(users::password_hash.eq(&hash)).execute(connection);
    assert_eq!(store.write(write).await.unwrap(), 1);
}

#[tokio::test]
async fn j9_hashes_are_salted_bcrypt_and_a_raised_cost_rehashes_at_the_next_login() {
    let app = TestApp::start().await;
    let (one, two) = (app.user("one").await, app.user("two").await);
    let first = stored_hash(&app, one.id).await;
    assert!(first.starts_with("v1:$2b$04$") && first.len() == 63, "{first}");
    assert_ne!(first[..32], stored_hash(&app, two.id).await[..32], "each has its own salt");
    app.login("one", PASSWORD).await.expect_status(200);
    assert_eq!(stored_hash(&app, one.id).await, first, "nothing to strengthen");
    let app = app.restart(&[("BCRYPT_COST", "5")]).await;
    app.login("one", "wrong password").await.expect_problem(401, "invalid_credentials");
    assert_eq!(stored_hash(&app, one.id).await, first);
    // The session from before goes on: this is no change of the password.
    app.login("one", PASSWORD).await.expect_status(200);
    let second = stored_hash(&app, one.id).await;
    assert!(second.starts_with("v1:$2b$05$"), "{second}");
    app.refresh(&one.refresh_token).await.expect_status(200);
    app.login("one", PASSWORD).await.expect_status(200);
    assert_eq!(stored_hash(&app, one.id).await, second);
    assert!(stored_hash(&app, two.id).await.starts_with("v1:$2b$04$"), "who stays away keeps theirs");
    // A lowered cost weakens nothing.
    let app = app.restart(&[("BCRYPT_COST", "4")]).await;
    app.login("one", PASSWORD).await.expect_status(200);
    assert_eq!(stored_hash(&app, one.id).await, second);
}

#[tokio::test]
async fn j10_a_damaged_hash_lets_nobody_in_and_breaks_nothing() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let (person, beside) = (app.user("damaged").await, app.user("beside").await);
    let good = stored_hash(&app, person.id).await;
    let damaged = [
        String::new(),
        "v1:".to_owned(),
        "x".to_owned(),
        PASSWORD.to_owned(),
        "é".repeat(30),
        good.replace("v1:", ""),
        good.replace("v1:", "v2:"),
        good.replace("$04$", "$31$"),
        good.replace("$04$", "$99$"),
        good.replace("$04$", "$-1$"),
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
        "v1:$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdA$aGFzaA".to_owned(),
    ];
    for hash in damaged {
        store_hash(&app, person.id, &hash).await;
        app.login("damaged", PASSWORD).await.expect_problem(401, "invalid_credentials");
        let answer = person.post(CHANGE, &change(PASSWORD, "another sentence")).await;
        answer.expect_problem(403, "wrong_password");
        person.profile().await.expect_status(200);
        assert_eq!(stored_hash(&app, person.id).await, hash);
        beside.profile().await.expect_status(200);
        app.login("beside", PASSWORD).await.expect_status(200);
    }
    store_hash(&app, person.id, &good).await;
    app.login("damaged", PASSWORD).await.expect_status(200);
}

/// `U*U` under the salt of crypt_blowfish's own test vectors.
const VECTOR: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

#[tokio::test]
async fn imported_hashes_sign_in_and_are_replaced() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    for version in ["2a", "2b", "2y"] {
        let (email, hash) = (format!("{version}@example.com"), VECTOR.replace("2a", version));
        let role = if version == "2y" { Role::Admin } else { Role::User };
        let account = ImportedAccount { username: version, email: &email, password_hash: &hash, role };
        let user = import_user(app.app.auth(), account).await.unwrap();
        assert_eq!(stored_hash(&app, user.id.get()).await, hash);
        for wrong in ["U*V", "u*u", "U*U ", "U*U\0", "", &hash] {
            app.login(version, wrong).await.expect_problem(401, "invalid_credentials");
        }
        assert_eq!(stored_hash(&app, user.id.get()).await, hash, "only the right password replaces it");
        let answer = app.login(version, "U*U").await.expect_status(200);
        assert_eq!(answer.text_at("role"), role.as_str());
        let replaced = stored_hash(&app, user.id.get()).await;
        assert!(replaced.starts_with("v1:$2b$04$"), "{replaced}");
        app.login(version, "U*U").await.expect_status(200);
        app.login(version, "U*V").await.expect_problem(401, "invalid_credentials");
        assert_eq!(stored_hash(&app, user.id.get()).await, replaced);
        app.refresh(&answer.text_at("refreshToken")).await.expect_status(200);
    }
    for hash in ["", "U*U", "v1:", &VECTOR[..59], &VECTOR.replace("$05$", "$17$"), &VECTOR.replace("2a", "2x")] {
        let account = ImportedAccount { username: "x", email: "x@example.com", password_hash: hash, role: Role::User };
        let refused = import_user(app.app.auth(), account).await;
        assert!(matches!(refused, Err(ImportError::UnknownHash)), "{hash}: {refused:?}");
    }
}
