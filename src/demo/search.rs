//! Where `PostgreSQL` programs may lie on this machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::binaries::Tool;
use super::interrupt::Interrupt;
use super::process;
use super::version::Version;

/// The environment variable that names a directory of `PostgreSQL` programs to use.
pub const BIN_VARIABLE: &str = "PGWEIR_PG_BIN";

/// `pg_config` answers at once, unless the machine is badly overloaded.
const CONFIG_LIMIT: Duration = Duration::from_secs(20);

/// Where to look, read from the environment once.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// [`BIN_VARIABLE`]: when set, nothing else is looked at.
    pub wanted: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// The directory that fetched servers are kept in, when there is a place for one.
    pub cache: Option<PathBuf>,
}

impl Surroundings {
    /// What this process's environment says.
    pub fn from_environment(account: &Account) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let home_cache = match account {
            // root's home is closed to the account that servers run as.
            Account::Other { .. } => Some(PathBuf::from("/var/cache")),
            Account::Myself => variable("HOME").map(|home| PathBuf::from(home).join(".cache")),
        };
        let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).or(home_cache);
        Self {
            wanted: variable(BIN_VARIABLE).map(PathBuf::from),
            path: variable("PATH"),
            cache: cache.map(|dir| dir.join("pgweir")),
        }
    }
}

/// Directories that may hold a server, best first, without repetitions.
pub(super) fn candidates(surroundings: &Surroundings) -> Vec<PathBuf> {
    if let Some(wanted) = &surroundings.wanted {
        return vec![wanted.clone()];
    }
    let mut dirs = from_path(surroundings.path.as_deref().unwrap_or_default());
    dirs.extend(versioned(Path::new("/usr/lib/postgresql"), "", &["bin"]));
    dirs.extend(versioned(Path::new("/usr"), "pgsql-", &["bin"]));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt"] {
        dirs.extend(versioned(Path::new(prefix), "postgresql@", &["bin"]));
    }
    if let Some(cache) = &surroundings.cache {
        dirs.extend(cached(cache));
    }
    let mut seen = Vec::new();
    dirs.retain(|dir| {
        let new = !seen.contains(dir);
        seen.push(dir.clone());
        new
    });
    dirs
}

/// Programs of fetched servers in the cache directory, newest first.
pub fn cached(cache: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for root in versioned(cache, "postgresql-", &[]) {
        dirs.extend(programs_in(&root));
    }
    dirs
}

/// The directories of programs in an unpacked tree: of a plain build, or of Debian's packages.
pub fn programs_in(root: &Path) -> Vec<PathBuf> {
    let mut dirs = vec![root.join("bin")];
    let debian = root.join("usr/lib/postgresql");
    dirs.extend(versioned(&debian, "", &["bin"]));
    dirs.retain(|dir| dir.join(Tool::Postgres.name()).is_file());
    dirs
}

/// Where `PATH` leads: to `pg_config`'s programs, and to the real place of each `postgres`.
fn from_path(path: &std::ffi::OsStr) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for entry in std::env::split_paths(path) {
        let config = entry.join("pg_config");
        if config.is_file() {
            dirs.extend(configured_bindir(&config));
        }
    }
    for entry in std::env::split_paths(path) {
        // A lone symbolic link in `/usr/local/bin` leads to where the other programs are.
        let real = fs::canonicalize(entry.join(Tool::Postgres.name()));
        dirs.extend(real.ok().and_then(|real| Some(real.parent()?.to_owned())));
    }
    // `pg_config` also comes with the client's headers alone.
    dirs.retain(|dir| dir.join(Tool::Postgres.name()).is_file());
    dirs
}

fn configured_bindir(config: &Path) -> Option<PathBuf> {
    let mut command = Command::new(config);
    command.arg("--bindir");
    let output = process::run(command, CONFIG_LIMIT, &Interrupt::never()).ok()?;
    let bindir = output.stdout.trim();
    (!bindir.is_empty()).then(|| PathBuf::from(bindir))
}

/// `<parent>/<prefix><version>/<rest>` for each version there is, newest first.
fn versioned(parent: &Path, prefix: &str, rest: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<(Version, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?;
            let dir = rest.iter().fold(entry.path(), |dir, part| dir.join(part));
            Some((Version::parse(version)?, dir))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::scratch::Scratch;

    fn scratch() -> Scratch {
        Scratch::new(&std::env::temp_dir(), "pgweir-search-", &Account::Myself).unwrap()
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn the_directory_asked_for_is_the_only_candidate() {
        let surroundings = Surroundings {
            wanted: Some(PathBuf::from("/somewhere/bin")),
            ..Surroundings::default()
        };
        assert_eq!(candidates(&surroundings), [PathBuf::from("/somewhere/bin")]);
    }

    #[test]
    fn the_newest_fetched_server_comes_first_whatever_its_layout() {
        let cache = scratch();
        let plain = cache.path().join("postgresql-9.6/bin");
        let debian = cache
            .path()
            .join("postgresql-15.20/usr/lib/postgresql/15/bin");
        touch(&plain.join("postgres"));
        touch(&debian.join("postgres"));
        touch(&cache.path().join("postgresql-99/bin/psql"));
        touch(&cache.path().join("fetch-17.1/bin/postgres"));
        assert_eq!(cached(cache.path()), [debian, plain]);
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_real_directory() {
        let dir = scratch();
        let real = dir.path().join("real/bin");
        touch(&real.join("postgres"));
        let links = dir.path().join("links");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(real.join("postgres"), links.join("postgres")).unwrap();
        assert_eq!(
            from_path(links.as_os_str()),
            [fs::canonicalize(real).unwrap()]
        );
    }
}
