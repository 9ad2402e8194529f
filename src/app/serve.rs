//! `pgweir FILE`: from the configuration to a process that serves, and to its end.

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::acceptor::{PORTER, accept};
use super::console::Consoles;
use super::host::change::tell_finding;
use super::host::{Host, HostParts};
use super::http;
use super::listening::{Listening, listen};
use super::logging::{LogFlags, log_settings};
use super::reload::{Source, starting_users};
use super::shutdown::Shutdown;
use super::stats::keep_averages;
use super::tls::{self, Tls, TlsSetupError};
use super::worker::Worker;
use crate::cli::{Chatter, Place, Serve};
use crate::config::{Config, Workers};
use crate::http::DoorError;
use crate::net::Listener;
use crate::net::listener::{Bound, ListenError};
use crate::pool::{WorkerId, janitor};
use crate::pooler::servers::socket_options;
use crate::pooler::{Parts, Pooler, monitor};
use crate::process::limits::raise_descriptors;
use crate::process::pid_file::Stale;
use crate::process::{
    DaemonError, IdentityError, PidFile, PidFileError, Readiness, Signals, daemon, identity,
    systemd,
};
use crate::telemetry::events::{self, DescriptorLimits};
use crate::telemetry::log::{LogError, LogHandle, LogSettings, install};
use crate::telemetry::writer::Stderr;

/// Why the process does not serve. The operator is told on one line.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration has errors, each of which has been told.
    #[error("cannot load config file")]
    Config,
    /// `-d` without a pid file could not be found again.
    #[error("daemon needs pidfile configured")]
    NoPidFile,
    /// The process cannot go to the background.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// It should not, or cannot, run as this user.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Another instance runs.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// A socket cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// HTTP cannot be served.
    #[error(transparent)]
    Http(#[from] DoorError),
    /// There is nothing to listen on.
    #[error("nowhere to listen on")]
    Nowhere,
    /// A certificate or key is wrong.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A thread, a runtime or signals could not be had.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// The machine gave no random bytes.
    #[error("the system gives no random numbers")]
    NoRandom,
}

/// Serves until it is told to stop.
pub fn serve(arguments: &Serve) -> ExitCode {
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the log was installed as configured, it goes to standard error alone.
            drop(install(&LogSettings::default()));
            events::fatal(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Serve) -> Result<(), ServeError> {
    let source = source(arguments);
    let loaded = source.load().map_err(|found| {
        drop(install(&LogSettings::default()));
        found.iter().for_each(tell_finding);
        ServeError::Config
    })?;
    let config = loaded.config;
    let readiness = daemon::in_background()?;
    if arguments.place == Place::Background && readiness.is_none() {
        if config.settings.pidfile.is_none() {
            return Err(ServeError::NoPidFile);
        }
        daemon::start_in_background()?;
        return Ok(());
    }
    // The user changes before any file is made and any thread is started.
    identity::assume(config.settings.user.as_deref())?;
    let quiet = arguments.chatter == Chatter::Quiet || readiness.is_some();
    let flags = LogFlags {
        verbose: arguments.verbose,
        stderr: if quiet { Stderr::Off } else { Stderr::On },
    };
    let log = install(&log_settings(&config, flags))?;
    loaded.warnings.iter().for_each(tell_finding);
    let outcome = run(config, source, (flags, log.clone()), readiness);
    log.flush();
    outcome
}

fn source(arguments: &Serve) -> Source {
    let user = arguments
        .user
        .iter()
        .map(|user| ("user".to_owned(), user.clone()));
    Source::new(arguments.config.to_string_lossy(), user.collect())
}

/// What the main thread works with.
struct Post {
    runtime: Runtime,
    signals: Signals,
    readiness: Option<Readiness>,
}

/// With user, log and configuration in place: takes what must be given back at the end.
fn run(
    config: Config,
    source: Source,
    log: (LogFlags, LogHandle),
    readiness: Option<Readiness>,
) -> Result<(), ServeError> {
    tell_limits(&config);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before anybody can know of this process: a signal must not end it and leave its files behind.
    let signals = {
        let _entered = runtime.enter();
        Signals::listen()?
    };
    let post = Post {
        runtime,
        signals,
        readiness,
    };
    let pid_file = match &config.settings.pidfile {
        Some(path) => Some(take_pid_file(Path::new(path))?),
        None => None,
    };
    let outcome = listen(&config)
        .map_err(ServeError::from)
        .and_then(|listening| {
            let Listening { bound, place } = listening;
            let served = compose(config, source, log, (bound, post));
            if let Some(Err(error)) = place.map(|place| place.remove()) {
                events::internal_error("removing the unix socket", &error);
            }
            served
        });
    if let Some(Err(error)) = pid_file.map(PidFile::remove) {
        events::internal_error("removing the pid file", &error);
    }
    outcome
}

fn take_pid_file(path: &Path) -> Result<PidFile, ServeError> {
    let (file, stale) = PidFile::take(path)?;
    if stale == Stale::Removed {
        events::stale_pid_file();
    }
    Ok(file)
}

fn tell_limits(config: &Config) {
    let Ok(limits) = raise_descriptors() else {
        return;
    };
    let clients = config.settings.max_client_conn as u64;
    let pools = config.databases.len().max(1) as u64;
    let expected = clients + pools * config.settings.default_pool_size as u64;
    events::descriptor_limits(&DescriptorLimits {
        soft: limits.soft,
        hard: limits.hard,
        max_client_conn: clients,
        expected,
    });
}

/// Builds every part once, and serves.
fn compose(
    config: Config,
    source: Source,
    (flags, log): (LogFlags, LogHandle),
    (bound, post): (Vec<Bound>, Post),
) -> Result<(), ServeError> {
    if bound.is_empty() {
        return Err(ServeError::Nowhere);
    }
    let mut random = [0; 32];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| ServeError::NoRandom)?;
    let http = http::open(&config)?;
    let Tls {
        client: client_tls,
        server: server_tls,
    } = tls::build(&config)?;
    let count = workers(&config);
    let (users, wrong) = starting_users(&config);
    if let Some(wrong) = wrong {
        events::config_error(&wrong);
    }
    let now = Instant::now().into_std();
    let pooler = Pooler::new(Parts {
        config,
        client_tls,
        server_tls,
        random,
        workers: count,
        now,
    });
    pooler.credentials.replace_file(users);
    let shutdown = Shutdown::default();
    let parts = HostParts {
        pooler: Arc::clone(&pooler),
        source,
        log,
        flags,
        shutdown,
    };
    let host = Host::new(parts);
    let workers = (0..count)
        .map(|number| {
            let number = WorkerId(u16::try_from(number).unwrap_or(u16::MAX));
            Worker::start(Arc::clone(&pooler), Consoles::new(host.clone()), number)
        })
        .collect::<io::Result<Vec<_>>>()?;
    pooler.start_workers(workers.iter().map(Worker::runtime).collect());
    if let Some(door) = http {
        http::start(door, host.clone())?;
    }
    let Post {
        runtime,
        signals,
        readiness,
    } = post;
    runtime.block_on(attend(&host, bound, workers.into(), (signals, readiness)))
}

