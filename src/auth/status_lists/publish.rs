//! Signing lists for whoever asks: once a second at most, however many ask.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{State, StatusLists, Terms, Unread, encoding};
use crate::auth::access_tokens::StatusListToken;
use crate::auth::failure::Failure;
use crate::auth::{Auth, follow};
use crate::domain::status_list::{StatusBits, StatusIndex};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::keyring;
use crate::store::error::StoreError;
use crate::store::status_lists as store;

/// A list is signed again after this long at the earliest.
const EVERY: Duration = Duration::from_secs(1);
/// What is published must not be older than the changes that were read this long ago.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is read what changed during the reading.
const READINGS: u32 = 3;
/// How many ended sessions are read at a time.
const PART: usize = 50_000;

/// A signed list.
#[derive(Debug)]
pub struct Published {
    /// The token, a JWT of the type `statuslist+jwt`.
    pub token: String,
    /// The same as gzip.
    pub gzip: Vec<u8>,
    /// Names the token (RFC 9110 §8.8.3), without quotes.
    pub etag: String,
    kid: String,
    issued_at: Timestamp,
    read_at: Instant,
}

impl Published {
    /// Whether it can be given out for a while yet: signed with the key that signs now, and half of its time is left.
    fn is_fresh(&self, terms: &Terms, kid: &str, now: Timestamp) -> bool {
        self.kid == kid && self.issued_at <= now && now.since(self.issued_at) < terms.ttl / 2
    }
}

/// The URLs of all lists; `None` when there are none by configuration.
pub async fn list_uris(auth: &Auth) -> Result<Option<Vec<String>>, Failure> {
    let Some(terms) = &auth.status_lists.terms else { return Ok(None) };
    let lists = auth.read(store::all).await?;
    Ok(Some(lists.iter().map(|list| terms.uri(&list.name)).collect()))
}

/// The list of this name as it is now, signed; `None` when there is none.
pub async fn show(auth: &Auth, name: &str) -> Result<Option<Arc<Published>>, Failure> {
    let lists = &auth.status_lists;
    let Some(terms) = &lists.terms else { return Ok(None) };
    if let Verdict::Answer(answer) = lists.state().judge(auth, terms, name)? {
        return Ok(answer);
    }
    let _flight = lists.flight.lock().await;
    // Whoever was here before may have done it.
    if let Verdict::Answer(answer) = lists.state().judge(auth, terms, name)? {
        return Ok(answer);
    }
    if !lists.state().is_followed() {
        follow::catch_up(auth).await?;
    }
    if lists.state().find(name).is_none() {
        // Another instance may have begun it.
        let all = auth.read(store::all).await?;
        let mut state = lists.state();
        state.looked_at = Some(Instant::now());
        all.iter().for_each(|list| state.add(list));
    }
    // What is signed is as old as the reading, however long that takes.
    let mut began = Instant::now();
    for _ in 0..READINGS {
        began = Instant::now();
        read_changes(auth, terms).await?;
        if lists.state().unread.is_empty() {
            break;
        }
    }
    sign(auth, terms, name, began).await
}

enum Verdict {
    /// What is there can be given out as it is; so can that there is nothing.
    Answer(Option<Arc<Published>>),
    /// There is something to be read or signed first.
    Work,
}

impl State {
    fn is_followed(&self) -> bool {
        self.followed_at.is_some_and(|at| at.elapsed() <= FOLLOWED_WITHIN)
    }

    fn judge(&self, auth: &Auth, terms: &Terms, name: &str) -> Result<Verdict, Failure> {
        // A list must not say for current what may have been revoked meanwhile.
        if !self.is_followed() {
            return Ok(Verdict::Work);
        }
        let kid = auth.access_tokens.current_kid(auth.now())?;
        let published = self.find(name).map(|kept| (kept.is_behind, kept.published.as_ref()));
        Ok(match published {
            Some((_, Some(published))) if published.read_at.elapsed() < EVERY => {
                Verdict::Answer(Some(Arc::clone(published)))
            }
            Some((false, Some(published))) if self.is_settled() && published.is_fresh(terms, &kid, auth.now()) => {
                Verdict::Answer(Some(Arc::clone(published)))
            }
            None if self.is_settled() && self.looked_at.is_some_and(|at| at.elapsed() < EVERY) => Verdict::Answer(None),
            _ => Verdict::Work,
        })
    }

