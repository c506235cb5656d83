//! The page of one session, and the picture of its rotations as it is drawn.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Browser, Person, TestApp};

const MINUTE: Duration = Duration::from_secs(60);

async fn page_of(browser: &Browser, person: &Person) -> Answer {
    browser.get(&format!("/admin/sessions/{}", person.session_id)).await.expect_status(200)
}

async fn refreshed(app: &TestApp, person: &Person, times: usize) -> Vec<String> {
    let mut tokens = vec![person.refresh_token.clone()];
    for _ in 0..times {
        app.advance(MINUTE);
        tokens.push(app.refresh(tokens.last().unwrap()).await.expect_status(200).text_at("refreshToken"));
    }
    tokens
}

fn names(page: &Answer) -> Vec<String> {
    page.texts("svg.wide .name")
}

/// Every link of the picture leads to something on the page, and each picture stays small.
fn check(page: &Answer) {
    let ids = page.attributes("[id]", "id");
    for link in page.attributes("svg a", "href") {
        assert!(ids.contains(&link.trim_start_matches('#').to_owned()), "{link} leads nowhere: {page:?}");
    }
    assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len(), "an id is there twice");
    for svg in page.text.split("<svg").skip(1) {
        let svg = svg.split("</svg>").next().unwrap();
        assert!(svg.len() < 6_000 && !svg.contains("style="), "{} bytes", svg.len());
    }
    assert!(page.text.len() < 40 * 1024, "{}", page.text.len());
}

#[tokio::test]
async fn a_picture_is_drawn_of_every_life_a_session_can_have() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let browser = app.console("root").await;
    let fresh = app.user("saif").await;
    let page = page_of(&browser, &fresh).await;
    check(&page);
    assert_eq!((page.heading().as_str(), names(&page)), ("Session of saif", vec!["g1".to_owned()]));
    assert_eq!(page.texts(".verdict"), ["● Live: signed in just now from 127.0.0.1, and not refreshed yet."]);

    let three = app.sign_in("saif").await;
    refreshed(&app, &three, 3).await;
    let page = page_of(&browser, &three).await;
    check(&page);
    assert_eq!(names(&page), ["g1", "g2", "g3", "g4"]);
    assert_eq!(page.texts("ol.events li").len(), 4);

    let retry = app.sign_in("saif").await;
    let tokens = refreshed(&app, &retry, 2).await;
    app.refresh(&tokens[1]).await.expect_status(200);
    let page = page_of(&browser, &retry).await;
    check(&page);
    assert_eq!(page.texts("svg.wide a[href=\"#r3\"] text"), ["retry"]);
    assert!(page.texts("#r3").concat().contains("Generation 3 was given out once more from 127.0.0.1"), "{page:?}");
}

#[tokio::test]
async fn the_picture_of_a_thousand_rotations_is_folded() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let browser = app.console("root").await;
    let user = app.user("saif").await;
    refreshed(&app, &user, 999).await;
    browser.sign_in("root").await;
    let page = page_of(&browser, &user).await;
    check(&page);
    assert_eq!(names(&page).last().unwrap(), "g1000");
    assert_eq!(page.texts("svg.wide .fold text"), ["•••", "991 more"]);
    assert_eq!(page.texts("svg.narrow .fold text"), ["•••", "996 more"]);
}

#[tokio::test]
async fn the_picture_says_why_somebody_was_signed_out() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let root = app.sign_in("root").await;

    let robbed = app.user("robbed").await;
    let tokens = refreshed(&app, &robbed, 4).await;
    app.refresh(&tokens[1]).await.expect_problem(401, "refresh_token_reused");
    let page = page_of(&browser, &robbed).await;
    check(&page);
    let verdict = page.texts(".verdict").concat();
    let said = "because an old refresh token (generation 2) was presented from 127.0.0.1 while 5 was current: somebody \
                else may have a copy of it.";
    assert!(verdict.starts_with("✕ Signed out at") && verdict.ends_with(said), "{verdict}");
    assert_eq!(page.attributes("svg.wide .cross", "d").len(), 1);
    assert!(page.texts("svg.wide text.bad")[0] == "g2 presented again", "{page:?}");
    assert_eq!(page.attributes("svg.wide .link.past", "d").len(), 1);

    let revoked = app.user("revoked").await;
    root.delete(&format!("/api/sessions/{}", revoked.session_id)).await.expect_status(204);
    let page = page_of(&browser, &revoked).await;
    check(&page);
    assert_eq!(names(&page), ["g1", "by an admin"]);
    assert!(page.attributes("svg .cross", "d").is_empty());

    let disabled = app.user("disabled").await;
    root.patch(&format!("/api/users/{}", disabled.id), &json!({ "disabled": true })).await.expect_status(200);
    let page = page_of(&browser, &disabled).await;
    check(&page);
    assert!(page.texts(".verdict").concat().ends_with("because the account was disabled."), "{page:?}");

    let expired = app.user("expired").await;
    app.advance(8 * 24 * 60 * MINUTE);
    browser.sign_in("root").await.expect_redirect("/admin");
    let page = page_of(&browser, &expired).await;
    check(&page);
    assert_eq!(names(&page), ["g1", "expired"]);
    assert_eq!(page.attributes("svg.wide rect.hollow", "class").len(), 1);
    assert!(page.texts(".verdict").concat().starts_with("○ Expired at"), "{page:?}");
}

#[tokio::test]
async fn the_page_of_a_user_leads_to_the_same_and_to_nobody_elses() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (one, other) = (app.user("one").await, app.user("other").await);
    let page = format!("/admin/sessions/{}", one.session_id);
    browser.get(&format!("/admin/users/{}/sessions/{}", one.id, one.session_id)).await.expect_redirect(&page);
    browser.get(&format!("/admin/users/{}/sessions/{}", other.id, one.session_id)).await.expect_status(404);
    browser.get(&format!("/admin/users/x/sessions/{}", one.session_id)).await.expect_status(404);
}
