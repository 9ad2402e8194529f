//! Sans-IO. The sample file and the reference, printed from the table of settings.

use std::fmt::{Display, Write};

use super::kind::{Kind, WORKERS_MAX};
use super::setting::{Reload, Setting, Status};
use super::settings::SETTINGS;

/// Longest line of the sample file, in characters.
const WIDTH: usize = 90;

const SAMPLE_HEAD: &str = "\
;; pgweir.ini: a configuration that runs, and below it every setting with its default.
;; The language is PgBouncer's: a pgbouncer.ini can be used as it is.
;;
;; A comment starts with ; or # as the first character of a line. Nothing else is a comment.
;; %include FILE reads another file in place; FILE is relative to the working directory.
;; Every setting can also come from the environment: PGWEIR_LISTEN_PORT=6432.
;; pgweir check FILE tells what is wrong with a file and what is in effect.
;;
;; This file is printed by: pgweir docs sample

[databases]
;; name = key=value ...  Values with blanks are put in single quotes, '' is one quote.
;; Keys: host (name, address, /directory, @abstract, or a list with commas), port, dbname, user,
;; password, auth_user, auth_query, auth_dbname, pool_size, min_pool_size, reserve_pool_size,
;; max_db_connections, max_db_client_connections, pool_mode, query_wait_timeout, server_lifetime,
;; load_balance_hosts, connect_query, client_encoding, datestyle, timezone, application_name, and
;; replicas (host[:port], a list; more of each: ?weight=N&zone=NAME&pool_size=N; * is whatever
;; streams from the primary; a name with several addresses is as many hosts) and role (auto,
;; primary, replica). With replicas, reads leave the primary; a host has its own pool and the
;; name database@HOST:PORT, by which clients and the console can use it alone.
;shop = host=db1.example,db2.example port=5432 pool_size=50
;web = host=db1.example replicas=db2.example,db3.example:5433?weight=2 pool_mode=transaction
;web_ro = host=db1.example replicas=db2.example,db3.example:5433 dbname=web role=replica
;forced = host=/var/run/postgresql user=app password='it''s secret' pool_mode=transaction

;; All other databases: the same name on this server.
* = host=127.0.0.1 port=5432

[users]
;; name = key=value ...  Keys: pool_size, reserve_pool_size, pool_mode, max_user_connections,
;; max_user_client_connections, query_timeout, query_wait_timeout, idle_transaction_timeout,
;; transaction_timeout, client_idle_timeout.
;report = pool_size=2 pool_mode=session query_timeout=600

[peers]
;; number = key=value ...  Other poolers behind the same address; cancel requests are handed on
;; to them. Keys: host, port, pool_size. Needs peer_id below.
;1 = host=pooler1.example
;2 = host=pooler2.example

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
;; Lines of \"user\" \"password\", see auth_type for what a password may be.
auth_file = /etc/pgweir/userlist.txt
auth_type = md5
admin_users = postgres

;; Every setting, in alphabetical order, with its default. Times are in seconds and may have a
;; fraction; 0 switches a time limit off.
";

const REFERENCE_HEAD: &str = "\
# Settings

Every setting of the `[pgbouncer]` section, in the order of `SHOW CONFIG`. Names and meanings are
those of PgBouncer 1.26; the second table has what is ours alone. Each can also be set by an
environment variable: `PGWEIR_` and the name in capitals.

*Change*: `reload` takes effect by `RELOAD`, `SIGHUP` or `SET`; `restart` only by a restart.
Times in seconds may have a fraction. Numbers may be hexadecimal (`0x10`) or octal (`010`).

This file is printed by `pgweir docs settings`.
";

/// Settings that `PgBouncer` does not have.
pub const OUR_OWN: [&str; 26] = [
    "availability_zone",
    "error_codes",
    "fence_interval",
    "fence_scope",
    "fence_wait",
    "http_allowed_hosts",
    "http_auth_password",
    "http_auth_token",
    "http_auth_user",
    "http_listen",
    "http_max_pools",
    "http_tls_cert_file",
    "http_tls_key_file",
    "log_format",
    "log_min_duration",
    "monitor_user",
    "pool_connect_parallelism",
    "query_stats",
    "query_stats_max",
    "replica_check_period",
    "replica_check_timeout",
    "replica_max_lag",
    "replica_max_lag_bytes",
    "replica_slow_start",
    "route_mode",
    "workers",
];

