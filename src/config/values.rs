//! The values of the variables as they were written, each with where it came from, before anything is made of them.
//!
//! Here the environment wins over `.env`, empty values count as unset, and unknown names are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::variables::{self, VARIABLES};
use super::{Problem, Source};
use crate::secret::Secret;

/// The known variables that are set.
pub(super) struct Values(BTreeMap<&'static str, (Secret<String>, Source)>);

impl Values {
    /// Merges both sources; the environment wins.
    pub(super) fn gather(
        environment: impl IntoIterator<Item = (String, String)>,
        dotenv: impl IntoIterator<Item = (String, String)>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in environment.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Some(variable) = variables::find(&name) {
                values.insert(variable.name, (Secret::new(value), Source::Environment));
            } else if variables::has_prefix(&name) {
                problems.push(prefixed(&name));
            }
        }
        let mut seen = BTreeSet::new();
        for (name, value) in dotenv.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Some(variable) = variables::find(&name) {
                // Shells take the last of two assignments and dotenvy the first: neither is what everyone expects.
                if !seen.insert(variable.name) {
                    problems
                        .push(Problem::new(&name, "is set more than once in .env; keep one of the lines".to_owned()));
                }
                values.entry(variable.name).or_insert((Secret::new(value), Source::DotEnv));
            } else if variables::has_prefix(&name) {
                problems.push(prefixed(&name));
            } else if let Some(known) = variables::misspelt(&name) {
                let what = format!("is not a variable of Relatch; write {known}, or remove the line from .env");
                problems.push(Problem::new(&name, what));
            }
        }
        Self(values)
    }

    /// The value as written, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.expose().as_str())
    }

    /// The value as written, or else the default of the table.
    pub(super) fn get_or_default(&self, name: &str) -> Option<&str> {
        self.get(name).or_else(|| variables::find(name)?.default)
    }

    /// Where the value comes from.
    pub(super) fn source(&self, name: &str) -> Source {
        self.0.get(name).map_or(Source::Default, |(_, source)| *source)
    }

    /// Whether a secret stands in `.env`.
    pub(super) fn secret_in_dotenv(&self) -> bool {
        // A database URL counts: it may hold a password.
        let is_secret = |name| variables::find(name).is_some_and(|variable| variable.secret || name == "DATABASE_URL");
        VARIABLES.iter().any(|variable| is_secret(variable.name) && self.source(variable.name) == Source::DotEnv)
    }
}

/// Takes the process environment as UTF-8; a value that is not is a problem only where it is Relatch's.
pub(super) fn utf8(environment: impl Iterator<Item = (OsString, OsString)>) -> (Vec<(String, String)>, Vec<Problem>) {
    let mut assignments = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => assignments.push((name, value)),
            Err(_) if variables::find(&name).is_some() => {
                problems.push(Problem::new(&name, "is not UTF-8; write it in UTF-8".to_owned()));
            }
            Err(_) => {}
        }
    }
    (assignments, problems)
}

fn prefixed(name: &str) -> Problem {
    let known = variables::nearest(name);
    Problem::new(name, format!("is unknown, Relatch's variables have no prefix; write {known} if that is meant"))
}
