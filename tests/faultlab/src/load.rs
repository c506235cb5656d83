//! The load generator: seeded clients that do what honest clients, thieves and admins do, and note what they saw.

mod surge;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::history::{self, History, Kind, Op, Outcome, fingerprint};
use crate::http::{Answer, Client, Request, Sent};
use crate::rng::Rng;
use crate::server::{Launch, Targets};

pub(crate) const PASSWORD: &str = "P@ssword123 of the lab";
pub(crate) const ADMIN: &str = "lab_admin";

pub(crate) use surge::{FIRST, Surge};

/// How the load is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: u32,
    pub(crate) users: u32,
    /// How many sessions are in use at a time.
    pub(crate) slots: usize,
    /// Of a thousand slots, how many any worker may use, so that workers race.
    pub(crate) shared_per_mille: usize,
    /// How many operations a session sees before another takes its place.
    pub(crate) session_ops: (u64, u64),
    /// How long a worker waits between two operations, at most.
    pub(crate) pause: Duration,
    /// Whether sessions are ended and stolen from, or only refreshed.
    pub(crate) hostile: bool,
    /// Whether each request has a connection of its own.
    pub(crate) one_shot: bool,
}

impl Plan {
    pub(crate) const STANDARD: Self = Self {
        workers: 12,
        users: 16,
        slots: 48,
        shared_per_mille: 300,
        session_ops: (20, 80),
        pause: Duration::from_millis(2),
        hostile: true,
        one_shot: false,
    };
}

/// What a client knows of a session.
#[derive(Clone, Debug)]
struct Session {
    id: String,
    user: u32,
    /// The refresh tokens by generation, the first being generation 1.
    tokens: Vec<String>,
    access: String,
    /// It was refused, or somebody ended it.
    over: bool,
    left: u64,
}

/// Counters of the generator itself.
#[derive(Default)]
pub(crate) struct Tally {
    /// Refreshes whose answer was lost.
    pub(crate) ambiguous: AtomicU64,
    /// How many of them the first retry that was answered gave the successor.
    pub(crate) resolved: AtomicU64,
    /// How many of them it told that the session has ended; whether rightly, the oracle says.
    pub(crate) ended: AtomicU64,
}

/// What all clients share.
pub(crate) struct Load {
    pub(crate) history: History,
    pub(crate) targets: Targets,
    pub(crate) tally: Tally,
    plan: Plan,
    rng: Rng,
    slots: Vec<Mutex<Option<Session>>>,
    /// Every session that was ever begun, as it was last known.
    finished: Mutex<Vec<Session>>,
    admin: Mutex<Option<String>>,
    /// One disabling at a time for each user, so that whoever disables also enables again.
    disabling: Vec<Mutex<()>>,
}

impl Load {
    pub(crate) fn new(plan: &Plan, seed: u64, history: History) -> Arc<Self> {
        Arc::new(Self {
            history,
            targets: Targets::default(),
            tally: Tally::default(),
            plan: plan.clone(),
            rng: Rng::new(seed),
            slots: (0..plan.slots).map(|_| Mutex::new(None)).collect(),
            finished: Mutex::default(),
            admin: Mutex::default(),
            disabling: (0..plan.users).map(|_| Mutex::default()).collect(),
        })
    }

    /// Registers the lab's users. The server must be up.
    pub(crate) fn register(&self) -> Result<(), String> {
        let server = self.targets.get(0).ok_or("there is no server")?;
        let mut client = Client::default();
        for user in 0..self.plan.users {
            let name = username(user);
            let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
            let request = Request { method: "POST", path: "/api/users/register", bearer: None, body: Some(&body) };
            match client.send(server, &request) {
                Sent::Answered(Answer { status: 201 | 409, .. }) => {}
                Sent::Answered(answer) => return Err(format!("no user could be registered: {}", answer.body)),
                _ => return Err("the server did not answer a registration".to_owned()),
            }
        }
        Ok(())
    }

