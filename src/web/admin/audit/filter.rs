//! The filter of the audit page: what was written into it, what that means, and the addresses that keep it.

use std::collections::BTreeSet;

use serde::Deserialize;
use url::form_urlencoded;

use crate::auth::audit::list::{EventQuery, parse_network};
use crate::auth::audit::{Kind, Outcome};
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::web::admin::form::FormErrors;
use crate::web::admin::moment::{Zone, days_before};

/// How many days an empty page can be widened to.
const WIDE: i64 = 7;

/// Which events are asked for, as it was written.
#[derive(Clone, Default, Debug, Deserialize)]
pub struct Filter {
    actor: Option<String>,
    subject: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    result: Option<String>,
    ip: Option<String>,
    from: Option<String>,
    to: Option<String>,
    request_id: Option<String>,
    session: Option<String>,
    client: Option<String>,
    after: Option<String>,
    before: Option<String>,
    live: Option<String>,
    format: Option<String>,
}

/// Which neighbour of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The newer events.
    Before,
    /// The older ones.
    After,
}

impl Filter {
    /// Without what was left empty: forms send their empty fields, too.
    pub(super) fn tidied(mut self) -> Self {
        for field in [
            &mut self.actor,
            &mut self.subject,
            &mut self.kind,
            &mut self.result,
            &mut self.ip,
            &mut self.from,
            &mut self.to,
            &mut self.request_id,
            &mut self.session,
            &mut self.client,
            &mut self.after,
            &mut self.before,
            &mut self.live,
        ] {
            *field = field.take().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        }
        self
    }

    /// What is meant, and what is wrong with it.
    pub(super) fn parse(&self, zone: &Zone) -> (EventQuery, FormErrors) {
        let mut errors = FormErrors::default();
        let kinds = read(&self.kind, Kind::matching);
        let result = read(&self.result, Outcome::parse);
        let network = read(&self.ip, parse_network);
        let from = read(&self.from, |text| begin(text, zone));
        let to = read(&self.to, |text| end(text, zone));
        let request_id = read(&self.request_id, |text| text.parse().ok());
        let session = read(&self.session, SessionId::parse);
        let client = read(&self.client, ClientId::parse);
        for (is_wrong, field, text) in [
            (kinds.is_err(), "type", "Choose one of the types, or write one such as login.*"),
            (result.is_err(), "result", "Choose one of the results."),
            (network.is_err(), "ip", "Write an address, or a network such as 198.51.100.0/24."),
            (from.is_err(), "from", "Write the first day as 2026-11-24, or a time of RFC 3339."),
            (to.is_err(), "to", "Write the last day as 2026-11-24, or a time of RFC 3339."),
            (request_id.is_err(), "request_id", "Write a request's id, as in the header x-request-id."),
            (session.is_err(), "session", "Write a session's id."),
            (client.is_err(), "client", "Write a client's id, which begins with rlc_."),
        ] {
            if is_wrong {
                errors.add(field, text);
            }
        }
        let query = EventQuery {
            actor: self.actor.clone(),
            subject: self.subject.clone(),
            session: session.unwrap_or_default(),
            client: client.unwrap_or_default(),
            kinds: kinds.unwrap_or_default(),
            result: result.unwrap_or_default(),
            network: network.unwrap_or_default(),
            request_id: request_id.unwrap_or_default(),
            from: from.unwrap_or_default(),
            to: to.unwrap_or_default(),
        };
        (query, errors)
    }

    /// What was written into a field; empty when nothing was.
    pub(super) fn text(&self, field: &str) -> &str {
        self.fields().into_iter().find(|(name, _)| *name == field).and_then(|(_, text)| text).unwrap_or_default()
    }

