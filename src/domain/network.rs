//! Where somebody comes from, as coarsely as guesses are counted: who has one address of a network has all of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::client::Client;

/// A network of IPv4 with 256 addresses, one of IPv6 with 2⁶⁴, or none that is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Network {
    /// A /24.
    V4([u8; 3]),
    /// A /64.
    V6([u8; 8]),
    /// The address is not known.
    Unknown,
}

impl Network {
    /// What an unknown network is called.
    const UNKNOWN: &'static str = "unknown";

    /// The network of an address; one that is IPv4 mapped into IPv6 is IPv4.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
            None => Self::Unknown,
        }
    }

    /// The network that a request comes from; none that is known, when its proxies contradict each other.
    pub fn of_client(client: &Client) -> Self {
        Self::of(client.address().filter(|_| !client.is_disputed()))
    }

    /// What one customer of a provider may have: a /48 of IPv6 has 65,536 networks.
    pub const fn widened(self) -> Self {
        match self {
            Self::V6([a, b, c, d, e, f, _, _]) => Self::V6([a, b, c, d, e, f, 0, 0]),
            other => other,
        }
    }

    /// Reads a network as it is written, or any address in one.
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::UNKNOWN {
            return Some(Self::Unknown);
        }
        match text.split_once('/') {
            None => text.parse().ok().map(|address| Self::of(Some(address))),
            Some((address, _)) => {
                let network = Self::of(Some(address.parse().ok()?));
                (network.to_string() == text).then_some(network)
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6([a, b, c, d, e, g, h, i]) => {
                write!(f, "{}/64", Ipv6Addr::from([a, b, c, d, e, g, h, i, 0, 0, 0, 0, 0, 0, 0, 0]))
            }
            Self::Unknown => f.write_str(Self::UNKNOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(address: &str) -> String {
        Network::of(Some(address.parse().unwrap())).to_string()
    }

    #[test]
    fn k5_addresses_of_one_network_are_one_and_ipv6_goes_by_64_bits() {
        assert_eq!(network("203.0.113.7"), "203.0.113.0/24");
        assert_eq!(network("203.0.113.255"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
        assert_eq!(Network::of(None).to_string(), "unknown");
    }

    #[test]
    fn k5_an_address_that_is_disputed_stands_for_no_network() {
        let client = Client::new("203.0.113.7".parse().ok(), None, None);
        assert_eq!(Network::of_client(&client), Network::V4([203, 0, 113]));
        assert_eq!(Network::of_client(&client.disputed()), Network::Unknown);
    }

    #[test]
    fn what_is_no_network_of_ours_is_not_read() {
        for text in ["", "*", "203.0.113.0/23", "203.0.113.7/24", "203.0.113.0/024", "2001:db8::/48", "::1/64", "a/24"]
        {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert_eq!(Network::parse("203.0.113.7"), Some(Network::V4([203, 0, 113])));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(address in any::<IpAddr>()) {
            let network = Network::of(Some(address));
            prop_assert_eq!(Network::parse(&network.to_string()), Some(network));
        }
    }
}