    /// Starts the workers. They end after [`Targets::stop`].
    pub(crate) fn start(self: &Arc<Self>) -> Vec<std::thread::JoinHandle<()>> {
        (0..self.plan.workers)
            .map(|number| {
                let load = Arc::clone(self);
                std::thread::spawn(move || {
                    let mut worker = Worker::new(&load, number);
                    while worker.step().is_some() {}
                })
            })
            .collect()
    }

    /// Lets many clients refresh one session at the same moment, again and again; gives the session.
    pub(crate) fn race(&self, racers: u32, generations: u32) -> Result<String, String> {
        let user = self.plan.users - 1;
        let mut first = Worker::new(self, self.plan.workers + 1);
        // Another client may just be ending all sessions of this user: the racers' user is nobody else's.
        let session = first.login(user).flatten().ok_or("the racers' session did not begin")?;
        let id = session.id.clone();
        let shared = Mutex::new(session);
        let barrier = std::sync::Barrier::new(racers as usize);
        std::thread::scope(|scope| {
            for number in 0..racers {
                let (shared, barrier) = (&shared, &barrier);
                scope.spawn(move || {
                    let mut worker = Worker::new(self, self.plan.workers + 2 + number);
                    for _ in 0..generations {
                        barrier.wait();
                        let mut mine = lock(shared).clone();
                        // Nobody goes on before everybody knows the same token.
                        barrier.wait();
                        let newest = mine.tokens.len() - 1;
                        let _ = worker.refresh(&mut mine, newest, "race");
                        let mut known = lock(shared);
                        if mine.tokens.len() > known.tokens.len() {
                            *known = mine;
                        }
                    }
                });
            }
        });
        lock(&self.finished).push(shared.into_inner().map_err(|_| "a racer panicked")?);
        Ok(id)
    }

    /// What a worker learned joins what others have learned of the session meanwhile.
    fn merge(&self, slot: &Mutex<Option<Session>>, session: Session) {
        let mut held = lock(slot);
        if let Some(known) = held.as_mut().filter(|known| known.id == session.id) {
            known.left = known.left.min(session.left);
            known.over |= session.over;
            if session.tokens.len() >= known.tokens.len() {
                known.tokens = session.tokens;
                known.access = session.access;
            }
            return;
        }
        drop(held);
        // Another worker has retired it; the list of the finished learns of tokens that are newer.
        let mut finished = lock(&self.finished);
        if let Some(known) = finished.iter_mut().rev().find(|known| known.id == session.id)
            && session.tokens.len() > known.tokens.len()
        {
            known.tokens = session.tokens;
            known.access = session.access;
        }
    }

    /// While the load goes on: signs out up to `count` sessions that are in use, by their newest tokens, whatever else
    /// happens to them. Gives how many were, and what the first of the others was answered.
    pub(crate) fn revoke_some(&self, count: usize) -> Result<(usize, Option<String>), String> {
        let mut worker = Worker::new(self, self.plan.workers + 3);
        let (mut revoked, mut refused) = (0, None);
        for slot in &self.slots {
            if revoked == count {
                break;
            }
            let Some(mut session) = lock(slot).clone().filter(|session| !session.over) else { continue };
            let (outcome, answer) = worker.revoke_once(&mut session).ok_or("the load has stopped")?;
            self.merge(slot, session);
            if outcome == Outcome::Ok {
                revoked += 1;
            } else {
                refused.get_or_insert(answer);
            }
        }
        Ok((revoked, refused))
    }

    /// After an older store was put back, and before it is served: enables every user on the command line, since some
    /// may be disabled in it.
    pub(crate) fn enable_everybody(&self, launch: &Launch) -> Result<(), String> {
        for user in 0..self.plan.users {
            let mut op = Op::begin(history::now(), u32::MAX, Kind::Enable, "restored", user);
            launch.command_line(&["user", "enable", &username(user)])?;
            op.t_ret = history::now();
            op.outcome = Outcome::Ok;
            self.history.append(op);
        }
        Ok(())
    }

