//! A hundred texts that have broken other programs, put wherever a text can be put.

use reqwest::Method;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use crate::harness::{Answer, PASSWORD, Person, TestApp};
use crate::input::{CHANGE, LOGIN, REFRESH, REVOKE, no_failure};
use crate::registration::{REGISTER, account, with};

/// One a line would not do: some of them are line ends.
#[rustfmt::skip]
const NAUGHTY: &[&str] = &[
    // What programs take for nothing, for true, or for a number.
    "", "undefined", "null", "NULL", "nil", "None", "true", "False", "hasOwnProperty", "__proto__", "constructor",
    "0", "1", "-1", "1.00", "$1.00", "1/2", "1E2", "1E+02", "-0", "0x7fffffff", "9223372036854775808", "NaN",
    "Infinity", "-Infinity", "1#INF", "0,00", "1'000.00", "１２３", "١٢٣", "999999999999999999999999999999999999999",
    // Punctuation and symbols.
    ",./;'[]\\-=", "<>?:\"{}|_+", "!@#$%^&*()`~", "\\", "\\\\", "\"", "'", "''", "`", "%", "%%", "%s%n%x", "%00", "_",
    "Ω≈ç√∫˜µ≤≥÷", "åß∂ƒ©˙∆˚¬…æ", "¡™£¢∞§¶•ªº–≠", "⁰⁴⁵₀₁₂", "‘’“”", "❤️", "👾 🙇 💁", "👩‍👩‍👧‍👦", "🇺🇸🇷🇺", "e\u{301}\u{302}\u{303}",
    // White space, controls and what nobody sees.
    " ", "\t", "\n", "\r\n", "\u{0}", "\u{1}\u{2}\u{3}", "\u{7f}", "\u{85}", "\u{a0}", "\u{ad}", "\u{200b}", "\u{2028}",
    "\u{2029}", "\u{202e}test\u{202c}", "\u{2060}", "\u{feff}", "\u{fffe}", "\u{ffff}", "\u{fff9}", "\u{e000}", "\u{10ffff}",
    "\u{180e}", "\u{3000}", "\u{1b}[31mred\u{1b}[0m", "\u{8}\u{8}\u{8}",
    // Scripts, directions, and a pile of marks.
    "田中さんにあげて下さい", "パーティーへ行かないか", "和製漢語", "部落格", "사회과학원", "찦차를", "울란바토르", "ثم نفس سقطت",
    "בְּרֵאשִׁית", "مُنَاقَشَة", "שלוםhello", "הָיְתָהtestالصفحات", "Ⱥ", "ⱥ", "İ", "ı", "ß", "ẞ", "ﬃ", "ǅ", "ΐ", "ﷺ",
    "T̸h̷e̴ ̵p̶o̸n̷y̵", "ḛ̶͎͢", "Ｔｈｅ", "𝐓𝐡𝐞", "𝕿𝖍𝖊", "🄃🄗🄔", "⒯⒣⒠", "nǝɹoq", "ᚠᛇᚻ", "ⅣⅤ", "ꙮ", "𓀀", "\u{1f1e6}",
    // What shells, databases, browsers, templates and file systems take for orders.
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "<svg/onload=alert`1`>",
    "&lt;b&gt;&amp;", "<![CDATA[x]]>", "<!--", "1;DROP TABLE users", "1'; DROP TABLE users-- 1", "' OR 1=1 -- 1", "\" OR \"\"=\"",
    "admin'--", "x' AND email IS NULL; --", "$(touch /tmp/x)", "`touch /tmp/x`", "; ls -la", "| cat /etc/passwd", "&& id", "$HOME",
    "../../../../etc/passwd", "..\\..\\windows", "/dev/null", "C:\\CON", "nul.txt", "file:///etc/passwd", "~root",
    "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% raw %}", "{0}", "%x", "${jndi:ldap://x/a}", "*)(uid=*))(|(uid=*",
    "() { 0; }; touch /tmp/x", "System(\"ls\")", "eval(\"1\")", "Kernel.exit(1)", "=cmd|' /C calc'!A0", "+1-1", "@SUM(1)",
    "http://a/%%30%30", "http://[::1", "//evil.example", "a@b", "@", "a:b@c", "x\r\nSet-Cookie: a=b", "x\r\n\r\n<html>",
    "Basic YTpi", "Bearer x", "rlr_AAAA", "eyJhbGciOiJub25lIn0.e30.", "2026-13-45T25:61:61Z", "\u{0}\u{0}\u{0}",
];

