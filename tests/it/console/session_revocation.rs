//! Revoking sessions in the console: one, the ticked, all that match, everybody's; and that nobody else's end.

use std::time::Duration;

use relatch::auth::session_search::{From, SessionSearch, StateFilter, search_sessions};
use reqwest::Method;

use super::session_list::{listed, sign_in_from};
use crate::harness::{Answer, Browser, PASSWORD, PageForm, Person, TestApp, execute};

async fn expect_ended(app: &TestApp, person: &Person) {
    person.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
}

/// The form for a path, as a page shows it; what it asks next is answered with yes.
async fn submit_and_confirm(browser: &Browser, form: &PageForm) -> Answer {
    let asked = browser.submit(form).await.expect_status(200);
    assert!(asked.texts(".confirmation").concat().contains("until they expire, at"), "{asked:?}");
    browser.submit(&asked.form(&form.action)).await
}

#[tokio::test]
async fn m8_one_session_is_revoked_after_a_page_that_asks_and_a_double_click_is_the_same() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (one, other) = (app.user("saif").await, app.sign_in("saif").await);
    let path = format!("/admin/sessions/{}", one.session_id);
    let action = format!("{path}/revoke");
    let form = browser.get(&path).await.form(&action);
    let asked = browser.submit(&form).await.expect_status(200);
    assert_eq!(asked.heading(), "Revoke this session?");
    one.profile().await.expect_status(200);
    for _ in 0..2 {
        browser.submit(&asked.form(&action)).await.expect_redirect(&path);
        assert_eq!(browser.get(&path).await.texts(".flash"), ["✓ The session was revoked."]);
    }
    expect_ended(&app, &one).await;
    other.profile().await.expect_status(200);
    let page = browser.get(&path).await;
    assert!(page.texts(".verdict").concat().contains("the admin root ended it from 127.0.0.1."), "{page:?}");
    assert!(page.attributes("form", "action").iter().all(|form| *form != action), "{page:?}");
    for unknown in ["0199a1b2-0000-7000-8000-000000000000", "x", "%2e%2e"] {
        let form = PageForm { action: format!("/admin/sessions/{unknown}/revoke"), ..form.clone() };
        browser.submit(&form).await.expect_status(404);
        browser.get(&format!("/admin/sessions/{unknown}")).await.expect_status(404);
    }
}

#[tokio::test]
async fn m8_the_ticked_sessions_are_revoked_and_the_list_is_shorter() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let people = [app.user("one").await, app.user("two").await, app.user("three").await];
    let path = "/admin/sessions?role=User";
    let page = browser.get(path).await;
    let mut form = page.form("/admin/sessions/revoke");
    // Nothing ticked is nothing done.
    browser.submit(&form).await.expect_redirect(path);
    assert_eq!(browser.get(path).await.texts(".flash"), ["! Tick the sessions to revoke."]);
    for person in &people[..2] {
        form.fields.push(("id".to_owned(), person.session_id.clone()));
    }
    submit_and_confirm(&browser, &form).await.expect_redirect(path);
    let page = browser.get(path).await;
    assert_eq!(page.texts(".flash"), ["✓ 2 sessions were revoked."]);
    assert_eq!(listed(&page), [people[2].session_id.clone()]);
    for person in &people[..2] {
        expect_ended(&app, person).await;
    }
    people[2].profile().await.expect_status(200);
    // Once more.
    submit_and_confirm(&browser, &form).await.expect_redirect(path);
    assert_eq!(browser.get(path).await.texts(".flash"), ["✓ Nothing was left to revoke: they had ended before."]);
}

