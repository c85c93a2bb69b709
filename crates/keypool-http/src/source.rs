//! Where a request comes from: the one place that says so, for the throttle, the log and the record of changes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The word that stands for the peers of a Unix socket among trusted proxies.
const UNIX: &str = "unix";

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from. Prints as an address, or as a word where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A host; an IPv4 address is never written as one of IPv6.
    Address(IpAddr),
    /// A program on this machine, over a Unix socket: it has no address.
    UnixSocket,
    /// This process.
    Process,
}

impl Source {
    /// The host at this address.
    pub(crate) const fn of(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }

    /// What is counted as one: who has one address of IPv6 has all of its /64 (RFC 6177 section 2).
    pub(crate) const fn network(self) -> Self {
        match self {
            Self::Address(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Address(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            Self::Address(IpAddr::V4(_)) | Self::UnixSocket | Self::Process => self,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::UnixSocket => f.write_str(UNIX),
            Self::Process => f.write_str("process"),
        }
    }
}

/// Whose `X-Forwarded-For` header is believed.
///
/// Reads as addresses and networks (`10.0.0.0/8`) and the word `unix` for the peers of a Unix socket, with commas or
/// spaces between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix_socket: bool,
}

/// A text that does not name proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of addresses, networks and the word `unix`")]
pub struct TrustedProxiesError;

impl FromStr for TrustedProxies {
    type Err = TrustedProxiesError;

    fn from_str(text: &str) -> Result<Self, TrustedProxiesError> {
        let mut proxies = Self::default();
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            if word.eq_ignore_ascii_case(UNIX) {
                proxies.unix_socket = true;
            } else {
                proxies.networks.push(network(word).ok_or(TrustedProxiesError)?);
            }
        }
        Ok(proxies)
    }
}

/// One of addresses that look like IPv4 in IPv6 would never fit: those are told by their IPv4 address.
fn network(word: &str) -> Option<IpNet> {
    let network = match word.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => word.parse().ok()?,
    };
    let is_mapped = network.addr() != network.addr().to_canonical();
    (!is_mapped).then_some(network)
}

impl TrustedProxies {
    /// Whether this one is believed about whom it speaks for.
    pub(crate) fn trusts(&self, source: Source) -> bool {
        match source {
            Source::Address(address) => {
                self.networks.iter().any(|network| network.contains(&address))
            }
            Source::UnixSocket => self.unix_socket,
            Source::Process => false,
        }
    }

    /// Where a request of this peer comes from: the rightmost address that no trusted proxy has, for that is what a
    /// trusted one has seen. What stands left of it anybody may have written.
    pub(crate) fn source(&self, peer: Source, headers: &HeaderMap) -> Source {
        let mut source = peer;
        if !self.trusts(peer) {
            return source;
        }
        for line in headers.get_all(&X_FORWARDED_FOR).iter().rev() {
            for element in line.as_bytes().rsplit(|byte| *byte == b',') {
                let element = element.trim_ascii();
                if element.is_empty() {
                    continue;
                }
                // A proxy that says nothing readable speaks for itself.
                let Some(address) = address(element) else { return source };
                source = Source::of(address);
                if !self.trusts(source) {
                    return source;
                }
            }
        }
        source
    }
}

/// An address as proxies write it: some put version 6 in brackets, some add a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        text.parse().unwrap()
    }

    fn at(address: &str) -> Source {
        Source::of(address.parse().unwrap())
    }

    /// Where a request of this peer comes from, whose headers say this.
    fn source(trusted: &str, peer: Source, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&X_FORWARDED_FOR, line.parse().unwrap());
        }
        proxies(trusted).source(peer, &headers).to_string()
    }

    #[test]
    fn who_is_not_trusted_is_the_source_whatever_it_says() {
        assert_eq!(source("", at("192.0.2.1"), &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(source("10.0.0.0/8", at("192.0.2.1"), &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(source("10.0.0.0/8", Source::UnixSocket, &["198.51.100.7"]), "unix");
        assert_eq!(source("::/0, 0.0.0.0/0", Source::Process, &["198.51.100.7"]), "process");
    }

    #[test]
    fn the_source_is_the_rightmost_address_that_is_not_trusted() {
        let cases: [(&[&str], &str); 13] = [
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["198.51.100.7"], "198.51.100.7"),
            (&["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
            (&["6.6.6.6, 198.51.100.7,10.0.0.9 , 2001:db8::5"], "198.51.100.7"),
            (&["6.6.6.6", "198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            (&["198.51.100.7", "10.0.0.9"], "198.51.100.7"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["[2001:db9::1]:4711"], "2001:db9::1"),
            (&["[2001:db9::1]"], "2001:db9::1"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ];
        for (lines, expected) in cases {
            let told = source("10.0.0.0/8 2001:db8::/32", at("10.0.0.1"), lines);
            assert_eq!(told, expected, "{lines:?}");
        }
        assert_eq!(source("unix", Source::UnixSocket, &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", at("::ffff:10.0.0.1"), &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn proxies_are_addresses_networks_and_a_word() {
        assert_eq!(proxies(""), TrustedProxies::default());
        let two = proxies("10.1.2.3/8, ::1");
        for trusted in ["10.255.0.1", "::1", "::ffff:10.1.1.1"] {
            assert!(two.trusts(at(trusted)), "{trusted}");
        }
        for other in ["11.0.0.1", "::2"] {
            assert!(!two.trusts(at(other)), "{other}");
        }
        for text in ["localhost", "10.0.0.0/33", "10.0.0", "::ffff:10.0.0.0/104", "10.0.0.1;::1"] {
            assert_eq!(text.parse::<TrustedProxies>(), Err(TrustedProxiesError), "{text}");
        }
    }
}
