//! Hashing passwords: bcrypt on threads of its own. The one module that says bcrypt.
//!
//! Our hashes are bcrypt over base64(HMAC-SHA256(label, password)), stored with the prefix `v1:`: nothing is cut at 72
//! bytes and a NUL is harmless. A bare `$2a$`, `$2b$` or `$2y$` hash was imported and is verified as it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::entropy::{self, NoEntropy};
use crate::domain::client::Client;
use crate::domain::network::Network;
use crate::domain::password::Password;
use crate::keyring;

const LABEL: &[u8] = b"relatch.password.v1";
const OURS: &str = "v1:";
/// Hashes that cost more than this would be a way to stall the server; none is made or imported.
const COST_MAX: u32 = 16;
/// How many passwords are hashed or wait for it at most, however fast that is.
const QUEUE: usize = 512;
/// The nice value of the hashing threads: behind everything else, but not so far that nobody can sign in while the rest
/// is busy.
const NICE: i32 = 10;
/// What one hash is taken to need until some have been made: 61 µs of a core, twice as much for each step of the cost.
/// Without that, the first second of a flood would be let in whole.
const TAKES_AT_COST_0: u64 = 61;
/// How long a password may have to wait for a free thread. Whoever would wait for longer is sent away at once, and costs
/// next to nothing: a longer queue would spend its time on those who have given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why no answer about a password can be given now.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many passwords wait already; try again later.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// No salt could be drawn.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The library refused.
    #[error("hashing failed")]
    Failed,
}

/// What verifying a password showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verification {
    /// It is the right one.
    Right,
    /// It is the right one, and its stored form should be replaced by a stronger one.
    RightButWeaklyStored,
    /// It is another one, or there is no user.
    Wrong,
}

/// The hashing threads. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
    cost: u32,
    load: Arc<Load>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Passwords {
    /// Starts as many threads as the machine has cores.
    ///
    /// # Errors
    /// The operating system's, when it gives no thread.
    pub fn start(cost: u32) -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let (jobs, waiting) = sync_channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name("password-hasher".to_owned()).spawn(move || work(&waiting))?;
        }
        let takes = AtomicU64::new(TAKES_AT_COST_0 << cost);
        let load = Arc::new(Load { threads, takes, ..Load::default() });
        Ok(Self { jobs, cost, load })
    }

    /// How many are hashed at a time.
    pub(super) fn threads(&self) -> usize {
        self.load.threads
    }

    /// A place among the passwords that are hashed, or a refusal at once. Whoever means to have one hashed asks for it
    /// before anything else, so that nothing is spent on those who are sent away.
    ///
    /// # Errors
    /// [`HashingError::Busy`] when it would take too long for the password's turn to come, or when the client's network
    /// has half of all places.
    pub fn admit(&self, client: &Client) -> Result<Place, HashingError> {
        let slot = Load::try_enter(&self.load, Network::of_client(client)).ok_or(HashingError::Busy)?;
        Ok(Place { passwords: self.clone(), slot: Arc::new(slot) })
    }

    /// The stored form of a password that comes from no client.
    pub async fn hash(&self, password: Password) -> Result<String, HashingError> {
        self.admit(&Client::default())?.hash(password).await
    }
}

/// A place among the passwords that are hashed. It is free again when it is dropped and its job is done, whether or not
/// somebody still waits for that.
pub struct Place {
    passwords: Passwords,
    slot: Arc<Slot>,
}

impl Place {
    /// The stored form of a password.
    pub async fn hash(&self, password: Password) -> Result<String, HashingError> {
        let salt = entropy::bytes()?;
        let cost = self.passwords.cost;
        self.run(move || {
            let hash =
                bcrypt::hash_with_salt(prepared(&password).as_slice(), cost, salt).map_err(|_| HashingError::Failed)?;
            Ok(format!("{OURS}{}", hash.format_for_version(bcrypt::Version::TwoB)))
        })
        .await?
    }

    /// Compares a password with a stored form. Without one it takes the same time and is always wrong.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verification, HashingError> {
        let cost = self.passwords.cost;
        self.run(move || verify(&password, stored.as_deref(), cost)).await
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, HashingError> {
        let slot = Arc::clone(&self.slot);
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + 2 * PATIENCE;
        self.passwords
            .jobs
            .try_send(Box::new(move || {
                // Who waited too long has been sent away or would be: no work is spent on them.
                let began = Instant::now();
                if began < deadline && !answer.is_closed() {
                    drop(answer.send(job()));
                    slot.load.note(began.elapsed());
                }
            }))
            .map_err(|_| HashingError::Busy)?;
        answered.await.map_err(|_| HashingError::Busy)
    }
}

