//! Throttling of guesses: the one way by which every door asks whether a password or a secret may be tried.
//!
//! A guess is counted in the store before anybody looks whether it is right, so that of many at once, by whatever instance
//! they are answered, none goes uncounted. The rules are in `domain/guessing.rs`.

pub mod blocks;
mod budgets;
mod counting;
mod gate;

pub(super) use counting::{Standing, Watch};

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Auth;
use super::failure::Failure;
use super::passwords::HashingError;
use crate::clock::Clock;
use crate::domain::client::Client;
use crate::domain::guessing::{EXHAUSTED_RETRY, Reached, Verdict};
use crate::domain::network::Network;
use crate::domain::timestamp::Timestamp;
use crate::keyring::{GuessSubjects, Keyring};
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::guess_counters::{self, Owner, Place};
use crate::store::known_networks;
use budgets::Budgets;
use counting::{Change, Urgency};
use gate::{Gate, Turn};

/// That a network is known is noted anew this often at most, so that not every sign-in writes it.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// What is kept for it while rate limits are on.
pub(super) struct Guessing {
    subjects: GuessSubjects,
    budgets: Budgets,
    gate: Gate,
}

impl Guessing {
    pub(super) fn new(keyring: &Keyring, clock: &Arc<dyn Clock>, threads: usize) -> Self {
        let budgets = Budgets::new(clock, threads);
        Self { subjects: keyring.primary().guess_subjects(), budgets, gate: Gate::default() }
    }
}

impl Guessing {
    fn refund(&self, spent: Option<Spent>) {
        match spent {
            Some(Spent::SignIn(network)) => self.budgets.refund_sign_in(network),
            Some(Spent::WrongSecret(network)) => self.budgets.refund_wrong_secret(network),
            None => {}
        }
    }
}

/// What a guess has spent, and whose.
#[derive(Clone, Copy)]
enum Spent {
    SignIn(Network),
    WrongSecret(Network),
}

/// A guess that is counted as wrong until it is found right. Without rate limits nothing is counted.
pub(super) struct Attempt(Option<Counted>);

struct Counted {
    standing: Standing,
    network: Change,
    account: Change,
    spent: Option<Spent>,
    _turn: Turn,
}

impl Auth {
    /// Whether guesses are not counted, since rate limits are off.
    pub fn is_unthrottled(&self) -> bool {
        self.guessing.is_none()
    }

    /// A registration by somebody who is no admin.
    pub(super) fn spend_registration(&self, client: &Client) -> Result<(), Failure> {
        self.spend(|budgets| budgets.registration(Network::of_client(client)))
    }

    /// A token or a link that is none of ours. Genuine ones spend nothing.
    pub(super) fn spend_wrong_token(&self, client: &Client) -> Result<(), Failure> {
        self.spend(|budgets| budgets.wrong_token(Network::of_client(client)))
    }

    fn spend(&self, ask: impl FnOnce(&Budgets) -> Result<(), Duration>) -> Result<(), Failure> {
        let refused = self.guessing.as_ref().and_then(|guessing| ask(&guessing.budgets).err());
        refused.map_or(Ok(()), |retry_after| Err(Failure::TooManyAttempts { retry_after }))
    }

    /// What a read needs to find out what was counted; `None` without rate limits.
    pub(super) fn watch(&self, client: &Client) -> Option<Watch> {
        let subjects = self.guessing.as_ref()?.subjects.clone();
        Some(Watch { subjects, network: Network::of_client(client) })
    }

    /// Counts one more guess, unless there were too many. Somebody who signs in from a network that the account is not
    /// used from, or presents a wrong secret, spends of what their network has, and of what all such networks have; what
    /// is not counted, or not looked at, is given back.
    pub(super) async fn attempt(&self, standing: Option<Standing>, door: Door) -> Result<Attempt, Failure> {
        let (Some(guessing), Some(standing)) = (&self.guessing, standing) else { return Ok(Attempt(None)) };
        let verdict = standing.verdict(self.now());
        match verdict {
            // Secrets that are counted are all wrong.
            Verdict::Wait { .. } if door != Door::OfClients => {
                self.refuse_unless_others_were_right(guessing, standing, verdict).await?;
            }
            verdict => self.refuse(verdict)?,
        }
        let spent = self.spend_at(door, &standing)?;
        let counted = self.count_in_turn(guessing, standing).await;
        match counted {
            Ok((network, account, turn)) => {
                Ok(Attempt(Some(Counted { standing, network, account, spent, _turn: turn })))
            }
            Err(failure) => {
                guessing.refund(spent);
                Err(failure)
            }
        }
    }

