//! What a list is, and how it is asked for.

use std::collections::HashSet;
use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use relatch::auth::Actor;
use relatch::auth::rotate_keys::{Haste, rotate_keys};
use relatch::domain::client::Client;
use reqwest::Method;
use serde_json::json;

use super::verifier::{Refusal, Verifier, bytes, place_of, status, unverified};
use super::{head, list_of, path_of};
use crate::harness::{Database, TestApp, execute};

#[tokio::test]
async fn i4_a_list_is_a_jwt_of_its_own_type_signed_with_a_public_key_about_the_url_in_the_tokens() {
    for (name, algorithm) in [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("RS256", Algorithm::RS256)] {
        let app = TestApp::with(&[("JWT_ALGORITHM", name), ("STATUS_TTL", "15")]).await;
        let person = app.user("saif").await;
        let (uri, place) = place_of(&unverified(&person.access_token)).unwrap();
        assert!(uri.starts_with(&format!("{}/status-lists/", app.config.public_url)) && place < 1 << 20, "{uri}");
        let list = list_of(&app, &person.access_token).await.expect_status(200).text;
        let header = jsonwebtoken::decode_header(&list).unwrap();
        let of_token = jsonwebtoken::decode_header(&person.access_token).unwrap();
        assert_eq!((header.typ.as_deref(), header.alg, header.kid), (Some("statuslist+jwt"), algorithm, of_token.kid));
        let claims = Verifier::of(&app).await.claims(&list, "statuslist+jwt").expect("a good signature");
        assert_eq!((&claims["sub"], &claims["iss"]), (&json!(uri), &json!(app.config.jwt.issuer)));
        let now = app.now().as_seconds();
        assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 300)));
        // What is left of STATUS_TTL for the list to be known and signed.
        assert_eq!(claims["ttl"], 13);
        assert_eq!(claims["status_list"]["bits"], 1);
        assert_eq!(claims.as_object().unwrap().len(), 6, "{claims}");
    }
}

#[tokio::test]
async fn i4_there_is_no_list_with_hs256_and_no_token_that_names_one() {
    let shared = "Zx4-shared-by-every-resource-server-7Qm";
    let app = TestApp::with(&[("JWT_ALGORITHM", "HS256"), ("JWT_KEY", shared)]).await;
    let person = app.user("saif").await;
    let refreshed = app.refresh(&person.refresh_token).await.expect_status(200);
    for token in [&person.access_token, &refreshed.text_at("jwtToken")] {
        assert!(unverified(token).get("status").is_none());
    }
    app.get("/status-lists").await.expect_problem(404, "not_found");
    app.get("/status-lists/any").await.expect_problem(404, "not_found");
    // When there is a public key, sessions that go on get their places.
    let app = app.restart(&[]).await;
    let again = app.refresh(&refreshed.text_at("refreshToken")).await.expect_status(200).text_at("jwtToken");
    list_of(&app, &again).await.expect_status(200);
}