/// Names of which another form is shown.
const SHOWN: &[(&str, &str)] = &[("Ｔｈｅ", "The"), ("１２３", "123")];

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

async fn answer(app: &TestApp, path: &str, body: Value) -> Answer {
    no_failure(app.post(path, &body).await)
}

#[tokio::test]
async fn l18_naughty_names_are_refused_or_come_back_exactly() {
    assert!(NAUGHTY.len() >= 100);
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("operator").await;
    let mut accepted = 0;
    for (number, text) in NAUGHTY.iter().enumerate() {
        let made = answer(&app, REGISTER, account(text, &format!("mail{number}"))).await;
        let signed_in = answer(&app, LOGIN, json!({ "username": text, "password": PASSWORD })).await;
        if made.status != 201 {
            assert!([400, 409].contains(&made.status), "{text:?}: {made:?}");
            assert_eq!(made.pointers(), ["#/username"], "{text:?}");
            assert!(made.status == 409 || signed_in.status == 401, "{text:?}: {signed_in:?}");
            continue;
        }
        accepted += 1;
        let other_form = SHOWN.iter().find(|(typed, _)| typed == text).map(|(_, shown)| (*shown).to_owned());
        let shown = other_form.unwrap_or_else(|| text.nfc().collect());
        assert_eq!(made.text_at("username"), shown);
        let person = Person::of_pair(&app, &signed_in.expect_status(200));
        assert_eq!(person.username, shown);
        assert_eq!(person.profile().await.expect_status(200).text_at("username"), shown);
        let found = admin.get(&format!("/api/users?limit=200&search={}", encoded(text))).await.expect_status(200);
        assert!(found.json().as_array().unwrap().iter().any(|user| user["username"] == shown), "{text:?}");
    }
    // Otherwise everything or nothing was refused, and the test shows nothing.
    assert!((30..NAUGHTY.len() - 30).contains(&accepted), "{accepted}");
}

#[tokio::test]
async fn l18_naughty_passwords_count_as_they_are() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    for (number, text) in NAUGHTY.iter().enumerate() {
        let name = format!("person{number}");
        // Made long enough by what no list of common passwords has.
        let password = format!("{text}{text} 7kQ#z pW2 {text}");
        answer(&app, REGISTER, with(account(&name, &name), "password", json!(password))).await.expect_status(201);
        let signed_in = app.login(&name, &password).await.expect_status(200);
        let other = if text.is_empty() { format!("{password}x") } else { format!("{text} 7kQ#z pW2 {text}") };
        answer(&app, LOGIN, json!({ "username": name, "password": other })).await.expect_status(401);
        let person = Person::of_pair(&app, &signed_in);
        let change = json!({ "currentPassword": password, "newPassword": text });
        let changed = no_failure(person.post(CHANGE, &change).await);
        let current = match changed.status {
            200 => (*text).to_owned(),
            status => {
                assert_eq!((status, changed.pointers()), (400, vec!["#/newPassword".to_owned()]), "{text:?}");
                password
            }
        };
        app.login(&name, &current).await.expect_status(200);
    }
}

#[tokio::test]
async fn l18_naughty_addresses_are_refused_or_come_back_exactly() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let mut accepted = 0;
    for (number, text) in NAUGHTY.iter().enumerate() {
        for email in [format!("{text}@example.com"), format!("x{number}@{text}"), (*text).to_owned()] {
            let body = json!({ "username": format!("person{number}"), "email": email, "password": PASSWORD });
            let made = answer(&app, REGISTER, body).await;
            if made.status != 201 {
                assert!([400, 409].contains(&made.status), "{email:?}: {made:?}");
                assert!(made.status == 409 || made.pointers() == ["#/email"], "{email:?}: {made:?}");
                continue;
            }
            accepted += 1;
            let shown = made.text_at("email");
            if email.ends_with("@example.com") {
                assert_eq!(shown, email.nfc().collect::<String>());
            }
            assert_eq!(app.login(&email, PASSWORD).await.expect_status(200).text_at("email"), shown, "{email:?}");
        }
    }
    assert!((30..NAUGHTY.len()).contains(&accepted), "{accepted}");
}

