//! The pages of registered clients: what they show, once and otherwise, and what they ask for first.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Browser, PASSWORD, PageForm, TestApp, dump};
use crate::oauth::{Registered, TOKEN};

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

fn ticked(form: PageForm, scopes: &[&str]) -> PageForm {
    let mut form = form.without("scope");
    form.fields.extend(scopes.iter().map(|scope| ("scope".to_owned(), (*scope).to_owned())));
    form
}

/// Registers a client by the form, and gives it with the page that shows its secret.
async fn registered(browser: &Browser, name: &str, scopes: &[&str]) -> (Registered, Answer) {
    let form = browser.get("/admin/clients/new").await.expect_status(200).form("/admin/clients");
    let shown = browser.submit(&ticked(form.with("name", name), scopes)).await.expect_status(200);
    let id = shown.attributes("dd code", "data-copy").remove(0);
    let secret = shown.attributes(".secret code", "data-copy").remove(0);
    (Registered { id, secret }, shown)
}

#[tokio::test]
async fn a_client_is_registered_and_its_secret_shown_once() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    assert!(browser.get("/admin/clients").await.expect_status(200).text.contains("No client is registered."));
    let (client, shown) = registered(&browser, "<b>Billing</b> \"API\"", &["introspect", "users:read"]).await;
    assert_eq!(
        (shown.heading().as_str(), shown.header("cache-control")),
        ("<b>Billing</b> \"API\" was registered", "no-store")
    );
    assert!(client.secret.starts_with("rls_") && !dump(&app.database).await.contains(&client.secret));
    client.post(&app, TOKEN, &GRANT).await.expect_status(200);
    let path = format!("/admin/clients/{}", client.id);
    for page in ["/admin/clients", &path, "/admin/audit"] {
        let page = browser.get(page).await.expect_status(200);
        assert!(!page.text.contains(&client.secret), "{page:?}");
        assert!(page.texts("main b").is_empty(), "{page:?}");
    }
    let list = browser.get("/admin/clients").await;
    assert_eq!(list.texts("td[data-label=Name] bdi"), ["<b>Billing</b> \"API\""]);
    assert_eq!(list.texts("td[data-label=Scopes]"), ["introspect users:read"]);
    assert_eq!(list.texts("td[data-label=Secrets]"), ["1"]);
    assert_eq!(list.texts("td[data-label=Address]"), ["127.0.0.1"]);
    assert_eq!(list.attributes("td[data-label=Name] a", "href"), std::slice::from_ref(&path));
    let page = browser.get(&path).await;
    assert_eq!(page.texts("td[data-label=What]"), ["client.token_issued", "client.created"]);
    assert_eq!(page.texts("td[data-label=By]"), ["client", "root"]);
    let audit = browser.get(&format!("/admin/audit?client={}", client.id)).await.expect_status(200);
    assert_eq!(audit.texts("td[data-label=Type]"), ["client.token_issued", "client.created"]);
    assert_eq!(audit.attributes("td[data-label=Details] p a", "href"), [path.clone(), path]);
    browser.get("/admin/audit?client=x").await.expect_status(400);
}

#[tokio::test]
async fn m10_a_client_and_a_secret_are_made_for_who_gave_the_password_lately() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (client, _) = registered(&browser, "Billing", &["introspect"]).await;
    let path = format!("/admin/clients/{}", client.id);
    app.advance(Duration::from_mins(6));
    let new = browser.get("/admin/clients/new").await.form("/admin/clients").with("name", "Other");
    let page = browser.get(&path).await;
    let more = ticked(page.form(&format!("{path}/settings")), &["introspect", "audit:read"]);
    let forms = [ticked(new, &["introspect"]), page.form(&format!("{path}/secrets")), more];
    for form in &forms {
        let asked = browser.submit(form).await.expect_status(200);
        assert_eq!(asked.heading(), "Give your password again", "{asked:?}");
        let wrong = asked.form(&form.action).with("confirm_password", "wrong password");
        browser.submit(&wrong).await.expect_status(400);
    }
    assert_eq!(browser.get("/admin/clients").await.texts("td[data-label=Name]").len(), 1);
    assert_eq!(browser.get(&path).await.texts("td[data-label=Secret]").len(), 1);
    // Less does not need it.
    let page = browser.get(&path).await;
    browser.submit(&page.form(&format!("{path}/settings")).with("name", "Named")).await.expect_redirect(&path);
    let asked = browser.submit(&forms[2]).await.expect_status(200);
    let right = asked.form(&forms[2].action).with("confirm_password", PASSWORD);
    browser.submit(&right).await.expect_redirect(&path);
    assert_eq!(browser.get(&path).await.texts("dl.facts dd code")[1], "introspect audit:read");
}

