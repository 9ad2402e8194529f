//! `pgweir FILE`: from the configuration to a process that serves, and to its end.

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::acceptor::accept;
use super::console::Consoles;
use super::worker::Worker;
use crate::auth::userlist;
use crate::cli::Serve;
use crate::config::{self, Config, SocketDir, Workers};
use crate::net::listener::unix::{UnixListenOptions, UnixPlace, bind_unix};
use crate::net::listener::{Bound, ListenError, PortSharing, TcpListenOptions, bind_tcp};
use crate::net::socket::DEFER_ACCEPT_DEFAULT;
use crate::pool::{WorkerId, janitor};
use crate::pooler::{Parts, Pooler};
use crate::process::{Signal, Signals};
use crate::telemetry::events;
use crate::telemetry::log::{LogSettings, install};

/// Serves until it is told to stop.
pub fn serve(arguments: &Serve) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            events::fatal(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Serve) -> Result<(), Box<dyn std::error::Error>> {
    let path = arguments.config.to_string_lossy();
    let environment: Vec<_> = std::env::vars().collect();
    let log = install(&LogSettings {
        verbose: arguments.verbose,
        ..LogSettings::default()
    })?;
    let loaded =
        config::load(&|name: &str| std::fs::read(name), &path, &environment).map_err(|all| {
            all.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })?;
    for warning in &loaded.warnings {
        events::config_warning(warning);
    }
    let config = loaded.config;
    crate::process::identity::assume(config.settings.user.as_deref())?;
    let count = workers(&config);
    let bound = listen(&config)?;
    let mut random = [0; 32];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("no random bytes"))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let now = Instant::now().into_std();
    let super::tls::Tls {
        client: client_tls,
        server: server_tls,
    } = super::tls::build(&config)?;
    let users = config.settings.auth_file.clone();
    let pooler = Pooler::new(Parts {
        config,
        client_tls,
        server_tls,
        random,
        workers: count,
        now,
    });
    if let Some(file) = users {
        pooler
            .credentials
            .replace_file(userlist::parse(&std::fs::read(file)?));
    }
    let workers = (0..count)
        .map(|number| {
            let number = WorkerId(u16::try_from(number).unwrap_or(u16::MAX));
            Worker::start(Arc::clone(&pooler), Consoles::default(), number)
        })
        .collect::<io::Result<Vec<_>>>()?;
    pooler.start_workers(workers.iter().map(Worker::runtime).collect());
    let workers: Arc<[Worker]> = workers.into();
    runtime.block_on(attend(&pooler, bound, &workers))?;
    log.flush();
    Ok(())
}

/// The main thread's work: accept, let time pass in the pools, listen to signals.
async fn attend(
    pooler: &Arc<Pooler>,
    bound: Vec<Bound>,
    workers: &Arc<[Worker]>,
) -> io::Result<()> {
    for listener in bound {
        tokio::spawn(accept(listener.register()?, Arc::clone(workers)));
    }
    tokio::spawn(janitor::run(pooler.pools.clone()));
    events::process_up();
    let mut signals = Signals::listen()?;
    loop {
        match signals.next().await {
            Signal::Immediate | Signal::WaitForClients | Signal::WaitForServers => return Ok(()),
            Signal::Reload | Signal::Pause | Signal::Resume => {}
        }
    }
}

fn workers(config: &Config) -> usize {
    match config.settings.workers {
        Workers::Count(count) => count.get(),
        Workers::Auto => thread::available_parallelism().map_or(1, NonZeroUsize::get),
    }
}

fn listen(config: &Config) -> Result<Vec<Bound>, ListenError> {
    let settings = &config.settings;
    let backlog = i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX);
    let options = TcpListenOptions {
        port: settings.listen_port,
        backlog,
        sharing: match settings.so_reuseport {
            true => PortSharing::Shared,
            false => PortSharing::Exclusive,
        },
        defer_accept: settings.tcp_defer_accept.then_some(DEFER_ACCEPT_DEFAULT),
    };
    let mut all = Vec::new();
    for address in &settings.listen_addr {
        for bound in bind_tcp(address, &options)? {
            if let Some(address) = bound.address() {
                events::listening(&address);
            }
            all.push(bound);
        }
    }
    if let Some(dir) = &settings.unix_socket_dir {
        let dir = match dir {
            SocketDir::Path(path) => path.clone(),
            SocketDir::Abstract(name) => format!("@{name}"),
        };
        let (bound, place) = bind_unix(&UnixListenOptions {
            dir,
            port: settings.listen_port,
            mode: settings.unix_socket_mode,
            group: settings.unix_socket_group.clone(),
            backlog,
        })?;
        announce(&place);
        all.push(bound);
    }
    Ok(all)
}

fn announce(place: &UnixPlace) {
    events::listening(&format_args!("unix:{}", place.display().display()));
}