    fn spend_at(&self, door: Door, standing: &Standing) -> Result<Option<Spent>, Failure> {
        let network = standing.network;
        match door {
            Door::Api | Door::Console if !standing.is_known(self.now()) => {
                self.spend(|budgets| budgets.sign_in_of_stranger(network)).map(|()| Some(Spent::SignIn(network)))
            }
            Door::OfClients => {
                self.spend(|budgets| budgets.wrong_secret(network)).map(|()| Some(Spent::WrongSecret(network)))
            }
            Door::Api | Door::Console | Door::InSession => Ok(None),
        }
    }

    /// Waits for a turn and counts.
    async fn count_in_turn(&self, guessing: &Guessing, standing: Standing) -> Result<(Change, Change, Turn), Failure> {
        let turn = guessing.gate.enter(standing.subject.digest, standing.network).await;
        let mut turn = turn.ok_or(HashingError::Busy)?;
        let mut counted = self.count(standing).await?;
        if let Err(Verdict::Wait { .. }) = counted {
            // It may be others who sign in at the same moment that were counted: once they are done, that shows.
            turn = turn.alone().await.ok_or(HashingError::Busy)?;
            counted = self.count(standing).await?;
        }
        match counted {
            Ok((network, account)) => Ok((network, account, turn)),
            Err(verdict) => Err(self.refuse(verdict).err().unwrap_or_else(|| HashingError::Busy.into())),
        }
    }

    /// Refuses who would have to wait, unless that is because of others who sign in at the same moment and are right: once
    /// they are done, it shows.
    async fn refuse_unless_others_were_right(
        &self,
        guessing: &Guessing,
        standing: Standing,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        let Some(turn) = guessing.gate.enter(standing.subject.digest, standing.network).await else {
            return self.refuse(verdict);
        };
        let _turn = if turn.is_alone() { Some(turn) } else { turn.alone().await };
        let again = self.read(move |connection| standing.again(connection)).await?;
        self.refuse(again.verdict(self.now()))
    }

    fn refuse(&self, verdict: Verdict) -> Result<(), Failure> {
        let retry_after = match verdict {
            Verdict::Allowed => return Ok(()),
            Verdict::Wait { until } => until.since(self.now()),
            Verdict::Exhausted => EXHAUSTED_RETRY,
        };
        Err(Failure::TooManyAttempts { retry_after })
    }

    /// The two changes, or why there are none.
    async fn count(&self, standing: Standing) -> Result<Result<(Change, Change), Verdict>, Failure> {
        let now = self.now();
        let counted = self.write_as(standing.urgency, move |connection| standing.count(connection, now)).await?;
        counted.ok_or_else(|| HashingError::Busy.into())
    }

    async fn write_as<T: Send + 'static>(
        &self,
        urgency: Urgency,
        job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let written = match urgency {
            Urgency::Usual => self.store.write(job).await,
            Urgency::OfAdmin => self.store.write_urgent(job).await,
        };
        written.map_err(Failure::Store)
    }

    /// Notes a wrong secret of a client, or refuses to say that it is wrong. A right one is never asked about: it cannot
    /// be guessed, so that nobody is kept out for what others tried.
    pub(super) async fn note_wrong_secret(&self, standing: Option<Standing>, client: &Client) -> Result<(), Failure> {
        // Only what is counted spends of the budgets: a program that goes on trying an old secret takes nothing from others.
        let attempt = self.attempt(standing, Door::OfClients).await?;
        if attempt.has_reached() {
            let (noting, now, client) = (attempt.wrong(), self.now(), client.clone());
            self.write(move |connection| noting.note(connection, now, &client)).await?;
        }
        Ok(())
    }
}

/// By which sort of door somebody comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Door {
    /// Anybody may come, to the API.
    Api,
    /// Anybody may come, to the console.
    Console,
    /// Only who has a session already.
    InSession,
    /// Registered clients, whose wrong secrets cost no hash.
    OfClients,
}

