//! Options of TCP sockets, the same for clients and servers (`tcp_*` settings).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use socket2::{SockRef, TcpKeepalive};

/// Seconds that a connection may sit in the kernel before its first byte (`tcp_defer_accept = 1`).
pub const DEFER_ACCEPT_DEFAULT: Duration = Duration::from_secs(45);

// The kernel's option has no wrapper in either socket crate; nix offers this macro for such cases.
nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    libc::c_int,
    nix::sys::socket::sockopt::SetStruct<'_, libc::c_int>
);

#[derive(Debug, Clone, Copy)]
struct DeferAccept;

/// When the kernel probes a silent connection (`tcp_keepidle`, `tcp_keepintvl`, `tcp_keepcnt`).
/// `None` leaves the kernel's own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Option<Duration>,
    /// Time between two probes.
    pub interval: Option<Duration>,
    /// Probes without an answer before the connection is given up.
    pub count: Option<u32>,
}

/// What is set on every TCP connection, besides `TCP_NODELAY`, which always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// `tcp_keepalive`: `None` switches probing off.
    pub keepalive: Option<Keepalive>,
    /// `tcp_user_timeout`: longest time that sent data may stay unacknowledged.
    pub user_timeout: Option<Duration>,
    /// `tcp_socket_buffer`: bytes of the kernel's send and receive buffers.
    pub buffer: Option<usize>,
}

/// What an accepted connection has from its listener.
///
/// Only what can be taken back by name is left to listeners: a reload may change every option, and
/// nobody can ask the kernel for its own value of the others again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inherited {
    /// Nothing, as a connection that we have opened.
    #[default]
    Nothing,
    /// `TCP_NODELAY`.
    NoDelay,
    /// The same, and probing with the kernel's own times.
    NoDelayAndProbes,
}

impl SocketOptions {
    /// Sets on a listener what its connections then have from their beginning: two system calls
    /// less for each of them. A system that does not hand options down says so here.
    pub fn bequeath(&self, listener: &impl AsFd) -> Inherited {
        let listener = SockRef::from(listener);
        if !cfg!(target_os = "linux") || listener.set_tcp_nodelay(true).is_err() {
            return Inherited::Nothing;
        }
        if self.keepalive.is_some() && listener.set_keepalive(true).is_ok() {
            return Inherited::NoDelayAndProbes;
        }
        Inherited::NoDelay
    }

    /// Sets the options on a connection.
    pub fn apply(&self, socket: &impl AsFd, inherited: Inherited) -> io::Result<()> {
        let socket = SockRef::from(socket);
        if inherited == Inherited::Nothing {
            socket.set_tcp_nodelay(true)?;
        }
        match (self.keepalive, inherited) {
            (None, Inherited::Nothing | Inherited::NoDelay) => {}
            (None, Inherited::NoDelayAndProbes) => socket.set_keepalive(false)?,
            (Some(keepalive), Inherited::NoDelayAndProbes) if keepalive.is_default() => {}
            (
                Some(keepalive),
                Inherited::Nothing | Inherited::NoDelay | Inherited::NoDelayAndProbes,
            ) => {
                socket.set_tcp_keepalive(&keepalive.to_socket())?;
            }
        }
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        if let Some(bytes) = self.buffer {
            socket.set_send_buffer_size(bytes)?;
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }
}

impl Keepalive {
    fn is_default(self) -> bool {
        self == Self::default()
    }

    fn to_socket(self) -> TcpKeepalive {
        let mut probes = TcpKeepalive::new();
        if let Some(idle) = self.idle {
            probes = probes.with_time(idle);
        }
        if let Some(interval) = self.interval {
            probes = probes.with_interval(interval);
        }
        if let Some(count) = self.count {
            probes = probes.with_retries(count);
        }
        probes
    }
}

/// Lets the kernel keep accepted connections to itself until their first byte has come, for at most
/// about `wait` (`tcp_defer_accept`).
pub fn defer_accept(listener: &impl AsFd, wait: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(wait.as_secs()).unwrap_or(libc::c_int::MAX);
    nix::sys::socket::setsockopt(listener, DeferAccept, &seconds).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn options_reach_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        defer_accept(&listener, DEFER_ACCEPT_DEFAULT).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let options = SocketOptions {
            keepalive: Some(Keepalive {
                idle: Some(Duration::from_secs(77)),
                interval: Some(Duration::from_secs(7)),
                count: Some(3),
            }),
            user_timeout: Some(Duration::from_millis(4321)),
            buffer: Some(65_536),
        };
        options.apply(&stream, Inherited::Nothing).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(77)
        );
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(7)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_millis(4321))
        );
        assert!(socket.send_buffer_size().unwrap() >= 65_536);
    }

    #[test]
    fn probing_is_off_unless_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let options = SocketOptions::default();
        options.apply(&stream, Inherited::Nothing).unwrap();
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }

    /// A connection to a listener with the first options, accepted under the second ones.
    fn accepted(at_start: SocketOptions, now: SocketOptions) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inherited = at_start.bequeath(&listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        now.apply(&stream, inherited).unwrap();
        stream
    }

    #[test]
    fn an_accepted_connection_has_its_options_from_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let probing = SocketOptions {
            keepalive: Some(Keepalive::default()),
            ..SocketOptions::default()
        };
        for (options, probes) in [(probing, true), (SocketOptions::default(), false)] {
            SockRef::from(&listener).set_keepalive(false).unwrap();
            let inherited = options.bequeath(&listener);
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            // Nothing has been set on the connection itself.
            let (socket, handed_down) = (SockRef::from(&stream), inherited != Inherited::Nothing);
            assert_eq!(socket.tcp_nodelay().unwrap(), handed_down);
            assert_eq!(socket.keepalive().unwrap(), probes && handed_down);
        }
    }

    #[test]
    fn a_reload_counts_for_what_a_listener_has_handed_down() {
        let with = |keepalive| SocketOptions {
            keepalive,
            ..SocketOptions::default()
        };
        let idle = Some(Duration::from_secs(77));
        let timed = Keepalive {
            idle,
            ..Keepalive::default()
        };
        for (at_start, now) in [
            (Some(Keepalive::default()), None),
            (None, Some(Keepalive::default())),
            (Some(Keepalive::default()), Some(timed)),
            (Some(timed), Some(Keepalive::default())),
        ] {
            let stream = accepted(with(at_start), with(now));
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), now.is_some());
            let timed = socket.tcp_keepalive_time().unwrap() == Duration::from_secs(77);
            assert_eq!(timed, now.is_some_and(|now| now.idle == idle));
        }
    }
}
