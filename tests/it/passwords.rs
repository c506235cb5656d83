//! Passwords: which are taken, and that signing in with them and changing them keeps its promises.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp, dump};
use crate::registration::{REGISTER, account, with};
use crate::stored_passwords::stored_hash;

pub const CHANGE: &str = "/api/users/password";
const SENTENCE: &str = "staple horse correct battery and so on, over the hills and far away; ";

/// So many bytes that are no repetition of anything short.
fn long(bytes: usize) -> String {
    SENTENCE.chars().cycle().take(bytes).collect()
}

async fn register(app: &TestApp, name: &str, password: &str) -> Answer {
    app.post(REGISTER, &with(account(name, name), "password", json!(password))).await
}

pub fn change(current: &str, new: &str) -> Value {
    json!({ "currentPassword": current, "newPassword": new })
}

/// Whether a password is taken both at registration and at a change, and refused for the same reason at both.
async fn verdict(app: &TestApp, name: &str, password: &str) -> Option<String> {
    let person = app.user(&format!("{name}-before")).await;
    let registered = register(app, name, password).await;
    let changed = person.post(CHANGE, &change(PASSWORD, password)).await;
    if registered.status == 201 {
        changed.expect_status(200);
        app.login(name, password).await.expect_status(200);
        app.login(&format!("{name}-before"), password).await.expect_status(200);
        return None;
    }
    let registered = registered.expect_problem(400, "validation_failed");
    let changed = changed.expect_problem(400, "validation_failed");
    assert_eq!((registered.pointers(), changed.pointers()), (vec!["#/password".into()], vec!["#/newPassword".into()]));
    app.login(name, password).await.expect_problem(401, "invalid_credentials");
    app.login(&format!("{name}-before"), PASSWORD).await.expect_status(200);
    let reason = |answer: &Answer| answer.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert_eq!(reason(&registered), reason(&changed));
    Some(reason(&registered))
}

#[tokio::test]
async fn j1_length_counts_code_points_after_composition() {
    let app = TestApp::start().await;
    assert_eq!(verdict(&app, "seven", "k7#pQ2z").await.unwrap(), "must be at least 8 characters long");
    assert_eq!(verdict(&app, "eight", "k7#pQ2zx").await, None);
    let strict = TestApp::on(app.database.clone(), &[("PASSWORD_MIN_LENGTH", "15")]).await;
    for (name, password) in [
        ("ascii", "korrekt hestar".to_owned()),
        ("emoji", "😀".repeat(14)),
        ("decomposed", "e\u{301}".repeat(14)),
        ("bytes", "é".repeat(14)),
        ("spaces", format!("{}x", " ".repeat(13))),
    ] {
        let answer = register(&strict, name, &password).await.expect_problem(400, "validation_failed");
        assert!(answer.text.contains("must be at least 15 characters long"), "{answer:?}");
        let one_more = if name == "decomposed" { "e\u{301}" } else { "é" };
        register(&strict, name, &format!("{password}{one_more}")).await.expect_status(201);
    }
    // What was chosen before the minimum was raised still signs in.
    app.login("eight", "k7#pQ2zx").await.expect_status(200);
    strict.login("eight", "k7#pQ2zx").await.expect_status(200);
}

