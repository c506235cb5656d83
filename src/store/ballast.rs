//! Room for revocations on a full disk: a file that does nothing but take up space, and is deleted when that runs out.
//!
//! From then on only changes that take something away are let through, until the file can be made again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::files;

/// How often it is tried whether there is room again.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Zeros are written in pieces of this size: a hole in a file would take up nothing.
const PIECE: usize = 1 << 20;

/// The file, and whether it had to be given up.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    /// `None` when another process keeps the file.
    bytes: Option<u64>,
    given_up: Mutex<Option<GivenUp>>,
}

#[derive(Clone, Copy, Debug)]
struct GivenUp {
    tried_at: Instant,
}

impl Ballast {
    /// Makes the file, if there is room for it. With 0 bytes there is none, and a full disk stops every write.
    pub(super) fn new(store: &Path, bytes: Option<u64>) -> Self {
        let ballast = Self { path: files::beside(store, ".ballast"), bytes, given_up: Mutex::new(None) };
        if let Err(error) = ballast.make() {
            tracing::warn!(
                %error,
                "{} could not be made: on a full disk, revocations may fail",
                ballast.path.display()
            );
        }
        ballast
    }

    /// Whether a change may be made that adds something. While the disk was full a moment ago, the answer is no;
    /// otherwise the file is made again first.
    pub(super) fn has_room(&self) -> bool {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(GivenUp { tried_at }) = *given_up else { return true };
        if tried_at.elapsed() < TRY_EVERY {
            return false;
        }
        match self.make() {
            Ok(()) => {
                tracing::info!("the disk has room again");
                *given_up = None;
            }
            Err(_) => *given_up = Some(GivenUp { tried_at: Instant::now() }),
        }
        given_up.is_none()
    }

    /// Gives the file up; says whether that made room just now.
    pub(super) fn give_up(&self) -> bool {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes.is_none() {
            return false;
        }
        *given_up = Some(GivenUp { tried_at: Instant::now() });
        let made_room = fs::remove_file(&self.path).is_ok();
        if made_room {
            tracing::error!("the disk is full: only revocations are let through until there is room again");
        }
        made_room
    }

    fn make(&self) -> io::Result<()> {
        let Some(bytes) = self.bytes else { return Ok(()) };
        if fs::metadata(&self.path).map_or(0, |metadata| metadata.len()) == bytes {
            return Ok(());
        }
        drop(fs::remove_file(&self.path));
        if bytes == 0 {
            return Ok(());
        }
        let made = files::create_private(&self.path).and_then(|file| fill(file, bytes));
        if made.is_err() {
            // A part of it would only be in the way.
            drop(fs::remove_file(&self.path));
        }
        made
    }
}

fn fill(mut file: File, bytes: u64) -> io::Result<()> {
    let piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        file.write_all(piece.get(..length).unwrap_or_default())?;
        left -= u64::try_from(length).unwrap_or(left);
    }
    file.sync_all()
}
