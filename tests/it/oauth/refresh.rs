//! `POST /oauth/token` with `grant_type=refresh_token`: section A of the requirements.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::{REVOKE, Registered, TOKEN, form, post, raw_form, refresh};
use crate::harness::{Answer, TestApp, raw};

#[tokio::test]
async fn a1_a2_a_refresh_answers_as_oauth_libraries_expect() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let answer = refresh(&app, &person.refresh_token).await.expect_status(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let body = answer.json();
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_after", "refresh_token", "token_type"]);
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("Bearer"), Some(900)));
    let refresh_after = body["refresh_after"].as_u64().unwrap();
    assert!((630..=810).contains(&refresh_after), "{refresh_after}");
    person.with_access_token(&answer.text_at("access_token")).profile().await.expect_status(200);
    // It is the same token as at /api: each door spends it for both.
    let next = answer.text_at("refresh_token");
    assert!(next.starts_with("rlr_") && next.bytes().all(|byte| byte.is_ascii_graphic()));
    let other_door = app.refresh(&next).await.expect_status(200).text_at("refreshToken");
    assert_ne!(other_door, next);
    assert_eq!(refresh(&app, &next).await.expect_status(200).text_at("refresh_token"), other_door, "a retry");
}

#[tokio::test]
async fn a4_nothing_but_post_is_a_way_to_a_token() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let query = format!("?grant_type=refresh_token&refresh_token={}", person.refresh_token);
    for path in [TOKEN, REVOKE, super::INTROSPECT] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = app.send(app.request(method.clone(), &format!("{path}{query}"))).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method} {path}: {answer:?}");
            if method != Method::HEAD {
                answer.expect_oauth_error(405, "invalid_request");
            }
        }
    }
    // What is in the address of a POST does not count either, so that it is in nobody's log.
    let answer = app.send(raw_form(&app, &format!("{TOKEN}{query}"), "")).await;
    answer.expect_oauth_error(400, "invalid_request");
    refresh(&app, &person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn a5_a6_a7_a8_parameters_are_ignored_missed_or_refused_as_the_standard_says() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let token = person.refresh_token.as_str();
    for (fields, error) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "")], "invalid_request"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "")], "invalid_request"),
        (vec![("refresh_token", token)], "invalid_request"),
        (vec![("grant_type", "foo"), ("refresh_token", token)], "unsupported_grant_type"),
        (vec![("grant_type", "REFRESH_TOKEN"), ("refresh_token", token)], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code"), ("code", "x")], "unsupported_grant_type"),
        (vec![("grant_type", "\"<x>\u{e9}\\")], "unsupported_grant_type"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", token), ("refresh_token", token)], "invalid_request"),
        (
            vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token"), ("refresh_token", token)],
            "invalid_request",
        ),
        (vec![("grant_type", "refresh_token"), ("refresh_token", token), ("x", "1"), ("x", "2")], "invalid_request"),
    ] {
        post(&app, TOKEN, &fields).await.expect_oauth_error(400, error);
    }
    // A password is no grant here (RFC 9700 §2.4), right or wrong.
    let password = [("grant_type", "password"), ("username", "saif"), ("password", crate::harness::PASSWORD)];
    post(&app, TOKEN, &password).await.expect_oauth_error(400, "unsupported_grant_type");
    let known = [("grant_type", "refresh_token"), ("refresh_token", token), ("foo", "1"), ("resource", "https://x")];
    let answer = post(&app, TOKEN, &known).await.expect_status(200);
    // Empty is as good as not there.
    let next = answer.text_at("refresh_token");
    let empty = [("grant_type", "refresh_token"), ("refresh_token", &next), ("scope", ""), ("client_id", "")];
    post(&app, TOKEN, &empty).await.expect_status(200);
}

/// Everything that must be the same: all but the date and what names the request.
fn comparable(answer: &Answer) -> (u16, HeaderMap, Value) {
    let mut headers = answer.headers.clone();
    headers.remove("date");
    headers.remove("x-request-id");
    (answer.status, headers, answer.json())
}

