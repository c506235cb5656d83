//! What a power cut leaves on the disk: everything that was synced, and of the rest some sectors and not others.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::journal::Change;
use crate::rng::Rng;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// How much was lost.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Lost {
    /// Changes that had not been synced.
    pub(crate) pending: usize,
    /// How many of those did not reach the disk, or only in part.
    pub(crate) dropped: usize,
}

/// Replaces the files in `folder` whose names begin with `name`, which were these before the server started, by what a
/// power cut after these changes may have left.
pub(crate) fn cut_power(
    folder: &Path,
    name: &str,
    before: BTreeMap<String, Vec<u8>>,
    changes: Vec<(String, Change)>,
    rng: &mut Rng,
) -> io::Result<Lost> {
    let mut files: BTreeMap<String, File> =
        before.into_iter().map(|(path, durable)| (path, File { durable, pending: Vec::new() })).collect();
    for (path, change) in changes {
        match change {
            Change::Sync => {
                let file = files.entry(path).or_default();
                for change in std::mem::take(&mut file.pending) {
                    apply(&mut file.durable, &change);
                }
            }
            // What a failed sync leaves is written or not at once, and no later sync makes up for it.
            Change::FailedSync => {
                let file = files.entry(path).or_default();
                for change in std::mem::take(&mut file.pending) {
                    survive(&mut file.durable, &change, rng);
                }
            }
            Change::Failed => {}
            // SQLite syncs the folder where a deletion matters, and is right without it where not.
            Change::Delete => drop(files.remove(&path)),
            change => files.entry(path).or_default().pending.push(change),
        }
    }
    let mut lost = Lost::default();
    for file in files.values_mut() {
        for change in std::mem::take(&mut file.pending) {
            lost.pending += 1;
            if !survive(&mut file.durable, &change, rng) {
                lost.dropped += 1;
            }
        }
    }
    // The shared memory of the index goes with the rest: it is no file of the disk.
    for path in listed(folder, name)? {
        std::fs::remove_file(path)?;
    }
    for (path, file) in files {
        std::fs::write(path, file.durable)?;
    }
    Ok(lost)
}

/// The store's files as they are.
pub(crate) fn snapshot(folder: &Path, name: &str) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let paths = listed(folder, name)?.into_iter().filter(|path| !path.ends_with("-shm"));
    paths.map(|path| Ok((path.clone(), std::fs::read(path)?))).collect()
}

fn listed(folder: &Path, name: &str) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_wanted = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_prefix(name));
        if is_wanted.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            paths.push(path.display().to_string());
        }
    }
    Ok(paths)
}

/// Applies a change that was not synced, or a part of it, or nothing; says whether it was whole.
fn survive(bytes: &mut Vec<u8>, change: &Change, rng: &mut Rng) -> bool {
    match (rng.between(0, 4), change) {
        (0 | 1, _) => false,
        (2, Change::Write { offset, bytes: written }) => {
            let mut whole = true;
            for (number, sector) in written.chunks(SECTOR).enumerate() {
                if rng.between(0, 2) == 0 {
                    let offset = offset + (number * SECTOR) as u64;
                    apply(bytes, &Change::Write { offset, bytes: sector.to_vec() });
                } else {
                    whole = false;
                }
            }
            whole
        }
        _ => {
            apply(bytes, change);
            true
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: written } => {
            let begin = usize::try_from(*offset).expect("files of the lab are small");
            let end = begin + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[begin..end].copy_from_slice(written);
        }
        Change::Truncate { length } => bytes.truncate(usize::try_from(*length).expect("files of the lab are small")),
        Change::Sync | Change::Delete | Change::FailedSync | Change::Failed => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: u64, byte: u8) -> Change {
        Change::Write { offset, bytes: vec![byte; 2 * SECTOR] }
    }

    /// The disk after a power cut, for each of many seeds.
    fn disks(changes: &[Change]) -> Vec<Vec<u8>> {
        let folder = std::env::temp_dir().join(format!("faultlab-disk-{}-{}", std::process::id(), changes.len()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("db").display().to_string();
        let disks = (0..50)
            .map(|seed| {
                let before = [(path.clone(), vec![9; SECTOR])].into();
                let changes = changes.iter().map(|change| (path.clone(), change.clone())).collect();
                cut_power(&folder, "db", before, changes, &mut Rng::new(seed)).unwrap();
                std::fs::read(&path).unwrap()
            })
            .collect();
        std::fs::remove_dir_all(folder).unwrap();
        disks
    }

    #[test]
    fn what_was_synced_is_there_and_what_was_not_may_be_torn() {
        let synced = vec![1; 2 * SECTOR];
        assert!(disks(&[write(0, 1), Change::Sync]).iter().all(|disk| *disk == synced));
        let disks = disks(&[write(0, 1), Change::Sync, write(0, 2)]);
        assert!(disks.contains(&synced));
        assert!(disks.contains(&vec![2; 2 * SECTOR]));
        assert!(disks.iter().any(|disk| disk[..SECTOR] != disk[SECTOR..]));
    }

    #[test]
    fn no_later_sync_makes_up_for_one_that_failed() {
        let disks = disks(&[write(0, 1), Change::FailedSync, write(4 * SECTOR as u64, 2), Change::Sync]);
        assert!(disks.iter().all(|disk| disk[4 * SECTOR..] == vec![2; 2 * SECTOR]));
        assert!(disks.iter().any(|disk| disk[..2 * SECTOR] == vec![1; 2 * SECTOR]));
        assert!(disks.iter().any(|disk| disk[..SECTOR] == vec![9; SECTOR]));
    }
}
