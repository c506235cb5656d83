//! `/admin/keys`: the keys that sign access tokens, and putting others in their place.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;

use super::confirm::{Confirmation, Confirmed};
use super::flash::Flash;
use super::guard::Console;
use super::moment::Moment;
use super::page::{self, Layout, Tab};
use crate::auth::key_schedule::Force;
use crate::auth::keys::{KeyRole, SigningKeyFacts, list_keys, rotation_period};
use crate::auth::rotate_keys::{Haste, RetireError, Rotated, count_tokens_in_use, retire_key, rotate_keys};
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;
use crate::web::well_known::jwks;

const PATH: &str = "/admin/keys";
const SECONDS_A_DAY: u64 = 86_400;

#[derive(Template)]
#[template(path = "admin/keys.html")]
struct KeysPage {
    layout: Layout,
    keys: Vec<Row>,
    jwks_url: String,
    max_age: u64,
    rotation_days: Option<u64>,
    /// When the next key takes its turn, if that has been arranged and lies ahead.
    scheduled: Option<Moment>,
    /// Whether the keys are stored, so that something can be done with them.
    are_stored: bool,
    /// Whether there has been one key only.
    is_first: bool,
}

struct Row {
    kid: String,
    algorithm: String,
    role: KeyRole,
    created: Option<Moment>,
    signs_from: Option<Moment>,
    superseded: Option<Moment>,
    accepted_until: Option<Moment>,
    may_be_retired: bool,
}

/// `GET /admin/keys`
pub async fn list_signing_keys(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    let keys = list_keys(&state.auth).await?;
    let moment = |at: Option<_>| at.map(|at| console.moment(at));
    let ahead = keys.iter().find(|key| key.role == KeyRole::Next && key.signs_from.is_some());
    let row = |key: &SigningKeyFacts| Row {
        created: moment(key.created_at),
        signs_from: moment(key.signs_from),
        superseded: moment(key.superseded_at),
        accepted_until: moment(key.accepted_until),
        may_be_retired: key.role == KeyRole::Previous || key.role == KeyRole::Next && key.signs_from.is_none(),
        role: key.role,
        kid: key.kid.clone(),
        algorithm: key.algorithm.clone(),
    };
    page::show(&KeysPage {
        layout: console.layout("Keys", Tab::Keys),
        jwks_url: format!("{}{}", state.public_url, jwks::PATH),
        max_age: state.jwks_max_age.as_secs(),
        rotation_days: rotation_period(&state.auth).map(|period| period.as_secs() / SECONDS_A_DAY),
        scheduled: ahead.and_then(|key| moment(key.signs_from)),
        are_stored: keys.iter().any(|key| key.role == KeyRole::Current && key.created_at.is_some()),
        is_first: keys.iter().all(|key| matches!(key.role, KeyRole::Current | KeyRole::Next)),
        keys: keys.iter().map(row).collect(),
    })
}

