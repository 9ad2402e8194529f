//! Sans-IO. What does not go together, and what has no effect.
//!
//! An error only where `PgBouncer` would not start either or a login would be weaker than asked
//! for; else a warning.

use super::choice::{AuthType, PoolMode, Role, RouteMode, SslMode};
use super::diagnostic::{Diagnostic, Origin};
use super::effective::Config;
use super::setting::Status;
use super::settings::SETTINGS;

impl Config {
    /// Where a setting's value came from.
    pub fn origin(&self, name: &str) -> Origin {
        let assigned = self.sources.settings.get(name);
        assigned.map_or(Origin::Default, |assigned| assigned.origin.clone())
    }
}

/// Warnings for settings that were changed and have no effect.
pub(super) fn not_built(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for setting in SETTINGS {
        let Some(assigned) = config.sources.settings.get(setting.name) else {
            continue;
        };
        let why = match setting.status {
            Status::Built => continue,
            Status::NotBuilt(why) | Status::Obsolete(why) => why,
        };
        if !setting.is_default(&assigned.raw) {
            let text = format!("{} has no effect: {why}", setting.name);
            found.push(Diagnostic::warning(&assigned.origin, text));
        }
    }
    found
}

/// All findings about settings that depend on each other.
pub(super) fn cross_check(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    client_tls(config, &mut found);
    server_tls(config, &mut found);
    old_tls_versions(config, &mut found);
    logins(config, &mut found);
    auth_databases(config, &mut found);
    addresses(config, &mut found);
    routing(config, &mut found);
    http(config, &mut found);
    found
}

/// Half of a pair would serve HTTP without what was meant to protect it.
fn http(config: &Config, found: &mut Vec<Diagnostic>) {
    let settings = &config.settings;
    let pairs = [
        (
            ("http_auth_user", settings.http_auth_user.is_some()),
            ("http_auth_password", settings.http_auth_password.is_some()),
        ),
        (
            ("http_tls_cert_file", settings.http_tls_cert_file.is_some()),
            ("http_tls_key_file", settings.http_tls_key_file.is_some()),
        ),
    ];
    for (one, other) in pairs {
        let (((set, true), (missing, false)) | ((missing, false), (set, true))) = (one, other)
        else {
            continue;
        };
        let text = format!("{set} needs {missing}");
        found.push(Diagnostic::error(&config.origin(set), text));
    }
}

fn client_tls(config: &Config, found: &mut Vec<Diagnostic>) {
    let settings = &config.settings;
    let mode = settings.client_tls_sslmode;
    let origin = config.origin("client_tls_sslmode");
    let certificate = settings
        .client_tls_key_file
        .as_ref()
        .and(settings.client_tls_cert_file.as_ref());
    if mode != SslMode::Disable && certificate.is_none() {
        let needs = "needs client_tls_key_file and client_tls_cert_file";
        found.push(Diagnostic::error(
            &origin,
            format!("client_tls_sslmode={mode} {needs}"),
        ));
    }
    let verifies = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    if verifies && settings.client_tls_ca_file.is_none() {
        let text = format!("client_tls_sslmode={mode} needs client_tls_ca_file");
        found.push(Diagnostic::error(&origin, text));
    }
}

fn server_tls(config: &Config, found: &mut Vec<Diagnostic>) {
    let settings = &config.settings;
    let (key, certificate) = (
        &settings.server_tls_key_file,
        &settings.server_tls_cert_file,
    );
    let (set, missing) = match (key, certificate) {
        (Some(_), None) => ("server_tls_key_file", "server_tls_cert_file"),
        (None, Some(_)) => ("server_tls_cert_file", "server_tls_key_file"),
        (Some(_), Some(_)) | (None, None) => return,
    };
    let text = format!("{set} has no effect without {missing}");
    found.push(Diagnostic::warning(&config.origin(set), text));
}

