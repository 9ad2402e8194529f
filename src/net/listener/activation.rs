//! Listening sockets that the service manager passes (`LISTEN_FDS`).

use listenfd::ListenFd;

use super::{Bound, ListenError};

/// Takes the sockets that the service manager has opened for this process; none when it opened none.
///
/// Reads and clears `LISTEN_PID` and `LISTEN_FDS`, so it must run once, before any thread starts.
/// With sockets from here, `listen_addr` and `unix_socket_dir` are not listened on.
pub fn from_service_manager() -> Result<Vec<Bound>, ListenError> {
    let mut passed = ListenFd::from_env();
    let mut bound = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let failed = |source| ListenError::Activation { index, source };
        let socket = match passed.take_tcp_listener(index) {
            Ok(Some(listener)) => Bound::Tcp(listener),
            Ok(None) => continue,
            Err(_) => match passed.take_unix_listener(index).map_err(failed)? {
                Some(listener) => Bound::Unix(listener),
                None => continue,
            },
        };
        let ready = match &socket {
            Bound::Tcp(listener) => listener.set_nonblocking(true),
            Bound::Unix(listener) => listener.set_nonblocking(true),
        };
        ready.map_err(failed)?;
        bound.push(socket);
    }
    Ok(bound)
}