#[tokio::test]
async fn m8_two_thousand_sessions_that_match_are_revoked_together_and_no_other() {
    let app =
        TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8"), ("MAX_SESSIONS_PER_USER", "5000"), ("RATE_LIMITS", "off")])
            .await;
    let browser = app.console("root").await;
    let safe = app.user("safe").await;
    app.register("bot").await.expect_status(201);
    let mut some = Vec::new();
    for number in 0..2_000 {
        let bot = sign_in_from(&app, "bot", &format!("198.51.100.{}", number % 200), "Bot/1.0").await;
        if number % 400 == 0 {
            some.push(bot);
        }
    }
    let elsewhere = sign_in_from(&app, "bot", "203.0.113.7", "Bot/1.0").await;
    let path = "/admin/sessions?ip=198.51.100.0%2F24&agent=Bot&size=50";
    let page = browser.get(path).await.expect_status(200);
    assert_eq!(listed(&page).len(), 50);
    let form = page.form("/admin/sessions/revoke-matching");
    let asked = browser.submit(&form).await.expect_status(200);
    assert_eq!(asked.heading(), "Revoke 2,000 sessions?");
    browser.submit(&asked.form("/admin/sessions/revoke-matching")).await.expect_status(303);
    let page = browser.get(path).await;
    assert_eq!(page.texts(".flash"), ["✓ 2,000 sessions were revoked."]);
    assert!(listed(&page).is_empty());
    for bot in some {
        expect_ended(&app, &bot).await;
    }
    for person in [safe, elsewhere] {
        person.profile().await.expect_status(200);
        app.refresh(&person.refresh_token).await.expect_status(200);
    }
    browser.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn what_the_page_shows_is_what_revoking_all_that_match_ends() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let browser = app.console("root").await;
    for name in ["one", "two", "three"] {
        app.register(name).await.expect_status(201);
    }
    for query in
        ["user=two", "role=User", "ip=198.51.100.0%2F25", "agent=b%2F1", "kind=api&role=User", "role=User&state=any"]
    {
        let mut people = Vec::new();
        for (name, address, agent) in
            [("one", "198.51.100.1", "a/1"), ("two", "198.51.100.200", "b/1"), ("three", "192.0.2.1", "b/1")]
        {
            people.push(sign_in_from(&app, name, address, agent).await);
        }
        let path = format!("/admin/sessions?{query}");
        let page = browser.get(&path).await;
        let shown: Vec<_> = people.iter().filter(|person| listed(&page).contains(&person.session_id)).collect();
        assert!(!shown.is_empty(), "{query}");
        submit_and_confirm(&browser, &page.form("/admin/sessions/revoke-matching")).await.expect_status(303);
        for person in &people {
            let is_shown = shown.iter().any(|shown| shown.session_id == person.session_id);
            assert_eq!(person.profile().await.status, if is_shown { 401 } else { 200 }, "{query}");
        }
    }
    // Without a filter, or with one of what is over, there is nothing to revoke together.
    for query in ["", "state=any", "size=50", "user=two&state=ended", "user=two&state=expired"] {
        let page = browser.get(&format!("/admin/sessions?{query}")).await;
        let actions = page.attributes("form", "action");
        assert!(!actions.contains(&"/admin/sessions/revoke-matching".to_owned()), "{query}");
    }
    let token = browser.get("/admin/sessions").await.form("/admin/sessions/revoke-all").value("token").to_owned();
    for extra in [vec![], vec![("state", "any")], vec![("user", "nobody")], vec![("user", "two"), ("state", "ended")]] {
        let fields = [("token", token.as_str()), ("confirmed", "yes")].into_iter().chain(extra);
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let form = PageForm { action: "/admin/sessions/revoke-matching".to_owned(), fields };
        browser.submit(&form).await.expect_status(400);
    }
    browser.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn m10_all_that_match_take_the_password_unless_the_filter_names_one_user() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (saif, mara) = (app.user("saif").await, app.user("mara").await);
    app.advance(Duration::from_secs(301));
    let action = "/admin/sessions/revoke-matching";
    for query in ["created_after=1970-01-01", "ip=%3A%3A%2F0", "ip=127.0.0.0%2F8", "kind=api", "role=User", "agent=e"] {
        let fields = browser.get("/admin/sessions?kind=api").await.form(action);
        let filter = url::form_urlencoded::parse(query.as_bytes()).into_owned().next().unwrap();
        let form = fields.without("kind").with(&filter.0, &filter.1).with("confirmed", "yes");
        let asked = browser.submit(&form).await.expect_status(200);
        assert_eq!(asked.heading(), "Give your password again", "{query}");
        mara.profile().await.expect_status(200);
    }
    let page = browser.get("/admin/sessions?user=saif").await;
    submit_and_confirm(&browser, &page.form(action))
        .await
        .expect_redirect(&format!("/admin/sessions?user={}", saif.id));
    expect_ended(&app, &saif).await;
    mara.profile().await.expect_status(200);
    let page = browser.get("/admin/sessions?role=User").await;
    let asked = submit_and_confirm(&browser, &page.form(action)).await.expect_status(200);
    let given = asked.form(action).with("confirm_password", PASSWORD);
    browser.submit(&given).await.expect_redirect("/admin/sessions?role=User");
    expect_ended(&app, &mara).await;
}