/// The sample configuration file.
pub fn sample_ini() -> String {
    let mut out = Text(SAMPLE_HEAD.to_owned());
    for setting in SETTINGS {
        out.sample(setting);
    }
    out.0
}

/// The reference of all settings, as Markdown.
pub fn settings_markdown() -> String {
    let mut out = Text(REFERENCE_HEAD.to_owned());
    let ours = |setting: &&Setting| OUR_OWN.contains(&setting.name);
    let built = |setting: &&Setting| setting.status == Status::Built;
    out.line("\n## Settings of PgBouncer\n");
    out.table(
        SETTINGS
            .iter()
            .filter(built)
            .filter(|setting| !ours(setting)),
    );
    out.line("\n## Settings of our own\n");
    out.table(SETTINGS.iter().filter(ours));
    out.line("\n## Accepted without effect\n");
    out.line(
        "A value other than the default gives a warning at the start. `auth_type` values `cert`,",
    );
    out.line(
        "`hba`, `ldap` and `pam` are errors, because a weaker way to log in must not stand in.\n",
    );
    out.line("| Setting | Default | Why |");
    out.line("|---|---|---|");
    for setting in SETTINGS {
        match setting.status {
            Status::Built => {}
            Status::NotBuilt(why) | Status::Obsolete(why) => {
                let (name, default) = (setting.name, default_text(setting));
                out.line(format_args!("| `{name}` | {default} | {why} |"));
            }
        }
    }
    out.0
}

struct Text(String);

impl Text {
    fn line(&mut self, text: impl Display) {
        writeln!(self.0, "{text}").expect("writing to a string cannot fail");
    }

    fn sample(&mut self, setting: &Setting) {
        let mut doc: Vec<&str> = setting.doc_lines().collect();
        let restart = match setting.reload {
            Reload::Live => "",
            Reload::Restart => "A change needs a restart.",
        };
        doc.extend(Some(restart).filter(|text| !text.is_empty()));
        let effect = match setting.status {
            Status::Built => String::new(),
            Status::NotBuilt(why) | Status::Obsolete(why) => format!("Has no effect: {why}."),
        };
        doc.extend(Some(effect.as_str()).filter(|text| !text.is_empty()));
        self.line("");
        for line in wrapped(&doc.join(" ").replace('`', "")) {
            self.line(format_args!(";; {line}"));
        }
        let line = format!(
            ";{} = {}",
            setting.name,
            setting.default.unwrap_or_default()
        );
        self.line(line.trim_end());
    }

    fn table<'a>(&mut self, settings: impl Iterator<Item = &'a Setting>) {
        self.line("| Setting | Value | Default | Change | Meaning |");
        self.line("|---|---|---|---|---|");
        for setting in settings {
            let doc: Vec<String> = setting.doc_lines().map(escaped).collect();
            let change = match setting.reload {
                Reload::Live => "reload",
                Reload::Restart => "restart",
            };
            self.line(format_args!(
                "| `{}` | {} | {} | {change} | {} |",
                setting.name,
                kind_text(&setting.kind),
                default_text(setting),
                doc.join(" "),
            ));
        }
    }
}

/// What Markdown would take for something else. Names stand in backticks in the table already,
/// where two of them are there for rustdoc alone.
fn escaped(text: &str) -> String {
    let text = text
        .replace("`PgBouncer`", "PgBouncer")
        .replace("`PostgreSQL`", "PostgreSQL");
    text.replace('|', "\\|").replace('*', "\\*")
}

fn default_text(setting: &Setting) -> String {
    match setting.default {
        None => "not set".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("`{text}`"),
    }
}

