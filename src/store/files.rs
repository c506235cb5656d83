//! The files of an SQLite store: who has it open, copies of it, and putting one in its place.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::connection::{Access, Connector};
use crate::config::DatabaseUrl;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process has the store open.
    #[error("{} is in use; stop every relatch process that uses it first", .0.display())]
    InUse(PathBuf),
    /// The operating system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// SQLite refused, or found damage.
    #[error("{}: {problem}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it says.
        problem: String,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FileError {
    move |error| FileError::Io { path: path.to_owned(), error }
}

/// Says to other processes that the store is in use, for as long as it is kept.
#[derive(Debug)]
pub struct InUse(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

fn lock_file(store: &Path) -> PathBuf {
    beside(store, ".lock")
}

/// The store's file with something behind its name.
pub fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the file if it is missing, and its folder, for their owner alone.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Joins those who use the store.
pub(super) fn use_store(store: &Path) -> Result<InUse, FileError> {
    let path = lock_file(store);
    let file = create_private(&path).map_err(io_error(&path))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(InUse(file)),
        Err(TryLockError::WouldBlock) => Err(FileError::InUse(store.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

/// Keeps everybody else from using the store.
pub fn use_alone(store: &Path) -> Result<InUse, FileError> {
    let path = lock_file(store);
    let file = create_private(&path).map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(InUse(file)),
        Err(TryLockError::WouldBlock) => Err(FileError::InUse(store.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

/// Writes a copy of the store as it is at one moment, while others go on reading and writing. The copy is there whole
/// or not at all.
pub fn back_up(store: &Path, target: &Path) -> Result<(), FileError> {
    let database = |problem: String| FileError::Database { path: store.to_owned(), problem };
    let exists = io::Error::new(io::ErrorKind::AlreadyExists, "there is a file already; name another one");
    if target.exists() {
        return Err(io_error(target)(exists));
    }
    let draft = beside(target, ".partial");
    let text = draft.to_str().ok_or_else(|| database("the path of the copy is not UTF-8".to_owned()))?;
    // Left over from a copy that was interrupted.
    drop(fs::remove_file(&draft));
    create_private(&draft).map_err(io_error(&draft))?;
    let url = DatabaseUrl::Sqlite(store.to_owned());
    let mut connection = Connector::new(&url, Access::Write).open().map_err(|error| database(error.to_string()))?;
    let copied = connection.batch_execute(&format!("VACUUM INTO '{}'", text.replace('\'', "''")));
    let moved = copied
        .map_err(|error| database(error.to_string()))
        .and_then(|()| File::open(&draft).and_then(|file| file.sync_all()).map_err(io_error(&draft)))
        .and_then(|()| fs::rename(&draft, target).map_err(io_error(target)));
    if moved.is_err() {
        drop(fs::remove_file(&draft));
    }
    moved
}

/// Copies a backup beside the store, and checks that it is whole.
pub fn copy_for_restore(backup: &Path, store: &Path) -> Result<PathBuf, FileError> {
    #[derive(QueryableByName)]
    struct Check {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }
    let draft = beside(store, ".restoring");
    for suffix in ["", "-wal", "-shm"] {
        drop(fs::remove_file(beside(&draft, suffix)));
    }
    let mut to = create_private(&draft).map_err(io_error(&draft))?;
    let mut from = File::open(backup).map_err(io_error(backup))?;
    io::copy(&mut from, &mut to).map_err(io_error(&draft))?;
    let database = |problem: String| FileError::Database { path: backup.to_owned(), problem };
    let url = DatabaseUrl::Sqlite(draft.clone());
    let mut connection = Connector::new(&url, Access::Write).open().map_err(|error| database(error.to_string()))?;
    let checks: Vec<Check> = diesel::sql_query("PRAGMA integrity_check")
        .load(&mut connection)
        .map_err(|error| database(error.to_string()))?;
    match checks.as_slice() {
        [Check { integrity_check }] if integrity_check == "ok" => Ok(draft),
        damaged => Err(database(damaged.first().map_or_else(String::new, |check| check.integrity_check.clone()))),
    }
}

/// Puts a closed store in the place of another one, which is kept under the name that is given back.
pub fn put_in_place(draft: &Path, store: &Path) -> Result<Option<PathBuf>, FileError> {
    let wal = beside(draft, "-wal");
    if fs::metadata(&wal).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(FileError::Database { path: wal, problem: "is still in use".to_owned() });
    }
    File::open(draft).and_then(|file| file.sync_all()).map_err(io_error(draft))?;
    let kept = beside(store, ".before-restore");
    let replaced = store.exists();
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (beside(store, suffix), beside(&kept, suffix));
        drop(fs::remove_file(&to));
        if from.exists() {
            fs::rename(&from, &to).map_err(io_error(&from))?;
        }
    }
    fs::rename(draft, store).map_err(io_error(store))?;
    drop(fs::remove_file(lock_file(draft)));
    Ok(replaced.then_some(kept))
}
