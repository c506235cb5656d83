//! Reads the `.env` file of the working directory; no other file is looked for or read in `config`.
//!
//! dotenvy parses it. Nothing is put into the process environment, and no line is ever quoted: it may hold a secret.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;

use super::Problem;

/// What a `.env` file says.
#[derive(Default)]
pub(super) struct DotEnv {
    pub(super) assignments: Vec<(String, String)>,
    pub(super) problems: Vec<Problem>,
    /// Anyone on the machine may read the file.
    pub(super) world_readable: bool,
}

/// Reads the file; a missing one says nothing.
pub(super) fn read(path: &Path) -> DotEnv {
    match std::fs::read_to_string(path) {
        Ok(text) => DotEnv { world_readable: is_world_readable(path), ..parse(&text) },
        Err(error) if error.kind() == io::ErrorKind::NotFound => DotEnv::default(),
        Err(error) => {
            let what = format!("cannot be read ({error}); make it a readable UTF-8 text file, or remove it");
            DotEnv { problems: vec![Problem::new(FILE, what)], ..DotEnv::default() }
        }
    }
}

/// Parses the text of the file; all broken lines are reported by their number.
pub(super) fn parse(text: &str) -> DotEnv {
    // Windows editors put a byte order mark first, and dotenvy takes white space at the very end for an open value.
    let text = format!("{}\n", text.strip_prefix('\u{feff}').unwrap_or(text));
    let lines_read = Cell::new(0);
    let mut found = DotEnv::default();
    for line in dotenvy::from_read_iter(LineByLine { rest: text.as_bytes(), lines_read: &lines_read }) {
        match line {
            Ok(assignment) => found.assignments.push(assignment),
            Err(dotenvy::Error::LineParse(broken, _)) => {
                let number = (lines_read.get() + 1).saturating_sub(broken.lines().count().max(1));
                let what = format!("line {number} is broken; write NAME=value, or NAME='value' around blanks, # or $");
                found.problems.push(Problem::new(FILE, what));
            }
            Err(_) => {
                found.problems.push(Problem::new(FILE, "cannot be parsed; write one NAME=value a line".to_owned()));
                break;
            }
        }
    }
    found
}

const FILE: &str = ".env";

/// Hands out one line a read, so that the count tells which line the parser has come to.
struct LineByLine<'a> {
    rest: &'a [u8],
    lines_read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let length = line.len().min(buffer.len());
        let (now, later) = self.rest.split_at_checked(length).unwrap_or_default();
        if now.ends_with(b"\n") {
            self.lines_read.set(self.lines_read.get() + 1);
        }
        for (to, from) in buffer.iter_mut().zip(now) {
            *to = *from;
        }
        self.rest = later;
        Ok(length)
    }
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
const fn is_world_readable(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_missing_file_says_nothing_and_one_that_cannot_be_read_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(&folder.path().join(".env"));
        assert!(missing.assignments.is_empty() && missing.problems.is_empty());
        assert_eq!(read(folder.path()).problems.len(), 1);
        std::fs::write(folder.path().join(".env"), b"LOG_LEVEL=\xff").unwrap();
        assert_eq!(read(&folder.path().join(".env")).problems.len(), 1);
    }

    #[test]
    fn assignments_are_read_with_comments_quotes_and_a_byte_order_mark() {
        let text = "\u{feff}A=1\n# comment with it's\nexport B='two $words # here'\r\n\nC=3 # three\nD=\nE=5 ";
        let expected = [("A", "1"), ("B", "two $words # here"), ("C", "3"), ("D", ""), ("E", "5")];
        let found = parse(text);
        assert!(found.problems.is_empty());
        assert_eq!(found.assignments, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn every_broken_line_is_named_by_its_number_and_never_quoted() {
        let long = "x".repeat(20_000);
        let text =
            format!("A=1\nSECRET_KEY=s3cret and more\nLONG={long}\nB='two\nlines'\nhunter2\nC=3\nD='open\nhunter2\n\n");
        let found = problems(&text);
        assert_eq!(found.len(), 3, "{found:?}");
        for (problem, number) in found.iter().zip([2, 6, 8]) {
            assert!(problem.starts_with(&format!(".env: line {number} is broken")), "{problem}");
            assert!(!problem.contains("s3cret") && !problem.contains("hunter2"), "{problem}");
        }
        assert_eq!(parse(&text).assignments.len(), 4);
    }

    #[cfg(unix)]
    #[test]
    fn t2_a_file_that_anyone_may_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=1").unwrap();
        for (mode, expected) in [(0o644, true), (0o600, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).world_readable, expected);
        }
    }
}