#[tokio::test]
async fn l18_naughty_texts_elsewhere_are_no_failure() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    app.register("saif").await.expect_status(201);
    for text in NAUGHTY {
        for body in [json!(text), json!({ "refreshToken": text })] {
            app.post(REFRESH, &body).await.expect_problem(401, "refresh_token_invalid");
            app.post(REVOKE, &body).await.expect_status(204);
        }
        let text_in_url = encoded(text);
        for path in ["users/", "sessions/", "users/me/sessions/"] {
            no_failure(admin.delete(&format!("/api/{path}x{text_in_url}")).await).expect_status(404);
        }
        no_failure(app.get(&format!("/problems/x{text_in_url}")).await).expect_status(404);
        no_failure(admin.get(&format!("/api/users?search={text_in_url}")).await).expect_status(200);
        for query in ["users?cursor", "sessions?cursor", "sessions?state", "users?status", "users?limit"] {
            no_failure(admin.get(&format!("/api/{query}=x{text_in_url}")).await).expect_status(400);
        }
        no_failure(admin.get(&format!("/api/users?{text_in_url}={text_in_url}")).await).expect_status(200);
        // In headers, as far as a client can send it there at all.
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(text.as_bytes()) else { continue };
        let mut login = app.request(Method::POST, LOGIN).json(&json!({ "username": "saif", "password": PASSWORD }));
        for name in ["user-agent", "x-forwarded-for", "forwarded", "cookie", "accept", "x-request-id", "origin"] {
            login = login.header(name, value.clone());
        }
        let signed_in = no_failure(app.send(login).await).expect_status(200);
        assert_ne!(signed_in.header("x-request-id"), *text);
        let session = admin.get(&format!("/api/sessions/{}", signed_in.text_at("sessionId"))).await.expect_status(200);
        let kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        assert_eq!(session.text_at("userAgent").trim(), kept.trim());
        assert_eq!(session.text_at("createdIp"), "127.0.0.1");
        let request = app.request(Method::GET, "/api/users/profile").header("authorization", value);
        no_failure(app.send(request).await).expect_status(401);
    }
}

#[tokio::test]
async fn l18_naughty_texts_at_the_oauth_endpoints_are_no_failure() {
    use crate::oauth::{INTROSPECT, REVOKE, Registered, TOKEN, form, post};
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let grant = ("grant_type", "client_credentials");
    for text in NAUGHTY.iter().copied().filter(|text| !text.is_empty()) {
        let found = no_failure(client.post(&app, INTROSPECT, &[("token", text), ("token_type_hint", text)]).await);
        assert_eq!((found.status, found.text.as_str()), (200, r#"{"active":false}"#), "{text:?}");
        assert_eq!(no_failure(post(&app, REVOKE, &[("token", text)]).await).status, 200, "{text:?}");
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text)];
        post(&app, TOKEN, &refresh).await.expect_oauth_error(400, "invalid_grant");
        let proof = [grant, ("client_id", text), ("client_secret", text)];
        post(&app, TOKEN, &proof).await.expect_oauth_error(401, "invalid_client");
        let proof = [grant, ("client_id", client.id.as_str()), ("client_secret", text)];
        post(&app, TOKEN, &proof).await.expect_oauth_error(401, "invalid_client");
        app.send(form(&app, TOKEN, &[grant]).basic_auth(encoded(text), Some(encoded(text))))
            .await
            .expect_oauth_error(401, "invalid_client");
        let scope = client.post(&app, TOKEN, &[grant, ("scope", text)]).await;
        scope.expect_oauth_error(400, "invalid_scope");
        post(&app, TOKEN, &[("grant_type", text)]).await.expect_oauth_error(400, "unsupported_grant_type");
        let unknown = client.post(&app, TOKEN, &[grant, (text, text)]).await;
        assert_eq!(no_failure(unknown).status, 200, "{text:?}");
        let made = no_failure(admin.post("/api/clients", &json!({ "name": text, "scopes": ["introspect"] })).await);
        if made.status == 201 {
            let shown = admin.get(&format!("/api/clients/{}", made.text_at("id"))).await;
            assert_eq!(shown.text_at("name"), text.trim(), "{text:?}");
        } else {
            assert_eq!(made.expect_problem(400, "validation_failed").pointers(), ["#/name"], "{text:?}");
        }
        for path in ["/api/clients", "/admin/clients"] {
            let answer = no_failure(admin.get(&format!("{path}/{}", encoded(text))).await);
            assert!([400, 404, 303].contains(&answer.status), "{text:?}: {answer:?}");
        }
    }
}
