//! Giving sessions their places.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{StatusLists, Terms};
use crate::auth::failure::Failure;
use crate::auth::{Auth, entropy};
use crate::domain::session::{Session, SessionState};
use crate::domain::status_list::{self, Slot, StatusIndex};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::keyring;
use crate::store::status_lists::{self as store, BLOCK, Block, NewList};

/// How long an instance gives places of a block. A list is kept for as long as its last session can live, and this longer.
const BLOCK_LIFE: Duration = Duration::from_hours(1);
/// How much longer than that a list is kept, whatever clocks say.
const MARGIN: Duration = Duration::from_hours(24);

/// A place as tokens name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::auth) struct Place {
    /// As the store has it.
    pub(in crate::auth) index: StatusIndex,
    /// Where its list is.
    pub(in crate::auth) uri: String,
}

/// A block, and how much of it was given.
pub(super) struct Taken {
    block: Block,
    given: u32,
    taken_at: Timestamp,
}

impl Taken {
    fn next(&mut self, now: Timestamp) -> Option<StatusIndex> {
        let is_ours = self.given < BLOCK && now >= self.taken_at && now.since(self.taken_at) <= BLOCK_LIFE;
        if !is_ours {
            return None;
        }
        let serial = self.block.first + self.given;
        self.given += 1;
        let key = &self.block.permutation_key;
        let place = status_list::scatter(serial, |round, half| {
            let [high, low] = half.to_be_bytes();
            let digest = keyring::labelled_digest(key, &[round, high, low]);
            digest.first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
        });
        Some(StatusIndex::new(self.block.list.slot, place))
    }
}

/// A place that nothing else has or had; `None` when there are no lists. It is used up, whether it is used or not.
pub(in crate::auth) async fn give_place(auth: &Auth, now: Timestamp) -> Result<Option<Place>, Failure> {
    let lists = &auth.status_lists;
    let Some(terms) = &lists.terms else { return Ok(None) };
    let mut taken = lists.block.lock().await;
    if let Some(place) = taken.as_mut().and_then(|taken| next(taken, terms, now)) {
        return Ok(Some(place));
    }
    // Dropped before another is asked for: what is left of it may be too old.
    *taken = None;
    let new = NewList { name: URL_SAFE_NO_PAD.encode(entropy::bytes::<9>()?), permutation_key: entropy::bytes()? };
    let until = now.after(auth.policy.session_max_life).after(BLOCK_LIFE).after(MARGIN);
    let block = auth.write(move |connection| store::take_block(connection, &new, now, until)).await?;
    let Some(block) = block else {
        tracing::error!("there are as many status lists as there may be: new sessions are in none of them");
        return Ok(None);
    };
    lists.state().add(&block.list);
    let mut block = Taken { block, given: 0, taken_at: now };
    let place = next(&mut block, terms, now);
    *taken = Some(block);
    Ok(place)
}

fn next(taken: &mut Taken, terms: &Terms, now: Timestamp) -> Option<Place> {
    let index = taken.next(now)?;
    Some(Place { index, uri: terms.uri(&taken.block.list.name) })
}

/// The place that a session has; `None` when it has none.
pub(in crate::auth) async fn place_of(auth: &Auth, session: &Session) -> Result<Option<Place>, Failure> {
    let (Some(terms), Some(index)) = (&auth.status_lists.terms, session.status_index) else { return Ok(None) };
    let uri = |lists: &StatusLists| lists.name(index.slot()).map(|name| terms.uri(&name));
    if let Some(uri) = uri(&auth.status_lists) {
        return Ok(Some(Place { index, uri }));
    }
    // Another instance has begun a list.
    for list in auth.read(store::all).await? {
        auth.status_lists.state().add(&list);
    }
    Ok(uri(&auth.status_lists).map(|uri| Place { index, uri }))
}

/// Gives a session a place that goes on without one: it is older than the lists, or its user got another role. Gives
/// the session and its user as they are by then, `None` when it has ended meanwhile.
pub(in crate::auth) async fn renew(
    auth: &Auth,
    session: Session,
    user: User,
) -> Result<Option<(Session, User)>, Failure> {
    if session.status_index.is_some() || auth.status_lists.terms.is_none() {
        return Ok(Some((session, user)));
    }
    let (id, user_id) = (session.id, session.user_id);
    let Some(place) = give_place(auth, auth.now()).await? else { return Ok(Some((session, user))) };
    let found = auth.write(move |connection| store::assign(connection, id, user_id, place.index)).await?;
    Ok(found.filter(|(session, _)| session.state == SessionState::Open))
}

impl Terms {
    pub(super) fn uri(&self, name: &str) -> String {
        format!("{}{name}", self.base)
    }
}

impl StatusLists {
    fn name(&self, slot: Slot) -> Option<String> {
        self.state().lists.get(&slot).map(|kept| kept.list.name.clone())
    }
}