/// How long a password would have to wait, from how many there are and how long they take; and whose they are, so that
/// one network cannot have all places.
#[derive(Default)]
struct Load {
    threads: usize,
    held: Mutex<Held>,
    /// Of one job, on average; in microseconds.
    takes: AtomicU64,
}

/// The places that are taken. Networks without any are not remembered.
#[derive(Default)]
struct Held {
    all: usize,
    by: HashMap<Network, usize>,
}

impl Load {
    /// A place, if its turn comes early enough and the network has less than half of them. The threads can always be
    /// busy with one network alone.
    fn try_enter(load: &Arc<Self>, network: Network) -> Option<Slot> {
        let (network, places) = (network.widened(), load.places());
        let mut held = load.held();
        let own = held.by.get(&network).copied().unwrap_or_default();
        if held.all >= places || own >= load.threads.max(places / 2) {
            return None;
        }
        held.all += 1;
        held.by.insert(network, own + 1);
        drop(held);
        Some(Slot { load: Arc::clone(load), network })
    }

    /// How many passwords can be there without the last one's waiting for too long; one more than there are threads even
    /// where each takes longer than that, so that the threads are not all that there is for one network to take.
    fn places(&self) -> usize {
        let takes = Duration::from_micros(self.takes.load(Ordering::Relaxed).max(1));
        let turns = usize::try_from(PATIENCE.as_micros() / takes.as_micros()).unwrap_or(QUEUE);
        let threads = self.threads.max(1);
        threads.saturating_mul(turns.saturating_add(1)).min(QUEUE).max(threads + 1)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.takes.load(Ordering::Relaxed);
        let average = if before == 0 { took } else { (before * 7 + took) / 8 };
        self.takes.store(average, Ordering::Relaxed);
    }
}

/// A place that is taken. It is given back when it is dropped, whatever becomes of the job.
struct Slot {
    load: Arc<Load>,
    network: Network,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.load.held();
        held.all -= 1;
        if let Some(own) = held.by.get_mut(&self.network) {
            *own -= 1;
            if *own == 0 {
                held.by.remove(&self.network);
            }
        }
    }
}

/// Whether a hash from elsewhere can be stored and verified: a whole bcrypt hash of a bearable cost.
pub fn is_importable(hash: &str) -> bool {
    cost_of(hash).is_some()
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    // Hashing takes all that nobody else needs: refreshing and the rest come first. On Linux this is the thread's own
    // priority.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "passwords are hashed at normal priority");
    }
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

fn verify(password: &Password, stored: Option<&str>, cost: u32) -> Verification {
    compare(password, stored, cost).unwrap_or_else(|error| {
        tracing::error!(%error, "a stored password hash cannot be verified");
        Verification::Wrong
    })
}

/// Compares a password with a stored form; an error when that is none, although it looked like one.
pub(super) fn compare(
    password: &Password,
    stored: Option<&str>,
    cost: u32,
) -> Result<Verification, bcrypt::BcryptError> {
    let (right, weak) = match stored.map(|stored| (stored.strip_prefix(OURS), stored)) {
        Some((Some(ours), _)) if cost_of(ours).is_some() => {
            (bcrypt::verify(prepared(password).as_slice(), ours), cost_of(ours) < Some(cost))
        }
        Some((None, imported)) if cost_of(imported).is_some() => (bcrypt::verify(password.expose(), imported), true),
        stored => {
            if stored.is_some() {
                tracing::error!("a stored password hash is damaged; nobody can sign in with it");
            }
            (bcrypt::verify(prepared(password).as_slice(), &dummy(cost)).map(|_| false), false)
        }
    };
    Ok(match right? {
        true if weak => Verification::RightButWeaklyStored,
        true => Verification::Right,
        false => Verification::Wrong,
    })
}

/// 44 printable bytes for a password of any length and content: bcrypt cuts nothing off (it reads 72).
fn prepared(password: &Password) -> Zeroizing<Vec<u8>> {
    let digest = Zeroizing::new(keyring::labelled_digest(LABEL, password.expose().as_bytes()));
    Zeroizing::new(STANDARD.encode(digest.as_slice()).into_bytes())
}

