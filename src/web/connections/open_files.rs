//! How many files the process may have open, of which each connection is one.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::METRICS_CONNECTIONS;

/// What is open besides all that is counted here: listeners, logs, libraries' own.
const OTHERS: usize = 64;
/// The runtime of each thread that serves has an epoll instance, twice, an event and a socket for signals.
const OF_WORKER: usize = 4;
/// An SQLite connection opens the file, its log and the log's index.
const OF_DATABASE: usize = 3;

/// How many of the connections that are wanted there are files for. Raises the limit as far as the process may.
pub fn room_for(wanted: usize, database_connections: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let others = others(database_connections, cores);
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

/// How many files there are besides connections of clients, with a thread for each core and one for metrics.
const fn others(database_connections: usize, cores: usize) -> usize {
    OTHERS + OF_DATABASE * (database_connections + 1) + OF_WORKER * (cores + 1) + METRICS_CONNECTIONS
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q9_threads_databases_and_whoever_asks_for_metrics_take_nothing_from_clients() {
        // With 16 connections to an SQLite file, on two cores and on 64.
        assert_eq!(others(16, 2), 64 + 51 + 12 + 64);
        assert_eq!(others(16, 64), 64 + 51 + 260 + 64);
    }
}
