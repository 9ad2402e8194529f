//! Load for poolers: a stand-in for `PostgreSQL`, and clients that ask, log in, or just stay.
//!
//! It is built to be cheap: one thread, one read and one write for a query, no work that grows
//! with what is asked. `benches/compare/run` builds it and starts it.

mod answers;
mod backend;
mod chaos;
mod client;
mod error;
mod idle;
mod json;
mod latency;
mod login;
mod logins;
mod options;
mod queries;
mod scrape;
mod session;
mod socket;
mod swarm;
mod wire;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use error::LoadError;
use login::Credentials;
use options::Options;
use swarm::{Swarm, Target};
use wire::Mode;

fn main() -> ExitCode {
    let outcome = run();
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // Nobody is left to tell where that fails too.
    drop(writeln!(std::io::stderr(), "load: {error}"));
    ExitCode::FAILURE
}

fn run() -> Result<(), LoadError> {
    let (command, mut options) = Options::parse(std::env::args().skip(1))?;
    match command.as_str() {
        "backend" => {
            let port = options.need("port")?;
            options.finish()?;
            backend::serve(port)
        }
        "queries" => {
            let plan = plan(&mut options)?;
            queries::run(&mut swarm(options)?, &plan)
        }
        "logins" => {
            let clients = options.need("clients")?;
            let duration = seconds(&mut options, "seconds", 5.0)?;
            logins::run(&mut swarm(options)?, clients, duration)
        }
        "idle" => {
            let clients = options.need("clients")?;
            let queries = options.take("queries", 0)?;
            idle::hold(&mut swarm(options)?, clients, queries)
        }
        "chaos" => {
            let clients = options.need("clients")?;
            let duration = seconds(&mut options, "seconds", 60.0)?;
            chaos::run(target(options)?, clients, duration)
        }
        "scrape" => {
            let rate = options.take("rate", 1.0)?;
            scrape::run(target(options)?.port, rate)
        }
        _ => Err(LoadError::Usage(options::USAGE.to_owned())),
    }
}

fn plan(options: &mut Options) -> Result<queries::Plan, LoadError> {
    let depth = options.take("depth", 1)?;
    let sql = options.take("sql", "SELECT 1".to_owned())?;
    let mode = match options.take("mode", "simple".to_owned())?.as_str() {
        "simple" => Mode::Simple,
        "extended" => Mode::Extended,
        "prepared" => Mode::Prepared,
        other => return Err(LoadError::Usage(format!("--mode: not {other:?}"))),
    };
    Ok(queries::Plan {
        clients: options.need("clients")?,
        depth,
        script: wire::script(mode, &sql, depth),
        warm_up: seconds(options, "warm-up", 0.5)?,
        duration: seconds(options, "seconds", 5.0)?,
    })
}

fn seconds(options: &mut Options, name: &str, default: f64) -> Result<Duration, LoadError> {
    let seconds = options.take(name, default)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| LoadError::Usage(format!("--{name}: not {seconds}")))
}

fn target(mut options: Options) -> Result<Target, LoadError> {
    let user = options.take("user", "bench".to_owned())?;
    let database = options.take("database", "bench".to_owned())?;
    let port = options.need("port")?;
    options.finish()?;
    let password = std::env::var("PGPASSWORD").unwrap_or_default();
    Ok(Target {
        port,
        who: Credentials::new(user, database, password),
    })
}

fn swarm(options: Options) -> Result<Swarm, LoadError> {
    let seed = u64::from(std::process::id()) << 32;
    Swarm::new(target(options)?, seed)
}
