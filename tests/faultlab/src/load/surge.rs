//! An open model of sign-ins: they come at their own rate, whether or not the server keeps up, and who is sent away
//! comes back soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Load, Session, Worker, lock};

/// The first number of a client that comes to sign in; those of the other load are smaller.
pub(crate) const FIRST: u32 = 1_000;

/// What comes.
pub(crate) struct Surge {
    /// New clients a second.
    pub(crate) rate: f64,
    pub(crate) time: Duration,
    /// How often each of them tries.
    pub(crate) attempts: u32,
    /// The number of the first of them: no two may share one.
    pub(crate) first: u32,
}

/// How long who was sent away waits, in milliseconds: less than they were told, as a retry storm does.
const IMPATIENCE: (u64, u64) = (100, 500);
/// A client is a thread that waits; it needs little.
const STACK: usize = 256 * 1024;

impl Load {
    /// Signs in with this many clients, one time after the other, for this long: what the server can do.
    pub(crate) fn saturate(&self, clients: u32, time: Duration, first: u32) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..clients {
                let over = &over;
                scope.spawn(move || {
                    let mut worker = Worker::new(self, first + number);
                    while !over.load(Ordering::Relaxed) {
                        let user = worker.rng.index(self.plan.users as usize);
                        let Some(session) = worker.login(u32::try_from(user).unwrap_or(0)) else { return };
                        lock(&self.finished).extend(session);
                    }
                });
            }
            std::thread::sleep(time);
            over.store(true, Ordering::Relaxed);
        });
    }

    /// Lets clients come, at random moments; gives how many came. Returns when the last of them has gone.
    pub(crate) fn surge(self: &Arc<Self>, surge: &Surge) -> Result<u32, String> {
        let mut rng = self.rng.fork(u64::from(surge.first));
        let began = Instant::now();
        let mut due = Duration::ZERO;
        let mut clients = Vec::new();
        let mut number = 0;
        loop {
            due += gap(rng.between(1, 1 << 32), surge.rate);
            if due >= surge.time {
                break;
            }
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            let (load, attempts, client) = (Arc::clone(self), surge.attempts, surge.first + number);
            let thread = std::thread::Builder::new().stack_size(STACK);
            let thread = thread.spawn(move || load.come(client, attempts));
            clients.push(thread.map_err(|error| format!("no thread for a client: {error}"))?);
            number += 1;
        }
        std::thread::sleep(surge.time.saturating_sub(began.elapsed()));
        for client in clients {
            client.join().map_err(|_| "a client panicked")?;
        }
        Ok(number)
    }

    fn come(&self, number: u32, attempts: u32) {
        let mut worker = Worker::new(self, number);
        let user = u32::try_from(worker.rng.index(self.plan.users as usize)).unwrap_or(0);
        for _ in 0..attempts {
            let session: Option<Session> = match worker.login(user) {
                Some(session) => session,
                None => return,
            };
            if session.is_some() {
                lock(&self.finished).extend(session);
                return;
            }
            std::thread::sleep(Duration::from_millis(worker.rng.between(IMPATIENCE.0, IMPATIENCE.1)));
        }
    }
}

/// The time until the next client of a Poisson process, from 32 random bits that are not all 0.
#[expect(clippy::cast_precision_loss, reason = "a random number needs no more than 32 bits")]
fn gap(bits: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(-(bits as f64 / 2_f64.powi(32)).ln() / rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn clients_come_at_the_rate_that_was_asked_for() {
        let mut rng = Rng::new(7);
        let time: Duration = (0..10_000).map(|_| gap(rng.between(1, 1 << 32), 50.0)).sum();
        assert!((190..210).contains(&time.as_secs()), "10,000 clients at 50 a second came in {time:?}");
    }
}
