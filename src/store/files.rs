//! The files of an SQLite store: who has it open, copies of it, and putting one in its place.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use diesel::connection::{SimpleConnection as _, TransactionManager as _};
use diesel::prelude::*;

use super::connection::{AnyConnection, open_existing};
use super::meta::Fact;
use super::{dialect, meta, schema};

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
pub struct InUse {
    store: PathBuf,
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")]
    lock: File,
}

impl InUse {
    pub(super) fn store(&self) -> &Path {
        &self.store
    }
}

/// How large files are, in bytes; 0 for one that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// The store itself.
    pub store: u64,
    /// The write-ahead log.
    pub log: u64,
    /// What is kept free for revocations.
    pub ballast: u64,
    /// The disk, and what is left of it; `None` when the system does not tell.
    pub disk: Option<Disk>,
}

/// How large a disk is, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    /// All of it.
    pub size: u64,
    /// What is left for us.
    pub left: u64,
}

/// Measures a store's files.
pub(super) fn sizes(store: &Path) -> Sizes {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let disk = rustix::fs::statvfs(store).ok().map(|disk| Disk {
        size: disk.f_blocks.saturating_mul(disk.f_frsize),
        left: disk.f_bavail.saturating_mul(disk.f_frsize),
    });
    Sizes { store: size(store), log: size(&beside(store, "-wal")), ballast: size(&beside(store, ".ballast")), disk }
}

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

/// Whether every account on this machine may read a file.
pub(super) fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Joins those who use the store.
pub(super) fn use_store(store: &Path) -> Result<InUse, FileError> {
    let path = lock_file(store);
    let file = create_private(&path).map_err(io_error(&path))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(InUse { store: store.to_owned(), lock: file }),
        Err(TryLockError::WouldBlock) => Err(FileError::InUse(store.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

/// Keeps everybody else from using the store.
pub fn use_alone(store: &Path) -> Result<InUse, FileError> {
    let path = lock_file(store);
    let file = create_private(&path).map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(InUse { store: store.to_owned(), lock: file }),
        Err(TryLockError::WouldBlock) => Err(FileError::InUse(store.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

/// Writes a copy of the store as it is at one moment, while others go on reading and writing; gives its size in bytes.
/// The copy is there whole or not at all.
pub fn back_up(store: &Path, target: &Path) -> Result<u64, FileError> {
    let exists = io::Error::new(io::ErrorKind::AlreadyExists, "there is a file already; name another one");
    if target.exists() {
        return Err(io_error(target)(exists));
    }
    let _in_use = use_existing(store)?;
    let draft = beside(target, ".partial");
    copy(store, &draft)?;
    fs::rename(&draft, target).map_err(io_error(target))?;
    sync_folder(target)?;
    Ok(fs::metadata(target).map_err(io_error(target))?.len())
}

/// Makes a store that is there remember something, also while others use it.
pub fn remember(store: &Path, fact: Fact, text: &str) -> Result<(), FileError> {
    let database =
        |problem: &dyn std::fmt::Display| FileError::Database { path: store.to_owned(), problem: problem.to_string() };
    let _in_use = use_existing(store)?;
    let mut connection = AnyConnection::Sqlite(open_existing(store).map_err(|error| database(&error))?);
    dialect::begin_write(&mut connection)
        .and_then(|()| meta::set(&mut connection, fact, text))
        .and_then(|()| super::Manager::commit_transaction(&mut connection))
        .map_err(|error| database(&error))
}

/// Copies a backup beside the store, once it is known to be whole and a store.
pub fn copy_for_restore(backup: &Path, store: &Path) -> Result<PathBuf, FileError> {
    let draft = beside(store, ".restoring");
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(beside(&draft, suffix)));
    }
    copy(backup, &draft)?;
    Ok(draft)
}

/// Says that a store which is there is in use.
fn use_existing(store: &Path) -> Result<InUse, FileError> {
    match fs::metadata(store) {
        Ok(metadata) if metadata.len() > 0 => use_store(store),
        Ok(_) => Err(FileError::Database { path: store.to_owned(), problem: "there is nothing in it".to_owned() }),
        Err(error) => Err(io_error(store)(error)),
    }
}

/// Copies through SQLite, so that what is still in the write-ahead log comes along, and no half of a change.
fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    let database =
        |problem: &dyn std::fmt::Display| FileError::Database { path: from.to_owned(), problem: problem.to_string() };
    fs::metadata(from).map_err(io_error(from))?;
    let target = to.to_str().ok_or_else(|| database(&"the path of the copy is not UTF-8"))?;
    let mut connection = open_existing(from).map_err(|error| database(&error))?;
    check(&mut connection).map_err(|problem| database(&problem))?;
    // Left over from a copy that was interrupted.
    drop(fs::remove_file(to));
    create_private(to).map_err(io_error(to))?;
    let copied = connection
        .batch_execute(&format!("VACUUM INTO '{}'", target.replace('\'', "''")))
        .map_err(|error| database(&error))
        .and_then(|()| File::open(to).and_then(|file| file.sync_all()).map_err(io_error(to)));
    if copied.is_err() {
        drop(fs::remove_file(to));
    }
    copied
}

/// Whether the file is whole, and a store of ours.
fn check(connection: &mut SqliteConnection) -> Result<(), String> {
    #[derive(QueryableByName)]
    struct Check {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }
    let checks: Vec<Check> = diesel::sql_query("PRAGMA integrity_check")
        .load(connection)
        .map_err(|error| format!("it is damaged, or not an SQLite file ({error})"))?;
    match checks.as_slice() {
        [Check { integrity_check }] if integrity_check == "ok" => {}
        damaged => {
            let first = damaged.first().map_or("", |check| check.integrity_check.as_str());
            return Err(format!("it is damaged ({first})"));
        }
    }
    let names: Result<Vec<String>, _> = schema::meta::table.select(schema::meta::name).load(connection);
    if names.is_ok_and(|names| !names.is_empty()) { Ok(()) } else { Err("it is no store of relatch".to_owned()) }
}

fn sync_folder(file: &Path) -> Result<(), FileError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

/// Puts a closed store in the place of another one, which is kept under the name that is given back: behind it stands
/// `label`.
pub fn put_in_place(draft: &Path, store: &Path, label: &str) -> Result<Option<PathBuf>, FileError> {
    let wal = beside(draft, "-wal");
    if fs::metadata(&wal).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(FileError::Database { path: wal, problem: "is still in use".to_owned() });
    }
    File::open(draft).and_then(|file| file.sync_all()).map_err(io_error(draft))?;
    let kept = beside(store, &format!(".before-restore-{label}"));
    let replaced = store.exists();
    if replaced && kept.exists() {
        return Err(io_error(&kept)(io::ErrorKind::AlreadyExists.into()));
    }
    if replaced {
        // Under both names at once, so that there is a store at every moment. Its log goes first: it belongs to it alone.
        for suffix in ["-wal", "-shm"] {
            let from = beside(store, suffix);
            if from.exists() {
                fs::rename(&from, beside(&kept, suffix)).map_err(io_error(&from))?;
            }
        }
        fs::hard_link(store, &kept).map_err(io_error(&kept))?;
    }
    fs::rename(draft, store).map_err(io_error(store))?;
    drop(fs::remove_file(lock_file(draft)));
    sync_folder(store)?;
    Ok(replaced.then_some(kept))
}
