//! The audit page: every filter, days in the admin's zone, pages both ways, exports, and hostile text.

use std::collections::BTreeSet;
use std::time::Duration;

use relatch::domain::timestamp::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::audit::list::fill_by_turns;
use crate::harness::{Answer, Browser, PASSWORD, TestApp, execute};

fn kinds(page: &Answer) -> Vec<String> {
    page.texts("td[data-label=Type] > code")
}

async fn list(browser: &Browser, query: &str) -> Vec<String> {
    kinds(&browser.get(&format!("/admin/audit?{query}")).await.expect_status(200))
}

/// Inserts events of `login.failed` at these times.
async fn insert(app: &TestApp, times: &[Timestamp]) {
    let rows: Vec<_> = times
        .iter()
        .map(|at| format!("({}, 'login.failed', 'warning', 'failed', 'anonymous', '{{}}')", at.as_micros()))
        .collect();
    let columns = "occurred_at, kind, severity, result, actor_kind, detail";
    execute(&app.database, &format!("INSERT INTO audit_events ({columns}) VALUES {}", rows.join(", "))).await;
}

#[tokio::test]
async fn each_filter_finds_what_it_means_and_nothing_else() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let browser = app.console("root").await;
    let user = app.user("saif").await;
    let login = json!({ "username": "saif", "password": "wrong password" });
    let request = app.request(Method::POST, "/api/auth/login").json(&login).header("x-forwarded-for", "198.51.100.7");
    let failed = app.send(request).await.expect_status(401);
    let request_id = failed.header("x-request-id").to_owned();
    user.post_nothing("/api/auth/logout").await.expect_status(204);
    let id = user.id;
    for (query, found) in [
        ("actor=saif".to_owned(), vec!["session.ended", "login.succeeded"]),
        (format!("actor={id}"), vec!["session.ended", "login.succeeded"]),
        (
            "subject=saif%40example.com".to_owned(),
            vec!["session.ended", "login.failed", "login.succeeded", "user.registered"],
        ),
        (format!("subject={id}&type=login.*"), vec!["login.failed", "login.succeeded"]),
        ("type=login.failed".to_owned(), vec!["login.failed"]),
        ("result=failed".to_owned(), vec!["login.failed"]),
        ("ip=198.51.100.7".to_owned(), vec!["login.failed"]),
        ("ip=198.51.100.0%2F24&actor=&type=&from=".to_owned(), vec!["login.failed"]),
        (format!("request_id={request_id}"), vec!["login.failed"]),
        (format!("session={}", user.session_id), vec!["session.ended", "login.succeeded"]),
        ("actor=nobody".to_owned(), vec![]),
    ] {
        assert_eq!(list(&browser, &query).await, found, "{query}");
    }
    let page = browser.get("/admin/audit?type=login.failed").await.expect_status(200);
    assert_eq!(page.texts("td[data-label=Actor]"), ["anonymous"]);
    assert_eq!(page.texts("td[data-label=Subject] a"), ["saif"]);
    assert_eq!(page.attributes("td[data-label=Subject] a", "href"), [format!("/admin/users/{id}")]);
    assert_eq!(page.texts("td[data-label=Result]"), ["✗ failed"]);
    assert_eq!(page.texts("td[data-label=Address]"), ["198.51.100.7"]);
    assert_eq!(page.attributes("td time", "title"), [app.now().to_string()]);
    let shown: Value = serde_json::from_str(&page.texts("td pre")[0]).unwrap();
    assert_eq!((&shown["requestId"], &shown["kind"]), (&json!(request_id), &json!("login.failed")));
    assert_eq!(page.attributes("#type option[selected]", "value"), ["login.failed"]);
    let page = browser.get("/admin/audit?type=session.ended").await.expect_status(200);
    assert_eq!(page.attributes("td details a", "href"), [format!("/admin/sessions/{}", user.session_id)]);
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_said_at_its_field_and_nothing_is_shown() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let query = "type=%3Cb%3E&result=x&ip=x&from=yesterday&to=2026-02-30&request_id=1&session=1&actor=%00";
    let page = browser.get(&format!("/admin/audit?{query}")).await.expect_status(400);
    let fields = page.attributes(".errors a", "href");
    assert_eq!(fields, ["#type", "#result", "#ip", "#from", "#to", "#request_id", "#session"]);
    for field in fields {
        assert_eq!(page.texts(&field).len(), 1, "{field}");
    }
    assert!(kinds(&page).is_empty());
    assert_eq!(page.attributes("#from", "value"), ["yesterday"]);
    assert_eq!(page.attributes("#from", "type"), ["text"], "what is wrong must be seen");
    browser.get("/admin/audit?actor=%00").await.expect_status(200);
    let export = browser.get("/admin/audit/export?ip=x").await;
    export.expect_redirect("/admin/audit?ip=x");
    // Twice the same is nobody's.
    assert_eq!(browser.get("/admin/audit?ip=1.1.1.1&ip=1.1.1.2").await.status, 400);
}

