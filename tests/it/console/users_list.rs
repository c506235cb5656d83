//! The list of users, its pages and its export.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Answer, Browser, TestApp, execute, statements};
use crate::user_lists::make_users;

fn usernames(page: &Answer) -> Vec<String> {
    page.texts("td[data-label=Username]")
}

/// Where a link of this relation leads.
fn link(page: &Answer, relation: &str) -> Option<String> {
    page.attributes(&format!(".pages a[rel={relation}]"), "href").into_iter().next()
}

async fn all_pages(browser: &Browser, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), path.to_owned());
    loop {
        let page = browser.get(&path).await.expect_status(200);
        pages.push(usernames(&page));
        match link(&page, "next") {
            Some(next) => path = next,
            None => return pages,
        }
    }
}

#[tokio::test]
async fn the_list_is_searched_filtered_and_sorted_by_its_url() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    for name in ["mara", "saif", "sami"] {
        app.user(name).await;
    }
    let page = browser.get("/admin/users").await.expect_status(200);
    assert_eq!(usernames(&page), ["sami", "saif", "mara", "root"]);
    assert_eq!(page.texts(".pages p"), ["1–4 of 4"]);
    assert_eq!(page.texts("td[data-label='Live sessions']"), ["1", "1", "1", "2"]);
    assert_eq!(page.attributes("th[aria-sort]", "aria-sort"), ["descending"]);
    assert_eq!(usernames(&browser.get("/admin/users?sort=username").await), ["mara", "root", "saif", "sami"]);
    assert_eq!(usernames(&browser.get("/admin/users?q=SA").await), ["saif", "sami"]);
    assert_eq!(usernames(&browser.get("/admin/users?q=mara%40example").await), ["mara"]);
    assert_eq!(usernames(&browser.get("/admin/users?role=Admin").await), ["root"]);
    let saif = app.sign_in("saif").await.id;
    let admin = app.sign_in("root").await;
    admin.patch(&format!("/api/users/{saif}"), &json!({ "disabled": true })).await.expect_status(200);
    assert_eq!(usernames(&browser.get("/admin/users?status=disabled").await), ["saif"]);
    assert_eq!(usernames(&browser.get("/admin/users?q=sa&status=active").await), ["sami"]);
    admin.delete(&format!("/api/users/{saif}")).await.expect_status(204);
    assert_eq!(usernames(&browser.get("/admin/users?q=saif").await), Vec::<String>::new());
    assert_eq!(usernames(&browser.get("/admin/users?q=saif&status=deleted").await), ["saif"]);
    // A heading leads to its order, and to the other way round.
    let page = browser.get("/admin/users?sort=email&role=User").await;
    let links = page.attributes("thead a", "href");
    assert!(links.contains(&"/admin/users?role=User&sort=-email".to_owned()), "{links:?}");
    assert!(links.contains(&"/admin/users?role=User&sort=-last_login".to_owned()), "{links:?}");
}

#[tokio::test]
async fn an_empty_list_says_why_and_a_bad_cursor_is_the_first_page() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let empty = browser.get("/admin/users?q=f%22oo").await.expect_status(200);
    assert_eq!(empty.texts(".empty"), ["No user starts with ‘f\"oo’."]);
    let empty = browser.get("/admin/users?role=User&status=disabled").await.expect_status(200);
    assert_eq!(empty.texts(".empty"), ["No user is like that."]);
    for query in ["after=AAAA", "before=%00", "after=%27%20OR%201%3D1", "before=AAAA&sort=email"] {
        let page = browser.get(&format!("/admin/users?{query}")).await.expect_status(200);
        assert_eq!(usernames(&page), ["root"], "{query}");
        assert!(page.texts(".flash")[0].contains("does not fit this list"), "{query}: {page:?}");
    }
    for path in ["/admin/users/0", "/admin/users/999", "/admin/users/x", "/admin/users/1.css", "/admin/users/01"] {
        let page = browser.get(path).await.expect_status(404);
        assert_eq!(page.heading(), "There is nothing here", "{path}");
    }
}

#[tokio::test]
async fn leafing_forwards_and_back_shows_each_user_once() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let browser = app.console("root").await;
    for number in 0..60 {
        app.register(&format!("user{number:02}")).await.expect_status(201);
    }
    // Ties: nobody but root has ever signed in.
    for sort in ["created", "-created", "username", "-email", "last_login", "-last_login"] {
        let path = format!("/admin/users?size=25&sort={sort}");
        let pages = all_pages(&browser, &path).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [25, 25, 11], "{sort}");
        assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>().len(), 61, "{sort}");
        let second = link(&browser.get(&path).await, "next").unwrap();
        let second = browser.get(&second).await;
        assert_eq!(second.texts(".pages p"), ["26–50 of 61"], "{sort}");
        let third = browser.get(&link(&second, "next").unwrap()).await;
        assert_eq!(third.texts(".pages p"), ["51–61 of 61"], "{sort}");
        let back = browser.get(&link(&third, "prev").unwrap()).await;
        assert_eq!((usernames(&back), back.texts(".pages p")), (pages[1].clone(), vec!["26–50 of 61".to_owned()]));
        let first = browser.get(&link(&back, "prev").unwrap()).await;
        assert_eq!((usernames(&first), link(&first, "prev")), (pages[0].clone(), None), "{sort}");
        assert_eq!(first.texts(".pages p"), ["1–25 of 61"], "{sort}");
    }
}

