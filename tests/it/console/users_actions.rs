//! What admins do with one user, and what becomes of the user's tokens.

use std::time::Duration;

use relatch::auth::Actor;
use relatch::auth::reset_link::{ResetLinkError, make_reset_token};
use relatch::auth::update_user::{UpdateError, UserChanges, update_user};
use relatch::domain::client::Client;
use relatch::domain::role::Role;
use relatch::domain::user::UserId;
use serde_json::json;

use crate::harness::{Answer, Browser, PASSWORD, PageForm, Person, TestApp, execute};

/// Presses a button on a user's page.
async fn press(browser: &Browser, id: i64, action: &str) -> Answer {
    let page = browser.get(&format!("/admin/users/{id}")).await.expect_status(200);
    browser.submit(&page.form(&format!("/admin/users/{id}/{action}"))).await
}

/// The same, and confirms it.
async fn press_and_confirm(browser: &Browser, id: i64, action: &str) -> Answer {
    let asked = press(browser, id, action).await.expect_status(200);
    browser.submit(&asked.form(&format!("/admin/users/{id}/{action}"))).await
}

async fn expect_signed_out(app: &TestApp, person: &Person) {
    person.profile().await.expect_problem(401, "invalid_token");
    assert_eq!(app.refresh(&person.refresh_token).await.status, 401);
}

async fn flash(browser: &Browser, id: i64) -> String {
    browser.get(&format!("/admin/users/{id}")).await.texts(".flash").join("; ")
}

#[tokio::test]
async fn m7_who_is_disabled_is_out_at_once_and_back_when_enabled() {
    let app = TestApp::start().await;
    let (browser, saif, mara) = (app.console("root").await, app.user("saif").await, app.user("mara").await);
    let asked = press(&browser, saif.id, "disable").await.expect_status(200);
    assert_eq!(asked.heading(), "Disable: saif?");
    assert!(asked.text.contains("APIs that verify access tokens without asking"), "{asked:?}");
    saif.profile().await.expect_status(200);
    let path = format!("/admin/users/{}", saif.id);
    browser.submit(&asked.form(&format!("{path}/disable"))).await.expect_redirect(&path);
    assert_eq!(flash(&browser, saif.id).await, "✓ saif is disabled. Their sessions have ended.");
    expect_signed_out(&app, &saif).await;
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    mara.profile().await.expect_status(200);
    let page = browser.get(&path).await;
    assert!(page.texts("td[data-label=Ended]")[0].contains("by root: account disabled"), "{page:?}");
    press(&browser, saif.id, "enable").await.expect_redirect(&path);
    app.sign_in("saif").await.profile().await.expect_status(200);
    expect_signed_out(&app, &saif).await;
}

#[tokio::test]
async fn m8_revoked_sessions_are_out_and_stay_visible() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let second = app.sign_in("saif").await;
    press_and_confirm(&browser, saif.id, "revoke-sessions").await.expect_redirect(&format!("/admin/users/{}", saif.id));
    let page = browser.get(&format!("/admin/users/{}", saif.id)).await;
    assert_eq!(page.texts(".flash"), ["✓ 2 sessions were ended."]);
    assert!(page.text.contains("Signed out everywhere."));
    assert_eq!(page.texts("td[data-label=State]"), ["○ Ended", "○ Ended"]);
    let links = page.attributes("td[data-label=Session] a", "href");
    assert!(links.contains(&format!("/admin/sessions/{}", saif.session_id)), "{links:?}");
    expect_signed_out(&app, &saif).await;
    expect_signed_out(&app, &second).await;
    app.sign_in("saif").await.profile().await.expect_status(200);
    // Twice is as good as once.
    press_and_confirm(&browser, saif.id, "revoke-sessions").await.expect_status(303);
    press_and_confirm(&browser, saif.id, "revoke-sessions").await.expect_status(303);
    assert_eq!(flash(&browser, saif.id).await, "✓ There was no session to end.");
}

