//! What is written into the forms of clients.

use std::time::Duration;

use crate::domain::registered_client::{ApiAudience, ClientName};
use crate::domain::scope::{Scope, Scopes};
use crate::domain::timestamp::Timestamp;
use crate::web::admin::form::{Fields, FormErrors};

/// The most days that a secret's life may be given in.
const DAYS_MAX: u32 = 3_650;

/// What a client shall be.
pub(super) struct Described {
    pub(super) name: ClientName,
    pub(super) audience: Option<ApiAudience>,
    pub(super) scopes: Scopes,
}

/// A box to tick.
pub(super) struct Choice {
    pub(super) scope: Scope,
    pub(super) is_chosen: bool,
}

/// Every scope, with those ticked that are chosen.
pub(super) fn choices(chosen: Scopes) -> Vec<Choice> {
    Scope::ALL.into_iter().map(|scope| Choice { scope, is_chosen: chosen.contains(scope) }).collect()
}

/// The scopes that are ticked; a form of ours has no other.
pub(super) fn scopes(fields: &Fields) -> Scopes {
    fields.values("scope").filter_map(Scope::parse).collect()
}

/// What a client shall be, or what is wrong with it.
pub(super) fn describe(fields: &Fields) -> Result<Described, FormErrors> {
    let mut errors = FormErrors::default();
    let name = ClientName::parse(fields.text("name"));
    if let Err(error) = &name {
        errors.add("name", format!("The name {error}."));
    }
    let audience = match fields.text("audience").trim() {
        "" => Ok(None),
        text => ApiAudience::parse(text).map(Some),
    };
    let scopes = scopes(fields);
    if scopes.is_empty() {
        errors.add("scopes", "Choose one scope at least.");
    }
    if let Err(error) = &audience {
        errors.add("audience", format!("The audience {error}."));
    }
    match (name, audience) {
        (Ok(name), Ok(audience)) if errors.is_empty() => Ok(Described { name, audience, scopes }),
        _ => Err(errors),
    }
}

/// When a secret expires whose life is written in days; `Ok(None)` when it shall not.
pub(super) fn expiry(fields: &Fields, now: Timestamp) -> Result<Option<Timestamp>, FormErrors> {
    let text = fields.text("days").trim();
    if text.is_empty() {
        return Ok(None);
    }
    let days = text.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
    let days = days.ok_or_else(|| FormErrors::one("days", "Write a number of days from 1 to 3650, or nothing."))?;
    Ok(Some(now.after(Duration::from_hours(24) * days)))
}
