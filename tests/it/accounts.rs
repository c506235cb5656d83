//! Accounts: what users see of their own, and what admins see and change of anybody's.

use std::time::Duration;

use diesel::prelude::*;
use relatch::auth::Actor;
use relatch::auth::update_user::restore_user;
use relatch::domain::client::Client;
use relatch::store::schema::users;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp};
use crate::registration::{REGISTER, account};

fn path_of(person: &Person) -> String {
    format!("/api/users/{}", person.id)
}

/// The path and query of the next page, which `Link` gives as an absolute URL (RFC 8288).
pub fn next_page(app: &TestApp, answer: &Answer) -> Option<String> {
    let link = answer.header("link");
    if link.is_empty() {
        return None;
    }
    let url = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    Some(url.strip_prefix(app.config.public_url.as_str().trim_end_matches('/')).unwrap().to_owned())
}

/// A member of each element of an array.
pub fn each(answer: &Answer, member: &str) -> Vec<Value> {
    answer.json().as_array().unwrap().iter().map(|element| element[member].clone()).collect()
}

async fn names(admin: &Person, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/api/users?{query}")).await.expect_status(200);
    each(&answer, "username").iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

async fn security_version(app: &TestApp, id: i64) -> i64 {
    let store = app.database.store();
    let query = users::table.find(id).select(users::security_version);
    store.read(move |connection| query.first(connection)).await.unwrap()
}

#[tokio::test]
async fn a_profile_is_shown_by_get_head_and_post_alike() {
    let app = TestApp::start().await;
    let made = app.register("saif").await.json();
    app.advance(Duration::from_secs(60));
    let person = app.sign_in("saif").await;
    let expected = json!({
        "id": 1, "username": "saif", "email": "saif@example.com", "role": "User", "status": "active",
        "createdAt": made["createdAt"], "lastLoginAt": app.now().to_string(),
    });
    let got = person.profile().await.expect_status(200);
    assert_eq!(got.json(), expected);
    assert_eq!(got.header("cache-control"), "no-store");
    assert_eq!(person.post_nothing("/api/users/profile").await.expect_status(200).json(), expected);
    assert_eq!(person.post("/api/users/profile", &json!({ "id": 7 })).await.expect_status(200).json(), expected);
    let head = Answer::of(person.request(Method::HEAD, "/api/users/profile").send().await.unwrap()).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), got.header("content-length"));
}

#[tokio::test]
async fn l15_pages_show_everybody_once_while_users_are_added() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    for number in 0..210 {
        app.register(&format!("user{number}")).await.expect_status(201);
    }
    let before = admin.get("/api/users?limit=1&search=root").await.expect_status(200);
    assert_eq!(next_page(&app, &before), None, "a full page that is the last has no next one");
    // Two more come in while each list is read: behind its first page, and behind its second if that is not the last.
    for (limit, pages, seen) in [(50, 5, 213), (200, 2, 214), (70, 4, 217)] {
        let (mut ids, mut count) = (Vec::new(), 0);
        let first = if limit == 50 { "/api/users".to_owned() } else { format!("/api/users?limit={limit}") };
        let mut next = Some(first);
        while let Some(path) = next {
            let page = admin.get(&path).await.expect_status(200);
            let page_ids = each(&page, "id");
            next = next_page(&app, &page);
            assert!(next.is_none() || page_ids.len() == limit, "{page:?}");
            ids.extend(page_ids.iter().map(|id| id.as_i64().unwrap()));
            count += 1;
            if count < 3 {
                app.register(&format!("late{limit}.{count}")).await.expect_status(201);
            }
        }
        assert_eq!(ids, (1..=seen).collect::<Vec<_>>(), "everybody once, in order");
        assert_eq!(count, pages);
    }
}

#[tokio::test]
async fn l15_a_page_goes_on_although_its_last_user_is_gone() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let mut people = Vec::new();
    for number in 0..6 {
        people.push(app.user(&format!("user{number}")).await);
    }
    let page = admin.get("/api/users?limit=3&role=User&search=USER").await.expect_status(200);
    assert_eq!(each(&page, "username"), ["user0", "user1", "user2"]);
    admin.delete(&path_of(&people[2])).await.expect_status(204);
    admin.delete(&path_of(&people[3])).await.expect_status(204);
    let next = next_page(&app, &page).unwrap();
    assert!(next.contains("search=USER") && next.contains("role=User") && next.contains("limit=3"), "{next}");
    let page = admin.get(&next).await.expect_status(200);
    assert_eq!(each(&page, "username"), ["user4", "user5"]);
    assert_eq!(next_page(&app, &page), None);
}

