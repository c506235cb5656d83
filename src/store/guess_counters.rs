//! The table `guess_counters`: wrong guesses, from each network and altogether. A guess is counted by conditional updates
//! before anybody looks whether it is right, so that of many at once none is made without being counted.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::dialect::insert_if_missing;
use super::error::impossible_row;
use super::schema::{clients, guess_counters, users};
use crate::domain::guessing::{Scope, Tally};
use crate::domain::network::Network;
use crate::domain::registered_client::ClientId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

/// The network of the row for a whole account.
const ALL: &str = "*";

/// What is guessed at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subject {
    /// A keyed digest.
    pub digest: [u8; 32],
    /// Whose it is, if it is one of these.
    pub owner: Owner,
}

/// Who may be guessed at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// A user.
    User(UserId),
    /// A registered client.
    Client(ClientId),
    /// Nobody: there is no such name.
    Nobody,
}

impl Owner {
    const fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Client(_) | Self::Nobody => None,
        }
    }

    const fn client(self) -> Option<ClientId> {
        match self {
            Self::Client(id) => Some(id),
            Self::User(_) | Self::Nobody => None,
        }
    }
}

/// The two tallies of a guess.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tallies {
    /// Of its network.
    pub network: Option<Tally>,
    /// Of its account.
    pub account: Option<Tally>,
}

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = guess_counters)]
struct TallyRow {
    network: String,
    failures: i32,
    streak: i32,
    last_failed_at: i64,
    free_at: i64,
}

impl TryFrom<TallyRow> for Tally {
    type Error = diesel::result::Error;

    fn try_from(row: TallyRow) -> QueryResult<Self> {
        let count = |count: i32| {
            u32::try_from(count).map_err(|_| impossible_row("guess_counters", &row.network, "a count is negative"))
        };
        Ok(Self {
            failures: count(row.failures)?,
            streak: count(row.streak)?,
            last_failed_at: Timestamp::from_micros(row.last_failed_at),
            free_at: Timestamp::from_micros(row.free_at),
        })
    }
}

/// What was counted of this subject, from this network and altogether.
pub fn tallies(connection: &mut AnyConnection, subject: &Subject, network: Network) -> QueryResult<Tallies> {
    let here = network.to_string();
    let rows: Vec<TallyRow> = guess_counters::table
        .filter(guess_counters::subject.eq(subject.digest.as_slice()))
        .filter(guess_counters::network.eq_any([here.as_str(), ALL]))
        .select(TallyRow::as_select())
        .load(connection)?;
    let mut tallies = Tallies::default();
    for row in rows {
        let of_account = row.network == ALL;
        let tally = Some(Tally::try_from(row)?);
        if of_account { tallies.account = tally } else { tallies.network = tally }
    }
    Ok(tallies)
}

/// Puts `after` in the place of `before`; `false` when somebody else was there first. Without an `after` the row goes.
pub fn replace(
    connection: &mut AnyConnection,
    subject: &Subject,
    place: Place,
    before: Option<&Tally>,
    after: Option<&Tally>,
) -> QueryResult<bool> {
    let network = place.to_string();
    let changed = match (before, after) {
        (None, None) => return Ok(true),
        (None, Some(after)) => {
            let row = (
                guess_counters::subject.eq(subject.digest.as_slice()),
                guess_counters::network.eq(network),
                guess_counters::user_id.eq(subject.owner.user().map(UserId::get)),
                guess_counters::client_id.eq(subject.owner.client().map(|id| id.to_string())),
                values(after),
            );
            insert_if_missing!(connection, guess_counters::table, row)?
        }
        (Some(before), after) => {
            let unchanged = guess_counters::table
                .find((subject.digest.as_slice(), network))
                .filter(guess_counters::failures.eq(count(before.failures)))
                .filter(guess_counters::streak.eq(count(before.streak)))
                .filter(guess_counters::last_failed_at.eq(before.last_failed_at.as_micros()))
                .filter(guess_counters::free_at.eq(before.free_at.as_micros()));
            match after {
                Some(after) => diesel::update(unchanged).set(values(after)).execute(connection)?,
                None => diesel::delete(unchanged).execute(connection)?,
            }
        }
    };
    Ok(changed == 1)
}

/// Which of a subject's tallies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// That of a network.
    Network(Network),
    /// That of all.
    Account,
}

impl Place {
    /// Reads it as it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        if text == ALL { Some(Self::Account) } else { Network::parse(text).map(Self::Network) }
    }

    /// How it is counted there.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Network(_) => Scope::Network,
            Self::Account => Scope::Account,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Account => f.write_str(ALL),
        }
    }
}

/// Forgets what was counted of the subject from this network and altogether. What came from elsewhere stays.
pub fn forgive(connection: &mut AnyConnection, subject: &Subject, network: Network) -> QueryResult<()> {
    // In the order in which guesses are counted: on Postgres, neither then waits for the other in a circle.
    for place in [Place::Network(network), Place::Account] {
        let row = guess_counters::table.find((subject.digest.as_slice(), place.to_string()));
        diesel::delete(row).execute(connection)?;
    }
    Ok(())
}

/// Forgets all that was counted of a user; says how many tallies.
pub fn clear_user(connection: &mut AnyConnection, user: UserId) -> QueryResult<usize> {
    diesel::delete(guess_counters::table.filter(guess_counters::user_id.eq(user.get()))).execute(connection)
}

/// Forgets all that was counted from a network; says how many tallies.
pub fn clear_network(connection: &mut AnyConnection, network: Network) -> QueryResult<usize> {
    diesel::delete(guess_counters::table.filter(guess_counters::network.eq(network.to_string()))).execute(connection)
}

