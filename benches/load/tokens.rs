//! The file of current refresh tokens: one a line, all of one length, so that each can be read and replaced alone.
//!
//! Whoever spends tokens writes the successors back, so that the next run can go on.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::Failed;

/// `rlr_`, 71 characters, and the end of the line.
const LINE: u64 = 76;

/// A session and the token that can be spent next.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) line: u64,
    pub(crate) token: String,
}

pub(crate) struct TokenFile {
    file: File,
    pub(crate) lines: u64,
}

impl TokenFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Failed> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let lines = file.metadata()?.len() / LINE;
        Ok(Self { file, lines })
    }

    pub(crate) fn create(path: &Path) -> Result<BufWriter<File>, Failed> {
        Ok(BufWriter::new(File::create(path)?))
    }

    pub(crate) fn append(file: &mut BufWriter<File>, token: &str) -> Result<(), Failed> {
        writeln!(file, "{token}")?;
        Ok(())
    }

    /// `count` tokens from all over a range of the lines.
    pub(crate) fn take(&self, range: Range<u64>, count: u64) -> Result<Vec<Held>, Failed> {
        let end = range.end.min(self.lines);
        let available = end.saturating_sub(range.start);
        if available < count {
            return Err(format!("{count} sessions are asked for, and {available} are there").into());
        }
        (0..count)
            .map(|number| {
                let line = range.start + number * available / count;
                let mut bytes = vec![0; usize::try_from(LINE - 1)?];
                self.file.read_exact_at(&mut bytes, line * LINE)?;
                Ok(Held { line, token: String::from_utf8(bytes)? })
            })
            .collect()
    }

    pub(crate) fn give_back(&self, held: &[Held]) -> Result<(), Failed> {
        for Held { line, token } in held {
            self.file.write_all_at(token.as_bytes(), line * LINE)?;
        }
        Ok(())
    }
}