#[tokio::test]
async fn l15_limits_and_cursors_are_checked() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let (one, _) = (app.user("one").await, app.user("two").await);
    for limit in
        ["0", "-1", "201", "1000000000", "99999999999999999999", "abc", "", "1.5", "1e2", "0x10", "5%20", "%00"]
    {
        for list in ["/api/users", "/api/sessions", &format!("/api/users/{}/sessions", one.id)] {
            let answer = admin.get(&format!("{list}?limit={limit}")).await;
            assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), ["?limit"], "{list} {limit}");
        }
    }
    for limit in ["1", "200"] {
        admin.get(&format!("/api/users?limit={limit}")).await.expect_status(200);
    }
    for (query, pointer) in
        [("role=2", "?role"), ("role=", "?role"), ("status=gone", "?status"), ("status=", "?status")]
    {
        let answer = admin.get(&format!("/api/users?{query}")).await;
        assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), [pointer]);
    }
    let page = admin.get("/api/users?limit=1").await.expect_status(200);
    let next = next_page(&app, &page).unwrap();
    let (_, cursor) = next.split_once("cursor=").unwrap();
    admin.get(&next).await.expect_status(200);
    let sessions = admin.get("/api/sessions?limit=1").await.expect_status(200);
    let sessions_next = next_page(&app, &sessions).unwrap();
    let (_, sessions_cursor) = sessions_next.split_once("cursor=").unwrap();
    let flipped = |at: usize| {
        let mut bytes = cursor.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        String::from_utf8(bytes).unwrap()
    };
    let mut tampered: Vec<String> = (0..cursor.len() - 1).map(flipped).collect();
    tampered.extend([
        String::new(),
        "A".to_owned(),
        "1".to_owned(),
        cursor[1..].to_owned(),
        cursor[..cursor.len() - 1].to_owned(),
        format!("{cursor}A"),
        format!("{cursor}%3D"),
        format!("%20{cursor}"),
        cursor.to_lowercase(),
        sessions_cursor.to_owned(),
        "'%20OR%201=1--".to_owned(),
        "%ff".to_owned(),
        "A".repeat(5_000),
    ]);
    for cursor in tampered {
        let answer = admin.get(&format!("/api/users?cursor={cursor}")).await;
        assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), ["?cursor"], "{cursor}");
    }
    admin.get(&format!("/api/sessions?cursor={cursor}")).await.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn a_search_is_a_prefix_of_name_or_address_in_any_case_without_wildcards() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    for (name, mailbox) in [
        ("Alice", "wonder"),
        ("alina", "other"),
        ("malice", "alfred"),
        ("a%b", "p"),
        ("a_b", "u"),
        ("axb", "x"),
        ("Zoë", "z"),
        ("ΟΔΟΣΑ", "o"),
    ] {
        app.post(REGISTER, &account(name, mailbox)).await.expect_status(201);
    }
    for (search, expected) in [
        ("al", vec!["Alice", "alina", "malice"]),
        ("ALI", vec!["Alice", "alina"]),
        ("alice", vec!["Alice"]),
        ("WONDER@", vec!["Alice"]),
        ("wonder@example.com", vec!["Alice"]),
        ("lice", vec![]),
        ("a%25b", vec!["a%b"]),
        ("a%25", vec!["a%b"]),
        ("%25", vec![]),
        ("a_b", vec!["a_b"]),
        ("_", vec![]),
        ("a_", vec!["a_b"]),
        ("a*", vec![]),
        ("zoe%CC%88", vec!["Zoë"]),
        ("ZO%C3%8B", vec!["Zoë"]),
        ("%CE%BF%CE%B4%CE%BF%CF%83", vec!["ΟΔΟΣΑ"]),
        ("%F4%8F%BF%BF", vec![]),
        ("alice%20", vec![]),
    ] {
        assert_eq!(names(&admin, &format!("search={search}")).await, expected, "{search}");
    }
    assert_eq!(names(&admin, "search=").await.len(), 9);
}

