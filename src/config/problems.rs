//! What is wrong with a configuration. Whoever makes a problem leaves secrets out of it.

use std::fmt;

/// What is wrong with the configuration: every problem, each with its variable and what to write.
///
/// It prints one line a problem and shows no secret's value.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigProblems(Vec<Problem>);

impl ConfigProblems {
    pub(super) const fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable; `.env` when it is the file.
    pub variable: String,
    /// What is wrong, and what to write.
    pub message: String,
}

impl Problem {
    pub(super) fn new(variable: &str, message: String) -> Self {
        // A name from the environment may hold anything, line breaks included.
        Self { variable: variable.escape_debug().to_string(), message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.variable, self.message)
    }
}
