//! One key takes another's place.

use std::time::Duration;

use relatch::auth::Actor;
use relatch::auth::key_schedule::Force;
use relatch::auth::keys::{KeyRole, list_keys};
use relatch::auth::maintenance::prune;
use relatch::auth::rotate_keys::{Haste, RetireError, RotateError, count_tokens_in_use, retire_key, rotate_keys};
use relatch::domain::client::Client;
use serde_json::json;

use super::{KNOWN, kid_of, kids, rotate};
use crate::harness::{Person, TestApp};
use crate::jwt::variables;

async fn token(app: &TestApp, person: &mut Person) -> String {
    let pair = app.refresh(&person.refresh_token).await.expect_status(200);
    *person = Person::of_pair(app, &pair);
    person.access_token.clone()
}

async fn is_accepted(app: &TestApp, token: &str) -> bool {
    let request = app.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(token);
    let answer = app.send(request).await;
    if answer.status != 200 {
        answer.clone().expect_problem(401, "invalid_token");
    }
    answer.status == 200
}

async fn retire(app: &TestApp, kid: &str, force: Force) -> Result<(), RetireError> {
    retire_key(app.app.auth(), Actor::Operator, kid, force, &Client::default()).await
}

async fn roles(app: &TestApp) -> Vec<(String, KeyRole)> {
    list_keys(app.app.auth()).await.unwrap().into_iter().map(|key| (key.kid, key.role)).collect()
}

/// The details of events of a kind, the oldest first.
async fn events(admin: &Person, kind: &str) -> Vec<serde_json::Value> {
    let page = admin.get(&format!("/api/audit-events?kind={kind}&limit=200")).await.expect_status(200).json();
    page.as_array().unwrap().iter().rev().map(|event| event["detail"].clone()).collect()
}

#[tokio::test]
async fn g8_a_key_signs_only_after_it_has_been_published_for_as_long_as_keys_are_kept() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    let old = person.access_token.clone();
    let [first, second] = <[String; 2]>::try_from(kids(&app).await).unwrap();
    assert_eq!(kid_of(&old), first);
    let made = app.now();
    app.advance(Duration::from_secs(60));
    let rotated = rotate(&app, Haste::None).await;
    assert_eq!((&rotated.kid, rotated.signs_from, rotated.was_scheduled), (&second, made.after(KNOWN), false));
    // Another one waits from now on; whoever asks again changes nothing.
    let now = kids(&app).await;
    assert!(now.len() == 3 && now[0] == first && now[1..].contains(&second), "{now:?}");
    let again = rotate(&app, Haste::None).await;
    assert_eq!((&again.kid, again.signs_from, again.was_scheduled), (&second, made.after(KNOWN), true));
    assert_eq!(kids(&app).await.len(), 3);

    app.advance(Duration::from_secs(554));
    assert_eq!(kid_of(&token(&app, &mut person).await), first, "a second too early");
    app.advance(Duration::from_secs(1));
    let new = token(&app, &mut person).await;
    assert_eq!(kid_of(&new), second);
    assert_eq!(kids(&app).await[0], second);
    assert!(is_accepted(&app, &old).await && is_accepted(&app, &new).await);

    // The old key goes once its last token has, and a minute for clocks that differ.
    app.advance(Duration::from_secs(959));
    assert!(kids(&app).await.contains(&first));
    app.advance(Duration::from_secs(1));
    assert!(!kids(&app).await.contains(&first));
    assert_eq!(roles(&app).await.last(), Some(&(first, KeyRole::Retired)));
}

#[tokio::test]
async fn g8_a_key_that_has_waited_long_enough_signs_at_once() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let app = TestApp::with(&variables(algorithm)).await;
        let mut person = app.user("saif").await;
        let old = person.access_token.clone();
        app.advance(KNOWN);
        let rotated = rotate(&app, Haste::None).await;
        assert_eq!((rotated.signs_from, rotated.retired.len()), (app.now(), 0));
        let new = token(&app, &mut person).await;
        assert_eq!(kid_of(&new), rotated.kid);
        assert!(is_accepted(&app, &old).await && is_accepted(&app, &new).await);
        let app = app.restart(&variables(algorithm)).await;
        assert!(is_accepted(&app, &old).await && is_accepted(&app, &new).await, "{algorithm} after a restart");
    }
}

