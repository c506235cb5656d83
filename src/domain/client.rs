//! Who is at the other end of a request, as far as it is recorded.

use std::net::IpAddr;

use uuid::Uuid;

/// The address, agent and request that caused a change; all unknown for the command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    address: Option<IpAddr>,
    is_disputed: bool,
    user_agent: Option<String>,
    request_id: Option<Uuid>,
}

impl Client {
    /// How much of a `User-Agent` is kept, in characters.
    pub const USER_AGENT_MAX: usize = 256;

    /// Keeps the first [`Self::USER_AGENT_MAX`] characters of the agent; control characters become spaces,
    /// since neither logs nor a Postgres text column can hold all of them.
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>, request_id: Option<Uuid>) -> Self {
        let user_agent = user_agent.map(|agent| {
            agent.chars().take(Self::USER_AGENT_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
        });
        Self { address, is_disputed: false, user_agent, request_id }
    }

    /// The same, when what is said of its address is contradictory: the address is shown, and stands for no network.
    #[must_use]
    pub fn disputed(self) -> Self {
        Self { is_disputed: true, ..self }
    }

    /// Whether what is said of its address is contradictory.
    pub fn is_disputed(&self) -> bool {
        self.is_disputed
    }

    /// The address in its canonical form; an IPv4-mapped IPv6 address is IPv4.
    pub fn address(&self) -> Option<IpAddr> {
        self.address.map(|address| address.to_canonical())
    }

    /// The agent as it is kept.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The id that the answer carries in `x-request-id`.
    pub fn request_id(&self) -> Option<Uuid> {
        self.request_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l8_a_hostile_agent_is_cut_and_loses_its_control_characters() {
        let agent = format!("a\u{0}\n\u{1b}{}", "x".repeat(5_000));
        let kept = Client::new(None, Some(&agent), None);
        let kept = kept.user_agent().unwrap_or_default();
        assert!(kept.starts_with("a   x"));
        assert_eq!(kept.chars().count(), Client::USER_AGENT_MAX);
    }

    #[test]
    fn a_mapped_address_is_one_and_the_same_as_its_ipv4_form() {
        let mapped = Client::new("::ffff:203.0.113.7".parse().ok(), None, None);
        assert_eq!(mapped.address(), "203.0.113.7".parse().ok());
    }
}