#[tokio::test]
async fn i5_anybody_gets_a_list_as_what_it_is_and_once() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let path = path_of(&app, &place_of(&unverified(&person.access_token)).unwrap().0);
    let mut tokens = HashSet::new();
    for accept in ["application/statuslist+jwt", "*/*", "application/statuslist+jwt;q=0.9, */*;q=0.1"] {
        let answer = app.send(app.request(Method::GET, &path).header("accept", accept)).await.expect_status(200);
        assert_eq!(answer.header("content-type"), "application/statuslist+jwt");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
        // Caches on the way must not add to the list's own ttl.
        assert_eq!(answer.header("cache-control"), "public, no-cache");
        assert_eq!((answer.header("set-cookie"), answer.header("content-encoding")), ("", ""));
        assert_eq!(answer.text.split('.').count(), 3);
        let etag = answer.header("etag").to_owned();
        let again = app.send(app.request(Method::GET, &path).header("if-none-match", &etag)).await.expect_status(304);
        assert_eq!((again.text.as_str(), again.header("etag")), ("", etag.as_str()));
        assert_eq!(again.header("access-control-allow-origin"), "*");
        let head = head(&app, &path).await.expect_status(200);
        assert_eq!((head.text.as_str(), head.header("etag")), ("", etag.as_str()));
        assert_eq!(head.header("content-type"), "application/statuslist+jwt");
        tokens.insert(answer.text);
    }
    for (accepted, is_gzip) in [
        ("gzip, deflate, br", true),
        ("br;q=1, gzip;q=0.5", true),
        // Whoever says no more than this gets it as it is.
        ("*", false),
        ("gzip;q=0", false),
        ("br", false),
        ("identity", false),
        ("", false),
    ] {
        let get = || app.request(Method::GET, &path).header("accept-encoding", accepted);
        let response = get().send().await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-encoding").as_deref(), is_gzip.then_some("gzip"), "{accepted}");
        assert_eq!(header("vary").as_deref(), Some("accept-encoding"));
        let etag = header("etag").unwrap();
        let again = app.send(get().header("if-none-match", &etag)).await.expect_status(304);
        assert_eq!((again.header("etag"), again.header("content-encoding")), (etag.as_str(), ""));
        let body = response.bytes().await.unwrap();
        let mut text = String::new();
        if is_gzip {
            flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(body.to_vec()).unwrap();
        }
        tokens.insert(text);
    }
    assert_eq!(tokens.len(), 1);
    app.get("/status-lists/AAAAAAAAAAAA").await.expect_problem(404, "not_found");
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let refused = app.send(app.request(method, &path)).await.expect_problem(405, "method_not_allowed");
        assert!(refused.header("allow").contains("GET"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i7_sessions_that_begin_at_once_share_no_place_and_a_list_has_one_size() {
    let database = Arc::new(Database::create());
    let first = Arc::new(TestApp::on(Arc::clone(&database), &[("RATE_LIMITS", "off")]).await);
    let second = Arc::new(TestApp::on_at(database, &[("RATE_LIMITS", "off")], Arc::clone(&first.clock)).await);
    let alone = first.user("saif").await;
    let mut signing_in = tokio::task::JoinSet::new();
    for number in 0..100 {
        let app = Arc::clone(if number % 2 == 0 { &first } else { &second });
        signing_in.spawn(async move { app.sign_in("saif").await.access_token });
    }
    let mut tokens = signing_in.join_all().await;
    tokens.push(alone.access_token);
    let places: HashSet<(String, usize)> = tokens.iter().map(|token| place_of(&unverified(token)).unwrap()).collect();
    assert_eq!(places.len(), 101);
    let uris: HashSet<&String> = places.iter().map(|(uri, _)| uri).collect();
    assert_eq!(uris.len(), 1);
    // Their numbers do not tell who came when, or how many there are.
    let (low, high) = places.iter().fold((usize::MAX, 0), |(low, high), (_, at)| (low.min(*at), high.max(*at)));
    assert!(low < 200_000 && high > 800_000, "{low} to {high}");
    let list = unverified(&list_of(&first, &tokens[0]).await.text);
    assert_eq!(bytes(&list["status_list"]).len(), 131_072);
    // All tokens of a session have its place.
    let person = first.sign_in("saif").await;
    let refreshed = second.refresh(&person.refresh_token).await.expect_status(200).text_at("jwtToken");
    assert_eq!(place_of(&unverified(&refreshed)), place_of(&unverified(&person.access_token)));
}

#[tokio::test]
async fn i8_who_asks_for_the_past_does_not_get_the_present() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let path = path_of(&app, &place_of(&unverified(&person.access_token)).unwrap().0);
    for query in ["time=1700000000", "time=", "a=b&time=1", "%74ime=1"] {
        app.get(&format!("{path}?{query}")).await.expect_problem(501, "history_unsupported");
    }
    app.get(&format!("{path}?timely=1")).await.expect_status(200);
}

#[tokio::test]
async fn i9_a_verifier_accepts_no_list_but_the_right_one_while_it_is_valid() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let other_app = TestApp::start().await;
    let other = other_app.user("saif").await;
    let verifier = Verifier::of(&app).await;
    let list = list_of(&app, &person.access_token).await.text;
    let now = app.now().as_seconds();
    let check = async |token: &str, list: &str, now| verifier.check(token, now, async |_: &str| list.to_owned()).await;
    assert_eq!(check(&person.access_token, &list, now).await, Ok(()));
    // Of another issuer's keys, or no list at all.
    let foreign = list_of(&other_app, &other.access_token).await.text;
    assert_eq!(check(&person.access_token, &foreign, now).await, Err(Refusal::List));
    assert_eq!(check(&person.access_token, &person.access_token, now).await, Err(Refusal::List));
    // From its `exp` on, though the access token has not expired.
    assert_eq!(check(&person.access_token, &list, now + 299).await, Ok(()));
    assert_eq!(check(&person.access_token, &list, now + 300).await, Err(Refusal::ListExpired));
    // Another list of the same server.
    execute(&app.database, "UPDATE status_lists SET next_serial = 1048576").await;
    let app = app.restart(&[]).await;
    let newer = app.sign_in("saif").await;
    let newer_list = list_of(&app, &newer.access_token).await.text;
    assert_eq!(check(&newer.access_token, &newer_list, now).await, Ok(()));
    assert_eq!(check(&person.access_token, &newer_list, now).await, Err(Refusal::OtherList));
    // For a token that is not good, or no longer, nobody fetches anything.
    let fetch = async |_: &str| panic!("a list was fetched");
    assert_eq!(verifier.check(&other.access_token, now, fetch).await, Err(Refusal::Token));
    assert_eq!(verifier.check(&list, now, fetch).await, Err(Refusal::Token));
    assert_eq!(verifier.check(&person.access_token, now + 900, fetch).await, Err(Refusal::Token));
}