#[tokio::test]
async fn a9_every_token_that_is_worth_nothing_gets_the_same_bytes() {
    let app = TestApp::with(&[("REFRESH_GRACE_SECONDS", "0")]).await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let (rotated, revoked, disabled) = (app.user("rotated").await, app.user("revoked").await, app.user("off").await);
    let others = app.user("others").await;
    refresh(&app, &rotated.refresh_token).await.expect_status(200);
    revoked.post_nothing("/api/auth/logout").await.expect_status(204);
    admin.patch(&format!("/api/users/{}", disabled.id), &json!({ "disabled": true })).await.expect_status(200);
    let forged = format!("{}AA", &revoked.refresh_token[..revoked.refresh_token.len() - 2]);
    let mut answers = vec![
        ("garbage", refresh(&app, "garbage").await),
        ("an access token", refresh(&app, &rotated.access_token).await),
        ("forged", refresh(&app, &forged).await),
        ("rotated", refresh(&app, &rotated.refresh_token).await),
        ("ended by theft", refresh(&app, &rotated.refresh_token).await),
        ("revoked", refresh(&app, &revoked.refresh_token).await),
        ("disabled", refresh(&app, &disabled.refresh_token).await),
    ];
    // B17: what another client sends was not issued to it, and is no reason to end anything.
    let fields = [("grant_type", "refresh_token"), ("refresh_token", others.refresh_token.as_str())];
    answers.push(("another client's", client.post(&app, TOKEN, &fields).await));
    let named = [fields[0], fields[1], ("client_id", client.id.as_str())];
    answers.push(("another client's, unproven", post(&app, TOKEN, &named).await));
    let unknown = [fields[0], fields[1], ("client_id", "somebody")];
    answers.push(("an unknown client's", post(&app, TOKEN, &unknown).await));
    refresh(&app, &others.refresh_token).await.expect_status(200);
    app.advance(Duration::from_hours(8 * 24));
    answers.push(("expired", refresh(&app, &others.refresh_token).await));
    let first = comparable(&answers[0].1.clone().expect_oauth_error(400, "invalid_grant"));
    for (what, answer) in &answers {
        assert_eq!(comparable(answer), first, "{what}");
        assert_eq!(answer.text, answers[0].1.text, "{what}");
    }
}

#[tokio::test]
async fn a12_nothing_that_was_sent_comes_back() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for fields in [
        [("grant_type", "\"<canary>\\\u{e9}"), ("refresh_token", "x")],
        [("grant_type", "refresh_token"), ("refresh_token", "canary\"<x>\u{e9}\\")],
        [("grant_type", "client_credentials"), ("client_id", "canary\"\\")],
    ] {
        let answer = post(&app, TOKEN, &fields).await;
        assert!(!answer.text.contains("canary"), "{answer:?}");
        let error = answer.text_at("error");
        let status = if error == "invalid_client" { 401 } else { 400 };
        answer.expect_oauth_error(status, &error);
    }
    let scope = [
        ("grant_type", "refresh_token"),
        ("refresh_token", person.refresh_token.as_str()),
        ("scope", "canary \u{e9}\"\\"),
    ];
    let answer = post(&app, TOKEN, &scope).await.expect_oauth_error(400, "invalid_scope");
    assert!(!answer.text.contains("canary"));
}

#[tokio::test]
async fn a13_a_refresh_widens_nothing() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for scope in ["introspect", "users:read", "openid", "offline_access"] {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &person.refresh_token), ("scope", scope)];
        post(&app, TOKEN, &fields).await.expect_oauth_error(400, "invalid_scope");
    }
    // Nothing was spent by that.
    let answer = refresh(&app, &person.refresh_token).await.expect_status(200);
    assert!(answer.json().get("scope").is_none());
}

