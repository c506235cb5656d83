//! What a seal is made of: the digest before it, and the event written out so that no two events are written alike.

use crate::keyring;
use crate::store::audit_events::StoredEvent;

/// Tells this digest from every other use of the hash.
const LABEL: &[u8] = b"relatch.audit.v1";
const DAY: i64 = 24 * 3_600_000_000;

/// The digest of an event at its place in the chain.
pub(super) fn digest(before: &[u8; 32], number: i64, event: &StoredEvent) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(LABEL);
    bytes.extend_from_slice(before);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&event.id.to_be_bytes());
    bytes.extend_from_slice(&event.occurred_at.to_be_bytes());
    let user = |id: Option<i64>| id.map(i64::to_be_bytes);
    for field in [
        Some(event.kind.as_bytes()),
        Some(event.severity.as_bytes()),
        Some(event.result.as_bytes()),
        Some(event.actor_kind.as_bytes()),
        user(event.actor_user_id).as_ref().map(<[u8; 8]>::as_slice),
        user(event.subject_user_id).as_ref().map(<[u8; 8]>::as_slice),
        event.session_id.as_deref(),
        event.ip.as_deref(),
        event.user_agent.as_deref().map(str::as_bytes),
        event.request_id.as_deref().map(str::as_bytes),
        Some(event.detail.as_bytes()),
    ] {
        push(&mut bytes, field);
    }
    // Events of before there were clients have no such column; theirs stays what it was sealed as.
    if let Some(client) = &event.client_id {
        push(&mut bytes, Some(client.as_bytes()));
    }
    keyring::sha256(&bytes)
}

/// A field that is not there differs from one that is empty, and none can run into the next.
fn push(bytes: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => bytes.push(0),
        Some(field) => {
            bytes.push(1);
            bytes.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(field);
        }
    }
}

/// The day of the chain that an event falls into when the chain is in `current`: a row that is sealed late does not
/// bring yesterday back.
pub(super) fn day_of(event: &StoredEvent, current: i64) -> i64 {
    event.occurred_at.div_euclid(DAY).max(current)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn event() -> StoredEvent {
        StoredEvent {
            id: 7,
            occurred_at: 1_795_536_000_250_000,
            kind: "login.failed".to_owned(),
            severity: "warning".to_owned(),
            result: "failed".to_owned(),
            actor_kind: "anonymous".to_owned(),
            actor_user_id: None,
            subject_user_id: Some(3),
            session_id: None,
            ip: Some(vec![0; 16]),
            user_agent: Some("agent".to_owned()),
            request_id: None,
            detail: "{}".to_owned(),
            seal_number: None,
            seal_digest: None,
            client_id: None,
        }
    }

    #[test]
    fn every_column_and_the_place_in_the_chain_change_the_digest() {
        let text = |text: &str| Some(text.to_owned());
        let changed = [
            event(),
            StoredEvent { id: 8, ..event() },
            StoredEvent { occurred_at: 0, ..event() },
            StoredEvent { kind: "login.denied".to_owned(), ..event() },
            StoredEvent { severity: "info".to_owned(), ..event() },
            StoredEvent { result: "denied".to_owned(), ..event() },
            StoredEvent { actor_kind: "system".to_owned(), ..event() },
            StoredEvent { actor_user_id: Some(3), subject_user_id: None, ..event() },
            StoredEvent { actor_user_id: Some(3), ..event() },
            StoredEvent { subject_user_id: Some(4), ..event() },
            StoredEvent { session_id: Some(vec![0; 16]), ip: None, ..event() },
            StoredEvent { ip: None, ..event() },
            StoredEvent { user_agent: None, request_id: text("agent"), ..event() },
            StoredEvent { user_agent: text(""), ..event() },
            StoredEvent { user_agent: None, ..event() },
            StoredEvent { user_agent: text("agent\u{1}"), ..event() },
            StoredEvent { detail: "{} ".to_owned(), ..event() },
            StoredEvent { client_id: text(""), ..event() },
            StoredEvent { client_id: text("rlc_BwcHBwcHBwcHBwcH"), ..event() },
        ];
        let mut digests: BTreeSet<_> = changed.iter().map(|event| digest(&[0; 32], 1, event)).collect();
        digests.insert(digest(&[1; 32], 1, &event()));
        digests.insert(digest(&[0; 32], 2, &event()));
        assert_eq!(digests.len(), changed.len() + 2);
        // The seal itself is not part of what is sealed.
        let sealed = StoredEvent { seal_number: Some(1), seal_digest: Some(vec![1; 32]), ..event() };
        assert_eq!(digest(&[0; 32], 1, &sealed), digest(&[0; 32], 1, &event()));
    }

    #[test]
    fn a_day_of_the_chain_never_goes_back() {
        assert_eq!(day_of(&event(), 0), 20_781);
        assert_eq!(day_of(&event(), 20_782), 20_782);
    }
}
