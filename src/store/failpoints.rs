//! Ways to break a test build. Nothing of this is in a build without the feature `failpoints`.
//!
//! `FAILPOINT=name:count` in the environment aborts the process when the place of that name is come to for the
//! count-th time. `SEEDED_BUG=name` switches on a mistake that the fault laboratory must notice.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Failpoint {
    name: String,
    left: AtomicU64,
}

/// What kills; the name is no setting of the service, so that `config` does not know it.
#[expect(clippy::disallowed_methods, reason = "only test builds read this, and it configures nothing of the service")]
fn chosen() -> Option<&'static Failpoint> {
    static CHOSEN: OnceLock<Option<Failpoint>> = OnceLock::new();
    let parse = || {
        let value = std::env::var("FAILPOINT").ok()?;
        let (name, count) = value.split_once(':')?;
        Some(Failpoint { name: name.to_owned(), left: AtomicU64::new(count.parse().ok()?) })
    };
    CHOSEN.get_or_init(parse).as_ref()
}

/// Whether this mistake is to be made.
#[expect(clippy::disallowed_methods, reason = "only test builds read this, and it configures nothing of the service")]
pub(crate) fn bug(name: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("SEEDED_BUG").ok()).as_deref() == Some(name)
}

/// Says that the process has come to this place.
pub(super) fn hit(name: &str) {
    if let Some(failpoint) = chosen().filter(|failpoint| failpoint.name == name)
        && failpoint.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}