#[tokio::test]
async fn deleted_users_are_shown_and_restored() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    press_and_confirm(&browser, saif.id, "delete").await.expect_status(303);
    expect_signed_out(&app, &saif).await;
    let page = browser.get(&format!("/admin/users/{}", saif.id)).await;
    assert!(page.texts("dd")[4].starts_with("✕ Deleted since"), "{page:?}");
    for action in ["disable", "delete", "role", "email", "reset-link"] {
        assert!(!page.text.contains(&format!("/{action}\"")), "{action}");
    }
    press(&browser, saif.id, "restore").await.expect_status(303);
    assert!(flash(&browser, saif.id).await.contains("saif is restored"));
    expect_signed_out(&app, &saif).await;
    app.sign_in("saif").await;
    // What was pressed on a page from before is refused with a message.
    let form = browser.get(&format!("/admin/users/{}", saif.id)).await;
    let form = form.form(&format!("/admin/users/{}/disable", saif.id)).with("confirmed", "yes");
    press_and_confirm(&browser, saif.id, "delete").await.expect_status(303);
    browser.get("/admin/users").await;
    let refused = browser.submit(&form).await.expect_status(409);
    assert!(refused.texts(".flash")[0].contains("restore them first"), "{refused:?}");
    let restore = PageForm { action: format!("/admin/users/{}/restore", saif.id), ..form };
    browser.submit(&restore).await.expect_status(303);
    browser.submit(&restore).await.expect_status(409);
}

#[tokio::test]
async fn m10_only_who_gives_the_password_deletes_somebody() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    app.advance(Duration::from_secs(300));
    let asked = press_and_confirm(&browser, saif.id, "delete").await.expect_status(200);
    assert_eq!(asked.heading(), "Give your password again");
    let (path, action) = (format!("/admin/users/{}", saif.id), format!("/admin/users/{}/delete", saif.id));
    browser.submit(&asked.form(&action).with("confirm_password", "wrong password")).await.expect_status(400);
    app.sign_in("saif").await.profile().await.expect_status(200);
    browser.submit(&asked.form(&action).with("confirm_password", PASSWORD)).await.expect_redirect(&path);
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn m10_only_who_gives_the_password_makes_an_admin() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let console = Browser::new(&app);
    console.sign_in("saif").await.expect_redirect("/admin");
    console.get("/admin/users").await.expect_status(403);
    app.advance(Duration::from_secs(300));
    let asked = press_and_confirm(&browser, saif.id, "role").await.expect_status(200);
    assert_eq!(asked.heading(), "Give your password again");
    let action = format!("/admin/users/{}/role", saif.id);
    browser.submit(&asked.form(&action).with("confirm_password", "wrong password")).await.expect_status(400);
    assert!(browser.get(&format!("/admin/users/{}", saif.id)).await.texts("dd")[3] == "User");
    browser.submit(&asked.form(&action).with("confirm_password", PASSWORD)).await.expect_status(303);
    assert_eq!(flash(&browser, saif.id).await, "✓ saif has the role Admin.");
    // The old tokens and the console's session say what was so before.
    saif.profile().await.expect_problem(401, "invalid_token");
    console.get("/admin/users").await.expect_redirect("/admin/sign-in?next=%2Fadmin%2Fusers");
    console.sign_in("saif").await.expect_redirect("/admin");
    console.get("/admin/users").await.expect_status(200);
    // Taking it away asks for it, too, and works at once.
    app.advance(Duration::from_secs(300));
    let asked = press_and_confirm(&browser, saif.id, "role").await.expect_status(200);
    console.get("/admin/users").await.expect_status(200);
    browser.submit(&asked.form(&action).with("confirm_password", PASSWORD)).await.expect_status(303);
    console.get("/admin/users").await.expect_redirect("/admin/sign-in?next=%2Fadmin%2Fusers");
}

#[tokio::test]
async fn m10_whatever_is_done_with_an_admins_account_takes_the_password() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (other, saif) = (app.admin("other").await, app.user("saif").await);
    let facts = async || browser.get(&format!("/admin/users/{}", other.id)).await.texts("dd")[2..5].join(", ");
    for (action, before, after) in [
        ("email", "other@example.com, Admin, ● Active", "new@example.com, Admin, ● Active"),
        ("disable", "new@example.com, Admin, ● Active", "new@example.com, Admin, ■ Disabled since"),
        ("enable", "new@example.com, Admin, ■ Disabled since", "new@example.com, Admin, ● Active"),
        ("delete", "new@example.com, Admin, ● Active", "new@example.com, Admin, ✕ Deleted since"),
        ("restore", "new@example.com, Admin, ✕ Deleted since", "new@example.com, Admin, ● Active"),
        ("role", "new@example.com, Admin, ● Active", "new@example.com, User, ● Active"),
    ] {
        app.advance(Duration::from_secs(300));
        let path = format!("/admin/users/{}/{action}", other.id);
        let page = browser.get(&format!("/admin/users/{}", other.id)).await;
        let form = page.form(&path).with("email", "new@example.com").with("confirmed", "yes");
        let asked = browser.submit(&form).await.expect_status(200);
        assert_eq!(asked.heading(), "Give your password again", "{action}");
        assert!(facts().await.starts_with(before), "{action}: {}", facts().await);
        browser.submit(&asked.form(&path).with("confirm_password", PASSWORD)).await.expect_status(303);
        assert!(facts().await.starts_with(after), "{action}: {}", facts().await);
    }
    // With anybody else's nothing more is asked for.
    app.advance(Duration::from_secs(300));
    let form = browser.get(&format!("/admin/users/{}", saif.id)).await.form(&format!("/admin/users/{}/email", saif.id));
    browser.submit(&form.with("email", "saif@example.org")).await.expect_status(303);
    press_and_confirm(&browser, saif.id, "disable").await.expect_status(303);
    press(&browser, saif.id, "enable").await.expect_status(303);
}

