//! Sans-IO. The key `replicas` of a database: `host[:port][?weight=N&zone=NAME&pool_size=N]`, with
//! commas between.
//!
//! Not here: what the hosts of an entry make together (`cluster`). A host's errors never repeat its
//! text, which may stand behind a password; the reader of the entry decides what is shown.

use std::fmt;
use std::net::Ipv6Addr;

use super::model::Host;
use super::value;

/// Weight of a replica that names none.
pub const REPLICA_WEIGHT: u16 = 1;

/// Greatest weight of a replica.
pub const REPLICA_WEIGHT_MAX: u16 = 1000;

/// One host of `replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSpec {
    /// Where it is; never [`Host::DefaultSocket`].
    pub host: Host,
    /// Its port: the line's own where it names none.
    pub port: u16,
    /// Its share of the reads beside that of the others; 0: none as long as another is left.
    pub weight: u16,
    /// The availability zone it is in.
    pub zone: Option<String>,
    /// Most server connections per user to this host; `None` is what the entry says.
    pub pool_size: Option<usize>,
}

/// What is wrong with one host of `replicas`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// Nothing before the port or the options.
    #[error("expected a host name, an address or a directory")]
    NoHost,
    /// Not a port.
    #[error("expected a port from 1 to 65535 behind the colon")]
    Port,
    /// An IPv6 address whose end cannot be told from a port.
    #[error("an IPv6 address stands in brackets here: [::1]:5432")]
    Brackets,
    /// An option without `=` or with an unknown name.
    #[error("expected weight=N, zone=NAME or pool_size=N behind the question mark, with & between")]
    Option,
    /// An option that is there twice.
    #[error("an option is given twice")]
    Twice,
    /// Not a weight.
    #[error("weight: expected a whole number from 0 to {REPLICA_WEIGHT_MAX}")]
    Weight,
    /// An empty zone.
    #[error("zone: expected a name")]
    Zone,
    /// Not a size.
    #[error("pool_size: expected a whole number")]
    PoolSize,
}

impl ReplicaSpec {
    /// Reads one host; `port` is for those that name none.
    pub fn parse(text: &str, port: u16) -> Result<Self, ReplicaError> {
        let (address, options) = match text.split_once('?') {
            Some((address, options)) => (address, Some(options)),
            None => (text, None),
        };
        let (host, own_port) = address_of(address.trim())?;
        let mut spec = Self {
            host,
            port: own_port.unwrap_or(port),
            weight: REPLICA_WEIGHT,
            zone: None,
            pool_size: None,
        };
        let mut seen = Vec::new();
        for option in options.into_iter().flat_map(|options| options.split('&')) {
            let (key, value) = option.split_once('=').ok_or(ReplicaError::Option)?;
            if seen.contains(&key) {
                return Err(ReplicaError::Twice);
            }
            seen.push(key);
            spec.option(key, value)?;
        }
        Ok(spec)
    }

    /// Host and port.
    pub fn address(&self) -> Address<'_> {
        Address(&self.host, self.port)
    }

    fn option(&mut self, key: &str, value: &str) -> Result<(), ReplicaError> {
        let number = value::integer(value);
        match key {
            "weight" => {
                let weight = number.ok().and_then(|number| u16::try_from(number).ok());
                let weight = weight.filter(|weight| *weight <= REPLICA_WEIGHT_MAX);
                self.weight = weight.ok_or(ReplicaError::Weight)?;
            }
            "zone" if value.is_empty() => return Err(ReplicaError::Zone),
            "zone" => self.zone = Some(value.to_owned()),
            "pool_size" => {
                let size = number.ok().and_then(|number| i32::try_from(number).ok());
                let size = size.and_then(|size| usize::try_from(size).ok());
                self.pool_size = Some(size.ok_or(ReplicaError::PoolSize)?);
            }
            _ => return Err(ReplicaError::Option),
        }
        Ok(())
    }
}