#[tokio::test]
async fn a14_o6_what_is_no_form_is_refused() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let body = format!("grant_type=refresh_token&refresh_token={}", person.refresh_token);
    for path in [TOKEN, REVOKE, super::INTROSPECT] {
        for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain", "application/xml", ""] {
            let request = app.request(Method::POST, path).header("content-type", kind).body(body.clone());
            app.send(request).await.expect_oauth_error(400, "invalid_request");
        }
        let json = app.request(Method::POST, path).json(&json!({ "grant_type": "refresh_token", "token": "x" }));
        app.send(json).await.expect_oauth_error(400, "invalid_request");
        let zipped = raw_form(&app, path, body.clone()).header("content-encoding", "gzip");
        app.send(zipped).await.expect_oauth_error(415, "invalid_request");
        for wrong in
            [&b"token=%ff&grant_type=refresh_token&refresh_token=%ff"[..], b"token=\xff", b"token=%", b"token=%zz"]
        {
            app.send(raw_form(&app, path, wrong.to_vec())).await.expect_oauth_error(400, "invalid_request");
        }
    }
    let charset = app.request(Method::POST, TOKEN).body(body);
    let charset = charset.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    app.send(charset).await.expect_status(200);
}

#[tokio::test]
async fn a11_a_client_says_in_one_way_who_it_is() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let grant = ("grant_type", "client_credentials");
    for fields in [
        vec![grant, ("client_id", id), ("client_secret", secret)],
        vec![grant, ("client_secret", secret)],
        vec![grant, ("client_id", "relatch")],
    ] {
        client.post(&app, TOKEN, &fields).await.expect_oauth_error(400, "invalid_request");
    }
    // The same id in the body is no second way, and some libraries write it there.
    client.post(&app, TOKEN, &[grant, ("client_id", id)]).await.expect_status(200);
    post(&app, TOKEN, &[grant, ("client_id", id), ("client_secret", secret)]).await.expect_status(200);
    post(&app, TOKEN, &[grant, ("client_secret", secret)]).await.expect_oauth_error(400, "invalid_request");
    let two = form(&app, TOKEN, &[grant]).basic_auth(id, Some(secret)).basic_auth(id, Some(secret));
    app.send(two).await.expect_oauth_error(400, "invalid_request");
}

#[tokio::test]
async fn a_public_client_may_write_its_id_anywhere() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", person.refresh_token.as_str())];
    let answers = [
        post(&app, TOKEN, &fields).await,
        post(&app, TOKEN, &[fields[0], fields[1], ("client_id", "relatch")]).await,
        app.send(form(&app, TOKEN, &fields).basic_auth("relatch", Some(""))).await,
    ];
    for answer in answers {
        answer.expect_status(200);
    }
    // It has no secret, so that none is right.
    let answer = app.send(form(&app, TOKEN, &fields).basic_auth("relatch", Some("secret"))).await;
    answer.expect_oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn r6_what_goes_wrong_around_the_endpoints_is_an_error_of_oauth_too() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for path in ["/oauth", "/oauth/", "/oauth/nothing", "/oauth/token/", "/oauth/token/x"] {
        app.get(path).await.expect_oauth_error(404, "invalid_request");
        post(&app, path, &[("grant_type", "refresh_token")]).await.expect_oauth_error(404, "invalid_request");
    }
    let large = format!("grant_type=refresh_token&refresh_token={}", "x".repeat(20_000));
    let answer = app.send(raw_form(&app, TOKEN, large)).await.expect_oauth_error(413, "invalid_request");
    assert_eq!(answer.header("connection"), "close");
    // Too often.
    let mut token = person.refresh_token.clone();
    for _ in 0..60 {
        token = refresh(&app, &token).await.expect_status(200).text_at("refresh_token");
    }
    let answer = refresh(&app, &token).await.expect_oauth_error(429, "slow_down");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    app.advance(Duration::from_secs(60));
    let token = refresh(&app, &token).await.expect_status(200).text_at("refresh_token");
    // The database is damaged.
    crate::harness::execute(&app.database, "ALTER TABLE sessions RENAME TO elsewhere").await;
    let answer = refresh(&app, &token).await.expect_oauth_error(500, "server_error");
    assert!(!answer.text.contains("elsewhere") && !answer.text.contains("sessions"), "{answer:?}");
    crate::harness::execute(&app.database, "ALTER TABLE elsewhere RENAME TO sessions").await;
    refresh(&app, &token).await.expect_status(200);
    // A slow client.
    let head = "POST /oauth/token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded";
    let answer = raw(app.address, format!("{head}\r\ncontent-length: 5\r\nconnection: close\r\n\r\na=1&b").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"error\":\"invalid_request\""), "{answer}");
}