/// The values a kind takes, in words.
fn kind_text(kind: &Kind) -> String {
    let unbounded = |max: i64| max == i64::from(i32::MAX) || max == i64::MAX;
    let range = |min: i64, max: i64| match (min, max) {
        (0, max) if unbounded(max) => String::new(),
        (min, max) if unbounded(max) => format!(", {min} or more"),
        (min, max) => format!(", {min} to {max}"),
    };
    match *kind {
        Kind::Bool => "0 or 1".to_owned(),
        Kind::Int { min, max } => format!("number{}", range(min, max)),
        Kind::Bytes { min, max } => format!("bytes{}", range(min, max)),
        Kind::Limit => "number, 0 is no limit".to_owned(),
        Kind::Mode => "octal".to_owned(),
        Kind::Seconds { least: 0 } => "seconds".to_owned(),
        Kind::Seconds { least } => format!("seconds, {least} or more"),
        Kind::Interval { least_ms } => {
            format!("seconds, {} or more", f64::from(least_ms) / 1000.0)
        }
        Kind::Timeout => "seconds, 0 is off".to_owned(),
        Kind::Milliseconds => "milliseconds, 0 is off".to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::TlsProtocols => "secure, all, or a list".to_owned(),
        Kind::Workers => format!("auto, or 1 to {WORKERS_MAX}"),
        Kind::HttpAddress => "address:port".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Text | Kind::SecretText => "text".to_owned(),
        Kind::Sql => "SQL".to_owned(),
    }
}

/// Breaks a text into lines of at most [`WIDTH`] characters, a longer word on its own.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.is_empty() || line.len() + word.len() < WIDTH);
        match lines.last_mut() {
            Some(line) if fits => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, load};
    use std::path::Path;

    fn same_as_checked_in(file: &str, command: &str, printed: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        if std::env::var_os("REGENERATE_DOCS").is_some() {
            std::fs::write(&path, printed).unwrap();
            return;
        }
        assert!(
            checked_in == printed,
            "{file} is not what the table of settings prints: run `{command} > {file}`, or \
             `REGENERATE_DOCS=1 cargo test --lib config::docs`"
        );
    }

    #[test]
    fn the_sample_in_the_repository_is_the_one_that_is_printed() {
        same_as_checked_in("config/pgweir.ini", "pgweir docs sample", &sample_ini());
    }

    #[test]
    fn the_reference_in_the_repository_is_the_one_that_is_printed() {
        same_as_checked_in(
            "config/SETTINGS.md",
            "pgweir docs settings",
            &settings_markdown(),
        );
    }

    #[test]
    fn the_sample_loads_without_a_finding() {
        let read = |_: &str| Ok(sample_ini().into_bytes());
        let loaded = load(&read, "pgweir.ini", &[]).unwrap();
        assert_eq!(loaded.warnings, []);
        assert!(loaded.config.database("anything").is_some());
    }

    #[test]
    fn the_sample_with_every_comment_removed_is_the_defaults() {
        let lines = sample_ini();
        let lines = lines.split_once(";; Every setting, in").unwrap().1.lines();
        let lines = lines.filter_map(|line| line.strip_prefix(';').filter(|l| !l.starts_with(';')));
        // These two say "nothing" and cannot be said in a line.
        let lines =
            lines.filter(|line| !line.starts_with("verbose") && !line.starts_with("conffile"));
        let text = format!("[pgbouncer]\n{}", lines.collect::<Vec<_>>().join("\n"));
        let read = |_: &str| Ok(text.clone().into_bytes());
        let mut settings = load(&read, "x", &[]).unwrap().config.settings;
        settings.conffile = None;
        assert_eq!(settings, Config::default().settings);
        assert!(text.lines().count() >= SETTINGS.len() - 1);
    }

    #[test]
    fn no_line_of_the_sample_is_too_long_and_every_setting_is_there() {
        let (sample, reference) = (sample_ini(), settings_markdown());
        for setting in SETTINGS {
            assert!(
                sample.contains(&format!("\n;{} =", setting.name)),
                "{}",
                setting.name
            );
            assert!(
                reference.contains(&format!("| `{}` |", setting.name)),
                "{}",
                setting.name
            );
        }
        assert!(
            sample
                .lines()
                .filter(|l| l.starts_with(";;"))
                .all(|l| l.chars().count() <= 100)
        );
    }
}