    /// After the fault and a quiet period: every session's newest refresh and access token is presented once, by one
    /// client, those that ended included. Then of every third session a spent token is, and the newest one after it.
    pub(crate) fn probe_all(self: &Arc<Self>) -> Result<(), String> {
        let mut worker = Worker::new(self, self.plan.workers);
        let mut sessions = std::mem::take(&mut *lock(&self.finished));
        sessions.extend(self.slots.iter().filter_map(|slot| lock(slot).take()));
        worker.rng.shuffle(&mut sessions);
        for session in &mut sessions {
            worker.probe(session).ok_or("the server went away during the last probe")?;
        }
        let thefts = if self.plan.hostile { sessions.len() / 3 } else { 0 };
        for session in sessions.iter_mut().take(thefts).filter(|session| session.tokens.len() > 2) {
            worker.rob(session).ok_or("the server went away during the last probe")?;
        }
        Ok(())
    }
}

fn username(user: u32) -> String {
    format!("lab_user_{user}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no client panics")
}

/// One client.
struct Worker<'a> {
    load: &'a Load,
    number: u32,
    rng: Rng,
    client: Client,
    turn: usize,
}

impl<'a> Worker<'a> {
    fn new(load: &'a Load, number: u32) -> Self {
        let client = Client::new(load.plan.one_shot);
        let rng = load.rng.fork(u64::from(number) + 1);
        Self { load, number, rng, client, turn: usize::try_from(number).unwrap_or(0) }
    }