fn old_tls_versions(config: &Config, found: &mut Vec<Diagnostic>) {
    for name in ["client_tls_protocols", "server_tls_protocols"] {
        let Some(assigned) = config.sources.settings.get(name) else {
            continue;
        };
        let mut words = assigned.raw.split([',', ':']).map(str::trim);
        let old = |word: &str| {
            ["tlsv1.0", "tlsv1.1"]
                .iter()
                .any(|old| word.eq_ignore_ascii_case(old))
        };
        if words.any(old) {
            let text = format!("{name}: versions before tlsv1.2 are not built and are left out");
            found.push(Diagnostic::warning(&assigned.origin, text));
        }
    }
}

fn logins(config: &Config, found: &mut Vec<Diagnostic>) {
    let settings = &config.settings;
    let named = config
        .databases
        .iter()
        .filter(|(_, spec)| spec.derived_from.is_none())
        .map(|(name, spec)| (name.as_str(), spec));
    let mut specs = named.chain(config.autodb.iter().map(|spec| ("*", spec)));
    if settings.auth_type == AuthType::Any {
        for (name, spec) in specs {
            if spec.user.is_none() {
                let origin = config
                    .sources
                    .databases
                    .get(name)
                    .cloned()
                    .unwrap_or_default();
                let text = "auth_type=any needs user= here, nobody can use it";
                let text = format!("database \"{name}\": {text}");
                found.push(Diagnostic::warning(&origin, text));
            }
        }
        return;
    }
    let asks = settings.auth_user.is_some() || specs.any(|(_, spec)| spec.auth_user.is_some());
    if settings.auth_file.is_none() && !asks {
        let text = "neither auth_file nor auth_user is set, nobody can log in";
        found.push(Diagnostic::warning(&main_file(config), text));
    }
}

fn auth_databases(config: &Config, found: &mut Vec<Diagnostic>) {
    let named = config.databases.iter();
    let named = named.filter(|(_, spec)| spec.derived_from.is_none());
    let own = named.filter_map(|(name, spec)| {
        let origin = config
            .sources
            .databases
            .get(name)
            .cloned()
            .unwrap_or_default();
        spec.auth_dbname.as_deref().map(|wanted| (wanted, origin))
    });
    let global = config.settings.auth_dbname.as_deref();
    let global = global.map(|wanted| (wanted, config.origin("auth_dbname")));
    for (wanted, origin) in own.chain(global) {
        if config.database(wanted).is_none() {
            let text = format!("auth_dbname: there is no database \"{wanted}\"");
            found.push(Diagnostic::warning(&origin, text));
        }
    }
}

fn addresses(config: &Config, found: &mut Vec<Diagnostic>) {
    let settings = &config.settings;
    let file = main_file(config);
    if settings.listen_addr.is_empty() && settings.unix_socket_dir.is_none() {
        let text = "neither listen_addr nor unix_socket_dir is set, there is nowhere to listen";
        found.push(Diagnostic::warning(&file, text));
    }
    if config.databases.is_empty() && config.autodb.is_none() {
        found.push(Diagnostic::warning(
            &file,
            "there is no database in [databases]",
        ));
    }
    if config.settings.reserve_pool_timeout.is_none() && settings.reserve_pool_size > 0 {
        let text = "reserve_pool_timeout=0: the reserve is never used";
        found.push(Diagnostic::warning(
            &config.origin("reserve_pool_timeout"),
            text,
        ));
    }
}

/// A session pool keeps its server until the client leaves, so nothing can be routed.
fn routing(config: &Config, found: &mut Vec<Diagnostic>) {
    if config.settings.route_mode == RouteMode::Off {
        return;
    }
    for cluster in config.clusters() {
        let mode = cluster.spec.pool_mode.unwrap_or(config.settings.pool_mode);
        if mode == PoolMode::Session && cluster.spec.role == Role::Auto {
            let origin = config.sources.databases.get(cluster.name).cloned();
            let text = format!(
                "database \"{}\": pool_mode=session: all reads go to the primary (transaction or \
                 statement let them go to replicas, role=replica sends everything there)",
                cluster.name
            );
            found.push(Diagnostic::warning(&origin.unwrap_or_default(), text));
        }
    }
}

/// The configuration as a whole, for what stands on no line.
fn main_file(config: &Config) -> Origin {
    let file = config.settings.conffile.as_deref();
    file.map_or(Origin::Default, |file| Origin::File(file.into()))
}