#[tokio::test]
async fn i10_all_lists_are_listed() {
    let app = TestApp::start().await;
    let none = app.get("/status-lists").await.expect_status(200);
    assert_eq!(none.json(), json!({ "status_lists": [] }));
    let person = app.user("saif").await;
    let first = place_of(&unverified(&person.access_token)).unwrap().0;
    let one = app.get("/status-lists").await.expect_status(200);
    assert_eq!(one.json(), json!({ "status_lists": [first] }));
    assert_eq!((one.header("content-type"), one.header("access-control-allow-origin")), ("application/json", "*"));
    let etag = one.header("etag").to_owned();
    app.send(app.request(Method::GET, "/status-lists").header("if-none-match", &etag)).await.expect_status(304);
    // A list that is full is followed by another one, and both are there.
    execute(&app.database, "UPDATE status_lists SET next_serial = 1048576").await;
    let app = app.restart(&[]).await;
    let second = place_of(&unverified(&app.sign_in("saif").await.access_token)).unwrap().0;
    assert_eq!(app.get("/status-lists").await.json(), json!({ "status_lists": [first, second] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i11_a_thousand_who_ask_at_once_make_it_sign_twice_at_most() {
    let app = Arc::new(TestApp::start().await);
    let (ended, person) = (app.user("ended").await, app.user("saif").await);
    let path = path_of(&app, &place_of(&unverified(&person.access_token)).unwrap().0);
    let mut lists = HashSet::new();
    // Before the first was ever asked for, and when there is something new to say.
    for _ in 0..2 {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let (app, path) = (Arc::clone(&app), path.clone());
            asking.spawn(async move { app.get(&path).await.expect_status(200).text });
        }
        let before = lists.len();
        lists.extend(asking.join_all().await);
        // A signature of ES256 is never the same twice.
        assert!((1..=2).contains(&(lists.len() - before)), "{}", lists.len() - before);
        super::expect_new_lists().await;
        app.post("/api/auth/revoke-token", &json!(ended.refresh_token)).await.expect_status(204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_has_just_begun_denies_no_list_and_no_revocation_to_those_who_ask_at_once() {
    let app = TestApp::start().await;
    let (ended, person) = (app.user("ended").await, app.user("saif").await);
    ended.post_nothing("/api/auth/logout").await.expect_status(204);
    let path = path_of(&app, &place_of(&unverified(&person.access_token)).unwrap().0);
    let mut app = app;
    for _ in 0..5 {
        app = app.restart(&[]).await;
        let answers = futures_util::future::join_all((0..50).map(|_| app.get(&path))).await;
        let lists: HashSet<String> = answers.into_iter().map(|answer| answer.expect_status(200).text).collect();
        let (_, place) = place_of(&unverified(&ended.access_token)).unwrap();
        for list in lists {
            assert_eq!(status(&unverified(&list)["status_list"], place), Some(1));
        }
    }
}

#[tokio::test]
async fn a_list_is_signed_again_when_half_of_its_time_is_over_or_another_key_signs() {
    let app = TestApp::with(&[("STATUS_TTL", "60")]).await;
    let person = app.user("saif").await;
    let first = list_of(&app, &person.access_token).await.text;
    super::expect_new_lists().await;
    app.advance(Duration::from_secs(28));
    assert_eq!(list_of(&app, &person.access_token).await.text, first, "nothing is new");
    app.advance(Duration::from_secs(2));
    let second = list_of(&app, &person.access_token).await.text;
    assert_eq!(unverified(&second)["iat"], app.now().as_seconds());
    let (before, after) = (unverified(&first), unverified(&second));
    assert_eq!(before["status_list"], after["status_list"]);
    let rotated = rotate_keys(app.app.auth(), Actor::Operator, Haste::Emergency, &Client::default()).await.unwrap();
    let began = Instant::now();
    loop {
        let third = list_of(&app, &person.access_token).await.text;
        if jsonwebtoken::decode_header(&third).unwrap().kid.as_ref() == Some(&rotated.kid) {
            assert!(Verifier::of(&app).await.claims(&third, "statuslist+jwt").is_some());
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(2), "the old key still signs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_may_be_out_of_date_is_not_given_out() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    list_of(&app, &person.access_token).await.expect_status(200);
    // From now on nobody can know what others revoke. Postgres finds a renamed table by a statement that it has prepared.
    let mislay = if app.database.is_postgres() {
        "ALTER TABLE changes RENAME TO mislaid; ALTER TABLE status_lists ALTER COLUMN name TYPE bytea USING name::bytea"
    } else {
        "ALTER TABLE changes RENAME TO mislaid"
    };
    execute(&app.database, mislay).await;
    super::expect_new_lists().await;
    for _ in 0..2 {
        list_of(&app, &person.access_token).await.expect_problem(500, "internal_error");
    }
    if !app.database.is_postgres() {
        execute(&app.database, "ALTER TABLE mislaid RENAME TO changes").await;
        list_of(&app, &person.access_token).await.expect_status(200);
    }
}
