//! What browsers are told, and what pages must not hold.

use std::fs;
use std::path::Path;
use std::time::Duration;

use relatch::auth::setup_link::make_setup_token;
use reqwest::Method;

use crate::harness::{Answer, Browser, TestApp};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What errors and pages behind a secret link say to nobody else.
const PRIVATE: [&str; 3] = ["same-origin", "strict-origin", "no-referrer"];

fn check(answer: &Answer) {
    // Where there is a form, its browser must be able to say where it comes from.
    let policy = answer.header("referrer-policy");
    assert!(PRIVATE.contains(&policy) && (policy != "no-referrer" || answer.texts("form").is_empty()), "{answer:?}");
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-type", "text/html; charset=utf-8"),
        ("server", ""),
        ("x-powered-by", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}: {answer:?}");
    }
    assert!(answer.header("permissions-policy").contains("camera=()"));
    // Nothing inline: no style, no handler, no script but the module.
    for selector in ["[style]", "style", "script:not([src])", "[onclick]", "[onload]", "[onerror]", "iframe", "base"] {
        assert!(answer.texts(selector).is_empty(), "{selector}: {answer:?}");
    }
    assert_eq!(answer.attributes("script", "type"), ["module"]);
    for link in [answer.attributes("[href]", "href"), answer.attributes("[src]", "src")].concat() {
        assert!(link.starts_with('/') && !link.starts_with("//") || link.starts_with('#'), "{link}");
    }
    answer.heading();
    assert_eq!(answer.attributes("main", "id"), ["main"]);
    assert_eq!(answer.attributes(".skip", "href"), ["#main"]);
    assert!(answer.texts("title")[0].ends_with(" – Relatch"), "{answer:?}");
    assert!(answer.text.len() < 40 * 1024);
}

#[tokio::test]
async fn p1_p2_p4_p6_every_page_has_the_headers_and_nothing_inline() {
    let app = TestApp::start().await;
    let admin = app.console("root").await;
    for path in [
        "/admin",
        "/admin/audit",
        "/admin/blocks",
        "/admin/audit?ip=x",
        "/admin/clients",
        "/admin/clients/new",
        "/admin/clients/x",
        "/admin/keys",
        "/admin/settings",
        "/admin/maintenance",
        "/admin/me",
        "/admin/nothing",
        "/admin/sessions",
        "/admin/sessions?ip=x",
        "/admin/sessions/x",
        "/admin/users",
        "/admin/users/new",
        "/admin/users/1",
        "/admin/users/99",
    ] {
        check(&admin.get(path).await);
    }
    for path in ["/admin/sign-in", "/admin/sign-in?next=a&next=b", "/admin/setup", "/reset", "/reset?done=1"] {
        check(&Browser::new(&app).get(path).await);
    }
    let session = app.sign_in("root").await.session_id;
    let page = admin.get(&format!("/admin/sessions/{session}")).await.expect_status(200);
    check(&page);
    check(&admin.submit(&page.form(&format!("/admin/sessions/{session}/revoke"))).await.expect_status(200));
    let empty = TestApp::start().await;
    let link = make_setup_token(empty.app.auth()).await.unwrap().expect("no admin yet");
    for (link, status) in [(link.expose().as_str(), 200), ("AAAA", 403)] {
        let page = Browser::new(&empty).get(&format!("/admin/setup?t={link}")).await.expect_status(status);
        check(&page);
        assert_eq!(page.header("referrer-policy"), "strict-origin", "no address has the link's secret in it");
    }
    check(&admin.send(admin.request(Method::PUT, "/admin/me")).await.expect_status(405));
    check(&admin.send(admin.request(Method::POST, "/admin/me/preferences").body("{}")).await.expect_status(415));
    // Redirects and assets have those that go for all answers.
    let page = admin.get("/admin").await;
    for path in [page.attributes("link[rel=stylesheet]", "href"), page.attributes("script", "src")].concat() {
        let asset = admin.get(&path).await.expect_status(200);
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!((asset.header("x-content-type-options"), asset.header("set-cookie")), ("nosniff", ""));
    }
    let redirect = Browser::new(&app).get("/admin").await;
    assert_eq!((redirect.header("x-content-type-options"), redirect.header("cache-control")), ("nosniff", "no-store"));
    admin.get("/assets/app.00000000.css").await.expect_problem(404, "not_found");
}

