//! Every page with texts in it that browsers take for markup, or that turn lines around: they are shown as text.

use relatch::auth::setup_link::make_setup_token;
use scraper::{Html, Selector};

use super::session_list::sign_in_from;
use crate::harness::{Answer, Browser, PageForm, TestApp, execute};

/// What becomes an element or an attribute of this name where something is not escaped.
const CANARY: &str = "canary";

fn hostile() -> [String; 6] {
    [
        "<script canary>alert(1)</script>".to_owned(),
        "\"'><canary onclick=\"alert(1)\" canary='1'>".to_owned(),
        "' canary=\"1\" onfocus='alert(1)' autofocus \" canary=1 ".to_owned(),
        "</textarea></title></pre></svg><!--<canary> &lt;canary&gt; &amp; {{7*7}} {% raw %}".to_owned(),
        "\u{202e}exe.txt\u{202c} \u{2067}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{2069} \u{200f}!".to_owned(),
        "W".repeat(500),
    ]
}

/// Nothing of it is markup, and where it is to be seen, it is there to the letter.
fn check(answer: &Answer, text: &str, is_shown: bool, what: &str) {
    assert!(answer.status < 500, "{what}: {answer:?}");
    if answer.status == 303 {
        return assert!(
            answer.header("location").starts_with("/admin") && answer.text.is_empty(),
            "{what}: {answer:?}"
        );
    }
    let page = Html::parse_document(&answer.text);
    let mut found = 0;
    for element in page.select(&Selector::parse("*").unwrap()) {
        assert_ne!(element.value().name(), CANARY, "{what}");
        for (name, value) in element.value().attrs() {
            assert!(name != CANARY && !name.starts_with("on") && name != "autofocus", "{what}: {name}");
            found += usize::from(value.contains(text));
        }
        found += usize::from(element.text().any(|part| part.contains(text)));
    }
    assert_eq!(answer.attributes("script", "type").iter().filter(|kind| *kind != "module").count(), 0, "{what}");
    // Comments would hide what comes behind them.
    assert!(!answer.text.contains("<!--") && answer.text.trim_end().ends_with("</html>"), "{what}");
    assert!(found > 0 || !is_shown, "{what} does not show {text:?}: {answer:?}");
}

/// The place of each text that somebody outside can write, by the shortest way.
async fn plant(app: &TestApp, text: &str) {
    let sql = text.replace('\'', "''");
    for statement in [
        format!("UPDATE users SET username = '{sql}', email = '{sql}'"),
        format!("UPDATE sessions SET user_agent = '{sql}'"),
        format!("UPDATE refresh_tokens SET user_agent = '{sql}'"),
        format!("UPDATE console_preferences SET time_zone = '{sql}'"),
    ] {
        execute(&app.database, &statement).await;
    }
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn p7_l14_every_page_shows_stored_markup_marks_and_long_values_as_text() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let preferences = browser.get("/admin/me").await.form("/admin/me/preferences");
    browser.submit(&preferences).await.expect_redirect("/admin/me");
    app.register("saif").await.expect_status(201);
    let user = sign_in_from(&app, "saif", "198.51.100.7", "agent").await;
    app.refresh(&user.refresh_token).await.expect_status(200);
    let (id, session) = (user.id, &user.session_id);
    for text in hostile() {
        plant(&app, &text).await;
        for path in [
            "/admin".to_owned(),
            "/admin/users".to_owned(),
            format!("/admin/users/{id}"),
            "/admin/users/new".to_owned(),
            "/admin/sessions".to_owned(),
            format!("/admin/sessions/{session}"),
            format!("/admin/users/{id}/sessions/{session}"),
            "/admin/audit".to_owned(),
            "/admin/keys".to_owned(),
            "/admin/settings".to_owned(),
            "/admin/maintenance".to_owned(),
            "/admin/me".to_owned(),
        ] {
            let answer = browser.get(&path).await;
            // A session of one user is a redirect to its page.
            assert!([200, 303].contains(&answer.status), "{path}: {answer:?}");
            if answer.status == 200 {
                check(&answer, &text, true, &path);
            }
        }
        for field in ["users?q", "users?sort", "users?after", "sessions?user", "sessions?agent", "sessions?ip"]
            .into_iter()
            .chain([
                "sessions?after",
                "sessions?created_after",
                "audit?actor",
                "audit?subject",
                "audit?type",
                "audit?ip",
            ])
            .chain(["audit?from", "audit?session", "audit?request_id", "audit?after", "sign-in?next", "setup?t"])
        {
            let path = format!("/admin/{field}={}", escaped(&text));
            check(&browser.get(&path).await, &text, field == "users?q", &path);
            check(&Browser::new(&app).get(&path).await, &text, false, &path);
        }
        check(&browser.get(&format!("/admin/users/{}", escaped(&text))).await, &text, false, "no user");
        check(&browser.get(&format!("/reset?t={}", escaped(&text))).await, &text, false, "no link");
    }
}

