//! Free TCP ports on 127.0.0.1.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Ports below every system's range for outgoing connections: a port in here is not taken by the
/// next client while its server restarts.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// Random tries before the kernel is asked for any port at all.
const TRIES: usize = 50;

/// Whether a server can listen on `port` of 127.0.0.1 just now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A port of 127.0.0.1 that is free just now; somebody else may take it before its use.
pub fn free_port() -> io::Result<u16> {
    for _ in 0..TRIES {
        // Keyed at random for each `RandomState`.
        let random = RandomState::new().build_hasher().finish();
        let offset = u16::try_from(random % u64::from(COUNT)).unwrap_or_default();
        if is_free(FIRST + offset) {
            return Ok(FIRST + offset);
        }
    }
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(any.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
    }

    #[test]
    fn ports_are_spread_so_that_parallel_tests_rarely_collide() {
        let ports: std::collections::HashSet<_> = (0..20).map(|_| free_port().unwrap()).collect();
        assert!(ports.len() > 10, "{ports:?}");
    }
}
