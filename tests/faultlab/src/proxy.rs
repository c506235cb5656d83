//! A TCP proxy that breaks connections on demand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the proxy does to what passes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Pass,
    /// Every piece waits this long.
    Latency(Duration),
    /// Nothing passes and nothing is closed; what came in goes on when the mode ends.
    Blackhole,
    /// Every connection is reset, new ones as well.
    Reset,
    /// The way to the server is closed, the way back stays open.
    HalfClose,
    /// A few bytes at a time.
    Slice,
}

/// How often a connection looks whether the mode has changed.
const TICK: Duration = Duration::from_millis(20);

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    mode: Mutex<Mode>,
    /// Rises with every change of the mode.
    version: AtomicU64,
    closed: AtomicBool,
}

impl Shared {
    fn mode(&self) -> Mode {
        *self.mode.lock().expect("no thread panics")
    }
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let shared = Arc::new(Shared {
            upstream,
            mode: Mutex::new(Mode::Pass),
            version: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let proxy = Self { address: listener.local_addr()?, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.closed.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(client, &shared));
            }
        });
        Ok(proxy)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().expect("no thread panics") = mode;
        self.shared.version.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.set(Mode::Reset);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(client: TcpStream, shared: &Arc<Shared>) {
    if shared.mode() == Mode::Reset {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect(shared.upstream) else { return reset(&client) };
    let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { return };
    let there = Arc::clone(shared);
    std::thread::spawn(move || relay(client_too, server_too, &there, true));
    relay(server, client, shared, false);
}

/// Carries bytes one way until either end closes or the mode cuts it.
fn relay(mut from: TcpStream, mut to: TcpStream, shared: &Shared, to_server: bool) {
    let _ = (from.set_nodelay(true), to.set_nodelay(true), from.set_read_timeout(Some(TICK)));
    let mut buffer = [0; 16 * 1024];
    let mut half_closed = false;
    loop {
        match shared.mode() {
            Mode::Reset => {
                reset(&from);
                reset(&to);
                return;
            }
            Mode::Blackhole => {
                wait_for_change(shared);
                continue;
            }
            Mode::HalfClose if to_server && !half_closed => {
                half_closed = true;
                let _ = to.shutdown(Shutdown::Write);
            }
            _ => {}
        }
        let length = match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => {
                reset(&to);
                return;
            }
        };
        if pass(&mut to, &buffer[..length], shared).is_err() {
            reset(&from);
            return;
        }
    }
}

fn pass(to: &mut TcpStream, bytes: &[u8], shared: &Shared) -> std::io::Result<()> {
    match shared.mode() {
        Mode::Latency(delay) => {
            std::thread::sleep(delay);
            to.write_all(bytes)
        }
        Mode::Slice => bytes.chunks(7).try_for_each(|piece| {
            to.write_all(piece)?;
            std::thread::sleep(Duration::from_micros(200));
            Ok(())
        }),
        // What was read just before a blackhole opened falls into it.
        Mode::Blackhole => {
            wait_for_change(shared);
            to.write_all(bytes)
        }
        Mode::Pass | Mode::Reset | Mode::HalfClose => to.write_all(bytes),
    }
}

fn wait_for_change(shared: &Shared) {
    let version = shared.version.load(Ordering::SeqCst);
    while shared.version.load(Ordering::SeqCst) == version && shared.mode() == Mode::Blackhole {
        std::thread::sleep(TICK);
    }
}

/// Closes a connection with a reset instead of an end.
fn reset(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}