#[tokio::test]
async fn p7_l14_every_answer_to_a_form_shows_markup_marks_and_long_values_as_text() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let user = app.user("saif").await;
    let (path, session) = (format!("/admin/users/{}", user.id), format!("/admin/sessions/{}", user.session_id));
    let token = browser.get("/admin/me").await.form("/admin/me/preferences").value("token").to_owned();
    let form = |action: &str, fields: &[(&str, &str)]| {
        let fields = [("token", token.as_str())].into_iter().chain(fields.iter().copied());
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        PageForm { action: action.to_owned(), fields }
    };
    for text in hostile() {
        plant(&app, &text).await;
        let (text, id) = (text.as_str(), user.id.to_string());
        for (action, fields, is_shown) in [
            ("/admin/users".to_owned(), vec![("username", text), ("email", text), ("role", "User")], true),
            ("/admin/users".to_owned(), vec![("username", text), ("email", text), ("role", text)], true),
            ("/admin/users/bulk".to_owned(), vec![("action", "disable"), ("id", &id)], true),
            ("/admin/users/bulk".to_owned(), vec![("action", text), ("id", text)], false),
            (format!("{path}/email"), vec![("email", text)], true),
            (format!("{path}/disable"), vec![], true),
            (format!("{path}/role"), vec![("role", "Admin")], true),
            (format!("{path}/role"), vec![("role", text)], false),
            (format!("{path}/delete"), vec![], true),
            (format!("{path}/revoke-sessions"), vec![], true),
            (format!("{path}/reset-link"), vec![], true),
            (format!("{session}/revoke"), vec![], true),
            ("/admin/sessions/revoke".to_owned(), vec![("id", &user.session_id), ("user", text)], true),
            ("/admin/sessions/revoke-matching".to_owned(), vec![("agent", text)], text.len() <= 256),
            ("/admin/sessions/revoke-all".to_owned(), vec![("phrase", text)], false),
            ("/admin/me/preferences".to_owned(), vec![("theme", text), ("time_zone", text)], true),
            ("/admin/me/password".to_owned(), vec![("current_password", text), ("new_password", text)], true),
        ] {
            let answer = browser.submit(&form(&action, &fields)).await;
            assert!([200, 400].contains(&answer.status), "{action}: {answer:?}");
            check(&answer, text, is_shown, &action);
        }
        let visitor = Browser::new(&app);
        let sign_in = visitor.get("/admin/sign-in").await.form("/admin/sign-in").with("next", text);
        let again = visitor.submit(&sign_in.with("identifier", text).with("password", text)).await.expect_status(400);
        check(&again, text, true, "sign-in");
        let shown = browser.submit(&form(&format!("{path}/reset-link"), &[])).await.expect_status(200);
        let link = shown.attributes(".secret code", "data-copy").remove(0);
        let reset = link.strip_prefix(app.config.public_url.as_str()).unwrap();
        let page = visitor.get(reset).await.expect_status(200);
        check(&page, text, true, "reset");
        check(
            &visitor.submit(&page.form("/reset").with("password", "x")).await.expect_status(400),
            text,
            true,
            "reset",
        );
    }
    // Messages are kept for the next page, names among them.
    let text = &hostile()[1];
    browser.submit(&form(&format!("{path}/disable"), &[("confirmed", "yes")])).await.expect_redirect(&path);
    check(&browser.get(&path).await, &hostile()[5], true, "a message");
    let empty = TestApp::start().await;
    let link = make_setup_token(empty.app.auth()).await.unwrap().expect("no admin yet");
    let visitor = Browser::new(&empty);
    let page = visitor.get(&format!("/admin/setup?t={}", link.expose())).await.expect_status(200);
    let wrong = page.form("/admin/setup").with("username", text).with("email", text).with("password", text);
    check(&visitor.submit(&wrong).await.expect_status(400), text, true, "setup");
}
