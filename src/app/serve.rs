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
use super::host::{Host, HostParts, tell_finding};
use super::logging::{LogFlags, log_settings};
use super::reload::{Source, starting_users};
use super::shutdown::Shutdown;
use super::stats::keep_averages;
use super::tls::{self, Tls};
use super::worker::Worker;
use crate::cli::{Chatter, Serve};
use crate::config::{Config, SocketDir, Workers};
use crate::net::listener::unix::{UnixListenOptions, UnixPlace, bind_unix};
use crate::net::listener::{Bound, ListenError, PortSharing, TcpListenOptions, bind_tcp};
use crate::net::socket::DEFER_ACCEPT_DEFAULT;
use crate::pool::{WorkerId, janitor};
use crate::pooler::{Parts, Pooler};
use crate::process::{Signals, identity, systemd};
use crate::telemetry::events;
use crate::telemetry::log::install;
use crate::telemetry::writer::Stderr;

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
    let flags = LogFlags {
        verbose: arguments.verbose,
        stderr: match arguments.chatter {
            Chatter::Spoken => Stderr::On,
            Chatter::Quiet => Stderr::Off,
        },
    };
    let log = install(&log_settings(&Config::default(), flags))?;
    let source = source(arguments);
    let loaded = source.load().map_err(|found| {
        found.iter().for_each(tell_finding);
        "cannot load config file"
    })?;
    loaded.warnings.iter().for_each(tell_finding);
    let config = loaded.config;
    log.apply(&log_settings(&config, flags))?;
    identity::assume(config.settings.user.as_deref())?;
    let count = workers(&config);
    let bound = listen(&config)?;
    let (users, wrong) = starting_users(&config);
    if let Some(wrong) = &wrong {
        events::config_error(wrong);
    }
    let mut random = [0; 32];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("no random bytes"))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let Tls { client, server } = tls::build(&config)?;
    let pooler = Pooler::new(Parts {
        config,
        client_tls: client,
        server_tls: server,
        random,
        workers: count,
        now: Instant::now().into_std(),
    });
    pooler.credentials.replace_file(users);
    let host = Host::new(HostParts {
        pooler: Arc::clone(&pooler),
        source,
        log: log.clone(),
        flags,
        shutdown: Shutdown::default(),
    });
    let workers = (0..count)
        .map(|number| {
            let number = WorkerId(u16::try_from(number).unwrap_or(u16::MAX));
            Worker::start(Arc::clone(&pooler), Consoles::new(host.clone()), number)
        })
        .collect::<io::Result<Vec<_>>>()?;
    pooler.start_workers(workers.iter().map(Worker::runtime).collect());
    runtime.block_on(attend(&host, bound, &workers.into()))?;
    log.flush();
    Ok(())
}

fn source(arguments: &Serve) -> Source {
    let user = arguments.user.iter();
    let overrides = user.map(|user| ("user".to_owned(), user.clone()));
    Source::new(arguments.config.to_string_lossy(), overrides.collect())
}

/// The main thread's work: accept, let time pass in the pools, listen to signals.
async fn attend(host: &Host, bound: Vec<Bound>, workers: &Arc<[Worker]>) -> io::Result<()> {
    let pooler = host.pooler();
    for bound in bound {
        let accepting = accept(bound.register()?, Arc::clone(workers));
        tokio::spawn(accepting);
    }
    tokio::spawn(janitor::run(pooler.pools.clone()));
    host.open_minimum(&pooler.config());
    let mut signals = Signals::listen()?;
    events::process_up();
    // Without a service manager there is nobody to tell.
    drop(systemd::ready());
    let obey = async {
        loop {
            let signal = signals.next().await;
            host.obey(signal).await;
        }
    };
    // Nothing is lost with what is dropped: the process ends.
    tokio::select! {
        () = host.way_out().finished(pooler) => {}
        () = obey => {}
        never = keep_averages(pooler) => match never {},
    }
    Ok(())
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
