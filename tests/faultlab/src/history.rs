//! What the clients saw, as JSON lines: written before the next operation, never by the server's process.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// What a client did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Login,
    Refresh,
    Revoke,
    LogoutAll,
    Disable,
    Enable,
    Profile,
    /// Not a client's: an older store was put back, and every session in it ended.
    Restored,
    /// Not a client's: the server's clock was set to another time.
    ClockSet,
    /// Not a client's: what was sent before and has not happened by now never will.
    Settled,
}

/// What the client knows afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It happened.
    Ok,
    /// It was refused.
    Fail,
    /// A timeout, a reset or a 5xx: it may have happened, or may still.
    Info,
}

/// One operation. Times are microseconds of one monotonic clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Op {
    pub(crate) t_inv: u64,
    pub(crate) t_ret: u64,
    pub(crate) worker: u32,
    pub(crate) op: Kind,
    /// Why the generator did it, for people: the oracle goes by what was presented.
    pub(crate) intent: Cow<'static, str>,
    /// Which of the lab's users; the session's owner.
    pub(crate) user: u32,
    /// The session of the presented token; for a login, the one that it began.
    pub(crate) session: String,
    /// The presented token's generation, by the client's own count.
    pub(crate) generation: Option<u32>,
    pub(crate) parent_fp: Option<String>,
    pub(crate) child_fp: Option<String>,
    /// The id of the access token that came with the answer.
    pub(crate) jti: Option<String>,
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) outcome: Outcome,
    /// What is wrong with the answer itself: its shape, its status, its time.
    pub(crate) flaw: Option<String>,
}

impl Op {
    /// An operation that is about to be sent.
    pub(crate) const fn begin(t_inv: u64, worker: u32, op: Kind, intent: &'static str, user: u32) -> Self {
        Self {
            t_inv,
            t_ret: t_inv,
            worker,
            op,
            intent: Cow::Borrowed(intent),
            user,
            session: String::new(),
            generation: None,
            parent_fp: None,
            child_fp: None,
            jti: None,
            status: 0,
            code: None,
            outcome: Outcome::Info,
            flaw: None,
        }
    }

    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// Appends operations to a file and keeps them for the oracle.
pub(crate) struct History {
    inner: Mutex<(File, Vec<Op>)>,
}

impl History {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { inner: Mutex::new((File::create(path)?, Vec::new())) })
    }

    pub(crate) fn append(&self, op: Op) {
        let mut line = serde_json::to_vec(&op).expect("an operation is JSON");
        line.push(b'\n');
        let mut inner = self.inner.lock().expect("no writer panics");
        inner.0.write_all(&line).expect("the history can be written");
        inner.1.push(op);
    }

    /// Whether one of the operations that ended after `from` is like this.
    pub(crate) fn any_since(&self, from: u64, is_wanted: impl Fn(&&Op) -> bool) -> bool {
        // They are in the order of their ends, but for what was noted at the same moment.
        let inner = self.inner.lock().expect("no writer panics");
        inner.1.iter().rev().take_while(|op| op.t_ret + 1_000_000 >= from).any(|op| op.t_ret >= from && is_wanted(&op))
    }

    pub(crate) fn ops(&self) -> Vec<Op> {
        self.inner.lock().expect("no writer panics").1.clone()
    }
}

/// Microseconds of the machine's monotonic clock.
pub(crate) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// SHA-256 of a token, cut to what tells tokens apart.
pub(crate) fn fingerprint(token: &str) -> String {
    relatch::keyring::sha256(token.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
