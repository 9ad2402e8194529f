//! What a cluster is configured with, and how that is written into its data directory.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::super::scratch::{Fate, private_file};
use super::{ClusterError, Site, file_error};

/// How directories of clusters begin.
pub(super) const PREFIX: &str = "pgweir-";
/// The kernel's limit for the path of a Unix socket, without its terminating zero byte.
const SOCKET_PATH_MAX: usize = 107;
/// The longest end of such a path: six random characters, the socket's name and its port.
const SOCKET_NAME_LEN: usize = "XXXXXX/.s.PGSQL.65535".len();

/// A `pg_hba.conf` line: everybody is let in over TCP from this machine, without a password.
pub const TRUST_ON_LOOPBACK: &str = "host all all 127.0.0.1/32 trust";
/// A `pg_hba.conf` line: TCP connections from this machine prove their password by SCRAM.
pub const SCRAM_ON_LOOPBACK: &str = "host all all 127.0.0.1/32 scram-sha-256";

/// Files for a server that speaks TLS; they are copied into its data directory.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Authorities whose client certificates are accepted (PEM).
    pub client_authorities: Option<PathBuf>,
}

/// How to set up a cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Connections that each server accepts.
    pub max_connections: u16,
    /// Lines of `pg_hba.conf`, in order, for TCP and for sockets. The superuser `postgres` is
    /// always let in over the socket in the cluster's own directory.
    pub hba: Vec<String>,
    /// More settings, as in `postgresql.conf`; a later one wins. Values are quoted here.
    pub settings: Vec<(String, String)>,
    /// TLS, when the servers shall speak it.
    pub tls: Option<TlsFiles>,
    /// A directory that only the caller's user may write to, in which a fresh data directory is
    /// kept, so that later starts need no `initdb`.
    pub templates: Option<PathBuf>,
    /// Where the cluster's directory is made; the system's temporary directory if not said.
    pub parent: Option<PathBuf>,
    /// What becomes of the cluster's directory.
    pub fate: Fate,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            max_connections: 100,
            hba: vec![TRUST_ON_LOOPBACK.to_owned()],
            settings: Vec::new(),
            tls: None,
            templates: None,
            parent: None,
            fate: Fate::Delete,
        }
    }
}

impl ClusterOptions {
    /// Adds one setting of `postgresql.conf`.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The directory in which the cluster's own is made.
pub(super) fn parent(options: &ClusterOptions) -> PathBuf {
    let wanted = options.parent.clone().unwrap_or_else(std::env::temp_dir);
    let longest = wanted.as_os_str().len() + 1 + PREFIX.len() + SOCKET_NAME_LEN;
    // The servers' sockets lie in that directory, so a long path would keep them from starting.
    if longest > SOCKET_PATH_MAX {
        return PathBuf::from("/tmp");
    }
    wanted
}

/// Configures the new data directory `data`.
pub(super) fn write(site: &Site, data: &Path) -> Result<(), ClusterError> {
    let account = &site.installation.account;
    if let Some(tls) = &site.options.tls {
        let files = [
            (Some(&tls.certificate), "server.crt"),
            (Some(&tls.key), "server.key"),
            (tls.client_authorities.as_ref(), "root.crt"),
        ];
        for (from, name) in files {
            let Some(from) = from else { continue };
            let content = fs::read(from).map_err(file_error(from))?;
            let to = data.join(name);
            private_file(&to, &content, account).map_err(file_error(&to))?;
        }
    }
    let hba = data.join("pg_hba.conf");
    let rules = render_hba(&site.options.hba);
    private_file(&hba, rules.as_bytes(), account).map_err(file_error(&hba))?;
    let conf = data.join("postgresql.conf");
    let settings = render_settings(&site.options, site.scratch.path());
    append(&conf, &settings).map_err(file_error(&conf))
}

/// `initdb` has written what it found out about the machine into the file, which must stay.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::options().append(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn render_hba(rules: &[String]) -> String {
    let mut text = String::from("local all postgres trust\nlocal replication postgres trust\n");
    for rule in rules {
        text.push_str(rule);
        text.push('\n');
    }
    text
}

fn render_settings(options: &ClusterOptions, sockets: &Path) -> String {
    let sockets = sockets.to_string_lossy();
    let max_connections = options.max_connections.to_string();
    let mut settings = vec![
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", &sockets),
        ("max_connections", &max_connections),
        // Nothing in here outlives the cluster, so nothing needs to survive a power cut.
        ("fsync", "off"),
        ("wal_level", "replica"),
        ("hot_standby", "on"),
        ("max_wal_senders", "10"),
        ("max_replication_slots", "10"),
        // A fetched server may come without the compiler's library.
        ("jit", "off"),
        ("lc_messages", "C"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    if let Some(tls) = &options.tls {
        settings.push(("ssl", "on"));
        if tls.client_authorities.is_some() {
            settings.push(("ssl_ca_file", "root.crt"));
        }
    }
    let more = options.settings.iter();
    settings.extend(more.map(|(name, value)| (name.as_str(), value.as_str())));
    let mut text = String::from("\n# From here on: written by pgweir.\n");
    for (name, value) in settings {
        writeln!(text, "{name} = {}", quoted(value)).expect("writing into a String cannot fail");
    }
    text
}

/// A value in the quotes of `postgresql.conf`.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\'', "''");
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_settings_follow_ours_and_are_quoted() {
        let options = ClusterOptions::default().with_setting("cluster_name", r"it's a \ test");
        let text = render_settings(&options, Path::new("/tmp/x"));
        assert!(
            text.contains("unix_socket_directories = '/tmp/x'\n"),
            "{text}"
        );
        assert!(
            text.ends_with("cluster_name = 'it''s a \\\\ test'\n"),
            "{text}"
        );
        assert!(!text.contains("ssl"), "{text}");
    }

    #[test]
    fn the_superuser_reaches_the_socket_whatever_the_rules_say() {
        let text = render_hba(&["local all all reject".to_owned()]);
        let rules: Vec<_> = text.lines().collect();
        assert_eq!(rules[0], "local all postgres trust");
        assert_eq!(rules[2], "local all all reject");
    }

    #[test]
    fn a_parent_too_deep_for_sockets_is_not_used() {
        let deep = PathBuf::from(format!("/{}", "d".repeat(90)));
        let options = ClusterOptions {
            parent: Some(deep),
            ..ClusterOptions::default()
        };
        assert_eq!(parent(&options), PathBuf::from("/tmp"));
        let options = ClusterOptions {
            parent: Some(PathBuf::from("/var/tmp")),
            ..ClusterOptions::default()
        };
        assert_eq!(parent(&options), PathBuf::from("/var/tmp"));
    }
}
