//! Power loss for SQLite: a server whose every write to its files is noted, and the disk that a power cut leaves. The
//! same server's disk can be made to fail.

pub(crate) mod disk;
pub(crate) mod journal;
pub(crate) mod trouble;
#[expect(unsafe_code, reason = "SQLite's interface to files is one of raw pointers")]
mod vfs;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Names the journal, in the environment of the laboratory when it runs as a server.
pub(crate) const VARIABLE: &str = "FAULTLAB_JOURNAL";

/// Names the file of orders to the disk, if it is to fail.
pub(crate) const ORDERS: &str = "FAULTLAB_ORDERS";
/// Names the ballast, which is a part of the disk that SQLite knows nothing of.
pub(crate) const BALLAST: &str = "FAULTLAB_BALLAST";

/// Runs the server in this process, with its writes noted in a journal.
pub(crate) fn serve(path: &OsString) -> ExitCode {
    let orders = std::env::var_os(ORDERS).map_or(Ok(()), |orders| {
        let ballast = std::env::var_os(BALLAST).map(PathBuf::from).unwrap_or_default();
        trouble::open(Path::new(&orders), ballast)
    });
    if let Err(error) = orders.and_then(|()| journal::open(Path::new(path))).and_then(|()| vfs::install()) {
        eprintln!("faultlab: {error}");
        return ExitCode::FAILURE;
    }
    relatch::cli::run()
}
