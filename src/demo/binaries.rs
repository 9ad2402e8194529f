//! Checks `PostgreSQL` programs, and starts them in a known environment.
//!
//! Where they may lie is `search`'s matter.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::interrupt::Interrupt;
use super::process::{self, ProcessError};
use super::search::{Surroundings, candidates};
use super::version::{OLDEST, Version};

/// `--version` answers at once, unless the machine is badly overloaded.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// The programs that a demo needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Makes data directories.
    Initdb,
    /// The server.
    Postgres,
    /// Copies a running primary into a replica.
    PgBasebackup,
    /// The load generator.
    Pgbench,
    /// The terminal client.
    Psql,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Initdb,
        Self::Postgres,
        Self::PgBasebackup,
        Self::Pgbench,
        Self::Psql,
    ];

    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initdb => "initdb",
            Self::Postgres => "postgres",
            Self::PgBasebackup => "pg_basebackup",
            Self::Pgbench => "pgbench",
            Self::Psql => "psql",
        }
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Programs are missing.
    #[error("{}: no {}", .dir.display(), names(.tools))]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// What is not there.
        tools: Vec<Tool>,
    },
    /// The server is a script, whose process id is not the server's.
    #[error("{}: postgres is a script", .dir.display())]
    Script {
        /// The directory.
        dir: PathBuf,
    },
    /// A program does not run.
    #[error("{}: {error}", .dir.display())]
    DoesNotRun {
        /// The directory.
        dir: PathBuf,
        /// How it failed.
        error: ProcessError,
    },
    /// A program does not say which version it is.
    #[error("{}: {} says {said:?} for a version", .dir.display(), .tool.name())]
    UnknownVersion {
        /// The directory.
        dir: PathBuf,
        /// The program.
        tool: Tool,
        /// Its answer.
        said: String,
    },
    /// The server is too old.
    #[error("{}: version {version}, {OLDEST} or newer is needed", .dir.display())]
    TooOld {
        /// The directory.
        dir: PathBuf,
        /// Its version.
        version: Version,
    },
}

fn names(tools: &[Tool]) -> String {
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    names.join(", ")
}

/// A directory with all the programs of one version, each of which runs.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
    libraries: Vec<PathBuf>,
    version: Version,
}

impl Binaries {
    /// The first usable directory, or why each directory that looked like one is not.
    pub fn find(surroundings: &Surroundings, account: &Account) -> Result<Self, Vec<Unusable>> {
        let mut refused = Vec::new();
        for dir in candidates(surroundings) {
            match Self::probe(&dir, account) {
                Ok(binaries) => return Ok(binaries),
                Err(unusable) => refused.push(unusable),
            }
        }
        Err(refused)
    }

    /// Checks one directory by running every program in it as `account`.
    pub fn probe(dir: &Path, account: &Account) -> Result<Self, Unusable> {
        let dir = dir.to_owned();
        let tools: Vec<_> = Tool::ALL
            .into_iter()
            .filter(|tool| !dir.join(tool.name()).is_file())
            .collect();
        if !tools.is_empty() {
            return Err(Unusable::Missing { dir, tools });
        }
        if is_script(&dir.join(Tool::Postgres.name())) {
            return Err(Unusable::Script { dir });
        }
        let mut binaries = Self {
            libraries: libraries_of(&dir),
            dir,
            version: OLDEST,
        };
        for tool in Tool::ALL {
            let version = binaries.version_of(tool, account)?;
            if tool == Tool::Postgres {
                binaries.version = version;
            }
        }
        if binaries.version < OLDEST {
            let Self { dir, version, .. } = binaries;
            return Err(Unusable::TooOld { dir, version });
        }
        Ok(binaries)
    }