#[tokio::test]
async fn g8_in_an_emergency_the_next_key_signs_at_once_and_all_others_are_refused() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    let first = person.access_token.clone();
    app.advance(KNOWN);
    rotate(&app, Haste::None).await;
    let second = token(&app, &mut person).await;
    assert!(is_accepted(&app, &first).await && is_accepted(&app, &second).await);
    let waiting = kids(&app).await.into_iter().find(|kid| ![kid_of(&first), kid_of(&second)].contains(kid)).unwrap();
    assert_eq!(count_tokens_in_use(app.app.auth()).await.unwrap().found, 1);

    let replaced = rotate(&app, Haste::Emergency).await;
    assert_eq!((&replaced.kid, replaced.signs_from), (&waiting, app.now()), "the one that verifiers may know");
    assert_eq!(replaced.retired.len(), 2);
    for token in [&first, &second] {
        assert!(!is_accepted(&app, token).await);
    }
    let third = token(&app, &mut person).await;
    assert_eq!(kid_of(&third), waiting);
    assert!(is_accepted(&app, &third).await);
    let now = kids(&app).await;
    assert_eq!((now.len(), &now[0]), (2, &waiting));
    assert!(now.iter().all(|kid| ![kid_of(&first), kid_of(&second)].contains(kid)));

    // What was retired stays so, whatever the clock says and however often the server starts.
    let app = app.restart(&[]).await;
    app.clock.set(app.now().before(Duration::from_secs(700)));
    assert!(!is_accepted(&app, &first).await);
    // And the same once more, with a key that nobody can know.
    let again = rotate(&app, Haste::Emergency).await;
    assert_eq!(again.retired, [waiting]);
    let fourth = token(&app, &mut person).await;
    assert!(is_accepted(&app, &fourth).await && !is_accepted(&app, &third).await);
    assert_eq!(kid_of(&fourth), again.kid);
}

#[tokio::test]
async fn g8_in_an_emergency_a_switch_that_lies_ahead_is_made_at_once() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    let scheduled = rotate(&app, Haste::None).await;
    assert!(scheduled.signs_from > app.now());
    let replaced = rotate(&app, Haste::Emergency).await;
    assert_eq!(replaced.kid, scheduled.kid, "it is the one that was published first");
    assert_eq!(kid_of(&token(&app, &mut person).await), scheduled.kid);
    app.advance(KNOWN);
    assert_eq!(kid_of(&token(&app, &mut person).await), scheduled.kid);
    assert_eq!(roles(&app).await.iter().filter(|(_, role)| *role == KeyRole::Current).count(), 1);
}

#[tokio::test]
async fn g8_a_key_is_retired_by_hand_unless_it_signs_or_its_tokens_are_about() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    let old = person.access_token.clone();
    let [first, second] = <[String; 2]>::try_from(kids(&app).await).unwrap();
    assert!(matches!(retire(&app, "nothing", Force::Yes).await, Err(RetireError::NotFound)));
    assert!(matches!(retire(&app, &first, Force::Yes).await, Err(RetireError::Signs)));
    rotate(&app, Haste::None).await;
    assert!(matches!(retire(&app, &second, Force::Yes).await, Err(RetireError::Scheduled(_))));
    app.advance(KNOWN);
    assert_eq!(kid_of(&token(&app, &mut person).await), second);
    assert!(matches!(retire(&app, &first, Force::No).await, Err(RetireError::StillAccepted(_))));
    assert!(is_accepted(&app, &old).await);
    retire(&app, &first, Force::Yes).await.unwrap();
    assert!(!is_accepted(&app, &old).await);
    assert!(is_accepted(&app, &person.access_token).await);
    assert!(matches!(retire(&app, &first, Force::Yes).await, Err(RetireError::Already)));
    // One that waits is replaced by another that does.
    let waiting = kids(&app).await.into_iter().find(|kid| *kid != second).unwrap();
    retire(&app, &waiting, Force::No).await.unwrap();
    let now = kids(&app).await;
    assert!(now.len() == 2 && now[0] == second && !now.contains(&waiting), "{now:?}");
}