#[tokio::test]
async fn a_day_is_whole_in_the_admins_zone_also_when_clocks_change() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/me").await.form("/admin/me/preferences").with("time_zone", "Europe/Berlin");
    browser.submit(&form).await.expect_redirect("/admin/me");
    // The day of 25 hours begins at 22:00 UTC and ends at 23:00 UTC.
    let times =
        ["2026-10-24T21:59:59.999999Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59.999999Z", "2026-10-25T23:00:00Z"];
    insert(&app, &times.map(|time| Timestamp::parse(time).unwrap())).await;
    let at = async |query: &str| {
        let page = browser.get(&format!("/admin/audit?type=login.failed&{query}")).await.expect_status(200);
        page.attributes("td time", "datetime")
    };
    let newest_first = |times: &[&str]| times.iter().rev().map(|time| (*time).to_owned()).collect::<Vec<_>>();
    assert_eq!(at("from=2026-10-25&to=2026-10-25").await, newest_first(&times[1..3]));
    assert_eq!(at("from=2026-10-25&to=2026-10-26").await, newest_first(&times[1..]));
    assert_eq!(at("to=2026-10-24").await, newest_first(&times[..1]));
    assert_eq!(at("from=2026-10-24T22:00:00Z&to=2026-10-26T00:00:00%2B01:00").await, newest_first(&times[1..3]));
    assert_eq!(browser.get("/admin/audit?from=2026-10-24T22:00:00Z").await.attributes("#from", "type"), ["text"]);
    // An empty page says what it is of, and leads to the week that ends with its last day.
    let page = browser.get("/admin/audit?type=login.failed&from=2026-10-28&to=2026-10-28").await.expect_status(200);
    assert_eq!(page.texts(".empty"), ["No events between 2026-10-28 and 2026-10-28."]);
    let wider = page.attributes(".empty + p a", "href")[0].clone();
    assert_eq!(wider, "/admin/audit?type=login.failed&from=2026-10-22&to=2026-10-28");
    assert_eq!(kinds(&browser.get(&wider).await).len(), 4);
    let page = browser.get("/admin/audit?from=2020-01-01&to=2020-01-30").await.expect_status(200);
    assert!(page.texts(".empty + p a").is_empty(), "it is wide enough");
}

#[tokio::test]
async fn pages_lead_both_ways_past_events_of_the_same_moment() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let begin = app.now().before(Duration::from_secs(1_000));
    // 120 events, of which many share a microsecond.
    let times: Vec<_> = (0..120_u32).map(|number| begin.after(Duration::from_secs(u64::from(number / 30)))).collect();
    insert(&app, &times).await;
    let ids = |page: &Answer| -> Vec<i64> {
        let texts = page.texts("td pre");
        texts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["id"].as_i64().unwrap()).collect()
    };
    let mut forward = Vec::new();
    let mut page = browser.get("/admin/audit?type=login.failed").await.expect_status(200);
    assert!(page.attributes("a[rel=prev]", "href").is_empty());
    loop {
        forward.push(ids(&page));
        let Some(next) = page.attributes("a[rel=next]", "href").first().cloned() else { break };
        assert!(next.contains("after=") && next.contains("type=login.failed"), "{next}");
        page = browser.get(&next).await.expect_status(200);
    }
    assert_eq!(forward.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    assert_eq!(forward.iter().flatten().collect::<BTreeSet<_>>().len(), 120);
    assert!(forward.concat().is_sorted_by(|one, other| one > other));
    let mut backward = vec![ids(&page)];
    while let Some(previous) = page.attributes("a[rel=prev]", "href").first().cloned() {
        assert!(previous.contains("before="), "{previous}");
        page = browser.get(&previous).await.expect_status(200);
        backward.push(ids(&page));
    }
    backward.reverse();
    assert_eq!(backward, forward);
    let page = browser.get("/admin/audit?type=login.failed&after=nonsense").await.expect_status(200);
    assert_eq!((ids(&page), page.texts(".notice").len()), (forward[0].clone(), 1));
}

#[tokio::test]
async fn an_export_is_everything_that_the_filter_means_in_the_order_of_time() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let begin = app.now().before(Duration::from_secs(5_000));
    let times: Vec<_> = (0..1_200).map(|number| begin.after(Duration::from_secs(number))).collect();
    insert(&app, &times).await;
    let page = browser.get("/admin/audit?type=login.failed").await.expect_status(200);
    let links = page.attributes(".tools a", "href");
    assert_eq!(links[0], "/admin/audit?type=login.failed&live=1");
    let csv = browser.get(&links[1]).await.expect_status(200);
    assert!(csv.header("content-disposition").starts_with("attachment; filename=\"relatch-audit-"), "{csv:?}");
    assert!(csv.header("content-type").starts_with("text/csv") && csv.header("cache-control") == "no-store");
    let lines: Vec<_> = csv.text.lines().collect();
    assert_eq!(lines.len(), 1_201);
    assert!(lines[0].starts_with("id,occurredAt,kind"), "{}", lines[0]);
    let ndjson = browser.get(&links[2]).await.expect_status(200);
    let events: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = events.iter().map(|event| event["occurredAt"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shown, times.iter().map(ToString::to_string).collect::<Vec<_>>());
    let nothing = browser.get("/admin/audit/export?format=ndjson&actor=nobody").await.expect_status(200);
    assert_eq!(nothing.text, "");
}

