//! Checking the audit trail: that every event is what was sealed, that none is missing and none came between.

use std::collections::BTreeMap;

use super::chain::{day_of, digest};
use crate::auth::Auth;
use crate::auth::failure::Failure;
use crate::store::QueryResult;
use crate::store::audit_events::{self, Day, Head, StoredEvent};
use crate::store::connection::AnyConnection;

/// How many events are read at once.
const BATCH: i64 = 1_000;

/// What a check came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How many sealed events were found to be as they were sealed.
    pub checked: u64,
    /// The number of the first one.
    pub first: i64,
    /// The end of the chain: its number and its digest.
    pub head: (i64, [u8; 32]),
    /// How many events have no seal yet, which nothing protects.
    pub unsealed: u64,
    /// What is wrong, if anything; the first thing that was found.
    pub fault: Option<Fault>,
}

/// What is wrong with the audit trail.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The row is not what was sealed, or is not in its place.
    #[error("event {id}, number {number} of the chain, is not what was sealed")]
    Changed {
        /// Its place in the chain.
        number: i64,
        /// The row's number.
        id: i64,
    },
    /// There is no event with this number.
    #[error("number {number} of the chain is missing")]
    Missing {
        /// Its place in the chain.
        number: i64,
    },
    /// There are events behind the end of the chain that nobody sealed.
    #[error("number {number} of the chain stands behind its end")]
    BehindTheEnd {
        /// The last of them.
        number: i64,
    },
    /// The trail does not begin where it was last cut off.
    #[error("the trail should begin with number {expected}, but begins with {found}")]
    Beginning {
        /// Where it should begin.
        expected: i64,
        /// Where it begins.
        found: i64,
    },
    /// What is noted of a day is not what the chain says.
    #[error("the day that begins with number {number} of the chain is not as it was noted")]
    Day {
        /// The number of its first event.
        number: i64,
    },
    /// A digest that was noted earlier is not in the chain: it was cut off and written anew, or is of another store.
    #[error("the digest that was noted earlier is not in the chain, or of a day that was deleted as too old")]
    NotedHead,
}

/// Checks the whole trail, in reads that hold nobody up. `noted` is a head that somebody kept elsewhere; `progress` is
/// told how many events have been checked.
pub async fn verify(auth: &Auth, noted: Option<[u8; 32]>, mut progress: impl FnMut(u64)) -> Result<Report, Failure> {
    loop {
        let report = walk(auth, noted, &mut progress).await?;
        // Old days that were deleted meanwhile are no fault: then it begins again, from where the trail is now kept.
        if report.fault.is_none() || first_number(&auth.read(audit_events::days).await?) == report.first {
            return Ok(report);
        }
    }
}

fn first_number(days: &[Day]) -> i64 {
    days.first().map_or(1, |day| day.first_number)
}

async fn walk(auth: &Auth, noted: Option<[u8; 32]>, progress: &mut impl FnMut(u64)) -> Result<Report, Failure> {
    let outline = auth.read(outline).await?;
    let unsealed = auth.read(audit_events::count_unsealed).await?;
    let first = first_number(&outline.days);
    let mut walk = Walk {
        days: outline.days.iter().map(|day| (day.first_number, *day)).collect(),
        at: Head { number: first - 1, digest: outline.days.first().map_or([0; 32], |day| day.head_before), day: 0 },
        noted,
        checked: 0,
    };
    let mut fault = outline.beginning();
    walk.meet(walk.at.digest);
    while fault.is_none() && walk.at.number < outline.head.number {
        let next = walk.at.number + 1;
        let events = auth.read(move |connection| audit_events::sealed_from(connection, next, BATCH)).await?;
        let known: Vec<_> = events
            .into_iter()
            .filter(|event| event.seal_number.is_some_and(|number| number <= outline.head.number))
            .collect();
        if known.is_empty() {
            fault = Some(Fault::Missing { number: next });
        }
        fault = fault.or_else(|| known.iter().find_map(|event| walk.step(event).err()));
        progress(walk.checked);
    }
    let at_the_end = || walk.ending(&outline);
    let fault = fault.or_else(at_the_end);
    Ok(Report {
        checked: walk.checked,
        first,
        head: (outline.head.number, outline.head.digest),
        unsealed: u64::try_from(unsealed).unwrap_or_default(),
        fault,
    })
}

/// What the store says of the chain as a whole. The end is read first: what is sealed meanwhile lies behind it.
struct Outline {
    head: Head,
    end_of_seals: i64,
    sealed_meanwhile: i64,
    days: Vec<Day>,
    kept_from: Option<String>,
}

fn outline(connection: &mut AnyConnection) -> QueryResult<Outline> {
    let head = audit_events::head(connection)?;
    let end_of_seals = audit_events::end_of_seals(connection)?.unwrap_or(0);
    let sealed_meanwhile = audit_events::head(connection)?.number;
    let days = audit_events::days(connection)?;
    let days = days.into_iter().filter(|day| day.first_number <= head.number).collect();
    Ok(Outline { head, end_of_seals, sealed_meanwhile, days, kept_from: audit_events::kept_from(connection)? })
}

impl Outline {
    /// A trail begins with number 1, or where the last deletion of old days left it.
    fn beginning(&self) -> Option<Fault> {
        let number = |detail: &str| serde_json::from_str::<serde_json::Value>(detail).ok()?.get("keptFrom")?.as_i64();
        let expected = self.kept_from.as_deref().and_then(number).unwrap_or(1);
        match self.days.first() {
            Some(day) if day.first_number != expected => Some(Fault::Beginning { expected, found: day.first_number }),
            None if self.head.number > 0 => Some(Fault::Day { number: expected }),
            _ => None,
        }
    }
}

struct Walk {
    days: BTreeMap<i64, Day>,
    at: Head,
    noted: Option<[u8; 32]>,
    checked: u64,
}

impl Walk {
    fn step(&mut self, event: &StoredEvent) -> Result<(), Fault> {
        let number = self.at.number + 1;
        if event.seal_number != Some(number) {
            return Err(Fault::Missing { number });
        }
        let day = day_of(event, self.at.day);
        let noted = self.days.remove(&number);
        let as_noted = match noted {
            Some(noted) => noted.day == day && noted.day != self.at.day && noted.head_before == self.at.digest,
            None => day == self.at.day,
        };
        let expected = digest(&self.at.digest, number, event);
        if event.seal_digest.as_deref() != Some(expected.as_slice()) {
            return Err(Fault::Changed { number, id: event.id });
        }
        if !as_noted {
            return Err(Fault::Day { number });
        }
        self.at = Head { number, digest: expected, day };
        self.checked += 1;
        self.meet(expected);
        Ok(())
    }

    /// Whether this is the digest that somebody noted.
    fn meet(&mut self, digest: [u8; 32]) {
        if self.noted == Some(digest) {
            self.noted = None;
        }
    }

    /// What only the end shows.
    fn ending(&self, outline: &Outline) -> Option<Fault> {
        if outline.end_of_seals > outline.sealed_meanwhile {
            return Some(Fault::BehindTheEnd { number: outline.end_of_seals });
        }
        if self.at.digest != outline.head.digest {
            return Some(Fault::Missing { number: outline.head.number });
        }
        if let Some(number) = self.days.keys().next() {
            return Some(Fault::Day { number: *number });
        }
        self.noted.map(|_| Fault::NotedHead)
    }
}
