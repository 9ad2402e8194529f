//! The configuration with all that it names: file, environment, users, TLS files. All or nothing.
//!
//! Not here: reading the ini (`config`), putting a new configuration into force (`host`).

use std::path::Path;

use crate::auth::userlist::{self, BrokenAt, Userlist};
use crate::config::{self, Config, Diagnostic, Loaded, Origin};
use crate::process::daemon;

use super::tls::{self, Tls, TlsSetupError};

/// Where the configuration comes from: fixed for the life of the process, but for the file's name,
/// which the setting `conffile` can change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The file named on the command line.
    pub path: String,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// Settings of the command line, by name; they win over everything else.
    pub overrides: Vec<(String, String)>,
}

/// Why the users of `auth_file` could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("could not open auth_file {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is wrong. The users before it were read.
    #[error("{path}: {broken}")]
    Broken {
        /// The file.
        path: String,
        /// Where, and what is wrong.
        broken: BrokenAt,
        /// The users before it.
        before: Userlist,
    },
}

/// Why a configuration cannot be put into force. The operator is to blame.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The file, the environment or the command line.
    #[error("the configuration has errors")]
    Config(Vec<Diagnostic>),
    /// `auth_file`.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// Certificates and keys.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// A configuration that has been read with all that it names.
#[derive(Debug)]
pub struct Prepared {
    /// The configuration.
    pub config: Config,
    /// What the operator should look at.
    pub warnings: Vec<Diagnostic>,
    /// The users of `auth_file`.
    pub users: Userlist,
    /// TLS of both sides.
    pub tls: Tls,
}

impl Source {
    /// A file, with the environment of this process.
    pub fn new(path: impl Into<String>, overrides: Vec<(String, String)>) -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let ours = name.starts_with(config::ENVIRONMENT_PREFIX) && name != daemon::MARK;
            ours.then_some((name, value.into_string().ok()?))
        });
        Self {
            path: path.into(),
            env: env.collect(),
            overrides,
        }
    }

    /// Reads the configuration. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// Everything that was found, when at least one of it is an error.
    pub fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        self.load_from(&self.path)
    }

    /// The same, from another file.
    pub fn load_from(&self, path: &str) -> Result<Loaded, Vec<Diagnostic>> {
        let read = |path: &str| std::fs::read(path);
        let Loaded {
            mut config,
            warnings,
        } = config::load(&read, path, &self.env)?;
        for (name, value) in &self.overrides {
            config = config.with_option(name, value).map_err(|error| {
                vec![Diagnostic::error(&Origin::CommandLine, error.to_string())]
            })?;
        }
        Ok(Loaded { config, warnings })
    }

    /// Reads the configuration again, from the file that `running` names, with all that it names.
    /// Blocks for as long as the disk takes.
    pub fn prepare(&self, running: &Config) -> Result<Prepared, PrepareError> {
        let path = running.settings.conffile.as_deref().unwrap_or(&self.path);
        let Loaded { config, warnings } = self.load_from(path).map_err(PrepareError::Config)?;
        let users = read_users(&config)?;
        let tls = tls::build(&config)?;
        Ok(Prepared {
            config,
            warnings,
            users,
            tls,
        })
    }
}

/// The users of `auth_file`; none where the setting is empty.
pub fn read_users(config: &Config) -> Result<Userlist, UsersError> {
    let Some(path) = &config.settings.auth_file else {
        return Ok(no_users());
    };
    let text = std::fs::read(Path::new(path)).map_err(|source| UsersError::Read {
        path: path.clone(),
        source,
    })?;
    let mut list = userlist::parse(&text);
    match list.broken.take() {
        Some(broken) => Err(UsersError::Broken {
            path: path.clone(),
            broken,
            before: list,
        }),
        None => Ok(list),
    }
}

