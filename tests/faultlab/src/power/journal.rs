//! The journal of what a server has done to its files, in the order in which it did it.
//!
//! A record is in the journal before the operation is done, but that of a sync is only there when the sync has
//! succeeded. The journal outlives a killed server, since the machine goes on.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

/// What was done to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        length: u64,
    },
    Sync,
    Delete,
    /// A sync that failed: the kernel may have thrown away what it could not write, and thinks that it is written.
    FailedSync,
    /// Any other operation that failed, and changed nothing.
    Failed,
}

static JOURNAL: OnceLock<Mutex<File>> = OnceLock::new();

pub(super) fn open(path: &Path) -> Result<(), String> {
    let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    JOURNAL.set(Mutex::new(file)).map_err(|_| "there is a journal already".to_owned())
}

/// Notes one change; `false` when that is not possible, in which case it must not be done.
pub(super) fn note(path: &[u8], kind: u8, number: u64, bytes: &[u8]) -> bool {
    let Some(Ok(mut file)) = JOURNAL.get().map(Mutex::lock) else { return false };
    file.write_all(&encode(path, kind, number, bytes)).is_ok()
}

pub(super) const WRITE: u8 = 1;
pub(super) const TRUNCATE: u8 = 2;
pub(super) const SYNC: u8 = 3;
pub(super) const DELETE: u8 = 4;
pub(super) const FAILED_SYNC: u8 = 5;
pub(super) const FAILED: u8 = 6;

fn encode(path: &[u8], kind: u8, number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut record = vec![kind];
    record.extend_from_slice(&u32::try_from(path.len()).unwrap_or(0).to_le_bytes());
    record.extend_from_slice(path);
    record.extend_from_slice(&number.to_le_bytes());
    record.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
    record.extend_from_slice(bytes);
    record
}

/// Reads the records back. The last one may be cut: its operation was not done.
pub(crate) fn read(mut bytes: &[u8]) -> Vec<(String, Change)> {
    let mut changes = Vec::new();
    while let Some((path, change, rest)) = next(bytes) {
        changes.push((path, change));
        bytes = rest;
    }
    changes
}

fn next(bytes: &[u8]) -> Option<(String, Change, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (path, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let number = u64::from_le_bytes(*number);
    let change = match *kind {
        WRITE => Change::Write { offset: number, bytes: bytes.to_vec() },
        TRUNCATE => Change::Truncate { length: number },
        SYNC => Change::Sync,
        DELETE => Change::Delete,
        FAILED_SYNC => Change::FailedSync,
        FAILED => Change::Failed,
        _ => return None,
    };
    Some((String::from_utf8_lossy(path).into_owned(), change, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_a_cut_one_is_left_out() {
        let mut bytes = encode(b"/a", WRITE, 7, b"abc");
        bytes.extend(encode(b"/a", SYNC, 0, b""));
        bytes.extend(encode(b"/b", TRUNCATE, 3, b""));
        let expected = vec![
            ("/a".to_owned(), Change::Write { offset: 7, bytes: b"abc".to_vec() }),
            ("/a".to_owned(), Change::Sync),
            ("/b".to_owned(), Change::Truncate { length: 3 }),
        ];
        assert_eq!(read(&bytes), expected);
        bytes.extend(encode(b"/b", WRITE, 0, b"xyz"));
        bytes.pop();
        assert_eq!(read(&bytes), expected);
    }
}
