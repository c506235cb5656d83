//! The model: what the contract says about a session's tokens, written a second time and much simpler.

use std::time::Duration;

use relatch::domain::timestamp::Timestamp;

use super::Which;
use crate::harness::Person;

const GRACE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_hours(7 * 24);
const ABSOLUTE: Duration = Duration::from_hours(90 * 24);
const ACCESS: Duration = Duration::from_mins(15);
const TOLERANCE: Duration = Duration::from_secs(5);
const PER_MINUTE: usize = 60;

pub(super) enum Expected {
    /// The successor; a known one when it was given out before.
    Successor {
        known: Option<String>,
    },
    Refused(u16, &'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ordinary,
    Theft,
    Disabled,
}

struct Session {
    id: String,
    /// By generation; the last one is current.
    tokens: Vec<String>,
    rotated_at: Timestamp,
    idle_until: Timestamp,
    until: Timestamp,
    window_began: Timestamp,
    window_tokens: usize,
    access_until: Timestamp,
    end: Option<End>,
}

pub(super) struct Model {
    sessions: Vec<Session>,
    disabled: bool,
    max_sessions: usize,
}

impl Model {
    pub(super) fn new(max_sessions: usize) -> Self {
        Self { sessions: Vec::new(), disabled: false, max_sessions }
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.disabled
    }

    pub(super) fn login(&mut self, now: Timestamp, person: &Person) {
        self.sessions.push(Session {
            id: person.session_id.clone(),
            tokens: vec![person.refresh_token.clone()],
            rotated_at: now,
            idle_until: now.after(IDLE),
            until: now.after(ABSOLUTE),
            window_began: now,
            window_tokens: 1,
            access_until: whole_second(now).after(ACCESS),
            end: None,
        });
        // The newest stays whatever clocks say; of the others the least recently used ends.
        let others = self.sessions.iter_mut().rev().skip(1);
        let mut live: Vec<&mut Session> = others.filter(|session| session.is_live(now)).collect();
        live.sort_by_key(|session| std::cmp::Reverse((session.rotated_at, session.id.clone())));
        for session in live.into_iter().skip(self.max_sessions - 1) {
            session.end = Some(End::Ordinary);
        }
    }

    pub(super) fn set_disabled(&mut self, now: Timestamp, disabled: bool) {
        if disabled && !self.disabled {
            for session in self.sessions.iter_mut().filter(|session| !session.is_over(now)) {
                session.end = Some(End::Disabled);
            }
        }
        self.disabled = disabled;
    }

    pub(super) fn end(&mut self, session: usize) {
        self.sessions[session].end.get_or_insert(End::Ordinary);
    }

    pub(super) fn end_all(&mut self, now: Timestamp) {
        for session in self.sessions.iter_mut().filter(|session| !session.is_over(now)) {
            session.end = Some(End::Ordinary);
        }
    }

    pub(super) fn token(&self, session: usize, which: Which) -> String {
        let tokens = &self.sessions[session].tokens;
        match which {
            Which::Current => tokens.last().unwrap().clone(),
            Which::Parent => tokens[tokens.len().saturating_sub(2)].clone(),
            Which::Older(back) => tokens[back % tokens.len()].clone(),
            Which::Forged(at) => {
                let mut bytes = tokens.last().unwrap().clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
                String::from_utf8(bytes).unwrap()
            }
            Which::OfAnother(other) => {
                let other = &self.sessions[other % self.sessions.len()];
                // The version byte and 15 bytes of the session's id are the first 24 characters behind the prefix.
                format!("{}{}", &other.tokens[0][..27], &tokens.last().unwrap()[27..])
            }
        }
    }

    pub(super) fn token_of_generation(&self, session: usize, generation: usize) -> String {
        let tokens = &self.sessions[session].tokens;
        tokens[generation % tokens.len()].clone()
    }

    pub(super) fn has_token(&self, session: usize, token: &str) -> bool {
        self.sessions[session].tokens.iter().any(|known| known == token)
    }

    pub(super) fn refresh(&mut self, now: Timestamp, session: usize, which: Which) -> Expected {
        let token = self.token(session, which);
        let disabled = self.disabled;
        let session = &mut self.sessions[session];
        let Some(presented) = session.tokens.iter().position(|known| *known == token) else {
            return Expected::Refused(401, "refresh_token_invalid");
        };
        match session.end {
            Some(End::Disabled) if disabled => return Expected::Refused(401, "account_disabled"),
            Some(_) => return Expected::Refused(401, "session_revoked"),
            // It had expired when the user was disabled, so that it was not ended.
            None if disabled => return Expected::Refused(401, "account_disabled"),
            None => {}
        }
        if session.idle_until <= now || session.until <= now {
            return Expected::Refused(401, "refresh_token_expired");
        }
        let current = session.tokens.len() - 1;
        if presented == current {
            let in_window = now.since(session.window_began) < MINUTE;
            if in_window && session.tokens.len() - session.window_tokens >= PER_MINUTE {
                return Expected::Refused(429, "too_many_refreshes");
            }
            return Expected::Successor { known: None };
        }
        if presented + 1 == current && now.since(session.rotated_at) < GRACE {
            return Expected::Successor { known: Some(session.tokens[current].clone()) };
        }
        session.end = Some(End::Theft);
        Expected::Refused(401, "refresh_token_reused")
    }

    pub(super) fn note_successor(&mut self, now: Timestamp, session: usize, token: String) {
        let session = &mut self.sessions[session];
        if now.since(session.window_began) >= MINUTE {
            session.window_began = now;
            session.window_tokens = session.tokens.len();
        }
        session.tokens.push(token);
        session.rotated_at = now;
        session.idle_until = now.after(IDLE);
        session.access_until = whole_second(now).after(ACCESS).min(whole_second(session.until));
    }

    pub(super) fn note_access_token(&mut self, now: Timestamp, session: usize) {
        let session = &mut self.sessions[session];
        session.access_until = whole_second(now).after(ACCESS).min(whole_second(session.until));
    }

    pub(super) fn expires_at(&self, session: usize) -> Timestamp {
        self.sessions[session].idle_until.min(self.sessions[session].until)
    }

    pub(super) fn access_token_works(&self, now: Timestamp, session: usize) -> bool {
        // Disabling raises the version; all sessions of before have ended, so the version alone refuses nothing more.
        self.sessions[session].is_live(now) && now < self.sessions[session].access_until && !self.disabled
    }

    pub(super) fn was_theft(&self, session: usize) -> bool {
        self.sessions[session].end == Some(End::Theft)
    }
}

impl Session {
    fn is_live(&self, now: Timestamp) -> bool {
        self.end.is_none() && self.idle_until > now && self.until > now
    }

    /// It has ended, or expired by every clock.
    fn is_over(&self, now: Timestamp) -> bool {
        !self.is_live(now.before(TOLERANCE))
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_seconds() * 1_000_000)
}
