//! What commands print: text for people, or JSON for programs.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::{Done, Refused};

/// Where and how to print.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One result: the text, or the value.
    pub(super) fn result(&self, text: impl Display, value: &impl Serialize) -> Done {
        if self.json {
            let line = serde_json::to_string(value).map_err(Refused::because)?;
            write(&line)
        } else {
            write(&text.to_string())
        }
    }

    /// Many results, a row each, under a heading.
    pub(super) fn rows<R: Serialize>(&self, heading: &[&str], rows: &[R], cells: impl Fn(&R) -> Vec<String>) -> Done {
        if self.json {
            return rows.iter().try_for_each(|row| self.result("", row));
        }
        let mut lines = vec![heading.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
        lines.extend(rows.iter().map(cells));
        let width =
            |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..heading.len()).filter_map(width).collect();
        lines.iter().try_for_each(|line| {
            let padded: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            write(padded.join("  ").trim_end())
        })
    }

    /// A part of something long, with its own line breaks.
    pub(super) fn stream(&self, text: &str) -> Done {
        io::stdout().write_all(text.as_bytes()).map_err(Refused::because)
    }

    /// A word to the operator beside the result.
    pub(super) fn note(&self, text: impl Display) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Why the command was refused or failed.
    pub(super) fn complain(&self, refused: &Refused) {
        self.note(format_args!("relatch: {refused}"));
    }
}

/// A reader that went away, such as `head`, has seen enough.
fn write(line: &str) -> Done {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Refused::because(error)),
        _ => Ok(()),
    }
}