/// What Mozilla's HTTP Observatory looks at, as it looked at it when the two pages got A+.
#[tokio::test]
async fn p9_nothing_that_the_observatory_takes_points_for_is_there() {
    let app = TestApp::with(&[
        ("PUBLIC_URL", "https://auth.example.com"),
        ("INSECURE_DEVELOPMENT", ""),
        ("BCRYPT_COST", "10"),
    ])
    .await;
    let browser = app.console("root").await;
    let visitor = Browser::new(&app).get("/admin/sign-in").await.expect_status(200);
    let signed_in = Browser::new(&app).sign_in("root").await.expect_redirect("/admin");
    for answer in [&visitor, &browser.get("/admin/users").await.expect_status(200), &signed_in] {
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{answer:?}");
        for word in ["unsafe-", "data:", "blob:", "http:", "https:", "*"] {
            assert!(!policy.contains(word), "{word}: {answer:?}");
        }
        let seconds = answer.header("strict-transport-security").strip_prefix("max-age=").expect("HSTS");
        assert!(seconds.split(';').next().unwrap().parse::<u64>().unwrap() >= 31_536_000, "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert!(PRIVATE.contains(&answer.header("referrer-policy")), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        for cookie in answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()) {
            for part in ["__Host-", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
                assert!(cookie.contains(part), "{part}: {cookie}");
            }
        }
    }
    assert_eq!((visitor.headers.get_all("set-cookie").iter().count(), visitor.texts("form").len()), (1, 1));
    assert_eq!(signed_in.headers.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn p3_over_tls_browsers_are_told_to_stay_with_it() {
    let app = TestApp::with(&[
        ("PUBLIC_URL", "https://auth.example.com"),
        ("INSECURE_DEVELOPMENT", ""),
        ("BCRYPT_COST", "10"),
    ])
    .await;
    let page = Browser::new(&app).get("/admin/sign-in").await;
    assert_eq!(page.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
}

#[tokio::test]
async fn every_page_has_an_icon_and_so_has_everything_else() {
    let app = TestApp::start().await;
    let browser = Browser::new(&app);
    let page = browser.get("/admin/sign-in").await;
    let icon = browser.get(&page.attributes("link[rel=icon]", "href")[0]).await.expect_status(200);
    assert_eq!(icon.header("content-type"), "image/svg+xml");
    assert!(browser.get("/favicon.ico").await.expect_status(200).text.starts_with("<svg"));
}

#[tokio::test]
async fn every_part_that_the_navigation_leads_to_is_there() {
    let app = TestApp::start().await;
    let admin = app.console("root").await;
    let links = admin.get("/admin").await.attributes("nav a", "href");
    assert!(links.contains(&"/admin".to_owned()), "{links:?}");
    for link in links {
        let page = admin.get(&link).await.expect_status(200);
        assert_eq!(page.attributes("nav [aria-current=page]", "href"), [link]);
    }
}

#[tokio::test]
async fn p7_hostile_names_are_text_and_nothing_else() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let hostile =
        ["\"><img src=x onerror=alert(1)>", "<script>alert(1)</script>", "javascript:alert(1)", "\u{202e}txt.exe"];
    for (number, agent) in hostile.iter().chain([&"x".repeat(500).as_str()]).enumerate() {
        let login = serde_json::json!({ "username": "root", "password": crate::harness::PASSWORD });
        let value = reqwest::header::HeaderValue::from_bytes(agent.as_bytes()).unwrap();
        let request = app.request(Method::POST, "/api/auth/login").json(&login).header("user-agent", value);
        app.send(request).await.expect_status(200);
        let page = browser.get("/admin/me").await.expect_status(200);
        check(&page);
        assert_eq!(page.texts("td[data-label=Agent] bdi").len(), number + 3);
        assert!(page.texts("img, td script").is_empty(), "{page:?}");
    }
    for text in hostile {
        let form = Browser::new(&app);
        let shown = form.get("/admin/sign-in").await.form("/admin/sign-in");
        let answer = form.submit(&shown.with("identifier", text).with("password", "x")).await.expect_status(400);
        check(&answer);
        assert_eq!(answer.attributes("#identifier", "value"), [text]);
    }
}

#[tokio::test]
async fn j14_password_fields_are_masked_named_for_password_managers_and_cut_nothing() {
    let app = TestApp::start().await;
    let link = make_setup_token(app.app.auth()).await.unwrap().expect("no admin yet");
    let setup = Browser::new(&app).get(&format!("/admin/setup?t={}", link.expose())).await;
    let browser = app.console("root").await;
    let user = app.user("saif").await.id;
    let page = browser.get(&format!("/admin/users/{user}")).await;
    let reset = browser.submit(&page.form(&format!("/admin/users/{user}/reset-link"))).await;
    let reset = reset.attributes(".secret code", "data-copy").remove(0);
    let path = reset.strip_prefix(app.config.public_url.as_str()).unwrap();
    let form = browser.get("/admin/me").await.form("/admin/me/sessions/end-others");
    app.advance(Duration::from_secs(300));
    let (current, new) = ("current-password", "new-password");
    for (page, fills) in [
        (setup, vec![new]),
        (Browser::new(&app).get("/admin/sign-in").await, vec![current]),
        (Browser::new(&app).get(path).await, vec![new]),
        (browser.submit(&form).await, vec![current]),
        (browser.get("/admin/me").await, vec![current, new]),
        (browser.get("/admin/users/new").await, vec![new]),
    ] {
        let page = page.expect_status(200);
        assert_eq!(page.attributes("input[type=password]", "autocomplete"), fills, "{page:?}");
        assert!(page.attributes("input[name*=password]", "type").iter().all(|kind| kind == "password"), "{page:?}");
        for barrier in ["maxlength", "pattern", "readonly", "onpaste", "value"] {
            let barriers = page.attributes("input[type=password]", barrier);
            assert!(barriers.iter().all(String::is_empty), "{barrier}: {page:?}");
        }
    }
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("static")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        assert!(!text.contains("\"paste\""), "a script stands between a password and its field");
    }
}

#[test]
fn p7_templates_escape_everything_and_hold_nothing_inline() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/admin");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 10);
    for file in files {
        assert_eq!(file.extension().unwrap(), "html", "{file:?} would not be escaped");
        let text = fs::read_to_string(&file).unwrap();
        for word in ["|safe", "| safe", "escape none", "style=", " onclick", "<style", "javascript:"] {
            assert!(!text.contains(word), "{file:?} says {word}");
        }
        // Attributes with values from elsewhere are quoted.
        assert!(!text.contains("={{"), "{file:?} has an unquoted attribute");
    }
}