/// The main thread's work: accept, let time pass, obey signals, until the process may end.
async fn attend(
    host: &Host,
    bound: Vec<Bound>,
    workers: Arc<[Worker]>,
    (mut signals, readiness): (Signals, Option<Readiness>),
) -> Result<(), ServeError> {
    let pooler = host.pooler();
    let mut doors = JoinSet::new();
    let mut back_doors = JoinSet::new();
    let porter = workers.get(PORTER).ok_or(ServeError::Nowhere)?.runtime();
    let options = socket_options(&pooler.config());
    for socket in bound {
        let listener = {
            let _on = porter.enter();
            socket.register(&options)?
        };
        let set = match &listener {
            Listener::Tcp(_) => &mut doors,
            Listener::Unix(_) => &mut back_doors,
        };
        set.spawn_on(accept(listener, Arc::clone(&workers)), &porter);
    }
    host.open_minimum(&pooler.config());
    events::process_up();
    // Without a service manager there is nobody to tell.
    drop(systemd::ready());
    readiness.map(Readiness::report).transpose()?;
    let obey = async {
        loop {
            host.obey(signals.next().await).await;
        }
    };
    let close_doors = async {
        host.way_out().begun().await;
        doors.shutdown().await; // the unix socket stays, for the console
        std::future::pending::<()>().await;
    };
    // All are cancel-safe: the process ends with the first that is ready, which is `finished`.
    tokio::select! {
        () = host.way_out().finished(pooler) => {}
        () = obey => {}
        () = close_doors => {}
        _ = janitor::run(pooler.pools.clone()) => {}
        _ = keep_averages(pooler) => {}
        _ = monitor::run(pooler) => {}
        _ = host.take_found_replicas() => {}
    }
    Ok(())
}

fn workers(config: &Config) -> usize {
    match config.settings.workers {
        Workers::Count(count) => count.get(),
        Workers::Auto => suited_to(thread::available_parallelism().map_or(1, NonZeroUsize::get)),
    }
}

/// Workers for a machine of so many cores.
///
/// One for each; but with two cores the second one is for the server, the application and the
/// system's network. Two workers there, each half idle, wake up more often for the same work.
fn suited_to(cores: usize) -> usize {
    match cores {
        0..=2 => 1,
        many => many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cores_have_one_worker() {
        assert_eq!([0, 1, 2, 3, 4, 64].map(suited_to), [1, 1, 1, 3, 4, 64]);
    }
}