    fn version_of(&self, tool: Tool, account: &Account) -> Result<Version, Unusable> {
        let mut command = self.command(tool, account, Path::new("/"));
        command.arg("--version");
        let output = process::run(command, VERSION_LIMIT, &Interrupt::never());
        let output = output.map_err(|error| Unusable::DoesNotRun {
            dir: self.dir.clone(),
            error,
        })?;
        Version::from_banner(&output.stdout).ok_or_else(|| Unusable::UnknownVersion {
            dir: self.dir.clone(),
            tool,
            said: process::tail(&output.stdout),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value of `LD_LIBRARY_PATH` that the programs need, if they do not find their libraries.
    pub fn library_path(&self) -> Option<OsString> {
        if self.libraries.is_empty() {
            return None;
        }
        std::env::join_paths(&self.libraries).ok()
    }

    /// A command that runs `tool` as `account` in the directory `cwd`, in a clean environment:
    /// nobody's `PGHOST` or `PGOPTIONS` decides which server a test talks to.
    pub fn command(&self, tool: Tool, account: &Account, cwd: &Path) -> Command {
        let mut command = Command::new(self.dir.join(tool.name()));
        command.env_clear().current_dir(cwd);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", cwd).env("LC_ALL", "C");
        if let Some(libraries) = self.library_path() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        account.apply(&mut command);
        command
    }
}

/// Directories of libraries that came together with the programs in `bin`.
///
/// Without them a fetched server would load the machine's libpq, which may be older than it.
fn libraries_of(bin: &Path) -> Vec<PathBuf> {
    // The system's own directories are searched anyway.
    if bin.starts_with("/usr/bin") || bin.starts_with("/usr/lib") {
        return Vec::new();
    }
    let plain = bin.parent().map(|prefix| prefix.join("lib"));
    let mut dirs: Vec<_> = plain.into_iter().collect();
    // Debian's packages unpacked: usr/lib/postgresql/15/bin beside usr/lib/x86_64-linux-gnu, and
    // some libraries in lib/x86_64-linux-gnu.
    let debian = bin.ancestors().nth(3).map(fs::read_dir);
    for entry in debian.into_iter().flatten().flatten().flatten() {
        dirs.push(entry.path());
    }
    dirs.retain(|dir| dir.join("libpq.so.5").exists());
    if let Some(root) = bin.ancestors().nth(5) {
        let twins: Vec<_> = dirs
            .iter()
            .filter_map(|dir| Some(root.join("lib").join(dir.file_name()?)))
            .filter(|twin| twin.is_dir() && !dirs.contains(twin))
            .collect();
        dirs.extend(twins);
    }
    dirs
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::scratch::Scratch;

    fn scratch() -> Scratch {
        Scratch::new(&std::env::temp_dir(), "pgweir-binaries-", &Account::Myself).unwrap()
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
    }

    #[test]
    fn a_directory_without_all_programs_is_refused_by_their_names() {
        let dir = scratch();
        touch(&dir.path().join("postgres"));
        touch(&dir.path().join("psql"));
        let error = Binaries::probe(dir.path(), &Account::Myself).unwrap_err();
        let missing = "no initdb, pg_basebackup, pgbench";
        assert!(error.to_string().ends_with(missing), "{error}");
    }

    #[test]
    fn a_script_in_the_server_s_place_is_refused() {
        let dir = scratch();
        for tool in Tool::ALL {
            touch(&dir.path().join(tool.name()));
        }
        let error = Binaries::probe(dir.path(), &Account::Myself).unwrap_err();
        assert!(matches!(error, Unusable::Script { .. }), "{error}");
    }

    #[test]
    fn libraries_are_found_beside_the_programs_but_never_for_system_programs() {
        let root = scratch();
        let bin = root.path().join("bin");
        touch(&root.path().join("lib/libpq.so.5"));
        assert_eq!(libraries_of(&bin), [root.path().join("lib")]);

        let debian = scratch();
        let usr_lib = debian.path().join("usr/lib");
        touch(&usr_lib.join("x86_64-linux-gnu/libpq.so.5"));
        let lib = debian.path().join("lib/x86_64-linux-gnu");
        touch(&lib.join("libcom_err.so.2"));
        let found = libraries_of(&usr_lib.join("postgresql/15/bin"));
        assert_eq!(found, [usr_lib.join("x86_64-linux-gnu"), lib]);

        assert!(libraries_of(Path::new("/usr/lib/postgresql/15/bin")).is_empty());
    }
}
