//! The log: what must be in it, and what must never be.

mod attacks;
mod events;
mod hostile;
mod secrets;
mod unwritten;
mod walk;

use serde_json::Value;

/// The lines of a log in JSON; each is one object.
fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))).collect()
}

/// The security events of this name.
fn events<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["target"] == "relatch::security" && line["event"] == name).collect()
}
