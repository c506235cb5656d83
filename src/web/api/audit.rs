//! `/api/audit-events`: what admins read of the audit trail.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use serde::Deserialize;

use super::wire;
use crate::auth::audit::export::to_json;
use crate::auth::audit::list::{EventQuery, list_events, parse_from, parse_network, parse_to};
use crate::auth::audit::{Kind, Outcome};
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::web::bearer::{AdminOr, AuditRead};
use crate::web::problem::Problem;
use crate::web::query::{self, Query, wrong};
use crate::web::state::State;

/// Which events are asked for, as it was written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListParameters {
    actor: Option<String>,
    subject: Option<String>,
    session: Option<String>,
    client: Option<String>,
    kind: Option<String>,
    result: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl ListParameters {
    fn parse(&self) -> Result<EventQuery, Problem> {
        let zone = self.time_zone.as_deref().unwrap_or("Z");
        let time = |name: &str, text: &Option<String>, parse: fn(&str, &str) -> Option<_>| match text {
            Some(text) => parse(text, zone)
                .map(Some)
                .ok_or_else(|| wrong(name, "must be a time of RFC 3339, or a day such as 2026-11-24 in timeZone")),
            None => Ok(None),
        };
        if parse_from("2026-11-24", zone).is_none() {
            return Err(wrong("timeZone", "must be Z or an offset such as +01:00"));
        }
        Ok(EventQuery {
            actor: self.actor.clone(),
            subject: self.subject.clone(),
            session: parsed("session", &self.session, "must be a session's id", SessionId::parse)?,
            client: parsed("client", &self.client, "must be a client's id", ClientId::parse)?,
            kinds: parsed("kind", &self.kind, "must be a kind of event, or several such as login.*", Kind::matching)?,
            result: parsed("result", &self.result, "must be succeeded, failed or denied", Outcome::parse)?,
            network: parsed("address", &self.address, "must be an address or a CIDR", parse_network)?,
            request_id: parsed("requestId", &self.request_id, "must be a request's id", |text| text.parse().ok())?,
            from: time("from", &self.from, parse_from)?,
            to: time("to", &self.to, parse_to)?,
        })
    }

    /// What the addresses of the neighbouring pages repeat.
    fn kept(&self) -> [(&'static str, Option<&str>); 11] {
        [
            ("actor", self.actor.as_deref()),
            ("subject", self.subject.as_deref()),
            ("session", self.session.as_deref()),
            ("client", self.client.as_deref()),
            ("kind", self.kind.as_deref()),
            ("result", self.result.as_deref()),
            ("address", self.address.as_deref()),
            ("requestId", self.request_id.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("timeZone", self.time_zone.as_deref()),
        ]
    }
}

fn parsed<T>(
    name: &str,
    text: &Option<String>,
    rule: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    text.as_deref().map(|text| parse(text).ok_or_else(|| wrong(name, rule))).transpose()
}

/// `GET /api/audit-events`
pub async fn list_audit_events(
    state: Data<State>,
    _: AdminOr<AuditRead>,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    let limit = query::limit(parameters.limit.as_deref())?;
    let page = list_events(&state.auth, parameters.parse()?, parameters.cursor.as_deref(), limit).await?;
    let mut answer = HttpResponse::Ok();
    for (relation, cursor) in [("next", &page.next), ("prev", &page.previous)] {
        if let Some(cursor) = cursor {
            let url = wire::page_url(&state, "/api/audit-events", &parameters.kept(), limit, cursor)?;
            answer.append_header((header::LINK, format!("<{url}>; rel=\"{relation}\"")));
        }
    }
    Ok(answer.json(page.events.iter().map(to_json).collect::<Vec<_>>()))
}