#[tokio::test]
async fn g8_keys_are_rotated_when_they_have_signed_for_long_enough_and_old_ones_are_deleted() {
    let app = TestApp::with(&[("KEY_ROTATION_DAYS", "7"), ("HISTORY_DAYS", "2")]).await;
    let admin = app.admin("root").await;
    let [first, second] = <[String; 2]>::try_from(kids(&app).await).unwrap();
    let day = Duration::from_secs(86_400);
    app.advance(6 * day);
    prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(kids(&app).await[0], first);
    app.advance(day);
    prune(app.app.auth()).await.unwrap().unwrap();
    prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(kids(&app).await[0], second, "at once, since it has waited for a week");
    let admin = Person::of_pair(&app, &app.login(&admin.username, crate::harness::PASSWORD).await.expect_status(200));
    let rotated = events(&admin, "signing_key.rotated").await;
    assert_eq!(rotated, [json!({ "kid": second, "from": first, "signsFrom": app.now().to_string() })]);
    app.advance(day);
    prune(app.app.auth()).await.unwrap().unwrap();
    assert!(roles(&app).await.contains(&(first.clone(), KeyRole::Retired)));
    app.advance(2 * day);
    prune(app.app.auth()).await.unwrap().unwrap();
    assert!(roles(&app).await.iter().all(|(kid, _)| *kid != first), "its history is over");
    // 0 is never.
    let app = app.restart(&[("KEY_ROTATION_DAYS", "0")]).await;
    app.advance(1_000 * day);
    prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(kids(&app).await[0], second);
}

#[tokio::test]
async fn another_algorithm_is_a_rotation_and_a_shared_key_is_taken_at_once() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    let old = person.access_token.clone();
    let app = app.restart(&[("JWT_ALGORITHM", "EdDSA")]).await;
    let published: Vec<_> =
        super::published(&app).await.iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect();
    assert_eq!(published, ["ES256", "EdDSA", "EdDSA"]);
    assert_eq!(kid_of(&token(&app, &mut person).await), kid_of(&old), "verifiers cannot know the new key yet");
    app.advance(KNOWN);
    let new = token(&app, &mut person).await;
    assert_eq!(crate::jwt::part(&new, 0)["alg"], "EdDSA");
    assert!(is_accepted(&app, &old).await && is_accepted(&app, &new).await);

    let app = app.restart(&variables("HS256")).await;
    let shared = token(&app, &mut person).await;
    assert_eq!(kid_of(&shared), "hs256");
    assert!(is_accepted(&app, &new).await && is_accepted(&app, &shared).await);
    assert!(kids(&app).await.contains(&kid_of(&new)), "verifiers go on checking tokens that are about");
    let refused = rotate_keys(app.app.auth(), Actor::Operator, Haste::None, &Client::default()).await;
    assert!(matches!(refused, Err(RotateError::SharedKey)));
    app.advance(Duration::from_secs(961));
    assert!(kids(&app).await.is_empty());

    let app = app.restart(&[]).await;
    let back = token(&app, &mut person).await;
    assert_eq!(crate::jwt::part(&back, 0)["alg"], "ES256", "nobody could check a token otherwise");
    assert_eq!(kids(&app).await.len(), 2);
}

#[tokio::test]
async fn changing_the_algorithm_back_before_the_switch_leaves_no_token_without_its_key() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    let app = app.restart(&[("JWT_ALGORITHM", "EdDSA")]).await;
    app.advance(Duration::from_secs(300));
    let app = app.restart(&[]).await;
    for _ in 0..20 {
        let token = token(&app, &mut person).await;
        assert!(kids(&app).await.contains(&kid_of(&token)) && is_accepted(&app, &token).await);
        app.advance(Duration::from_secs(100));
    }
    assert_eq!(crate::jwt::part(&person.access_token, 0)["alg"], "ES256");
}

#[tokio::test]
async fn who_did_what_to_which_key_is_put_down() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let made = events(&admin, "signing_key.created").await;
    assert_eq!(made.len(), 2, "{made:?}");
    app.advance(KNOWN);
    let rotated = rotate(&app, Haste::None).await;
    let previous = roles(&app).await.into_iter().find(|(_, role)| *role == KeyRole::Previous).unwrap().0;
    retire(&app, &previous, Force::Yes).await.unwrap();
    let replaced = rotate(&app, Haste::Emergency).await;
    let admin = app.sign_in(&admin.username).await;
    let at = app.now().to_string();
    assert_eq!(
        events(&admin, "signing_key.rotated").await,
        [
            json!({ "kid": rotated.kid, "from": previous, "signsFrom": at }),
            json!({ "kid": replaced.kid, "from": rotated.kid, "signsFrom": at, "emergency": true }),
        ]
    );
    assert_eq!(
        events(&admin, "signing_key.retired").await,
        [json!({ "kid": previous }), json!({ "kid": rotated.kid })]
    );
    assert_eq!(events(&admin, "signing_key.created").await.len(), 4);
}