#[tokio::test]
async fn what_is_wrong_with_a_form_is_said_beside_its_field() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/clients/new").await.form("/admin/clients");
    let wrong = form.clone().with("name", "").with("audience", "a b").with("days", "0");
    let again = browser.submit(&wrong).await.expect_status(400);
    assert_eq!(again.attributes(".errors a", "href"), ["#name", "#scopes", "#audience"]);
    assert!(again.texts("title")[0].starts_with("Error: "));
    let wrong = ticked(form.with("name", "Kept").with("days", "many"), &["audit:read"]);
    let again = browser.submit(&wrong).await.expect_status(400);
    assert_eq!(again.attributes(".errors a", "href"), ["#days"]);
    assert_eq!(
        (again.attributes("#name", "value"), again.attributes("#days", "value")),
        (vec!["Kept".to_owned()], vec!["many".to_owned()])
    );
    assert_eq!(again.attributes("input[name=scope][checked]", "value"), ["audit:read"]);
    let (client, _) = registered(&browser, "Billing", &["introspect"]).await;
    let path = format!("/admin/clients/{}", client.id);
    let page = browser.get(&path).await;
    let settings = ticked(page.form(&format!("{path}/settings")).with("name", "Written"), &[]);
    let again = browser.submit(&settings).await.expect_status(400);
    assert_eq!(again.attributes(".errors a", "href"), ["#scopes"]);
    assert_eq!(again.attributes("#name", "value"), ["Written"]);
    let again = browser.submit(&page.form(&format!("{path}/secrets")).with("days", "-1")).await.expect_status(400);
    assert_eq!(again.attributes(".errors a", "href"), ["#days"]);
    assert_eq!(browser.get(&path).await.heading(), "Billing");
}

#[tokio::test]
async fn a_secret_takes_the_others_place_by_hand() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (client, _) = registered(&browser, "Billing", &["introspect"]).await;
    let path = format!("/admin/clients/{}", client.id);
    let make = browser.get(&path).await.form(&format!("{path}/secrets"));
    app.advance(Duration::from_secs(1));
    let shown = browser.submit(&make.clone().with("days", "30")).await.expect_status(200);
    assert_eq!(shown.heading(), "A new secret");
    let second = Registered { secret: shown.attributes(".secret code", "data-copy").remove(0), ..client.clone() };
    // There is no third, and no form for one.
    let page = browser.get(&path).await;
    assert!(!page.attributes("form", "action").contains(&format!("{path}/secrets")));
    let refused = browser.submit(&make).await.expect_status(409);
    assert!(refused.text.contains("two secrets already"), "{refused:?}");
    let ids = page.texts("td[data-label=Secret]");
    let revoke = page.form(&format!("{path}/secrets/{}/revoke", ids[0]));
    let asked = browser.submit(&revoke).await.expect_status(200);
    assert!(asked.heading().starts_with("Revoke the secret") && asked.text.contains("other secret"), "{asked:?}");
    client.post(&app, TOKEN, &GRANT).await.expect_status(200);
    browser.submit(&asked.form(&revoke.action)).await.expect_redirect(&path);
    client.post(&app, TOKEN, &GRANT).await.expect_oauth_error(401, "invalid_client");
    second.post(&app, TOKEN, &GRANT).await.expect_status(200);
    let last = browser.get(&path).await.form(&format!("{path}/secrets/{}/revoke", ids[1]));
    assert!(browser.submit(&last).await.expect_status(200).text.contains("only one"));
    browser.submit(&asked.form(&revoke.action)).await.expect_status(404);
}

#[tokio::test]
async fn a_client_is_disabled_enabled_and_deleted_once_that_is_confirmed() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (client, _) = registered(&browser, "Billing", &["introspect"]).await;
    let path = format!("/admin/clients/{}", client.id);
    let press = async |action: &str| {
        let form = browser.get(&path).await.form(&format!("{path}/{action}"));
        browser.submit(&form).await
    };
    let asked = press("disable").await.expect_status(200);
    assert_eq!(asked.heading(), "Disable: Billing?");
    client.post(&app, TOKEN, &GRANT).await.expect_status(200);
    browser.submit(&asked.form(&format!("{path}/disable"))).await.expect_redirect(&path);
    client.post(&app, TOKEN, &GRANT).await.expect_oauth_error(401, "invalid_client");
    assert!(browser.get("/admin/clients").await.text.contains("Disabled"));
    press("enable").await.expect_redirect(&path);
    client.post(&app, TOKEN, &GRANT).await.expect_status(200);
    let asked = press("delete").await.expect_status(200);
    browser.submit(&asked.form(&format!("{path}/delete"))).await.expect_redirect("/admin/clients");
    browser.get(&path).await.expect_status(404);
    client.post(&app, TOKEN, &GRANT).await.expect_oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn many_clients_have_pages() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let admin = app.sign_in("root").await;
    for number in 0..53 {
        app.advance(Duration::from_micros(1));
        let body = json!({ "name": format!("Client {number}"), "scopes": ["introspect"] });
        admin.post("/api/clients", &body).await.expect_status(201);
    }
    let first = browser.get("/admin/clients").await.expect_status(200);
    assert_eq!(first.texts("td[data-label=Name]").len(), 50);
    assert_eq!(first.texts("td[data-label=Name]")[0], "Client 52");
    let second = browser.get(&first.attributes("a[rel=next]", "href")[0]).await.expect_status(200);
    assert_eq!(second.texts("td[data-label=Name]"), ["Client 2", "Client 1", "Client 0"]);
    assert!(second.attributes("a[rel=next]", "href").is_empty());
    let lost = browser.get("/admin/clients?after=x").await.expect_status(200);
    assert!(lost.text.contains("not there any more"));
}