impl Attempt {
    /// What is to be done in the transaction that begins what a right guess opens.
    pub(super) fn right(&self) -> Right {
        Right(self.0.as_ref().map(|counted| counted.standing))
    }

    /// What is to be done in the transaction that puts down a wrong guess.
    pub(super) fn wrong(&self) -> Wrong {
        Wrong(self.0.as_ref().map(|counted| (counted.standing, counted.network, counted.account)))
    }

    /// Whether a wrong guess is to be told of.
    fn has_reached(&self) -> bool {
        self.0.as_ref().is_some_and(|counted| {
            let of_network = counted.network.after.reached(Place::Network(counted.standing.network).scope());
            of_network.is_some() || counted.account.after.reached(Place::Account.scope()).is_some()
        })
    }

    /// Gives back to the budgets what a right guess has spent of them.
    pub(super) fn refund(&self, auth: &Auth) {
        if let (Some(guessing), Some(counted)) = (&auth.guessing, &self.0) {
            guessing.refund(counted.spent);
        }
    }

    /// Gives the guess back: nobody has looked whether it was right, or what it opens did not come to be.
    pub(super) async fn give_back(self, auth: &Auth) {
        self.refund(auth);
        let Some(Counted { standing, network, account, spent: _, _turn }) = self.0 else { return };
        let given = auth.write_as(standing.urgency, move |connection| {
            network.take_back(connection, &standing.subject, Place::Network(standing.network))?;
            account.take_back(connection, &standing.subject, Place::Account)
        });
        if let Err(failure) = given.await {
            tracing::warn!(%failure, "a guess that was not wrong stays counted");
        }
    }

    /// The result of looking whether the guess was right, or of beginning what a right one opens; when that could not be
    /// done, the guess is given back.
    pub(super) async fn done<T>(
        self,
        auth: &Auth,
        result: Result<T, impl Into<Failure>>,
    ) -> Result<(Self, T), Failure> {
        match result.map_err(Into::into) {
            Ok(seen) => Ok((self, seen)),
            Err(failure) => {
                // What was begun after all has forgotten the guess.
                if !failure.is_of_unknown_outcome() {
                    self.give_back(auth).await;
                }
                Err(failure)
            }
        }
    }
}

/// A guess that was right.
#[derive(Clone, Copy)]
pub(super) struct Right(Option<Standing>);

impl Right {
    /// Forgets what was counted, and remembers the network as the user's own.
    pub(super) fn forgive(self, connection: &mut AnyConnection, now: Timestamp) -> QueryResult<()> {
        let Some(standing) = self.0 else { return Ok(()) };
        guess_counters::forgive(connection, &standing.subject, standing.network)?;
        let is_noted = standing.known_at.is_some_and(|at| now.since(at) < NOTED_EVERY);
        match standing.subject.owner {
            Owner::User(user) if !is_noted => known_networks::note(connection, user, standing.network, now),
            _ => Ok(()),
        }
    }
}

/// A guess that was wrong.
#[derive(Clone, Copy)]
pub(super) struct Wrong(Option<(Standing, Change, Change)>);

impl Wrong {
    /// Puts down what it has brought about, if it has: the first delay, and the last guess.
    pub(super) fn note(self, connection: &mut AnyConnection, now: Timestamp, client: &Client) -> QueryResult<()> {
        let Some((standing, network, account)) = self.0 else { return Ok(()) };
        let here = Place::Network(standing.network);
        for (change, place) in [(network, here), (account, Place::Account)] {
            let reason = match change.after.reached(place.scope()) {
                Some(Reached::Delays) => "delayed",
                Some(Reached::Ceiling) => "exhausted",
                None => continue,
            };
            let event = Event::new(Kind::LoginThrottled, now, By::Anonymous, client);
            let event = match standing.subject.owner {
                Owner::User(user) => event.about(user),
                Owner::Client(client) => event.of_client(client),
                Owner::Nobody => event,
            };
            let detail = json!({
                "reason": reason,
                "failures": change.after.failures,
                "network": place.to_string(),
                "until": change.after.free_at.to_string(),
            });
            audit_events::record(connection, &event.with(detail))?;
        }
        Ok(())
    }
}
