//! The demo from beginning to end.

use std::io::{self, Write};
use std::path::Path;

use super::account::Account;
use super::bench::{CLIENTS, SCALE};
use super::binaries::{Binaries, Unusable};
use super::cluster::{ClusterError, Installation, free_port, is_free};
use super::error::DemoError;
use super::fetch::{Route, fetch};
use super::interrupt::{Interrupt, SignalWatch};
use super::options::DemoOptions;
use super::pooler::POOL_SIZE;
use super::search::Surroundings;
use super::stage::Stage;
use super::table::{Row, render};

/// The port that poolers of this kind are expected on.
const USUAL_PORT: u16 = 6432;

/// Runs the demo and prints to `out`; returns once everything is stopped and cleaned up.
pub fn run(options: &DemoOptions, out: &mut impl Write) -> Result<(), DemoError> {
    let interrupt = Interrupt::default();
    let watch = SignalWatch::start(interrupt.clone()).map_err(DemoError::Signals)?;
    let outcome = run_until_interrupted(options, &interrupt, out);
    watch.finish();
    match outcome {
        // Whatever the signal made fail first, the signal is the reason.
        Err(_) if interrupt.check().is_err() => Err(DemoError::Interrupted),
        outcome => outcome,
    }
}

fn run_until_interrupted(
    options: &DemoOptions,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    let port = choose_port(options.port)?;
    let installation = installation(options, interrupt, out)?;
    let mut stage = Stage::set_up(&installation, options, port, out)?;
    let rows = stage.measure(options, out)?;
    report(&rows, out)?;
    if !options.once {
        stage.stay(out)?;
    }
    stage.strike(out)
}

fn choose_port(wanted: Option<u16>) -> Result<u16, DemoError> {
    match wanted {
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(DemoError::PortTaken(port)),
        None if is_free(USUAL_PORT) => Ok(USUAL_PORT),
        None => Ok(free_port().map_err(ClusterError::NoPort)?),
    }
}

fn installation(
    options: &DemoOptions,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<Installation, DemoError> {
    let account = Account::choose(options.run_as.as_deref())?;
    let surroundings = Surroundings::from_environment(&account);
    let cache = surroundings.cache.as_deref();
    let binaries = match (options.fetch, Binaries::find(&surroundings, &account)) {
        (Some(route), _) => fetch(&[route], cache, &account, interrupt, out)?,
        (None, Ok(binaries)) => binaries,
        // Whoever names a directory wants that one or none.
        (None, Err(refused)) if surroundings.wanted.is_some() => {
            return Err(ClusterError::NotInstalled { refused }.into());
        }
        (None, Err(refused)) => {
            announce_fetch(&refused, cache, out)?;
            fetch(&Route::ALL, cache, &account, interrupt, out)?
        }
    };
    let version = binaries.version();
    write!(
        out,
        "PostgreSQL {version} from {}",
        binaries.dir().display()
    )?;
    match &account {
        Account::Myself => writeln!(out)?,
        Account::Other { name, .. } => writeln!(out, ", run as user {name}")?,
    }
    Ok(Installation {
        binaries,
        account,
        interrupt: interrupt.clone(),
    })
}

fn announce_fetch(
    refused: &[Unusable],
    cache: Option<&Path>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "No PostgreSQL server that can be used is installed.")?;
    for unusable in refused {
        writeln!(out, "  {unusable}")?;
    }
    if let Some(cache) = cache {
        writeln!(
            out,
            "Fetching one into {}; nothing is installed.",
            cache.display()
        )?;
    }
    out.flush()
}

fn report(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    write!(out, "\n{}\n", render(rows))?;
    writeln!(
        out,
        "pgweir shares {POOL_SIZE} server connections among {CLIENTS} clients (transaction \
         pooling).\nEverything runs on this one machine, pgbench too (scale {SCALE}, fsync off): \
         an illustration,\nnot a benchmark."
    )?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_port_asked_for_is_taken_or_refused_but_never_replaced() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(choose_port(Some(port)), Err(DemoError::PortTaken(p)) if p == port));
        let free = free_port().unwrap();
        assert_eq!(choose_port(Some(free)).unwrap(), free);
        assert!(is_free(choose_port(None).unwrap()));
    }
}