/// `POST /admin/keys/rotate`
pub async fn rotate_signing_keys(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Problem> {
    if !fields.is_confirmed() {
        return page::show(&Confirmation {
            layout: console.layout("Rotate the signing keys?", Tab::Keys),
            affected: vec![
                "The next key signs access tokens as soon as everybody who verifies them can know it: at once, if it \
                 has been published for long enough."
                    .to_owned(),
                "Another next key is made and published.".to_owned(),
            ],
            unaffected: vec![
                "Tokens that were signed until then are accepted until they expire. Nobody notices.".to_owned(),
            ],
            action: format!("{PATH}/rotate"),
            fields: vec![],
            button: "Rotate".to_owned(),
            is_dangerous: false,
            back: PATH.to_owned(),
        });
    }
    let Rotated { signs_from, was_scheduled, .. } =
        rotate_keys(&state.auth, console.actor(), Haste::None, &client).await?;
    let at = console.moment(signs_from);
    let text = if was_scheduled {
        format!("Nothing was changed: the next key signs from {} on already.", at.local)
    } else if signs_from > state.auth.now() {
        format!("The next key signs from {} on.", at.local)
    } else {
        "The next key signs from now on.".to_owned()
    };
    console.done(text, PATH)
}

/// `POST /admin/keys/replace`: for a key that others may have.
pub async fn replace_signing_keys(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Problem> {
    if !fields.is_confirmed() {
        let sessions = count_tokens_in_use(&state.auth).await?;
        let number = match (sessions.found, sessions.is_exact) {
            (0, true) => "No live session has an access token that could break".to_owned(),
            (1, true) => "The access token of one live session breaks at once".to_owned(),
            (number, true) => format!("The access tokens of {number} live sessions break at once"),
            (number, false) => format!("The access tokens of {number} or more live sessions break at once"),
        };
        return page::show(&Confirmation {
            layout: console.layout("Rotate the signing keys and retire the old ones?", Tab::Keys),
            affected: vec![
                "The next key signs from now on. The key that signs now and every one before it are retired."
                    .to_owned(),
                format!("{number}; those of service accounts do, too."),
                format!(
                    "APIs that verify tokens by themselves may accept old ones for up to {} seconds more, until they \
                     fetch the keys again.",
                    state.jwks_max_age.as_secs()
                ),
                "This cannot be undone.".to_owned(),
            ],
            unaffected: vec!["Sessions go on: applications get a new token with their next refresh.".to_owned()],
            action: format!("{PATH}/replace"),
            fields: vec![],
            button: "Rotate and retire".to_owned(),
            is_dangerous: true,
            back: PATH.to_owned(),
        });
    }
    let done = rotate_keys(&state.auth, console.actor(), Haste::Emergency, &client).await?;
    let retired = match done.retired.len() {
        1 => "The one before it is retired.".to_owned(),
        number => format!("{number} keys before it are retired."),
    };
    console.done(format!("Another key signs from now on. {retired}"), PATH)
}

/// `POST /admin/keys/{kid}/retire`
pub async fn retire_signing_key(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Confirmed { console, fields }: Confirmed,
) -> Result<HttpResponse, Problem> {
    let keys = list_keys(&state.auth).await?;
    let key = keys.iter().find(|key| key.kid == *path).ok_or_else(|| Problem::new(Code::NotFound))?;
    if !fields.is_confirmed() {
        return page::show(&confirmation_of(&state, &console, key));
    }
    // Whoever has read what breaks, and given the password, may do it.
    match retire_key(&state.auth, console.actor(), &key.kid, Force::Yes, &client).await {
        Ok(()) => console.done("The key is retired.", PATH),
        Err(error @ (RetireError::Signs | RetireError::Scheduled(_) | RetireError::Already)) => {
            let text = error.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase()).unwrap_or_default();
            console.say(Flash::refused(format!("{first}{}.", letters.as_str())))?;
            Ok(page::see_other(PATH))
        }
        Err(error) => Err(error.into()),
    }
}

fn confirmation_of(state: &State, console: &Console, key: &SigningKeyFacts) -> Confirmation {
    let affected = match (key.role, key.accepted_until) {
        (KeyRole::Next, _) => vec!["It never signs. Another next key is made and published.".to_owned()],
        (_, Some(until)) if until > state.auth.now() => vec![
            format!(
                "Tokens that it signed are about until {}. They break at once: whoever holds one must refresh.",
                console.moment(until).local
            ),
            format!(
                "APIs that verify tokens by themselves may accept them for up to {} seconds more.",
                state.jwks_max_age.as_secs()
            ),
        ],
        _ => vec!["No token that it signed is about any more.".to_owned()],
    };
    Confirmation {
        layout: console.layout("Retire the key?", Tab::Keys),
        affected,
        unaffected: vec!["The key that signs, and its tokens, stay as they are. Sessions go on.".to_owned()],
        action: format!("{PATH}/{}/retire", key.kid),
        fields: vec![],
        button: "Retire".to_owned(),
        is_dangerous: true,
        back: PATH.to_owned(),
    }
}