/// Forgets everything; says how many tallies.
pub fn clear_all(connection: &mut AnyConnection) -> QueryResult<usize> {
    diesel::delete(guess_counters::table).execute(connection)
}

/// Forgets one tally; gives what it was of.
pub fn clear_one(connection: &mut AnyConnection, key: &BlockKey) -> QueryResult<Option<Owner>> {
    let owner: Option<(Option<i64>, Option<String>)> =
        diesel::delete(guess_counters::table.find((key.subject.as_slice(), key.place.to_string())))
            .returning((guess_counters::user_id, guess_counters::client_id))
            .get_result(connection)
            .optional()?;
    Ok(owner.map(|(user, client)| owner_of(user, client.as_deref())))
}

/// Deletes up to `limit` tallies that are forgotten by `now`; says how many.
pub fn prune(connection: &mut AnyConnection, now: Timestamp, limit: i64) -> QueryResult<usize> {
    let old: Vec<(Vec<u8>, String)> = guess_counters::table
        .filter(guess_counters::expires_at.le(now.as_micros()))
        .order(guess_counters::expires_at)
        .limit(limit)
        .select((guess_counters::subject, guess_counters::network))
        .load(connection)?;
    for key in &old {
        let row = guess_counters::table.find((&key.0, &key.1));
        // Somebody may have guessed again meanwhile.
        diesel::delete(row.filter(guess_counters::expires_at.le(now.as_micros()))).execute(connection)?;
    }
    Ok(old.len())
}

/// A tally that keeps somebody out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// Which one.
    pub key: BlockKey,
    /// Whom it is of.
    pub owner: Owner,
    /// What the user or the client is called.
    pub name: Option<String>,
    /// How many wrong guesses there were in a row.
    pub failures: u32,
    /// When the last one was.
    pub last_failed_at: Timestamp,
}

/// What blocks are ordered by: those that last longest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockKey {
    /// Until when it lasts.
    pub until: Timestamp,
    /// The digest of what is guessed at.
    pub subject: [u8; 32],
    /// From where.
    pub place: Place,
}

#[derive(Queryable)]
struct BlockRow {
    subject: Vec<u8>,
    network: String,
    user_id: Option<i64>,
    client_id: Option<String>,
    failures: i32,
    last_failed_at: i64,
    free_at: i64,
    username: Option<String>,
    client_name: Option<String>,
}

impl TryFrom<BlockRow> for Block {
    type Error = diesel::result::Error;

    fn try_from(row: BlockRow) -> QueryResult<Self> {
        let impossible = |problem| impossible_row("guess_counters", &row.network, problem);
        let subject = row.subject.as_slice().try_into().map_err(|_| impossible("the subject is not 32 bytes"))?;
        let place = Place::parse(&row.network).ok_or_else(|| impossible("the network is none"))?;
        Ok(Self {
            key: BlockKey { until: Timestamp::from_micros(row.free_at), subject, place },
            owner: owner_of(row.user_id, row.client_id.as_deref()),
            failures: u32::try_from(row.failures).map_err(|_| impossible("a count is negative"))?,
            last_failed_at: Timestamp::from_micros(row.last_failed_at),
            name: row.username.or(row.client_name),
        })
    }
}

/// Up to `limit` tallies that keep somebody out at `now`, behind `after`; all of them, or those of a user.
pub fn blocks(
    connection: &mut AnyConnection,
    user: Option<UserId>,
    after: Option<&BlockKey>,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Vec<Block>> {
    use guess_counters::{free_at, network, subject};
    let mut query = guess_counters::table
        .left_join(users::table)
        .left_join(clients::table)
        .filter(free_at.gt(guess_counters::last_failed_at))
        .filter(free_at.gt(now.as_micros()))
        .order((free_at.desc(), subject.desc(), network.desc()))
        .limit(limit)
        .select((
            subject,
            network,
            guess_counters::user_id,
            guess_counters::client_id,
            guess_counters::failures,
            guess_counters::last_failed_at,
            free_at,
            users::username.nullable(),
            clients::name.nullable(),
        ))
        .into_boxed();
    if let Some(user) = user {
        query = query.filter(guess_counters::user_id.eq(user.get()));
    }
    if let Some(after) = after {
        let (until, digest, place) = (after.until.as_micros(), after.subject.to_vec(), after.place.to_string());
        query = query.filter(
            free_at
                .le(until)
                .and(free_at.lt(until).or(subject.lt(digest.clone())).or(subject.eq(digest).and(network.lt(place)))),
        );
    }
    let rows: Vec<BlockRow> = query.load(connection)?;
    rows.into_iter().map(Block::try_from).collect()
}

fn owner_of(user: Option<i64>, client: Option<&str>) -> Owner {
    match (user.and_then(UserId::new), client.and_then(ClientId::parse)) {
        (Some(user), _) => Owner::User(user),
        (None, Some(client)) => Owner::Client(client),
        (None, None) => Owner::Nobody,
    }
}

type Values = (
    diesel::dsl::Eq<guess_counters::failures, i32>,
    diesel::dsl::Eq<guess_counters::streak, i32>,
    diesel::dsl::Eq<guess_counters::last_failed_at, i64>,
    diesel::dsl::Eq<guess_counters::free_at, i64>,
    diesel::dsl::Eq<guess_counters::expires_at, i64>,
);

fn values(tally: &Tally) -> Values {
    (
        guess_counters::failures.eq(count(tally.failures)),
        guess_counters::streak.eq(count(tally.streak)),
        guess_counters::last_failed_at.eq(tally.last_failed_at.as_micros()),
        guess_counters::free_at.eq(tally.free_at.as_micros()),
        guess_counters::expires_at.eq(tally.forgotten_at().as_micros()),
    )
}

fn count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