#[tokio::test]
async fn the_page_that_asks_says_whom_the_filter_came_to_and_carries_their_id() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (saif, mara) = (app.user("saif").await, app.user("mara").await);
    // A name that is the id of somebody else.
    let digits = app.user(&format!("{}", 1_000 + saif.id)).await;
    execute(
        &app.database,
        &format!("UPDATE users SET username = '{}', username_key = '{}' WHERE id = {}", saif.id, saif.id, digits.id),
    )
    .await;
    let action = "/admin/sessions/revoke-matching";
    for (user, person, name) in
        [("saif", &saif, "saif"), (&saif.id.to_string(), &saif, "saif"), ("MARA@example.com", &mara, "mara")]
    {
        let path = format!("/admin/sessions?user={}", user.replace('@', "%40"));
        let asked = browser.submit(&browser.get(&path).await.form(action)).await.expect_status(200);
        let expected = format!("Only where the user is {name} (id {}).", person.id);
        assert!(asked.texts(".confirmation li").contains(&expected), "{asked:?}");
        assert_eq!(asked.form(action).value("user"), person.id.to_string());
    }
    // Between the question and the answer the name has gone to another.
    let asked = browser.submit(&browser.get("/admin/sessions?user=saif").await.form(action)).await;
    for (id, name) in [(saif.id, "old"), (mara.id, "saif")] {
        let sql = format!("UPDATE users SET username = '{name}', username_key = '{name}' WHERE id = {id}");
        execute(&app.database, &sql).await;
    }
    browser.submit(&asked.form(action)).await.expect_status(303);
    expect_ended(&app, &saif).await;
    app.refresh(&mara.refresh_token).await.expect_status(200);
    app.refresh(&digits.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn m10_everybodys_sessions_take_the_words_and_the_password() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let people = [app.user("one").await, app.user("two").await];
    app.advance(Duration::from_secs(301));
    let action = "/admin/sessions/revoke-all";
    let form = browser.get("/admin/sessions").await.form(action);
    let asked = browser.submit(&form).await.expect_status(200);
    assert_eq!(asked.heading(), "Give your password again");
    let asked = browser.submit(&asked.form(action).with("confirm_password", PASSWORD)).await.expect_status(200);
    assert_eq!(asked.heading(), "Revoke everybody's sessions?");
    // Two users, the admin's sign-in by the harness, and the console itself.
    assert!(asked.texts(".confirmation li")[0].starts_with("4 sessions that are live end at once"), "{asked:?}");
    for wrong in ["", "revoke all", "REVOKE ALL!"] {
        let again = browser.submit(&asked.form(action).with("phrase", wrong)).await.expect_status(400);
        assert_eq!(again.texts(".errors a"), ["Type REVOKE ALL, in capital letters."]);
    }
    people[0].profile().await.expect_status(200);
    browser.submit(&asked.form(action).with("phrase", "REVOKE ALL")).await.expect_redirect("/admin/sessions");
    for person in &people {
        expect_ended(&app, person).await;
    }
    browser.get("/admin/sessions").await.expect_redirect("/admin/sign-in?next=%2Fadmin%2Fsessions");
    let live = SessionSearch { state: StateFilter::Live, from: From::Start, limit: 10, ..SessionSearch::default() };
    assert!(search_sessions(app.app.auth(), live).await.unwrap().items.is_empty());
    browser.sign_in("root").await.expect_redirect("/admin");
    assert_eq!(listed(&browser.get("/admin/sessions").await).len(), 1);
}

#[tokio::test]
async fn revoking_ones_own_session_signs_out() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/sessions?kind=console").await;
    let [own] = listed(&page).try_into().expect("one session");
    let path = format!("/admin/sessions/{own}");
    let page = browser.get(&path).await;
    assert!(page.texts(".verdict").concat().contains("somebody is signed in to the console"), "{page:?}");
    let asked = browser.submit(&page.form(&format!("{path}/revoke"))).await.expect_status(200);
    assert!(asked.texts("li").contains(&"It is your own: you are signed out.".to_owned()), "{asked:?}");
    browser.submit(&asked.form(&format!("{path}/revoke"))).await.expect_status(303);
    let answer = browser.get("/admin").await;
    answer.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn o1_o4_without_the_forms_token_or_by_get_nothing_is_revoked() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let user = app.user("saif").await;
    let one = format!("/admin/sessions/{}/revoke", user.session_id);
    let actions = [&one, "/admin/sessions/revoke", "/admin/sessions/revoke-matching", "/admin/sessions/revoke-all"];
    for action in actions {
        let fields =
            [("id", user.session_id.as_str()), ("user", "saif"), ("phrase", "REVOKE ALL"), ("confirmed", "yes")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let form = PageForm { action: action.to_owned(), fields };
        browser.submit(&form).await.expect_status(403);
        browser.submit(&form.with("token", "AAAA")).await.expect_status(403);
        for method in [Method::GET, Method::HEAD] {
            let path = format!("{action}?id={}&user=saif&phrase=REVOKE+ALL&confirmed=yes", user.session_id);
            assert_eq!(browser.send(browser.request(method, &path)).await.status, 405, "{action}");
        }
    }
    user.profile().await.expect_status(200);
}