#[tokio::test]
async fn m5_the_last_admin_stays_and_is_told_so_on_the_page() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let root = app.sign_in("root").await;
    for action in ["disable", "role", "delete"] {
        let refused = press_and_confirm(&browser, root.id, action).await.expect_status(409);
        assert_eq!(refused.heading(), "User root");
        assert!(refused.texts(".flash")[0].contains("last admin who may sign in"), "{refused:?}");
        root.profile().await.expect_status(200);
    }
}

#[tokio::test]
async fn m6_who_disables_or_demotes_themselves_is_asked_first_and_signed_out_at_once() {
    let app = TestApp::start().await;
    app.admin("other").await;
    for (name, action) in [("one", "disable"), ("two", "role"), ("three", "delete"), ("four", "revoke-sessions")] {
        let browser = app.console(name).await;
        let id = app.sign_in(name).await.id;
        let asked = press(&browser, id, action).await.expect_status(200);
        assert!(asked.text.contains("This is your own account"), "{action}: {asked:?}");
        browser.get("/admin").await.expect_status(200);
        browser.submit(&asked.form(&format!("/admin/users/{id}/{action}"))).await.expect_redirect("/admin/sign-in");
        browser.get("/admin").await.expect_redirect("/admin/sign-in");
    }
}

#[tokio::test]
async fn an_email_address_is_changed_or_it_is_said_what_is_wrong_with_it() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let path = format!("/admin/users/{}", saif.id);
    let form = browser.get(&path).await.form(&format!("{path}/email"));
    for (email, wrong) in [("nobody", "The e-mail address"), ("root@example.com", "The e-mail address is taken.")] {
        let again = browser.submit(&form.clone().with("email", email)).await.expect_status(400);
        assert!(again.texts(".errors a")[0].starts_with(wrong), "{again:?}");
        assert_eq!(again.attributes("#email", "value"), [email]);
        assert_eq!(again.attributes("#email", "aria-invalid"), ["true"]);
    }
    browser.submit(&form.with("email", "saif@example.org")).await.expect_redirect(&path);
    assert!(browser.get(&path).await.text.contains("saif@example.org"));
    saif.profile().await.expect_status(200);
}

#[tokio::test]
async fn users_are_created_with_a_password_or_with_a_link() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/users/new").await.expect_status(200).form("/admin/users");
    let form = form.with("username", "saif").with("email", "saif@example.com");
    let again = browser.submit(&form.clone().with("how", "password").with("password", "short")).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.attributes("#username", "value"), ["saif"]);
    assert!(again.texts(".errors a")[0].starts_with("The password"), "{again:?}");
    let made = form.clone().with("how", "password").with("password", PASSWORD);
    let path = browser.submit(&made).await.expect_status(303).header("location").to_owned();
    assert_eq!(browser.get(&path).await.texts(".flash"), ["✓ saif was created."]);
    app.sign_in("saif").await;
    let again = browser.submit(&form).await.expect_status(400);
    assert_eq!(again.texts(".errors a"), ["The username is taken.", "The e-mail address is taken."]);
    // With a link, nobody knows a password until its holder chooses one.
    let form = form.with("username", "mara").with("email", "mara@example.com");
    let shown = browser.submit(&form).await.expect_status(200);
    let link = shown.attributes(".secret code", "data-copy").remove(0);
    let target = link.strip_prefix(app.config.public_url.as_str()).unwrap();
    let visitor = Browser::new(&app);
    let chosen = visitor.get(target).await.expect_status(200).form("/reset").with("password", PASSWORD);
    visitor.submit(&chosen).await.expect_redirect("/reset?done=1");
    app.sign_in("mara").await;
    // An admin is made by whoever gives their password.
    app.advance(Duration::from_secs(300));
    let form = form.with("username", "boss").with("email", "boss@example.com").with("role", "Admin");
    let asked = browser.submit(&form).await.expect_status(200);
    assert_eq!(asked.heading(), "Give your password again");
    assert!(browser.get("/admin/users?q=boss").await.text.contains("No user starts with"));
    let shown = browser.submit(&asked.form("/admin/users").with("confirm_password", PASSWORD)).await;
    assert_eq!(shown.expect_status(200).heading(), "boss was created");
}

