//! The list of sessions: what its filters find, how its pages go on, and that hostile text stays text.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Browser, PASSWORD, Person, TestApp};

const HOUR: Duration = Duration::from_secs(3_600);

/// Signs somebody in from an address and with an agent.
pub async fn sign_in_from(app: &TestApp, username: &str, address: &str, agent: &str) -> Person {
    let request = app
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", address)
        .header("user-agent", agent)
        .json(&json!({ "username": username, "password": PASSWORD }));
    Person::of_pair(app, &app.send(request).await.expect_status(200))
}

/// The ids of the sessions that a page lists, in its order.
pub fn listed(page: &Answer) -> Vec<String> {
    let links = page.attributes("td[data-label=Began] a", "href");
    links.into_iter().map(|link| link.trim_start_matches("/admin/sessions/").to_owned()).collect()
}

async fn find(browser: &Browser, query: &str) -> Vec<String> {
    listed(&browser.get(&format!("/admin/sessions?{query}")).await.expect_status(200))
}

#[tokio::test]
async fn every_filter_of_the_list_finds_what_it_says() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let browser = app.console("root").await;
    for name in ["one", "two"] {
        app.register(name).await.expect_status(201);
    }
    let one = sign_in_from(&app, "one", "198.51.100.7", "Alpha/1.0 (x)").await;
    app.advance(HOUR / 60);
    let two = sign_in_from(&app, "two", "2001:db8::7", "Beta/2.0 100%").await;
    app.advance(HOUR / 60);
    let ended = sign_in_from(&app, "one", "198.51.100.9", "Gone/1.0").await;
    let root = app.sign_in("root").await;
    root.delete(&format!("/api/sessions/{}", ended.session_id)).await.expect_status(204);
    let [one_id, two_id, ended_id] = [&one, &two, &ended].map(|person| person.session_id.clone());
    for (query, expected) in [
        ("user=one", vec![&one_id]),
        ("user=TWO%40example.com", vec![&two_id]),
        (&format!("user={}", two.id), vec![&two_id]),
        ("ip=198.51.100.0%2F24", vec![&one_id]),
        ("ip=2001:db8::7", vec![&two_id]),
        ("agent=0+100%25", vec![&two_id]),
        ("agent=alpha", vec![]),
        ("role=User", vec![&two_id, &one_id]),
        ("role=User&order=oldest", vec![&one_id, &two_id]),
        ("role=User&state=any", vec![&ended_id, &two_id, &one_id]),
        ("role=User&state=ended", vec![&ended_id]),
        ("role=User&state=expired", vec![]),
        ("role=User&kind=console", vec![]),
        ("role=User&kind=api&user=one", vec![&one_id]),
        ("role=User&user=&ip=&agent=&used_before=&created_after=", vec![&two_id, &one_id]),
    ] {
        assert_eq!(find(&browser, query).await, expected.into_iter().cloned().collect::<Vec<_>>(), "{query}");
    }
    assert_eq!(find(&browser, "kind=console").await.len(), 1);
    // The one that ended stays visible, with when, by whom and why.
    let page = browser.get("/admin/sessions?user=one&state=ended").await;
    let state = page.texts("td[data-label=State]").concat();
    let when = app.now().to_string();
    assert!(state.starts_with("■ Ended") && state.ends_with("UTC, revoked by root"), "{state}");
    assert_eq!(page.attributes("td[data-label=State] time", "datetime"), [when]);
    // A filter that is wrong finds nothing, and says what is wrong with it.
    for (query, field) in [
        ("user=nobody", "#user"),
        ("role=Boss", "#role"),
        ("ip=300.0.0.1", "#ip"),
        ("kind=tea", "#kind"),
        ("state=asleep", "#state"),
        ("used_before=yesterday", "#used_before"),
        ("created_after=2026-02-30", "#created_after"),
        ("size=1000", "#size"),
        ("order=random", "#order"),
    ] {
        let page = browser.get(&format!("/admin/sessions?{query}")).await.expect_status(400);
        assert_eq!(page.attributes(".errors a", "href"), [field], "{query}");
        assert!(listed(&page).is_empty() && !page.attributes(field, "id").is_empty(), "{query}");
    }
}