/// The users with which the process starts, and what is wrong with the file: as in `PgBouncer` it
/// starts all the same, since the console and `auth_query` may work without it.
pub fn starting_users(config: &Config) -> (Userlist, Option<UsersError>) {
    match read_users(config) {
        Ok(list) => (list, None),
        Err(UsersError::Broken {
            path,
            broken,
            before,
        }) => {
            let wrong = UsersError::Broken {
                path,
                broken,
                before: no_users(),
            };
            (before, Some(wrong))
        }
        Err(wrong @ UsersError::Read { .. }) => (no_users(), Some(wrong)),
    }
}

/// What is wrong with the files that a configuration names, for `pgweir check`.
pub fn problems(config: &Config) -> Vec<String> {
    let users = read_users(config).err().map(|error| error.to_string());
    let tls = tls::build(config).err().map(|error| error.to_string());
    users.into_iter().chain(tls).collect()
}

fn no_users() -> Userlist {
    Userlist {
        entries: Vec::new(),
        broken: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> String {
            self.0.path().join(name).to_str().unwrap().to_owned()
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }

        fn source(&self, overrides: &[(&str, &str)]) -> Source {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Source {
                path: self.path("x.ini"),
                env: vec![("PGWEIR_LISTEN_PORT".into(), "7000".into())],
                overrides: overrides.iter().map(owned).collect(),
            }
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let files = Files::new();
        files.write("x.ini", "[pgbouncer]\nlisten_port=1\nuser=file\n");
        let loaded = files.source(&[("user", "flag")]).load().unwrap();
        assert_eq!(loaded.config.settings.listen_port, 7000);
        assert_eq!(loaded.config.settings.user.as_deref(), Some("flag"));
        let found = files.source(&[("nonsense", "1")]).load().unwrap_err();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["command line: unknown setting \"nonsense\""]);
    }

    #[test]
    fn a_reload_takes_users_and_certificates_or_nothing() {
        let files = Files::new();
        let auth = format!("[pgbouncer]\nauth_file={}\n", files.path("users"));
        files.write("x.ini", &auth);
        let source = files.source(&[]);
        let prepare = || source.prepare(&Config::default());
        assert!(matches!(
            prepare(),
            Err(PrepareError::Users(UsersError::Read { .. }))
        ));
        files.write("users", "\"a\" \"b\"\nnonsense\n");
        assert!(matches!(
            prepare(),
            Err(PrepareError::Users(UsersError::Broken { .. }))
        ));
        files.write("users", "\"a\" \"b\"\n");
        assert_eq!(prepare().unwrap().users.entries.len(), 1);
        let tls = "server_tls_sslmode=verify-ca\nserver_tls_ca_file=/nowhere/ca.pem\n";
        files.write("x.ini", &format!("{auth}{tls}"));
        assert!(matches!(prepare(), Err(PrepareError::Tls(_))));
        files.write("x.ini", "[nonsense]");
        assert!(matches!(prepare(), Err(PrepareError::Config(_))));
    }

    #[test]
    fn a_start_takes_the_users_before_a_broken_line_and_none_of_a_missing_file() {
        let files = Files::new();
        files.write(
            "x.ini",
            &format!("[pgbouncer]\nauth_file={}", files.path("users")),
        );
        let config = files.source(&[]).load().unwrap().config;
        let (users, wrong) = starting_users(&config);
        assert!(users.entries.is_empty() && wrong.is_some());
        files.write("users", "\"a\" \"b\"\nnonsense\n\"c\" \"d\"\n");
        let (users, wrong) = starting_users(&config);
        assert_eq!(users.entries.len(), 1);
        let wrong = wrong.unwrap().to_string();
        assert!(wrong.contains("broken auth file, line 2"), "{wrong}");
        assert_eq!(problems(&config), [wrong]);
    }

    #[test]
    fn the_conffile_setting_names_the_file_of_the_next_reload() {
        let files = Files::new();
        files.write("x.ini", "[nonsense]");
        files.write("y.ini", "[databases]\na=\n");
        let running = Config::default();
        let running = running
            .with_setting("conffile", &files.path("y.ini"))
            .unwrap();
        let prepared = files.source(&[]).prepare(&running).unwrap();
        assert!(prepared.config.database("a").is_some());
    }
}