    /// One decision and what it leads to. `None` when everything stops.
    fn step(&mut self) -> Option<()> {
        if self.load.targets.is_stopped() {
            return None;
        }
        let pause = u64::try_from(self.load.plan.pause.as_micros()).unwrap_or(0);
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(self.rng.between(0, pause)));
        }
        let slot = &self.load.slots[self.choose_slot()];
        let Some(mut session) = lock(slot).clone() else {
            // The last user is kept for races, so that nobody ends their session by the way.
            let user = u32::try_from(self.rng.index(self.load.plan.users as usize - 1)).unwrap_or(0);
            if let Some(session) = self.login(user)? {
                self.put(slot, session);
            }
            return Some(());
        };
        if session.over || session.left == 0 {
            let mut held = lock(slot);
            if held.as_ref().is_some_and(|held| held.id == session.id) {
                let last = held.take().expect("it is there");
                drop(held);
                lock(&self.load.finished).push(last);
            }
            return Some(());
        }
        session.left -= 1;
        match self.rng.between(0, 1000) {
            0..=29 if self.load.plan.hostile => self.revoke(&mut session)?,
            30..=37 if self.load.plan.hostile => self.logout_all(&mut session)?,
            38..=42 if self.load.plan.hostile => self.disable_for_a_while(&mut session)?,
            43..=82 if self.load.plan.hostile && session.tokens.len() > 2 => {
                let old = self.rng.index(session.tokens.len() - 2);
                self.refresh(&mut session, old, "replay")?;
            }
            83..=182 if session.tokens.len() > 1 => {
                let parent = session.tokens.len() - 2;
                self.refresh(&mut session, parent, "retry")?;
            }
            183..=262 => self.profile(&session)?,
            _ => self.refresh_until_answered(&mut session)?,
        }
        self.load.merge(slot, session);
        Some(())
    }

    /// The first slots are everybody's; of the others, each worker has every so-manieth for itself.
    fn choose_slot(&mut self) -> usize {
        let (slots, workers) = (self.load.slots.len(), self.load.plan.workers as usize);
        let shared = slots * self.load.plan.shared_per_mille / 1000;
        let mine = (slots - shared + workers - 1 - self.number as usize % workers) / workers;
        let at = self.rng.index(mine + shared);
        if at < shared { at } else { shared + (at - shared) * workers + self.number as usize % workers }
    }

    /// Puts a new session into an empty slot; whoever came second keeps theirs for the last probe alone.
    fn put(&self, slot: &Mutex<Option<Session>>, session: Session) {
        let mut held = lock(slot);
        if held.is_none() {
            *held = Some(session);
        } else {
            drop(held);
            lock(&self.load.finished).push(session);
        }
    }

    fn login(&mut self, user: u32) -> Option<Option<Session>> {
        let body = json!({ "username": username(user), "password": PASSWORD });
        let request = Request { method: "POST", path: "/api/auth/login", bearer: None, body: Some(&body) };
        let (low, high) = self.load.plan.session_ops;
        let left = self.rng.between(low, high);
        let (mut op, answer) = self.send(Kind::Login, "login", user, &request)?;
        let session = answer.filter(|_| op.outcome == Outcome::Ok).and_then(|answer| {
            let pair = Pair::read(&answer, &mut op)?;
            op.session.clone_from(&pair.session);
            op.child_fp = Some(fingerprint(&pair.refresh));
            Some(Session { id: pair.session, user, tokens: vec![pair.refresh], access: pair.access, over: false, left })
        });
        self.load.history.append(op);
        Some(session)
    }

    /// Presents the token at this index.
    fn refresh(&mut self, session: &mut Session, index: usize, intent: &'static str) -> Option<Outcome> {
        let token = session.tokens[index].clone();
        let body = Value::String(token.clone());
        let request = Request { method: "POST", path: "/api/auth/refresh-token", bearer: None, body: Some(&body) };
        let (mut op, answer) = self.send(Kind::Refresh, intent, session.user, &request)?;
        op.session.clone_from(&session.id);
        op.generation = u32::try_from(index + 1).ok();
        op.parent_fp = Some(fingerprint(&token));
        let outcome = op.outcome;
        if let Some(answer) = answer.filter(|_| outcome == Outcome::Ok)
            && let Some(pair) = Pair::read(&answer, &mut op)
        {
            op.child_fp = Some(fingerprint(&pair.refresh));
            if pair.session != session.id {
                op.flaw = Some("the answer names another session".to_owned());
            }
            if session.tokens.len() == index + 1 {
                session.tokens.push(pair.refresh);
            }
            session.access = pair.access;
        }
        session.over |= outcome == Outcome::Fail;
        self.load.history.append(op);
        Some(outcome)
    }

    /// Presents the newest token, and again when the answer is lost, as an honest client does.
    fn refresh_until_answered(&mut self, session: &mut Session) -> Option<()> {
        let newest = session.tokens.len() - 1;
        if self.refresh(session, newest, "refresh")? != Outcome::Info {
            return Some(());
        }
        self.load.tally.ambiguous.fetch_add(1, Ordering::Relaxed);
        // A database that stays away answers every retry with 503; others get their turn then.
        for _ in 0..40 {
            self.load.targets.wait_for_change(Duration::from_millis(50));
            match self.refresh(session, newest, "resolve")? {
                Outcome::Info => {}
                outcome => {
                    let tally = &self.load.tally;
                    let counter = if outcome == Outcome::Ok { &tally.resolved } else { &tally.ended };
                    counter.fetch_add(1, Ordering::Relaxed);
                    return Some(());
                }
            }
        }
        Some(())
    }

    fn revoke(&mut self, session: &mut Session) -> Option<()> {
        let (outcome, _) = self.revoke_once(session)?;
        if outcome == Outcome::Ok {
            // Whoever has signed out may still find a door open.
            let newest = session.tokens.len() - 1;
            self.refresh(session, newest, "after the end")?;
            self.profile(session)?;
        }
        Some(())
    }

    /// Signs out with one of the session's tokens; gives the answer in words, too.
    fn revoke_once(&mut self, session: &mut Session) -> Option<(Outcome, String)> {
        let index = self.rng.index(session.tokens.len());
        let token = session.tokens[index].clone();
        let body = Value::String(token.clone());
        let request = Request { method: "POST", path: "/api/auth/revoke-token", bearer: None, body: Some(&body) };
        let (mut op, _) = self.send(Kind::Revoke, "revoke", session.user, &request)?;
        op.session.clone_from(&session.id);
        op.generation = u32::try_from(index + 1).ok();
        op.parent_fp = Some(fingerprint(&token));
        let outcome = op.outcome;
        let answer = format!("{} {}", op.status, op.code());
        self.load.history.append(op);
        session.over |= outcome == Outcome::Ok;
        Some((outcome, answer))
    }

    fn logout_all(&mut self, session: &mut Session) -> Option<()> {
        let access = session.access.clone();
        let request = Request { method: "POST", path: "/api/auth/logout-all", bearer: Some(&access), body: None };
        let (mut op, _) = self.send(Kind::LogoutAll, "logout all", session.user, &request)?;
        op.session.clone_from(&session.id);
        let outcome = op.outcome;
        self.load.history.append(op);
        session.over |= outcome == Outcome::Ok;
        Some(())
    }

    fn profile(&mut self, session: &Session) -> Option<()> {
        let access = session.access.clone();
        let request = Request { method: "GET", path: "/api/users/profile", bearer: Some(&access), body: None };
        let (mut op, _) = self.send(Kind::Profile, "profile", session.user, &request)?;
        op.session.clone_from(&session.id);
        self.load.history.append(op);
        Some(())
    }

    /// Disables the session's user, looks whether that holds, and enables the user again, however long that takes.
    fn disable_for_a_while(&mut self, session: &mut Session) -> Option<()> {
        let user = session.user;
        let disabling = &self.load.disabling[user as usize];
        let Ok(_alone) = disabling.try_lock() else { return Some(()) };
        let Some(id) = self.user_id(user)? else { return Some(()) };
        let path = format!("/api/users/{id}");
        if self.set_disabled(&path, user, true)? == Outcome::Ok {
            self.profile(session)?;
            let newest = session.tokens.len() - 1;
            self.refresh(session, newest, "after the end")?;
            self.login(user)?;
        }
        while self.set_disabled(&path, user, false)? != Outcome::Ok {
            self.load.targets.wait_for_change(Duration::from_millis(20));
        }
        Some(())
    }

    fn set_disabled(&mut self, path: &str, user: u32, disabled: bool) -> Option<Outcome> {
        let admin = self.admin()?;
        let body = json!({ "disabled": disabled });
        let request = Request { method: "PATCH", path, bearer: Some(&admin), body: Some(&body) };
        let kind = if disabled { Kind::Disable } else { Kind::Enable };
        let (op, _) = self.send(kind, "admin", user, &request)?;
        let outcome = op.outcome;
        if op.status == 401 {
            *lock(&self.load.admin) = None;
        }
        self.load.history.append(op);
        Some(outcome)
    }

    /// The id of a user of the lab; `None` inside when the server gave none.
    fn user_id(&mut self, user: u32) -> Option<Option<i64>> {
        let admin = self.admin()?;
        let path = format!("/api/users?search={}", username(user));
        let request = Request { method: "GET", path: &path, bearer: Some(&admin), body: None };
        let server = self.load.targets.get(self.turn)?;
        let Sent::Answered(answer) = self.client.send(server, &request) else { return Some(None) };
        let found = answer.body.as_array().and_then(|users| {
            users.iter().find(|found| found["username"] == Value::String(username(user))).and_then(|u| u["id"].as_i64())
        });
        if found.is_none() && answer.status == 401 {
            *lock(&self.load.admin) = None;
        }
        Some(found)
    }

    /// An admin's access token. Admins are no part of the experiment.
    fn admin(&mut self) -> Option<String> {
        loop {
            if let Some(token) = lock(&self.load.admin).clone() {
                return Some(token);
            }
            let body = json!({ "username": ADMIN, "password": PASSWORD });
            let request = Request { method: "POST", path: "/api/auth/login", bearer: None, body: Some(&body) };
            let server = self.load.targets.get(self.turn)?;
            match self.client.send(server, &request) {
                Sent::Answered(answer) if answer.status == 200 => {
                    *lock(&self.load.admin) = answer.body["jwtToken"].as_str().map(str::to_owned);
                }
                _ => self.load.targets.wait_for_change(Duration::from_millis(20)),
            }
        }
    }

    /// The last probe of one session.
    fn probe(&mut self, session: &mut Session) -> Option<()> {
        self.profile(session)?;
        let newest = session.tokens.len() - 1;
        for _ in 0..100 {
            if self.refresh(session, newest, "last probe")? != Outcome::Info {
                return Some(());
            }
            self.load.targets.wait_for_change(Duration::from_millis(50));
        }
        Some(())
    }

    /// A spent token, from before the newest two, must end the session for the newest one as well.
    fn rob(&mut self, session: &mut Session) -> Option<()> {
        let old = self.rng.index(session.tokens.len() - 2);
        self.refresh(session, old, "last replay")?;
        let newest = session.tokens.len() - 1;
        self.refresh(session, newest, "after the last replay")?;
        self.profile(session)
    }

    /// Sends a request and notes how it ended. A connection that was refused was no operation: it is tried again.
    /// `None` when everything stops.
    fn send(
        &mut self,
        kind: Kind,
        intent: &'static str,
        user: u32,
        request: &Request<'_>,
    ) -> Option<(Op, Option<Answer>)> {
        loop {
            let server = self.load.targets.get(self.turn)?;
            self.turn = self.turn.wrapping_add(1);
            let mut op = Op::begin(history::now(), self.number, kind, intent, user);
            let sent = self.client.send(server, request);
            op.t_ret = history::now();
            match sent {
                Sent::Not => self.load.targets.wait_for_change(Duration::from_millis(20)),
                Sent::Unknown(why) => {
                    op.code = Some(why.to_owned());
                    return Some((op, None));
                }
                Sent::Answered(answer) => {
                    judge(&mut op, &answer);
                    return Some((op, Some(answer)));
                }
            }
        }
    }
}

