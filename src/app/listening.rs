//! The sockets that the process listens on.

use crate::config::{Config, SocketDir};
use crate::net::listener::activation::from_service_manager;
use crate::net::listener::unix::{UnixListenOptions, UnixPlace, bind_unix};
use crate::net::listener::{Bound, ListenError, PortSharing, TcpListenOptions, bind_tcp};
use crate::net::socket::DEFER_ACCEPT_DEFAULT;
use crate::telemetry::events;

/// Open listeners, and the file that must go with them.
#[derive(Debug)]
pub struct Listening {
    /// All listeners.
    pub bound: Vec<Bound>,
    /// The unix socket.
    pub place: Option<UnixPlace>,
}

/// Opens what the configuration asks for, or takes what the service manager has opened.
pub fn listen(config: &Config) -> Result<Listening, ListenError> {
    let passed = from_service_manager()?;
    if !passed.is_empty() {
        return Ok(Listening {
            bound: passed,
            place: None,
        });
    }
    let mut bound = Vec::new();
    for address in &config.settings.listen_addr {
        bound.extend(bind_tcp(address, &tcp_options(config))?);
    }
    for address in bound.iter().filter_map(Bound::address) {
        events::listening(&address);
    }
    let place = match &config.settings.unix_socket_dir {
        Some(dir) => {
            let (socket, place) = bind_unix(&unix_options(config, dir))?;
            events::listening(&format_args!("unix:{}", place.display().display()));
            bound.push(socket);
            Some(place)
        }
        None => None,
    };
    Ok(Listening { bound, place })
}

fn backlog(config: &Config) -> i32 {
    i32::try_from(config.settings.listen_backlog).unwrap_or(i32::MAX)
}

fn tcp_options(config: &Config) -> TcpListenOptions {
    let settings = &config.settings;
    TcpListenOptions {
        port: settings.listen_port,
        backlog: backlog(config),
        sharing: if settings.so_reuseport {
            PortSharing::Shared
        } else {
            PortSharing::Exclusive
        },
        defer_accept: settings.tcp_defer_accept.then_some(DEFER_ACCEPT_DEFAULT),
    }
}

fn unix_options(config: &Config, dir: &SocketDir) -> UnixListenOptions {
    UnixListenOptions {
        dir: match dir {
            SocketDir::Path(path) => path.clone(),
            SocketDir::Abstract(name) => format!("@{name}"),
        },
        port: config.settings.listen_port,
        mode: config.settings.unix_socket_mode,
        group: config.settings.unix_socket_group.clone(),
        backlog: backlog(config),
    }
}