#[tokio::test]
async fn lists_are_filtered_by_role_and_status() {
    let app = TestApp::start().await;
    let (admin, deputy) = (app.admin("root").await, app.admin("deputy").await);
    let (out, gone, _) = (app.user("out").await, app.user("gone").await, app.user("in").await);
    let both = app.user("both").await;
    for person in [&out, &both] {
        admin.patch(&path_of(person), &json!({ "disabled": true })).await.expect_status(200);
    }
    for person in [&gone, &both] {
        admin.delete(&path_of(person)).await.expect_status(204);
    }
    admin.patch(&path_of(&deputy), &json!({ "disabled": true })).await.expect_status(200);
    for (query, expected) in [
        ("", vec!["root", "deputy", "out", "in"]),
        ("role=Admin", vec!["root", "deputy"]),
        ("role=0", vec!["root", "deputy"]),
        ("role=user", vec!["out", "in"]),
        ("role=1", vec!["out", "in"]),
        ("status=active", vec!["root", "in"]),
        ("status=disabled", vec!["deputy", "out"]),
        ("status=deleted", vec!["gone", "both"]),
        ("status=disabled&role=Admin", vec!["deputy"]),
        ("status=deleted&search=g", vec!["gone"]),
        ("status=active&role=1&search=o", vec![]),
    ] {
        assert_eq!(names(&admin, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let path = path_of(&person);
    let before = admin.get(&path).await.expect_status(200).json();
    // What changes nothing raises no version, so that the user's tokens live on.
    for patch in [
        json!({}),
        json!({ "email": null, "role": null, "disabled": null }),
        json!({ "role": 1 }),
        json!({ "role": "User" }),
        json!({ "disabled": false }),
        json!({ "email": "saif@example.com" }),
        json!({ "username": "other", "id": 9 }),
        json!({ "email": "saif@example.com", "role": 1, "disabled": false }),
    ] {
        assert_eq!(admin.patch(&path, &patch).await.expect_status(200).json(), before, "{patch}");
    }
    assert_eq!(security_version(&app, person.id).await, 1);
    person.profile().await.expect_status(200);
    // An address is no part of what somebody may do: tokens live on.
    let answer = admin.patch(&path, &json!({ "email": "Saif@New.Example" })).await.expect_status(200);
    let mut expected = before.clone();
    expected["email"] = json!("Saif@new.example");
    assert_eq!(answer.json(), expected);
    assert_eq!(person.profile().await.expect_status(200).json(), expected);
    app.login("saif@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
    app.login("SAIF@new.example", PASSWORD).await.expect_status(200);
    // One's own address in another case is no conflict, somebody else's in any case is.
    admin.patch(&path, &json!({ "email": "SAIF@new.example" })).await.expect_status(200);
    let taken = admin.patch(&path, &json!({ "email": "ROOT@example.com", "role": 0, "disabled": true })).await;
    assert_eq!(taken.expect_problem(409, "already_taken").pointers(), ["#/email"]);
    let wrong = admin.patch(&path, &json!({ "email": "nowhere", "role": 0 })).await;
    assert_eq!(wrong.expect_problem(400, "validation_failed").pointers(), ["#/email"]);
    person.profile().await.expect_status(200);
    assert_eq!(security_version(&app, person.id).await, 1, "a refused patch is refused as a whole");
    app.post(REGISTER, &account("second", "saif")).await.expect_status(201);
    // All at once.
    let patch = json!({ "email": "s@example.com", "role": "Admin", "disabled": true });
    let answer = admin.patch(&path, &patch).await.expect_status(200).json();
    assert_eq!((&answer["email"], &answer["role"]), (&json!("s@example.com"), &json!("Admin")));
    assert_eq!((&answer["status"], &answer["disabledAt"]), (&json!("disabled"), &json!(app.now().to_string())));
    person.profile().await.expect_problem(401, "invalid_token");
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    // Disabling once more leaves the time as it was.
    app.advance(Duration::from_secs(60));
    assert_eq!(admin.patch(&path, &json!({ "disabled": true })).await.expect_status(200).json(), answer);
    let answer = admin.patch(&path, &json!({ "disabled": false })).await.expect_status(200).json();
    assert_eq!((answer["status"].as_str(), answer.get("disabledAt")), (Some("active"), None));
    person.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    app.sign_in("saif").await.get("/api/users").await.expect_status(200);
    for gone in ["4711", "0", "x"] {
        let path = format!("/api/users/{gone}");
        admin.patch(&path, &json!({ "role": 1 })).await.expect_problem(404, "not_found");
        admin.get(&path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_deleted_account_is_out_and_its_name_and_address_stay_reserved() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let path = path_of(&person);
    let answer = admin.delete(&path).await.expect_status(204);
    assert_eq!(answer.text, "");
    person.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    for name in ["saif", "SAIF", "saif@example.com"] {
        app.login(name, PASSWORD).await.expect_problem(401, "invalid_credentials");
    }
    let shown = admin.get(&path).await.expect_status(200).json();
    assert_eq!((&shown["status"], &shown["deletedAt"]), (&json!("deleted"), &json!(app.now().to_string())));
    let answer = app.post(REGISTER, &account("Saif", "new")).await.expect_problem(409, "already_taken");
    assert_eq!(answer.pointers(), ["#/username"]);
    let answer = app.post(REGISTER, &account("new", "SAIF")).await.expect_problem(409, "already_taken");
    assert_eq!(answer.pointers(), ["#/email"]);
    let answer = admin.patch(&path_of(&admin), &json!({ "email": "saif@example.com" })).await;
    assert_eq!(answer.expect_problem(409, "already_taken").pointers(), ["#/email"]);
    // There is nothing left to change.
    app.advance(Duration::from_secs(60));
    for patch in [json!({}), json!({ "disabled": false }), json!({ "role": 0 }), json!({ "email": "x@example.com" })] {
        admin.patch(&path, &patch).await.expect_problem(404, "not_found");
    }
    admin.delete(&path).await.expect_problem(404, "not_found");
    assert_eq!(admin.get(&path).await.expect_status(200).json(), shown);
    admin.delete("/api/users/4711").await.expect_problem(404, "not_found");
    // A restored account gets its name back, not its sessions.
    let id = relatch::domain::user::UserId::new(person.id).unwrap();
    restore_user(app.app.auth(), Actor::Operator, id, &Client::default()).await.unwrap();
    person.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    assert_eq!(app.sign_in("saif").await.id, person.id);
}
