//! How addresses are stored: 16 bytes, IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2), so that a network is a range of them.

use std::net::{IpAddr, Ipv6Addr};

use super::QueryResult;
use super::error::impossible_row;

/// The stored form.
pub(super) fn to_bytes(address: IpAddr) -> Vec<u8> {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.octets().to_vec()
}

/// The address again; IPv4 as IPv4.
pub(super) fn from_bytes(
    table: &'static str,
    row: impl ToString,
    bytes: Option<Vec<u8>>,
) -> QueryResult<Option<IpAddr>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let octets: [u8; 16] = bytes.try_into().map_err(|_| impossible_row(table, row, "an address is not 16 bytes"))?;
    Ok(Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_in_its_shortest_form() {
        for (written, read) in [("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("::1", "::1")] {
            let bytes = to_bytes(written.parse().unwrap());
            assert_eq!(from_bytes("sessions", 1, Some(bytes)).unwrap().unwrap().to_string(), read);
        }
        assert!(from_bytes("sessions", 1, Some(vec![1, 2, 3, 4])).is_err());
    }
}