#[tokio::test]
async fn o1_without_the_sessions_token_nothing_is_done() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let base = format!("/admin/users/{}", saif.id);
    let actions = ["disable", "enable", "role", "revoke-sessions", "reset-link", "delete", "restore", "email"];
    let paths: Vec<String> = actions.iter().map(|action| format!("{base}/{action}")).collect();
    for path in paths.iter().map(String::as_str).chain(["/admin/users", "/admin/users/bulk"]) {
        let fields = [
            ("confirmed", "yes"),
            ("role", "Admin"),
            ("email", "x@example.com"),
            ("action", "disable"),
            ("username", "x"),
            ("password", PASSWORD),
            ("how", "password"),
        ];
        let mut fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.push(("id".to_owned(), saif.id.to_string()));
        let form = PageForm { action: path.to_owned(), fields };
        browser.submit(&form).await.expect_status(403);
        browser.submit(&form.clone().with("token", "AAAA")).await.expect_status(403);
        for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
            if path != "/admin/users" {
                browser.send(browser.request(method, path)).await.expect_status(405);
            }
        }
    }
    let profile = saif.profile().await.expect_status(200).json();
    assert_eq!((profile["role"].as_str(), profile["email"].as_str()), (Some("User"), Some("saif@example.com")));
    assert_eq!(app.refresh(&saif.refresh_token).await.status, 200);
    let users = app.sign_in("root").await.get("/api/users").await.json();
    assert_eq!(users.as_array().unwrap().len(), 2);
    assert_eq!(users[1]["id"], json!(saif.id));
}

#[tokio::test]
async fn the_page_shows_what_happened_to_the_user_and_who_did_it() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    for action in ["revoke-sessions", "role", "disable"] {
        press_and_confirm(&browser, saif.id, action).await.expect_status(303);
    }
    press(&browser, saif.id, "enable").await.expect_status(303);
    press(&browser, saif.id, "reset-link").await.expect_status(200);
    press_and_confirm(&browser, saif.id, "delete").await.expect_status(303);
    press(&browser, saif.id, "restore").await.expect_status(303);
    let page = browser.get(&format!("/admin/users/{}", saif.id)).await.expect_status(200);
    let expected = [
        ("user.restored", "root"),
        ("user.deleted", "root"),
        ("reset_link.created", "root"),
        ("user.enabled", "root"),
        ("user.disabled", "root"),
        ("user.role_changed", "root"),
        ("sessions.revoked", "root"),
        ("login.succeeded", "saif"),
        ("user.registered", "anonymous"),
    ];
    let shown: Vec<_> = page.texts("td[data-label=What]").into_iter().zip(page.texts("td[data-label=By]")).collect();
    let shown: Vec<_> = shown.iter().map(|(what, by)| (what.as_str(), by.as_str())).collect();
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn m10_what_was_decided_for_a_user_without_the_password_is_not_done_with_an_admin() {
    let app = TestApp::start().await;
    let (saif, auth, nobody) = (app.user("saif").await, app.app.auth(), Client::default());
    let id = UserId::new(saif.id).unwrap();
    // They were an admin on the page, and are none any more: making them one needs the password.
    let changes = UserChanges { role: Some(Role::Admin), if_role: Some(Role::Admin), ..UserChanges::default() };
    let refused = update_user(auth, Actor::Operator, id, changes, &nobody).await;
    assert!(matches!(refused, Err(UpdateError::RoleChanged)), "{refused:?}");
    assert_eq!(saif.profile().await.expect_status(200).text_at("role"), "User");
    make_reset_token(auth, Actor::Operator, id, Some(Role::User), &nobody).await.unwrap();
    // They were a user on the page, and are an admin now: a link for them needs the password.
    let changes = UserChanges { if_role: Some(Role::User), ..changes };
    update_user(auth, Actor::Operator, id, changes, &nobody).await.unwrap();
    let refused = make_reset_token(auth, Actor::Operator, id, Some(Role::User), &nobody).await;
    assert!(matches!(refused, Err(ResetLinkError::RoleChanged)));
    make_reset_token(auth, Actor::Operator, id, None, &nobody).await.unwrap();
}

