//! How many connections are open, all of them and those of each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

/// One address gets no more than one part of so many.
const SHARES: usize = 4;

/// How many connections there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of all addresses together.
    pub at_most: usize,
    /// Whose connections are those of many clients, and not counted as those of one address.
    pub trusted_proxies: Vec<IpNet>,
}

/// The places for connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    taken: AtomicUsize,
    of_address: Mutex<HashMap<IpAddr, usize>>,
    refused: AtomicU64,
}

impl Seats {
    /// As many as there may be.
    pub fn new(limits: Limits) -> Self {
        let of_address = Mutex::default();
        Self(Arc::new(Inner { limits, taken: AtomicUsize::new(0), of_address, refused: AtomicU64::new(0) }))
    }

    /// How many there are.
    pub fn at_most(&self) -> usize {
        self.0.limits.at_most.max(1)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// How many connections were refused since one address had its share already.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Whether so many are taken that nobody should sit around idle.
    pub(super) fn are_scarce(&self) -> bool {
        self.taken() > self.at_most() / 2
    }

    /// A place for a connection from this address, unless it has its share.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Seat> {
        let owner = address.map(|address| address.to_canonical()).filter(|address| !self.is_proxy(*address)).map(owner);
        if let Some(owner) = owner {
            let mut of_address = self.0.of_address.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = of_address.entry(owner).or_default();
            if *taken >= self.at_most().div_ceil(SHARES) {
                drop(of_address);
                self.note_refused();
                return None;
            }
            *taken += 1;
        }
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        Some(Seat { seats: self.clone(), owner })
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.0.limits.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Says so in the log, less and less often.
    fn note_refused(&self) {
        let refused = self.0.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused.is_power_of_two() {
            tracing::warn!(
                refused,
                "connections were refused, since one address has a quarter of those that there may be open already; if that \
                 is a proxy, name it in TRUSTED_PROXIES"
            );
        }
    }
}

/// Whoever has an IPv6 network of their own has more addresses than there are connections.
fn owner(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// A place that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    owner: Option<IpAddr>,
}

impl Seat {
    /// All the places.
    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(owner) = self.owner else { return };
        let mut of_address = self.seats.0.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = of_address.get_mut(&owner) {
            *taken -= 1;
            if *taken == 0 {
                of_address.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(at_most: usize) -> Seats {
        Seats::new(Limits { at_most, trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()] })
    }

    fn take(seats: &Seats, address: &str) -> Option<Seat> {
        seats.take(Some(address.parse().unwrap()))
    }

    #[test]
    fn q9_one_address_has_a_quarter_at_most_and_gets_a_place_back_for_each_that_it_gives_up() {
        let seats = seats(16);
        let mut taken: Vec<_> = (0..4).map(|_| take(&seats, "192.0.2.1").unwrap()).collect();
        assert!(take(&seats, "192.0.2.1").is_none());
        // The same address in the other notation.
        assert!(take(&seats, "::ffff:192.0.2.1").is_none());
        assert!(take(&seats, "192.0.2.2").is_some());
        taken.pop();
        assert!(take(&seats, "192.0.2.1").is_some());
        drop(taken);
        assert_eq!((seats.taken(), seats.refused()), (0, 2));
        assert!(seats.0.of_address.lock().unwrap().is_empty(), "addresses are remembered for ever");
    }

    #[test]
    fn q9_a_network_of_ipv6_is_one_client_and_a_trusted_proxy_is_many() {
        let seats = seats(8);
        let _two = [take(&seats, "2001:db8::1").unwrap(), take(&seats, "2001:db8::2").unwrap()];
        assert!(take(&seats, "2001:db8::ffff:3").is_none());
        assert!(take(&seats, "2001:db8:0:1::1").is_some());
        let proxied: Vec<_> = (0..20).map(|_| take(&seats, "10.1.2.3").unwrap()).collect();
        assert!(seats.are_scarce());
        drop(proxied);
        assert!(!seats.are_scarce());
    }
}