/// A host and the port behind it.
fn address_of(text: &str) -> Result<(Host, Option<u16>), ReplicaError> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner.split_once(']').ok_or(ReplicaError::Brackets)?;
        let address: Ipv6Addr = address.parse().map_err(|_| ReplicaError::Brackets)?;
        let host = Host::Tcp(address.to_string());
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port_of(port)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(ReplicaError::Port),
        };
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port_of(port))),
        None => (text, None),
    };
    if host.is_empty() || host == "@" {
        return Err(ReplicaError::NoHost);
    }
    let host = Host::parse(host);
    match (&host, port) {
        (Host::Tcp(name), _) if name.contains(':') => Err(ReplicaError::Brackets),
        (_, None) => Ok((host, None)),
        (_, Some(port)) => Ok((host, Some(port?))),
    }
}

fn port_of(text: &str) -> Result<u16, ReplicaError> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port > 0);
    port.ok_or(ReplicaError::Port)
}

/// A host with its port, as it is written in `replicas` and in the names of derived entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a>(pub &'a Host, pub u16);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{}", self.1),
            host @ (Host::Tcp(_) | Host::Unix(_) | Host::Abstract(_) | Host::DefaultSocket) => {
                write!(f, "{host}:{}", self.1)
            }
        }
    }
}

/// Reads back the same.
impl fmt::Display for ReplicaSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Address(&self.host, self.port))?;
        let weight = (self.weight != REPLICA_WEIGHT).then(|| format!("weight={}", self.weight));
        let zone = self.zone.as_ref().map(|zone| format!("zone={zone}"));
        let size = self.pool_size.map(|size| format!("pool_size={size}"));
        let options = [weight, zone, size].into_iter().flatten();
        for (index, option) in options.enumerate() {
            let before = if index == 0 { '?' } else { '&' };
            write!(f, "{before}{option}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(name: &str, port: u16) -> ReplicaSpec {
        ReplicaSpec {
            host: Host::Tcp(name.into()),
            port,
            weight: 1,
            zone: None,
            pool_size: None,
        }
    }

    #[test]
    fn hosts_are_read_with_their_ports_and_options() {
        let unix = |host, port| ReplicaSpec {
            host,
            ..tcp("", port)
        };
        for (text, expected) in [
            ("db", tcp("db", 5432)),
            ("db:1", tcp("db", 1)),
            ("10.0.0.1:65535", tcp("10.0.0.1", 65535)),
            ("[::1]", tcp("::1", 5432)),
            ("[::1]:7", tcp("::1", 7)),
            ("/run/pg", unix(Host::Unix("/run/pg".into()), 5432)),
            ("/run/pg:6", unix(Host::Unix("/run/pg".into()), 6)),
            ("@pg:6", unix(Host::Abstract("pg".into()), 6)),
            (
                "db?weight=0&zone=eu-1a&pool_size=7",
                ReplicaSpec {
                    weight: 0,
                    zone: Some("eu-1a".into()),
                    pool_size: Some(7),
                    ..tcp("db", 5432)
                },
            ),
        ] {
            assert_eq!(
                ReplicaSpec::parse(text, 5432).as_ref(),
                Ok(&expected),
                "{text}"
            );
            let shown = expected.to_string();
            assert_eq!(ReplicaSpec::parse(&shown, 9), Ok(expected), "{shown}");
        }
    }

    #[test]
    fn what_is_no_host_is_told_apart() {
        for (text, expected) in [
            ("", ReplicaError::NoHost),
            (":5432", ReplicaError::NoHost),
            ("@", ReplicaError::NoHost),
            ("?weight=1", ReplicaError::NoHost),
            ("db:", ReplicaError::Port),
            ("db:0", ReplicaError::Port),
            ("db:65536", ReplicaError::Port),
            ("db:+5", ReplicaError::Port),
            ("[::1]5", ReplicaError::Port),
            ("::1", ReplicaError::Brackets),
            ("fe80::1:5432", ReplicaError::Brackets),
            ("[::1", ReplicaError::Brackets),
            ("[db]:1", ReplicaError::Brackets),
            ("db?", ReplicaError::Option),
            ("db?weight", ReplicaError::Option),
            ("db?wait=1", ReplicaError::Option),
            ("db?weight=1&weight=2", ReplicaError::Twice),
            ("db?weight=1001", ReplicaError::Weight),
            ("db?weight=-1", ReplicaError::Weight),
            ("db?weight=x", ReplicaError::Weight),
            ("db?zone=", ReplicaError::Zone),
            ("db?pool_size=-1", ReplicaError::PoolSize),
        ] {
            assert_eq!(ReplicaSpec::parse(text, 5432), Err(expected), "{text}");
        }
    }
}
