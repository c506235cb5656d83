//! What was counted of somebody, and counting one more guess.

use crate::domain::guessing::{KNOWN_FOR, Tally, Verdict, judge};
use crate::domain::network::Network;
use crate::domain::registered_client::ClientId;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::keyring::GuessSubjects;
use crate::store::QueryResult;
use crate::store::connection::AnyConnection;
use crate::store::guess_counters::{self, Owner, Place, Subject, Tallies};
use crate::store::known_networks;

/// How often a count is tried again because somebody else counted at the same moment.
const ATTEMPTS: u32 = 32;

/// Makes what is counted of somebody, within a read.
#[derive(Clone)]
pub(in crate::auth) struct Watch {
    pub(super) subjects: GuessSubjects,
    pub(super) network: Network,
}

/// What was counted before a guess.
#[derive(Clone, Copy)]
pub(in crate::auth) struct Standing {
    pub(super) subject: Subject,
    pub(super) network: Network,
    tallies: Tallies,
    pub(super) known_at: Option<Timestamp>,
    pub(super) urgency: Urgency,
}

/// Whether a guess must be possible when the disk is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Urgency {
    /// It need not.
    Usual,
    /// It must: admins have to get into the console, to end sessions. Guesses at one account write few rows.
    OfAdmin,
}

#[derive(Clone, Copy)]
pub(super) struct Change {
    before: Option<Tally>,
    pub(super) after: Tally,
}

impl Watch {
    /// What was counted of a user.
    pub(in crate::auth) fn user(&self, connection: &mut AnyConnection, id: UserId) -> QueryResult<Standing> {
        let standing = self.look(connection, "user", &id.to_string(), Owner::User(id))?;
        self.and_known(connection, standing, Some(id))
    }

    /// What was counted of a client's id; `exists` says whether a client has it.
    pub(in crate::auth) fn client(
        &self,
        connection: &mut AnyConnection,
        id: &str,
        exists: Option<ClientId>,
    ) -> QueryResult<Standing> {
        self.look(connection, "client", id, exists.map_or(Owner::Nobody, Owner::Client))
    }

    /// What was counted of a name that nobody has, in its canonical form. An `@` tells e-mail addresses from usernames.
    pub(in crate::auth) fn name(&self, connection: &mut AnyConnection, key: &str) -> QueryResult<Standing> {
        self.of_nobody(connection, "name", key)
    }

    /// What was counted of something that nobody can be called: it has nothing in common with any name.
    pub(in crate::auth) fn no_name(&self, connection: &mut AnyConnection, folded: &str) -> QueryResult<Standing> {
        self.of_nobody(connection, "no name", folded)
    }

    fn of_nobody(&self, connection: &mut AnyConnection, kind: &str, name: &str) -> QueryResult<Standing> {
        let standing = self.look(connection, kind, name, Owner::Nobody)?;
        self.and_known(connection, standing, None)
    }

    fn and_known(
        &self,
        connection: &mut AnyConnection,
        standing: Standing,
        user: Option<UserId>,
    ) -> QueryResult<Standing> {
        let known_at = match self.network {
            // Who knows nothing of where somebody is cannot know that they were there before.
            Network::Unknown => None,
            network => known_networks::last_success(connection, user, network)?,
        };
        Ok(Standing { known_at, ..standing })
    }

    fn look(&self, connection: &mut AnyConnection, kind: &str, name: &str, owner: Owner) -> QueryResult<Standing> {
        let subject = Subject { digest: self.subjects.digest(kind, name), owner };
        let tallies = guess_counters::tallies(connection, &subject, self.network)?;
        Ok(Standing { subject, network: self.network, tallies, known_at: None, urgency: Urgency::Usual })
    }
}

impl Standing {
    /// The same for somebody with this role who comes to the console.
    pub(in crate::auth) fn at_console(self, role: Role) -> Self {
        match role {
            Role::Admin => Self { urgency: Urgency::OfAdmin, ..self },
            Role::User => self,
        }
    }

    /// The same as it is now.
    pub(super) fn again(self, connection: &mut AnyConnection) -> QueryResult<Self> {
        let tallies = guess_counters::tallies(connection, &self.subject, self.network)?;
        Ok(Self { tallies, ..self })
    }

    pub(super) fn is_known(&self, now: Timestamp) -> bool {
        self.known_at.is_some_and(|at| now.since(at) < KNOWN_FOR)
    }

    pub(super) fn verdict(&self, now: Timestamp) -> Verdict {
        judge(self.tallies.network.as_ref(), self.tallies.account.as_ref(), self.is_known(now), now)
    }

    /// Counts in both places, the network first, or not at all; `None` when others were always faster.
    pub(super) fn count(
        mut self,
        connection: &mut AnyConnection,
        now: Timestamp,
    ) -> QueryResult<Option<Result<(Change, Change), Verdict>>> {
        let here = Place::Network(self.network);
        let mut of_network: Option<Change> = None;
        for _ in 0..ATTEMPTS {
            let found = guess_counters::tallies(connection, &self.subject, self.network)?;
            // What this transaction has counted already is no reason to refuse it.
            self.tallies = Tallies { network: of_network.map_or(found.network, |change| change.before), ..found };
            let verdict = self.verdict(now);
            if verdict != Verdict::Allowed {
                self.put_back(connection, of_network)?;
                return Ok(Some(Err(verdict)));
            }
            let network = match of_network {
                Some(change) => change,
                None => {
                    let change = Change::of(found.network, here, now);
                    if !change.make(connection, &self.subject, here)? {
                        continue;
                    }
                    *of_network.insert(change)
                }
            };
            let account = Change::of(found.account, Place::Account, now);
            if account.make(connection, &self.subject, Place::Account)? {
                return Ok(Some(Ok((network, account))));
            }
        }
        self.put_back(connection, of_network)?;
        Ok(None)
    }

    fn put_back(&self, connection: &mut AnyConnection, of_network: Option<Change>) -> QueryResult<()> {
        of_network.map_or(Ok(()), |change| change.take_back(connection, &self.subject, Place::Network(self.network)))
    }
}

impl Change {
    fn of(before: Option<Tally>, place: Place, now: Timestamp) -> Self {
        Self { before, after: Tally::after(before.as_ref(), place.scope(), now) }
    }

    fn make(&self, connection: &mut AnyConnection, subject: &Subject, place: Place) -> QueryResult<bool> {
        guess_counters::replace(connection, subject, place, self.before.as_ref(), Some(&self.after))
    }

    /// As if the guess had not been made; where others have counted since, one less.
    pub(super) fn take_back(&self, connection: &mut AnyConnection, subject: &Subject, place: Place) -> QueryResult<()> {
        if guess_counters::replace(connection, subject, place, Some(&self.after), self.before.as_ref())? {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            let network = match place {
                Place::Network(network) => network,
                Place::Account => Network::Unknown,
            };
            let found = guess_counters::tallies(connection, subject, network)?;
            let found = if place == Place::Account { found.account } else { found.network };
            let Some(now) = found else { return Ok(()) };
            let less = now.without_one(place.scope());
            if guess_counters::replace(connection, subject, place, Some(&now), less.as_ref())? {
                return Ok(());
            }
        }
        Ok(())
    }
}