#[tokio::test]
async fn j2_j3_long_passwords_are_taken_and_nothing_of_them_is_cut_off() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    for length in [64, 71, 72, 73, 100, 128, 1_024] {
        let (name, password) = (format!("len{length}"), long(length));
        register(&app, &name, &password).await.expect_status(201);
        app.login(&name, &password).await.expect_status(200);
        for cut in [55, 56, 63, 71, 72, 73, length - 1] {
            if cut < length {
                app.login(&name, &password[..cut]).await.expect_problem(401, "invalid_credentials");
            }
        }
        if length < 1_024 {
            app.login(&name, &format!("{password}x")).await.expect_problem(401, "invalid_credentials");
        }
        app.login(&name, &format!("{}x", &password[..length - 1])).await.expect_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn j2_what_is_too_long_is_refused_before_anything_is_hashed() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    // One hash at this cost takes seconds, so that the answers below cannot have waited for one.
    let slow = TestApp::on(app.database.clone(), &[("BCRYPT_COST", "16")]).await;
    let saif = Person::of_pair(&slow, &slow.refresh(&person.refresh_token).await.expect_status(200));
    let began = std::time::Instant::now();
    // Bytes count as they are sent, whatever becomes of them by composition.
    let texts = [long(1_025), "é".repeat(513), "e\u{301}".repeat(400), long(4_096), long(16_000)];
    for password in texts {
        for name in ["saif", "nobody"] {
            let answer = slow.login(name, &password).await.expect_problem(400, "validation_failed");
            assert_eq!(answer.pointers(), ["#/password"]);
        }
        let answer = register(&slow, "other", &password).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), ["#/password"]);
        let answer = saif.post(CHANGE, &change("x", &password)).await;
        assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), ["#/newPassword"]);
        saif.post(CHANGE, &change(&password, "another sentence")).await.expect_problem(403, "wrong_password");
    }
    assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
    app.login("saif", PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn j2_a_megabyte_of_password_is_too_large_everywhere() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for length in [16 * 1_024, 100_000, 1_000_000, 1_048_576] {
        let password = long(length);
        app.login("saif", &password).await.expect_problem(413, "payload_too_large");
        register(&app, "other", &password).await.expect_problem(413, "payload_too_large");
        for body in [change(&password, "another sentence"), change(PASSWORD, &password)] {
            person.post(CHANGE, &body).await.expect_problem(413, "payload_too_large");
        }
    }
    app.login("saif", PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn j4_a_nul_is_a_character_like_any_other() {
    let app = TestApp::start().await;
    let password = "aaaaaaaaaaaaaaa\0b";
    assert_eq!(verdict(&app, "nul", password).await, None);
    for other in ["aaaaaaaaaaaaaaa\0c", "aaaaaaaaaaaaaaa\0", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab", "\0"] {
        app.login("nul", other).await.expect_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn j5_any_character_is_allowed_and_none_is_trimmed() {
    let app = TestApp::start().await;
    let passwords = [
        "onlylowercaseletters",
        "73519468205731",
        "  leading and trailing  ",
        "😀😃😄😁😆😅🤣😂",
        "tab\tand\nline",
        "\u{200b}zero\u{202e}width",
        "P@ssword123",
        "\u{fffd}\u{10ffff}\u{e000}xxxxx",
        "'; DROP TABLE users; --",
        "\u{feff}with a mark",
        "пароль мой",
    ];
    for (number, password) in passwords.into_iter().enumerate() {
        let name = format!("person{number}");
        assert_eq!(verdict(&app, &name, password).await, None, "{password:?}");
        for other in [format!("{password} "), format!(" {password}"), password.to_uppercase(), password.to_lowercase()]
        {
            if other != password {
                app.login(&name, &other).await.expect_problem(401, "invalid_credentials");
            }
        }
        if password.trim() != password {
            app.login(&name, password.trim()).await.expect_problem(401, "invalid_credentials");
        }
    }
}

#[tokio::test]
async fn j6_common_passwords_and_ones_own_names_are_refused_with_the_reason() {
    let app = TestApp::start().await;
    let common = [
        "password1",
        "PASSWORD1",
        "qwertyuiopasdfgh",
        "123456789012345",
        "PasswordPassword",
        "aaaaaaaaaaaaaaa",
        "relatchrelatch",
        "RELATCHrelatch",
        "iloveyou1",
        "abcabcabcabc",
        "zxcvbnmasdfghjkl",
    ];
    for (number, password) in common.into_iter().enumerate() {
        let reason = verdict(&app, &format!("common{number}"), password).await;
        assert_eq!(reason.unwrap(), "is too common: it is among the first that are guessed", "{password}");
    }
    let body = |password: &str| json!({ "username": "Åsa.Lindström", "email": "Asa@B.example", "password": password });
    for password in ["Åsa.Lindström", "åsa.lindström", "A\u{30a}SA.LINDSTRO\u{308}M"] {
        let answer = app.post(REGISTER, &body(password)).await.expect_problem(400, "validation_failed");
        assert!(answer.text.contains("must not be the username"), "{answer:?}");
    }
    for password in ["Asa@B.example", "ASA@b.EXAMPLE"] {
        let answer = app.post(REGISTER, &body(password)).await.expect_problem(400, "validation_failed");
        assert!(answer.text.contains("must not be the e-mail address"), "{answer:?}");
    }
    app.post(REGISTER, &body("Åsa.Lindström and more")).await.expect_status(201);
    let answer = app.login("åsa.lindström", "Åsa.Lindström and more").await.expect_status(200);
    let person = Person::of_pair(&app, &answer);
    for password in ["åsa.LINDSTRÖM", "asa@b.example"] {
        let answer = person.post(CHANGE, &change("Åsa.Lindström and more", password)).await;
        assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), ["#/newPassword"]);
    }
}

#[tokio::test]
async fn j7_composition_makes_no_difference_but_compatibility_does() {
    let app = TestApp::start().await;
    register(&app, "composed", "mon caf\u{e9} du matin").await.expect_status(201);
    app.login("composed", "mon cafe\u{301} du matin").await.expect_status(200);
    app.login("composed", "mon cafe du matin").await.expect_problem(401, "invalid_credentials");
    register(&app, "ligature", "old \u{fb01}sh market").await.expect_status(201);
    app.login("ligature", "old fish market").await.expect_problem(401, "invalid_credentials");
    register(&app, "wide", "ｗｉｄｅ letters").await.expect_status(201);
    app.login("wide", "wide letters").await.expect_problem(401, "invalid_credentials");
    // A change counts in the same way.
    let answer = app.login("composed", "mon cafe\u{301} du matin").await;
    let person = Person::of_pair(&app, &answer);
    person.post(CHANGE, &change("mon cafe\u{301} du matin", "un the\u{301} du soir")).await.expect_status(200);
    app.login("composed", "un th\u{e9} du soir").await.expect_status(200);
}

#[tokio::test]
async fn j8_no_password_expires_and_nothing_stands_in_for_one() {
    let app = TestApp::start().await;
    let members = ["hint", "passwordHint", "securityQuestion", "securityAnswer", "passwordExpiresAt"];
    let body = members.into_iter().fold(account("saif", "saif"), |body, name| with(body, name, json!("canary")));
    app.post(REGISTER, &with(body, "password", json!(PASSWORD))).await.expect_status(201);
    assert!(!dump(&app.database).await.contains("canary"), "somebody keeps what could stand in for a password");
    for member in members {
        let body = json!({ "username": "saif", "password": "wrong password", member: "canary" });
        app.post("/api/auth/login", &body).await.expect_problem(401, "invalid_credentials");
    }
    app.advance(Duration::from_hours(10 * 366 * 24));
    app.login("saif", PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn j11_a_change_needs_the_current_password() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let person = app.user("saif").await;
    let before = stored_hash(&app, person.id).await;
    for wrong in ["", "wrong password", "P@ssword12", "p@ssword123", "P@ssword123 ", "P@ssword123\0", &before] {
        let answer = person.post(CHANGE, &change(wrong, "another sentence")).await;
        answer.expect_problem(403, "wrong_password");
    }
    for (body, pointer) in [
        (json!({ "newPassword": "another sentence" }), "#/currentPassword"),
        (json!({ "currentPassword": PASSWORD }), "#/newPassword"),
        (json!({ "currentPassword": null, "newPassword": "another sentence" }), "#/currentPassword"),
        (json!({ "current_password": PASSWORD, "newPassword": "another sentence" }), "#/currentPassword"),
        (json!([PASSWORD, "another sentence"]), "#"),
    ] {
        let answer = person.post(CHANGE, &body).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), [pointer]);
    }
    assert_eq!(stored_hash(&app, person.id).await, before);
    person.profile().await.expect_status(200);
    app.refresh(&person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn j12_after_a_change_every_earlier_session_and_token_is_dead() {
    let app = TestApp::start().await;
    let bystander = app.user("bystander").await;
    let first = app.user("saif").await;
    let (second, third) = (app.sign_in("saif").await, app.sign_in("saif").await);
    let rotated = app.refresh(&third.refresh_token).await.expect_status(200);
    let answer = second.post(CHANGE, &change(PASSWORD, "another sentence")).await.expect_status(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let fresh = Person::of_pair(&app, &answer);
    assert!([&first, &second, &third].iter().all(|old| old.session_id != fresh.session_id));
    let rotated = Person::of_pair(&app, &rotated);
    for old in [&first, &second, &third, &rotated] {
        old.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&old.refresh_token).await.expect_problem(401, "session_revoked");
        let again = old.post(CHANGE, &change("another sentence", "a third sentence")).await;
        again.expect_problem(401, "invalid_token");
    }
    fresh.profile().await.expect_status(200);
    let own = fresh.get("/api/users/me/sessions").await.expect_status(200).json();
    assert_eq!((own.as_array().unwrap().len(), &own[0]["id"]), (1, &json!(fresh.session_id)));
    let next = Person::of_pair(&app, &app.refresh(&fresh.refresh_token).await.expect_status(200));
    next.profile().await.expect_status(200);
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    app.login("saif", "another sentence").await.expect_status(200);
    bystander.profile().await.expect_status(200);
    app.refresh(&bystander.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn j13_bytes_that_are_not_utf8_are_refused_and_not_replaced() {
    let app = TestApp::start().await;
    app.user("saif").await;
    register(&app, "fffd", "eight \u{fffd} chars").await.expect_status(201);
    let body = |member: &[u8]| [br#"{"username":"fffd","password":"eight "#, member, br#" chars"}"#].concat();
    app.post_text("/api/auth/login", body("\u{fffd}".as_bytes())).await.expect_status(200);
    // Truncated, overlong, a surrogate, beyond the last code point, Latin-1.
    for bytes in [&b"\xff"[..], b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe9", b"\x80"] {
        app.post_text("/api/auth/login", body(bytes)).await.expect_problem(400, "invalid_json");
        for member in ["username", "email", "password", "ignored"] {
            let start = br#"{"username":"x","email":"x@example.com","password":"eight chars","#;
            let start = if member == "ignored" { start.to_vec() } else { br#"{"#.to_vec() };
            let body = [&start, br#"""#.as_slice(), member.as_bytes(), br#"":"a"#, bytes, br#"b"}"#].concat();
            app.post_text(REGISTER, body).await.expect_problem(400, "invalid_json");
        }
    }
}

#[tokio::test]
async fn names_and_addresses_sign_in_in_any_case() {
    let app = TestApp::start().await;
    let person = app.user("Saif.Al-Din").await;
    let variants = [
        "Saif.Al-Din",
        "saif.al-din",
        "SAIF.AL-DIN",
        "sAIF.aL-dIN",
        "ｓａｉｆ.al-din",
        "Saif.Al-Din@example.com",
        "saif.al-din@EXAMPLE.COM",
        "SAIF.AL-DIN@Example.Com",
    ];
    for variant in variants {
        let answer = app.login(variant, PASSWORD).await.expect_status(200);
        assert_eq!((answer.json()["id"].as_i64(), answer.text_at("username")), (Some(person.id), "Saif.Al-Din".into()));
        app.login(variant, "p@ssword123").await.expect_problem(401, "invalid_credentials");
    }
    for near in ["Saif.Al-Din ", " Saif.Al-Din", "Saif.Al", "saif.al-din@example.org", "@", "1", ""] {
        app.login(near, PASSWORD).await.expect_problem(401, "invalid_credentials");
    }
}