#[tokio::test]
async fn days_are_those_of_the_admins_time_zone_with_the_last_one_included() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/me").await.form("/admin/me/preferences").with("time_zone", "Asia/Kathmandu");
    browser.submit(&form).await.expect_redirect("/admin/me");
    let user = app.user("saif").await;
    // 5 hours and 45 minutes ahead of UTC.
    let local = app.now().after(5 * HOUR + HOUR * 3 / 4);
    let day = |days: i64| {
        let at = if days < 0 { local.before(24 * HOUR) } else { local.after(24 * HOUR * u32::try_from(days).unwrap()) };
        at.to_string()[..10].to_owned()
    };
    for (query, is_found) in [
        (format!("created_after={}&created_before={}", day(0), day(0)), true),
        (format!("created_before={}", day(-1)), false),
        (format!("created_after={}", day(1)), false),
        (format!("used_after={}&used_before={}", day(0), day(0)), true),
        (format!("used_before={}", day(-1)), false),
        (format!("used_after={}", day(1)), false),
    ] {
        let found = find(&browser, &format!("user=saif&{query}")).await;
        assert_eq!(found == [user.session_id.clone()], is_found, "{query}");
    }
    assert!(browser.get("/admin/sessions").await.text.contains("Days are days in Asia/Kathmandu"));
}

#[tokio::test]
async fn pages_go_on_and_back_and_keep_the_filter() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    app.user("saif").await;
    app.advance(Duration::from_millis(7));
    let mut all = vec![app.sign_in("saif").await.session_id];
    for _ in 0..58 {
        app.advance(Duration::from_millis(7));
        all.push(app.sign_in("saif").await.session_id);
    }
    all.reverse();
    let mut path = "/admin/sessions?user=saif&size=25".to_owned();
    let (mut found, mut paths) = (Vec::new(), Vec::new());
    loop {
        let page = browser.get(&path).await.expect_status(200);
        found.extend(listed(&page));
        paths.push(path);
        let Some(next) = page.attributes(".pages a[rel=next]", "href").pop() else { break };
        assert!(next.starts_with("/admin/sessions?user=saif&size=25&after="), "{next}");
        path = next;
    }
    // The first sign-in of the harness is the oldest of them.
    assert_eq!((found[..59].to_vec(), found.len(), paths.len()), (all, 60, 3));
    let last = browser.get(&paths[2]).await;
    let back = last.attributes(".pages a[rel=prev]", "href").pop().expect("a page in front");
    assert_eq!(listed(&browser.get(&back).await), found[25..50]);
    // A place that nobody gave out is the beginning.
    let page = browser.get("/admin/sessions?user=saif&after=AAAA").await.expect_status(200);
    assert_eq!(listed(&page), found[..25]);
    assert_eq!(page.texts(".notice"), ["That place in the list is unknown here. This is its beginning."]);
}

#[tokio::test]
async fn p7_hostile_agents_and_names_are_shown_as_text() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let hostile = "\"><img src=x onerror=alert(1)>'{{7*7}}</td><script>alert(2)</script>";
    let name = "<b>o'neil&amp;";
    app.register("saif").await.expect_status(201);
    let person = sign_in_from(&app, "saif", "198.51.100.7", hostile).await;
    let body = json!({ "username": name, "email": "b@example.com", "password": PASSWORD });
    let is_name = app.post("/api/users/register", &body).await.status == 201;
    if is_name {
        sign_in_from(&app, name, "198.51.100.7", hostile).await;
    }
    for path in [
        "/admin/sessions?role=User".to_owned(),
        format!("/admin/sessions/{}", person.session_id),
        format!(
            "/admin/sessions?agent={}",
            url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect::<String>()
        ),
        format!(
            "/admin/sessions?user={}",
            url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect::<String>()
        ),
        format!(
            "/admin/sessions?after={}",
            url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect::<String>()
        ),
    ] {
        let page = browser.get(&path).await;
        assert!(page.text.contains("&#60;") || path.contains("after="), "{path}: {page:?}");
        for selector in ["img", "script:not([src])", "[onerror]", "td script", "b"] {
            assert!(page.texts(selector).is_empty(), "{selector} in {path}");
        }
    }
    let page = browser.get(&format!("/admin/sessions/{}", person.session_id)).await;
    assert!(page.texts("dd code").contains(&hostile.to_owned()), "{page:?}");
}

#[tokio::test]
async fn an_empty_list_says_so_and_a_page_stays_small() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/sessions?role=User").await.expect_status(200);
    assert_eq!(page.texts(".empty"), ["No session is like this."]);
    app.user("saif").await;
    for _ in 0..60 {
        app.sign_in("saif").await;
    }
    let page = browser.get("/admin/sessions?size=50").await.expect_status(200);
    assert_eq!(listed(&page).len(), 50);
    assert!(page.text.len() < 46 * 1024, "{}", page.text.len());
    assert!(browser.get("/admin/sessions").await.text.len() < 40 * 1024);
}
