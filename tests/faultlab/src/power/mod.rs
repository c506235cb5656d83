//! Power loss for SQLite: a server whose every write to its files is noted, and the disk that a power cut leaves.

pub(crate) mod disk;
pub(crate) mod journal;
#[expect(unsafe_code, reason = "SQLite's interface to files is one of raw pointers")]
mod vfs;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Names the journal, in the environment of the laboratory when it runs as a server.
pub(crate) const VARIABLE: &str = "FAULTLAB_JOURNAL";

/// Runs the server in this process, with its writes noted in a journal.
pub(crate) fn serve(path: &OsString) -> ExitCode {
    if let Err(error) = journal::open(Path::new(path)).and_then(|()| vfs::install()) {
        eprintln!("faultlab: {error}");
        return ExitCode::FAILURE;
    }
    relatch::cli::run()
}