    /// The type of a day's input; browsers show nothing but days in one for days.
    pub(super) fn day_input(&self, field: &str) -> &'static str {
        let text = self.text(field);
        if text.is_empty() || days_before(text, 0).is_some_and(|day| day == text) { "date" } else { "text" }
    }

    fn fields(&self) -> [(&'static str, Option<&str>); 10] {
        [
            ("actor", self.actor.as_deref()),
            ("subject", self.subject.as_deref()),
            ("type", self.kind.as_deref()),
            ("result", self.result.as_deref()),
            ("ip", self.ip.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("request_id", self.request_id.as_deref()),
            ("session", self.session.as_deref()),
            ("client", self.client.as_deref()),
        ]
    }

    /// Where the page that was asked for begins.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.after.as_deref().or(self.before.as_deref())
    }

    /// Whether it is a page on the way back to the newest.
    pub(super) fn goes_back(&self) -> bool {
        self.after.is_none() && self.before.is_some()
    }

    pub(super) fn is_live(&self) -> bool {
        self.live.as_deref() == Some("1")
    }

    pub(super) fn is_csv(&self) -> bool {
        self.format.as_deref() != Some("ndjson")
    }

    /// The address of a neighbouring page.
    pub(super) fn url(&self, place: Place, cursor: &str) -> String {
        let name = if place == Place::After { "after" } else { "before" };
        self.with("/admin/audit", Some((name, cursor)))
    }

    /// This filter at another path.
    pub(super) fn path(&self, path: &str) -> String {
        self.with(path, None)
    }

    /// The same events, kept up to date.
    pub(super) fn live_url(&self) -> String {
        self.with("/admin/audit", Some(("live", "1")))
    }

    /// The same events as a file.
    pub(super) fn export_url(&self, format: &str) -> String {
        self.with("/admin/audit/export", Some(("format", format)))
    }

    fn with(&self, path: &str, one: Option<(&str, &str)>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, text) in self.fields() {
            if let Some(text) = text {
                query.append_pair(name, text);
            }
        }
        if let Some((name, text)) = one {
            query.append_pair(name, text);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// What an empty page says.
    pub(super) fn nothing(&self) -> String {
        match (self.from.as_deref(), self.to.as_deref()) {
            (None, None) => "No events.".to_owned(),
            (Some(from), None) => format!("No events between {from} and now."),
            (None, Some(to)) => format!("No events until {to}."),
            (Some(from), Some(to)) => format!("No events between {from} and {to}."),
        }
    }

    /// The address of the same with the seven days that end with its last one, if it is of fewer days.
    pub(super) fn wider(&self, zone: &Zone, now: Timestamp) -> Option<String> {
        let begun = begin(self.from.as_deref()?, zone)?;
        let last = match self.to.as_deref() {
            Some(to) if zone.day(to).is_some() => to.to_owned(),
            Some(to) => zone.day_of(Timestamp::parse(to)?),
            None => zone.day_of(now),
        };
        let first = days_before(&last, WIDE - 1)?;
        let (wide, _) = zone.day(&first)?;
        let wider = Self { from: Some(first), to: self.to.as_ref().map(|_| last), ..self.clone() };
        (wide < begun).then(|| wider.path("/admin/audit"))
    }
}

/// The patterns of kinds that mean more than one.
pub(super) fn families() -> Vec<String> {
    let families: BTreeSet<_> = Kind::ALL.iter().filter_map(|kind| kind.as_str().split('.').next()).collect();
    let patterns = families.into_iter().map(|family| format!("{family}.*"));
    patterns.filter(|pattern| Kind::matching(pattern).is_some_and(|kinds| kinds.len() > 1)).collect()
}

fn read<T>(text: &Option<String>, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    text.as_deref().map(|text| parse(text).ok_or(())).transpose()
}

/// A day begins in the admin's zone; a time is what it is.
fn begin(text: &str, zone: &Zone) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| zone.day(text).map(|(begin, _)| begin))
}

/// A day is included; a time is not.
fn end(text: &str, zone: &Zone) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| zone.day(text).map(|(_, end)| end))
}