#[tokio::test]
async fn a_user_is_created_with_a_link_whatever_length_passwords_must_have() {
    let app = TestApp::with(&[("PASSWORD_MIN_LENGTH", "64")]).await;
    use relatch::auth::register::{NewAccount, register};
    let password = "a sentence that is long enough for the longest rule there is at all";
    let root = NewAccount { username: "root", email: "root@example.com", password, role: Role::Admin };
    register(app.app.auth(), Actor::Operator, root, &Client::default()).await.unwrap();
    let browser = Browser::new(&app);
    let form = browser.get("/admin/sign-in").await.form("/admin/sign-in");
    let form = form.with("identifier", "root").with("password", password);
    browser.submit(&form).await.expect_redirect("/admin");
    let form = browser.get("/admin/users/new").await.expect_status(200).form("/admin/users");
    let form = form.with("username", "saif").with("email", "saif@example.com").with("how", "link");
    let shown = browser.submit(&form).await.expect_status(200);
    assert_eq!(shown.heading(), "saif was created");
    let link = shown.attributes(".secret code", "data-copy").remove(0);
    let page = browser.get(link.strip_prefix(app.config.public_url.as_str()).unwrap()).await.expect_status(200);
    browser.submit(&page.form("/reset").with("password", password)).await.expect_redirect("/reset?done=1");
    app.login("saif", password).await.expect_status(200);
}

#[tokio::test]
async fn there_is_no_account_without_the_link_that_it_was_to_be_made_with() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let sql = match app.database.is_postgres() {
        true => {
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
             CREATE TRIGGER broken BEFORE INSERT ON reset_links FOR EACH ROW EXECUTE FUNCTION broken();"
        }
        false => "CREATE TRIGGER broken BEFORE INSERT ON reset_links BEGIN SELECT RAISE(ABORT, 'broken'); END;",
    };
    execute(&app.database, sql).await;
    let form = browser.get("/admin/users/new").await.expect_status(200).form("/admin/users");
    let form = form.with("username", "saif").with("email", "saif@example.com").with("how", "link");
    browser.submit(&form).await.expect_status(500);
    let found = app.sign_in("root").await.get("/api/users?search=saif").await.expect_status(200);
    assert_eq!(found.json(), json!([]));
}

#[tokio::test]
async fn an_admin_who_is_removed_is_no_operator() {
    let app = TestApp::start().await;
    let (other, saif, mara) = (app.console("other").await, app.user("saif").await, app.user("mara").await);
    let id = app.sign_in("other").await.id;
    press_and_confirm(&other, saif.id, "revoke-sessions").await.expect_status(303);
    app.admin("root").await;
    let browser = Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    relatch::auth::end_session::end_sessions_of_user(
        app.app.auth(),
        Actor::Operator,
        UserId::new(mara.id).unwrap(),
        &Client::default(),
    )
    .await
    .unwrap();
    execute(&app.database, &format!("DELETE FROM users WHERE id = {id}")).await;
    let verdict = async |session: &str| {
        browser.get(&format!("/admin/sessions/{session}")).await.expect_status(200).texts(".verdict").concat()
    };
    let removed = format!("the admin with the id {id}, who is removed, ended it from 127.0.0.1.");
    assert!(verdict(&saif.session_id).await.contains(&removed), "{}", verdict(&saif.session_id).await);
    assert!(verdict(&mara.session_id).await.contains("an operator ended it."), "{}", verdict(&mara.session_id).await);
    let list = browser.get("/admin/sessions?state=ended").await.expect_status(200);
    assert!(list.text.contains(&format!("revoked by user {id} (removed)")), "{list:?}");
    assert!(list.text.contains("revoked by an operator"), "{list:?}");
    let page = browser.get(&format!("/admin/users/{}", saif.id)).await.expect_status(200);
    assert!(page.text.contains(&format!("user {id} (removed)")), "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_clicked_twice_fails_for_nobody() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    for round in 0..10 {
        let saif = app.user(&format!("saif{round}")).await;
        let path = format!("/admin/users/{}", saif.id);
        let form = browser.get(&path).await.form(&format!("{path}/reset-link"));
        let clicks = futures_util::future::join_all((0..8).map(|_| browser.submit(&form))).await;
        for answer in clicks {
            answer.expect_status(200);
        }
        execute(&app.database, "DELETE FROM console_preferences").await;
        let form = browser.get("/admin/me").await.form("/admin/me/preferences");
        let clicks = futures_util::future::join_all((0..8).map(|_| browser.submit(&form))).await;
        for answer in clicks {
            answer.expect_status(303);
        }
    }
}