#[tokio::test]
async fn the_export_is_the_list() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    make_users(&app, 2_345).await;
    for query in ["", "sort=-email", "q=user1&status=active", "role=Admin&sort=last_login", "status=deleted"] {
        let listed = all_pages(&browser, &format!("/admin/users?size=200&{query}")).await.concat();
        let csv = browser.get(&format!("/admin/users/export?format=csv&{query}")).await.expect_status(200);
        assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
        assert_eq!(csv.header("content-disposition"), "attachment; filename=\"users.csv\"");
        let mut lines = csv.text.lines();
        assert_eq!(
            lines.next(),
            Some("id,username,email,role,status,created_at,last_login_at,live_sessions"),
            "{query}"
        );
        let exported: Vec<String> = lines.map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
        assert_eq!(exported, listed, "{query}");
        let ndjson = browser.get(&format!("/admin/users/export?format=ndjson&{query}")).await.expect_status(200);
        let exported: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names: Vec<&str> = exported.iter().map(|user| user["username"].as_str().unwrap()).collect();
        assert_eq!(names, listed, "{query}");
        assert!(exported.iter().all(|user| user.get("passwordHash").is_none() && user["id"].is_i64()));
    }
    browser.get("/admin/users/export").await.expect_status(400);
    browser.get("/admin/users/export?format=xml").await.expect_status(400);
}

#[tokio::test]
async fn m3_spreadsheets_get_no_formulas_and_browsers_no_markup() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    app.register("mara").await.expect_status(201);
    let long = "x".repeat(500);
    let hostile = [
        "=HYPERLINK(\"http://evil.example\",\"x\")",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "\u{202e}evil\u{202c}",
        "a'b&amp;c",
        long.as_str(),
    ];
    for text in hostile {
        let sql = text.replace('\'', "''");
        execute(&app.database, &format!("UPDATE users SET username = '{sql}' WHERE username_key = 'mara'")).await;
        let list = browser.get("/admin/users?sort=created").await.expect_status(200);
        assert_eq!(usernames(&list)[1], text);
        assert!(list.texts("img, script:not([src])").is_empty(), "{list:?}");
        let id = list.attributes("td[data-label=Username] a", "href").pop().unwrap();
        let page = browser.get(&id).await.expect_status(200);
        assert_eq!(page.heading(), format!("User {text}"));
        assert_eq!(page.texts("dd bdi")[0], text);
        assert!(page.texts("img, script:not([src])").is_empty(), "{page:?}");
        let asked = browser.submit(&page.form(&format!("{id}/disable"))).await.expect_status(200);
        assert_eq!(asked.heading(), format!("Disable: {text}?"));
        assert!(asked.texts("img, script:not([src])").is_empty(), "{asked:?}");
        let searched = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let found = browser.get(&format!("/admin/users?q={searched}")).await.expect_status(200);
        assert!(found.texts("img, script:not([src])").is_empty(), "{found:?}");
        let csv = browser.get("/admin/users/export?format=csv&sort=created").await.text;
        let line = csv.lines().nth(2).unwrap();
        assert!(!line.split(',').nth(1).unwrap().trim_start_matches('"').starts_with('='), "{line}");
    }
}

#[tokio::test]
async fn a_page_takes_three_statements_besides_the_guards_own() {
    statements::listen();
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    make_users(&app, 500).await;
    let second = link(&browser.get("/admin/users").await, "next").unwrap();
    let last = link(&browser.get("/admin/users?sort=created&size=200").await, "next").unwrap();
    let id = browser.get("/admin/users?q=root").await.attributes("td[data-label=Username] a", "href").remove(0);
    for path in [
        "/admin/users",
        "/admin/users?q=user1",
        "/admin/users?role=Admin",
        "/admin/users?q=nobody",
        &second,
        &last,
        &id,
    ] {
        statements::said(&app.database);
        browser.get(path).await.expect_status(200);
        let said = statements::said(&app.database);
        let (guard, own): (Vec<_>, Vec<_>) = said.into_iter().partition(|text| text.contains("console_sessions"));
        assert!(guard.len() <= 2, "{path}: {guard:#?}");
        assert!((1..=3).contains(&own.len()), "{path}: {own:#?}");
    }
}

#[tokio::test]
async fn a_page_of_fifty_users_is_small() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    make_users(&app, 200).await;
    let page = browser.get("/admin/users").await.expect_status(200);
    assert_eq!(usernames(&page).len(), 50);
    assert!(page.text.len() < 40 * 1024, "{}", page.text.len());
}