/// A hash of nothing that takes as long to verify as a real one.
fn dummy(cost: u32) -> String {
    format!("$2b${cost:02}$abcdefghijklmnopqrstuuK6c3oCoM4fFiLRo5D3ZP0IhZZTdtAhK")
}

/// The cost of a whole bcrypt hash; `None` for anything else, and for costs that nobody should pay. The library reads it
/// all, so that nothing counts as a hash that it could not verify: with a cost of one digit, or with stray bits at an end.
/// It takes `+4` for a cost, which nobody writes.
fn cost_of(hash: &str) -> Option<u32> {
    let is_ours = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version));
    let parts: bcrypt::HashParts = hash.parse().ok().filter(|_| is_ours)?;
    let written = hash.get(4..6).filter(|cost| cost.bytes().all(|digit| digit.is_ascii_digit()));
    Some(parts.get_cost()).filter(|cost| written.is_some() && (4..=COST_MAX).contains(cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::from_login(text).unwrap()
    }

    async fn verified(stored: &str, text: &str) -> Verification {
        let passwords = Passwords::start(4).unwrap();
        passwords.admit(&Client::default()).unwrap().verify(password(text), Some(stored.to_owned())).await.unwrap()
    }

    #[tokio::test]
    async fn j3_nothing_of_a_long_password_is_cut_off() {
        let long = "0123456789".repeat(10);
        let stored = Passwords::start(4).unwrap().hash(password(&long)).await.unwrap();
        assert_eq!(verified(&stored, &long).await, Verification::Right);
        for cut in [71, 72, 99] {
            assert_eq!(verified(&stored, &long[..cut]).await, Verification::Wrong);
        }
    }

    #[tokio::test]
    async fn j4_a_nul_is_a_character_like_any_other() {
        let stored = Passwords::start(4).unwrap().hash(password("aaaaaaaaaaaaaaa\0b")).await.unwrap();
        assert_eq!(verified(&stored, "aaaaaaaaaaaaaaa\0b").await, Verification::Right);
        assert_eq!(verified(&stored, "aaaaaaaaaaaaaaa\0c").await, Verification::Wrong);
        assert_eq!(verified(&stored, "aaaaaaaaaaaaaaa").await, Verification::Wrong);
    }

    #[tokio::test]
    async fn j9_equal_passwords_are_stored_differently_and_a_raised_cost_is_noticed() {
        let passwords = Passwords::start(5).unwrap();
        let one = passwords.hash(password("correct horse")).await.unwrap();
        let two = passwords.hash(password("correct horse")).await.unwrap();
        assert!(one.starts_with("v1:$2b$05$") && one != two);
        let raised = Passwords::start(6).unwrap();
        assert_eq!(
            raised.admit(&Client::default()).unwrap().verify(password("correct horse"), Some(one)).await.unwrap(),
            Verification::RightButWeaklyStored
        );
    }

    #[tokio::test]
    async fn imported_hashes_verify_as_they_are_and_are_marked_for_replacement() {
        // "U*U" with the salt of crypt_blowfish's own test vectors.
        for version in ["2a", "2b", "2y"] {
            let stored = format!("${version}$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
            assert!(is_importable(&stored));
            assert_eq!(verified(&stored, "U*U").await, Verification::RightButWeaklyStored);
            assert_eq!(verified(&stored, "U*V").await, Verification::Wrong);
            // Nobody could ever sign in with the first two: they are refused while somebody is there to see it.
            for damaged in
                [stored.replace("$05$", "$5$a"), stored.replace(".E5Y", "CE5Y"), stored.replace("$05$", "$+5$")]
            {
                assert!(!is_importable(&damaged), "{damaged}");
            }
        }
    }

    #[tokio::test]
    async fn j10_a_damaged_hash_lets_nobody_in_and_breaks_nothing() {
        let good = Passwords::start(4).unwrap().hash(password("correct horse")).await.unwrap();
        let damaged = [
            String::new(),
            "v1:".to_owned(),
            "é".repeat(30),
            good.replace("$04$", "$31$"),
            good.replace("$04$", "$99$"),
            good[..good.len() - 1].to_owned(),
            format!("{good}x"),
            good.replace("$04$", "$4$a"),
            good.replace("$04$", "$+4$"),
            format!("v1:$2b$04${}{}", "C".repeat(22), &good[32..]),
            "v1:$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdA$aGFzaA".to_owned(),
        ];
        for stored in damaged {
            assert_eq!(verified(&stored, "correct horse").await, Verification::Wrong, "{stored:?}");
        }
    }

    fn network(number: usize) -> Network {
        let [.., a, b, c] = number.to_be_bytes();
        Network::V4([a, b, c])
    }

    /// Places for these networks, one after the other, until one gets none.
    fn enter(load: &Arc<Load>, networks: impl Iterator<Item = usize>) -> Vec<Slot> {
        networks.map_while(|number| Load::try_enter(load, network(number))).collect()
    }

    #[test]
    fn k10_whoever_would_wait_for_too_long_is_sent_away_at_once() {
        let load = Arc::new(Load { threads: 2, ..Load::default() });
        load.note(Duration::from_millis(250));
        let mut places = enter(&load, 0..100);
        // One second is four turns of a quarter; with those that run, ten are there at most.
        assert_eq!(places.len(), 10);
        assert!(Load::try_enter(&load, network(100)).is_none());
        places.pop();
        places.extend(Load::try_enter(&load, network(100)));
        assert_eq!(places.len(), 10, "a place that was given back is free for the next one");
        drop(places);
        assert_eq!(load.held().all, 0);
        load.takes.store(1, Ordering::SeqCst);
        let places = enter(&load, 0..10_000);
        assert_eq!(places.len(), QUEUE, "however fast it is, no more than so many wait");
    }

    #[test]
    fn k10_one_network_gets_half_of_all_places_and_no_fewer_than_there_are_threads() {
        let load = Arc::new(Load { threads: 2, ..Load::default() });
        load.note(Duration::from_millis(250));
        let here = |low: u8| Network::V6([0x20, 1, 0xd, 0xb8, 0, 1, 0, low]);
        let mut places: Vec<_> = (0..100).filter_map(|low| Load::try_enter(&load, here(low))).collect();
        assert_eq!(places.len(), 5, "a /48 of IPv6 is one");
        assert_eq!(enter(&load, 0..100).len(), 5, "the others are for who is elsewhere");
        places.pop();
        places.extend(Load::try_enter(&load, here(7)));
        assert_eq!(places.len(), 5, "a place that was given back is free for the next one");
        drop(places);
        assert!(load.held().by.is_empty(), "nobody is remembered who has none");
        load.takes.store(2_000_000, Ordering::SeqCst);
        let slow = enter(&load, std::iter::repeat(1));
        assert_eq!(slow.len(), 2, "however slow it is");
        let other = Load::try_enter(&load, network(2));
        assert!(other.is_some(), "and somebody elsewhere still gets one");
        assert!(Load::try_enter(&load, network(3)).is_none());
    }

    #[test]
    fn k10_a_client_takes_places_of_its_own_network_alone() {
        let passwords = Passwords::start(4).unwrap();
        let at = |address: &str| Client::new(address.parse().ok(), None, None);
        let of_one: Vec<_> = (0..QUEUE).map_while(|_| passwords.admit(&at("198.51.100.7")).ok()).collect();
        assert_eq!(of_one.len(), QUEUE / 2);
        assert!(passwords.admit(&at("198.51.100.8")).is_err());
        assert!(passwords.admit(&at("203.0.113.7")).is_ok());
    }

    #[tokio::test]
    async fn k10_a_place_stays_with_its_job_when_nobody_waits_for_it_any_more() {
        let passwords = Passwords::start(4).unwrap();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let place = passwords.admit(&Client::default()).unwrap();
        let client = tokio::spawn(async move {
            let job = move || {
                begun.send(()).unwrap();
                wait.recv().unwrap();
            };
            place.run(job).await
        });
        has_begun.await.unwrap();
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        assert_eq!(passwords.load.held().all, 1, "the thread still works on it");
        go_on.send(()).unwrap();
        while passwords.load.held().all > 0 {
            tokio::task::yield_now().await;
        }
        assert!(passwords.admit(&Client::default()).is_ok());
    }

    #[tokio::test]
    async fn without_a_user_every_password_is_wrong() {
        let passwords = Passwords::start(4).unwrap();
        assert_eq!(
            passwords.admit(&Client::default()).unwrap().verify(password(""), None).await.unwrap(),
            Verification::Wrong
        );
        assert!(cost_of(&dummy(12)) == Some(12));
    }
}
