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

impl SocketOptions {
    /// Sets the options on a connection.
    pub fn apply(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            socket.set_tcp_keepalive(&keepalive.to_socket())?;
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
        options.apply(&stream).unwrap();
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
        SocketOptions::default().apply(&stream).unwrap();
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }
}