/// Which statuses an operation may have, besides 503.
const fn expected(kind: Kind, status: u16) -> bool {
    match kind {
        Kind::Login | Kind::Refresh | Kind::Profile => matches!(status, 200 | 401),
        Kind::Revoke => status == 204,
        Kind::LogoutAll => matches!(status, 204 | 401),
        Kind::Disable | Kind::Enable => matches!(status, 200 | 401),
        Kind::Restored | Kind::ClockSet | Kind::Settled => false,
    }
}

fn judge(op: &mut Op, answer: &Answer) {
    op.status = answer.status;
    op.outcome = match answer.status {
        200..=299 => Outcome::Ok,
        500..=599 => Outcome::Info,
        _ => Outcome::Fail,
    };
    op.code = answer.body["code"].as_str().map(str::to_owned);
    op.flaw = if answer.status != 503 && !expected(op.op, answer.status) {
        Some(format!("the status {} is not one of this operation", answer.status))
    } else if op.outcome != Outcome::Ok && (!answer.is_problem || op.code.is_none()) {
        Some("the refusal is no problem+json with a code".to_owned())
    } else if matches!(op.status, 429 | 503) && !answer.says_when && op.code() != "outcome_unknown" {
        Some("the refusal does not say when to try again".to_owned())
    } else {
        None
    };
}

struct Pair {
    session: String,
    refresh: String,
    access: String,
}

impl Pair {
    /// Reads the pair of an answer, and notes the access token's id and what is wrong with it.
    fn read(answer: &Answer, op: &mut Op) -> Option<Self> {
        let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
        let pair = match (text("sessionId"), text("refreshToken"), text("jwtToken")) {
            (Some(session), Some(refresh), Some(access)) => Some(Self { session, refresh, access }),
            _ => None,
        };
        let claims = pair.as_ref().and_then(|pair| claims(&pair.access));
        match (&pair, claims) {
            (Some(pair), Some(claims)) if claims.get("sid").and_then(Value::as_str) == Some(&pair.session) => {
                op.jti = claims.get("jti").and_then(Value::as_str).map(str::to_owned);
            }
            (Some(_), _) => op.flaw = Some("the access token does not name its session".to_owned()),
            (None, _) => op.flaw = Some("a 200 without a pair".to_owned()),
        }
        pair
    }
}

fn claims(token: &str) -> Option<HashMap<String, Value>> {
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&body).ok()
}