#[tokio::test]
async fn a_live_page_asks_for_itself_again_without_scripts() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let refresh = |page: &Answer| page.attributes("meta[http-equiv=refresh]", "content");
    let page = browser.get("/admin/audit?live=1&type=login.*").await.expect_status(200);
    assert_eq!(refresh(&page), ["10"]);
    assert_eq!(page.attributes(".tools a", "href")[0], "/admin/audit?type=login.*");
    for still in ["/admin/audit", "/admin/audit?live=0", "/admin/audit?live=1&after=nonsense"] {
        assert!(refresh(&browser.get(still).await.expect_status(200)).is_empty(), "{still}");
    }
    assert!(refresh(&browser.get("/admin/audit?live=1&ip=x").await.expect_status(400)).is_empty());
}

#[tokio::test]
async fn n5_a_live_page_that_nobody_looks_at_ends_in_the_sign_in() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let live = "/admin/audit?type=login.*&live=1";
    for _ in 0..2 {
        app.advance(Duration::from_secs(14 * 60));
        browser.get(live).await.expect_status(200);
    }
    // It counts down, and whoever asks for another page stays.
    let page = browser.get(live).await.expect_status(200);
    assert_eq!(page.attributes("[data-ends-in]", "data-ends-in"), ["120"]);
    let page = browser.get("/admin/audit?type=login.*").await.expect_status(200);
    assert_eq!(page.attributes("[data-ends-in]", "data-ends-in"), ["1800"]);
    for _ in 0..2 {
        app.advance(Duration::from_secs(14 * 60));
        browser.get(live).await.expect_status(200);
    }
    app.advance(Duration::from_secs(2 * 60));
    let next = "/admin/sign-in?next=%2Fadmin%2Faudit%3Ftype%3Dlogin.*%26live%3D1";
    browser.get(live).await.expect_redirect(next);
}

#[tokio::test]
async fn p7_hostile_text_is_text_in_the_table_and_in_the_filter() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let hostile = "\"><img src=x onerror=alert(1)>";
    let login = json!({ "username": "root", "password": PASSWORD });
    let request = app.request(Method::POST, "/api/auth/login").json(&login).header("user-agent", hostile);
    app.send(request).await.expect_status(200);
    // What would turn the line around is an escape in the JSON, which means the same.
    let turned = reqwest::header::HeaderValue::from_bytes("\u{202e}txt.exe\u{2066}".as_bytes()).unwrap();
    let request = app.request(Method::POST, "/api/auth/login").json(&login).header("user-agent", turned);
    app.send(request).await.expect_status(200);
    let newest = browser.get("/admin/audit").await.texts("td pre").remove(0);
    assert!(newest.contains("\\u202etxt.exe\\u2066") && !newest.contains('\u{202e}'), "{newest}");
    let json: serde_json::Value = serde_json::from_str(&newest).unwrap();
    assert!(json.to_string().contains('\u{202e}'), "{json}");
    let escaped: String = url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
    let page = browser.get("/admin/audit").await.expect_status(200);
    assert!(page.texts("td pre")[1].contains("onerror=alert(1)"), "{page:?}");
    assert!(page.texts("img, td script").is_empty(), "{page:?}");
    for field in ["actor", "subject", "ip", "type", "from", "to", "session", "request_id"] {
        let page = browser.get(&format!("/admin/audit?{field}={escaped}")).await;
        assert!(page.texts("img").is_empty(), "{field}: {page:?}");
        if field != "type" {
            assert_eq!(page.attributes(&format!("#{field}"), "value"), [hostile], "{field}");
        }
    }
}

#[tokio::test]
async fn a_page_that_looked_at_so_many_says_how_far_and_leads_on_both_ways() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    fill_by_turns(&app, 30_000 - 10).await;
    let first = browser.get("/admin/audit?actor=901&type=user.updated").await.expect_status(200);
    assert!(kinds(&first).is_empty());
    assert_eq!(first.texts(".empty"), ["None of them is like this."]);
    let notice = first.texts(".notice").concat();
    assert!(notice.starts_with("Looked at up to 5,000 events, as far as 2020-09-13 12:26"), "{notice}");
    let mut page = first;
    let mut steps = 0;
    while let Some(further) = page.attributes(".notice a", "href").pop() {
        page = browser.get(&further).await.expect_status(200);
        steps += 1;
    }
    assert_eq!((kinds(&page), steps), (vec!["user.updated".to_owned()], 2));
    let back = page.attributes(".pages a[rel=prev]", "href").pop().unwrap();
    page = browser.get(&back).await.expect_status(200);
    assert!(kinds(&page).is_empty());
    let further = page.attributes(".notice a", "href").pop().unwrap();
    assert!(further.contains("before="), "{further}");
    assert_eq!(page.attributes(".pages a[rel=prev]", "href"), [further]);
}
