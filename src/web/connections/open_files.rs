//! How many files the process may have open, of which each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open besides connections and databases: listeners, logs, libraries' own.
const OTHERS: usize = 64;
/// An SQLite connection opens the file, its log and the log's index.
const OF_DATABASE: usize = 3;

/// How many of the connections that are wanted there are files for. Raises the limit as far as the process may.
pub fn room_for(wanted: usize, database_connections: usize) -> usize {
    let others = OTHERS + OF_DATABASE * (database_connections + 1);
    let limit = raised(wanted + others);
    let room = limit.saturating_sub(others).max(1);
    if room >= wanted {
        return wanted;
    }
    tracing::warn!(
        open_files = limit,
        "MAX_CONNECTIONS is {wanted}, and this process may open {limit} files, which is enough for {room} connections: \
         it takes no more than those. Raise the limit of open files (ulimit -n, LimitNOFILE=) to {}, or lower \
         MAX_CONNECTIONS",
        wanted + others
    );
    room
}

/// The limit, after an attempt to raise it to what is needed.
fn raised(needed: usize) -> usize {
    let as_number = |limit: Option<u64>| limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if as_number(current) >= needed {
        return as_number(current);
    }
    let target = needed.min(as_number(maximum));
    let raised = Rlimit { current: u64::try_from(target).ok(), maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => target,
        Err(_) => as_number(current),
    }
}