    fn revoke(&mut self, places: &[StatusIndex]) {
        for place in places {
            match self.lists.get_mut(&place.slot()) {
                Some(kept) => kept.is_behind |= kept.bits.revoke(place.place()),
                // A list that was begun after the lists were read.
                None => self.unread = Unread::Everything,
            }
        }
    }
}

/// Sets the bits of what changed.
async fn read_changes(auth: &Auth, terms: &Terms) -> Result<(), Failure> {
    let mut reading = Reading::begin(&auth.status_lists);
    let since = auth.now().before(terms.memory);
    match &reading.unread {
        Some(Unread::Everything) => read_everything(auth, since).await?,
        Some(Unread::Of(users)) if !users.is_empty() => {
            read_users(auth, users.iter().copied().collect(), since).await?;
        }
        _ => {}
    }
    reading.unread = None;
    Ok(())
}

/// What is being read. It is not read yet when that fails, or is given up because whoever asked has gone away.
struct Reading<'a> {
    lists: &'a StatusLists,
    unread: Option<Unread>,
}

impl<'a> Reading<'a> {
    fn begin(lists: &'a StatusLists) -> Self {
        let mut state = lists.state();
        let unread = std::mem::replace(&mut state.unread, Unread::Of(HashSet::new()));
        state.is_being_read = true;
        drop(state);
        Self { lists, unread: Some(unread) }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.lists.state();
        state.is_being_read = false;
        if let Some(unread) = self.unread.take() {
            state.unread.add(unread);
        }
    }
}

async fn read_users(auth: &Auth, users: Vec<UserId>, since: Timestamp) -> Result<(), Failure> {
    let places = auth.read(move |connection| store::revoked_of(connection, &users, since)).await?;
    auth.status_lists.state().revoke(&places);
    Ok(())
}

async fn read_everything(auth: &Auth, since: Timestamp) -> Result<(), Failure> {
    let lists = auth.read(store::all).await?;
    auth.status_lists.state().keep_only(lists);
    let places = auth.read(move |connection| store::revoked(connection, since)).await?;
    auth.status_lists.state().revoke(&places);
    let mut mark = None;
    loop {
        let (places, next) = auth.read(move |connection| store::ended(connection, since, mark, PART)).await?;
        auth.status_lists.state().revoke(&places);
        mark = next;
        if mark.is_none() {
            return Ok(());
        }
    }
}

/// Signs the list of this name as its bits are now.
async fn sign(auth: &Auth, terms: &Terms, name: &str, read_at: Instant) -> Result<Option<Arc<Published>>, Failure> {
    let lists = &auth.status_lists;
    let kid = auth.access_tokens.current_kid(auth.now())?;
    let bits: StatusBits = {
        let state = lists.state();
        let Some(kept) = state.find(name) else { return Ok(None) };
        match &kept.published {
            // The changes concerned others.
            Some(published) if !kept.is_behind && published.is_fresh(terms, &kid, auth.now()) => {
                return Ok(Some(Arc::clone(published)));
            }
            _ => kept.bits.clone(),
        }
    };
    let published = Arc::new(publish(auth, terms, name, bits, read_at).await?);
    let mut state = lists.state();
    let kept = state.lists.values_mut().find(|kept| kept.list.name == name);
    if let Some(kept) = kept {
        // Bits are set by whoever signs alone, so that these are still the ones that were signed.
        kept.is_behind = false;
        kept.published = Some(Arc::clone(&published));
    }
    Ok(Some(published))
}

async fn publish(
    auth: &Auth,
    terms: &Terms,
    name: &str,
    bits: StatusBits,
    read_at: Instant,
) -> Result<Published, Failure> {
    let compressed = tokio::task::spawn_blocking(move || encoding::encode(bits.as_bytes())).await;
    let lst = compressed.ok().and_then(Result::ok).ok_or(Failure::Store(StoreError::Panicked))?;
    let now = auth.now();
    let list = StatusListToken { uri: terms.uri(name), lst, ttl: terms.ttl, life: terms.life };
    let (token, kid) = auth.access_tokens.issue_status_list(&list, now)?;
    let digest = keyring::sha256(token.as_bytes());
    let etag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let gzip = encoding::gzip(&token).map_err(|_| Failure::Store(StoreError::Panicked))?;
    Ok(Published { token, gzip, etag, kid, issued_at: now, read_at })
}
