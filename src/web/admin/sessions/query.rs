//! Which sessions are asked for, as a URL or a form says it. What is wrong is an error: a filter that was dropped would
//! revoke more than it shows.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::auth::bulk_revocation::BulkFilter;
use crate::auth::session_search::{From, Order, SessionSearch, StateFilter};
use crate::auth::users::find_user_by_name;
use crate::domain::role::Role;
use crate::domain::session::SessionKind;
use crate::domain::user::UserId;
use crate::web::admin::form::{Fields, FormErrors};
use crate::web::admin::guard::Console;
use crate::web::problem::Problem;
use crate::web::state::State;

/// How many sessions a page can have.
pub(super) const SIZES: [u32; 3] = [10, 25, 50];
const SIZE: u32 = 25;
/// How long a text in a filter may be.
const TEXT_MAX: usize = 256;

/// The query of the list, as it was written.
#[derive(Clone, Default, Debug, Deserialize)]
pub struct Asked {
    pub(super) user: Option<String>,
    pub(super) role: Option<String>,
    pub(super) ip: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) used_before: Option<String>,
    pub(super) used_after: Option<String>,
    pub(super) created_before: Option<String>,
    pub(super) created_after: Option<String>,
    pub(super) state: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) order: Option<String>,
    pub(super) size: Option<String>,
    after: Option<String>,
    before: Option<String>,
}

impl Asked {
    /// From a form that carries the list's filter along.
    pub(super) fn of(fields: &Fields) -> Self {
        let text = |name: &str| Some(fields.text(name).to_owned());
        Self {
            user: text("user"),
            role: text("role"),
            ip: text("ip"),
            agent: text("agent"),
            used_before: text("used_before"),
            used_after: text("used_after"),
            created_before: text("created_before"),
            created_after: text("created_after"),
            state: text("state"),
            kind: text("kind"),
            order: text("order"),
            size: text("size"),
            after: None,
            before: None,
        }
    }

    /// What was written, without its place in the list.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("user", &self.user),
            ("role", &self.role),
            ("ip", &self.ip),
            ("agent", &self.agent),
            ("used_before", &self.used_before),
            ("used_after", &self.used_after),
            ("created_before", &self.created_before),
            ("created_after", &self.created_after),
            ("state", &self.state),
            ("kind", &self.kind),
            ("order", &self.order),
            ("size", &self.size),
        ];
        let text = |value: &'_ Option<String>| value.as_deref().unwrap_or_default().trim().to_owned();
        all.into_iter()
            .filter(|(_, value)| !text(value).is_empty())
            .map(|(name, value)| (name, value.as_deref().unwrap_or_default().trim()))
            .collect()
    }

    /// The same for the user whom it came to, by their id: a name can be another's by the time it is looked up again.
    pub(super) fn of_user(self, id: UserId) -> Self {
        Self { user: Some(id.to_string()), ..self }
    }

    /// The fields of a form that carries this along.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        self.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The URL of the list, at a place of it.
    pub(super) fn url(&self, place: Option<(&str, &str)>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs()).extend_pairs(place);
        let query = query.finish();
        if query.is_empty() { "/admin/sessions".to_owned() } else { format!("/admin/sessions?{query}") }
    }

    /// What a field has, for the form to show again.
    pub(super) fn text<'a>(&self, value: &'a Option<String>) -> &'a str {
        value.as_deref().unwrap_or_default().trim()
    }

    /// How many sessions a page has.
    pub(super) fn size(&self) -> u32 {
        self.text(&self.size).parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE)
    }

    /// Whether a place in the list is asked for.
    pub(super) fn has_place(&self) -> bool {
        self.after.is_some() || self.before.is_some()
    }

    /// The search that this is, and what is wrong with it. Days are days in the time zone of whoever asks, the last one
    /// included.
    pub(super) async fn parse(&self, state: &State, console: &Console) -> Result<(SessionSearch, FormErrors), Problem> {
        let mut errors = FormErrors::default();
        let mut filter = BulkFilter::default();
        let text = |value: &Option<String>| value.as_deref().unwrap_or_default().trim().to_owned();

        let user = text(&self.user);
        if !user.is_empty() {
            let found = find_user_by_name(&state.auth, &user).await?;
            filter.user_id = found.map(|user| user.id);
            if filter.user_id.is_none() {
                errors.add("user", "No user has this id, username or e-mail address.");
            }
        }
        let mut choice = |name: &'static str, value: &Option<String>, is_known: &dyn Fn(&str) -> bool| {
            let value = text(value);
            if !value.is_empty() && !is_known(&value) {
                errors.add(name, "Choose one of the list.");
            }
            value
        };
        filter.role = Role::parse(&choice("role", &self.role, &|role| Role::parse(role).is_some()));
        filter.kind = SessionKind::parse(&choice("kind", &self.kind, &|kind| SessionKind::parse(kind).is_some()));
        let wanted = choice("state", &self.state, &|name| state_of(name).is_some());
        let order = choice("order", &self.order, &|name| ["newest", "oldest"].contains(&name));
        choice("size", &self.size, &|size| size.parse().is_ok_and(|size| SIZES.contains(&size)));

        let network = text(&self.ip);
        filter.network = network_of(&network);
        if filter.network.is_none() && !network.is_empty() {
            errors.add("ip", "Write an address or a network, such as 203.0.113.7 or 2001:db8::/32.");
        }
        let agent = text(&self.agent);
        if agent.len() > TEXT_MAX || agent.contains('\0') {
            errors.add("agent", "Write at most 256 characters.");
        } else if !agent.is_empty() {
            filter.user_agent = Some(agent);
        }
        let mut day = |name: &'static str, value: &Option<String>| {
            let value = text(value);
            let day = console.zone().day(&value);
            if day.is_none() && !value.is_empty() {
                errors.add(name, "Write a day such as 2026-11-25.");
            }
            day
        };
        filter.last_used_since = day("used_after", &self.used_after).map(|(from, _)| from);
        filter.last_used_before = day("used_before", &self.used_before).map(|(_, to)| to);
        filter.created_since = day("created_after", &self.created_after).map(|(from, _)| from);
        filter.created_before = day("created_before", &self.created_before).map(|(_, to)| to);

        let search = SessionSearch {
            filter,
            state: state_of(&wanted).unwrap_or_default(),
            order: if order == "oldest" { Order::OldestFirst } else { Order::NewestFirst },
            from: match (&self.after, &self.before) {
                (Some(cursor), _) => From::After(cursor.clone()),
                (None, Some(cursor)) => From::Before(cursor.clone()),
                (None, None) => From::Start,
            },
            limit: self.size(),
        };
        Ok((search, errors))
    }
}

fn state_of(name: &str) -> Option<StateFilter> {
    match name {
        "live" => Some(StateFilter::Live),
        "ended" => Some(StateFilter::Ended),
        "expired" => Some(StateFilter::Expired),
        "any" => Some(StateFilter::Any),
        _ => None,
    }
}

fn network_of(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(address)
}
