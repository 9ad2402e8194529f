//! Puts a new configuration into force: RELOAD, SIGHUP and SET.
//!
//! Everything that can fail is done first, so a change that fails changes nothing. Invariant: one
//! change at a time, and what a change has begun it also ends: it runs on a thread for blocking work,
//! which goes on when the console client that asked has gone away.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::admin::host::{ConsoleError, Done};
use crate::app::logging::log_settings;
use crate::app::reload::{PrepareError, Prepared, read_users};
use crate::app::tls;
use crate::auth::userlist::Userlist;
use crate::config::{Config, Diagnostic, IgnoredChange, Registration, Resolved};
use crate::pool::Scope;
use crate::pooler::limits;
use crate::process::systemd;
use crate::telemetry::events;

use super::{Host, clocks};

/// What a change brings besides the settings; `None` stays as it is.
struct Change {
    config: Config,
    users: Option<Userlist>,
    tls: Option<tls::Tls>,
}

impl Host {
    /// `RELOAD` and SIGHUP.
    pub async fn reload(&self) -> Done {
        let host = self.clone();
        // Without a service manager there is nobody to tell.
        drop(systemd::reloading());
        let outcome = tokio::task::spawn_blocking(move || host.reload_blocking()).await;
        drop(systemd::ready());
        match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                events::internal_error("reload", &error);
                Err(ConsoleError::ReloadFailed)
            }
        }
    }

    /// The turn to change something; the next one waits until it is dropped.
    fn turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.inner.changing.lock();
        turn.unwrap_or_else(PoisonError::into_inner)
    }

    fn reload_blocking(&self) -> Done {
        let _one_at_a_time = self.turn();
        let running = self.pooler().config();
        match self.inner.parts.source.prepare(&running) {
            Ok(prepared) => {
                self.take(&running, prepared);
                Ok(())
            }
            Err(error) => {
                tell(&error);
                events::config_load_failed();
                Err(ConsoleError::ReloadFailed)
            }
        }
    }

    fn take(&self, running: &Config, prepared: Prepared) {
        let Prepared {
            config,
            warnings,
            users,
            tls,
        } = prepared;
        for warning in &warnings {
            events::config_warning(warning);
        }
        let (config, ignored) = running.reloaded(config);
        for change in &ignored {
            events::config_warning(&Ignored(change));
        }
        let change = Change {
            config,
            users: Some(users),
            tls: Some(tls),
        };
        self.put_into_force(running, change);
    }

    /// Takes replicas that were found into the configuration, for ever. Cancel-safe.
    pub async fn take_found_replicas(&self) -> Infallible {
        loop {
            self.pooler().clusters.until_found().await;
            let host = self.clone();
            let work = move || host.take_found_blocking();
            if let Err(error) = tokio::task::spawn_blocking(work).await {
                events::internal_error("replicas found", &error);
            }
        }
    }

    fn take_found_blocking(&self) {
        let _one_at_a_time = self.turn();
        let running = self.pooler().config();
        let mut config = Config::clone(&running);
        for (entry, found) in self.pooler().clusters.take_found() {
            let names: Vec<_> = found
                .iter()
                .map(|spec| spec.address().to_string())
                .collect();
            events::replicas_found(&entry, &names.join(", "));
            config = config.with_found(&entry, found);
        }
        if config != *running {
            let change = Change {
                config,
                users: None,
                tls: None,
            };
            self.put_into_force(&running, change);
        }
    }

    /// `SET key = value`.
    pub async fn set(&self, key: &str, value: &str) -> Done {
        let host = self.clone();
        let (key, value) = (key.to_owned(), value.to_owned());
        let work = move || host.set_blocking(&key, &value);
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                events::internal_error("set", &error);
                Err(ConsoleError::SetFailed)
            }
        }
    }

    fn set_blocking(&self, key: &str, value: &str) -> Done {
        let _one_at_a_time = self.turn();
        let running = self.pooler().config();
        let failed = |error: &dyn std::fmt::Display| {
            events::config_error(error);
            ConsoleError::SetFailed
        };
        let config = running
            .with_setting(key, value)
            .map_err(|error| failed(&error))?;
        let new_users = config.settings.auth_file != running.settings.auth_file;
        let new_tls = tls::client_options(&config) != tls::client_options(&running)
            || tls::server_options(&config) != tls::server_options(&running);
        let users = new_users.then(|| read_users(&config)).transpose();
        let tls = new_tls.then(|| tls::build(&config)).transpose();
        let change = Change {
            users: users.map_err(|error| failed(&error))?,
            tls: tls.map_err(|error| failed(&error))?,
            config,
        };
        self.put_into_force(&running, change);
        Ok(())
    }

    /// Nothing here fails, but for a log file that cannot be opened: then the old one stays.
    fn put_into_force(&self, running: &Config, change: Change) {
        let pooler = self.pooler();
        let parts = &self.inner.parts;
        if let Err(error) = parts.log.apply(&log_settings(&change.config, parts.flags)) {
            events::config_error(&error);
        }
        if let Some(users) = change.users {
            pooler.credentials.replace_file(users);
        }
        if let Some(tls) = change.tls {
            pooler.client_tls.store(Arc::new(tls.client));
            pooler.server_tls.store(Arc::new(tls.server));
        }
        pooler.set_config(change.config);
        let config = pooler.config();
        self.change_databases(running, &config);
        self.change_limits(&config);
        self.open_minimum(&config);
    }

    /// Databases that have gone are dropped with their clients; connections of those that lead
    /// elsewhere now are replaced.
    fn change_databases(&self, old: &Config, new: &Config) {
        let pooler = self.pooler();
        for known in pooler.pools.with(|pools, _| pools.databases()) {
            match fate(old.database(&known.name), new.database(&known.name)) {
                Fate::Stays => {}
                Fate::Renewed => self.renew(Scope::Database(known.id)),
                Fate::Dropped => {
                    self.send_away(&known.name);
                    // Its name may be used again before the last connection is closed.
                    self.forget_welcomes(Scope::Database(known.id));
                    let now = clocks().0;
                    pooler
                        .pools
                        .with(|pools, out| pools.drop_database(known.id, now, out));
                }
            }
        }
    }

    /// All pools, databases and users get the limits of the configuration.
    fn change_limits(&self, config: &Config) {
        let pooler = self.pooler();
        let now = clocks().0;
        pooler.pools.with(|pools, out| {
            for known in pools.databases() {
                if let Some(database) = config.database(&known.name) {
                    let limits = limits::of_database(config, &database);
                    pools.set_database_limits(known.id, limits, now, out);
                }
            }
            let mut users = BTreeSet::new();
            for known in pools.snapshot(now) {
                if let Some(database) = config.database(&known.key.database) {
                    let limits = limits::of_pool(config, database.spec, &known.key.user);
                    pools.set_pool_limits(known.pool, limits, now, out);
                }
                users.insert(known.key.user);
            }
            for user in users {
                pools.set_user_limits(&user, limits::of_user(config, &user), now, out);
            }
        });
    }

    /// Makes the pools that open connections without a client: `min_pool_size` with a forced user.
    /// At start and after each change.
    pub fn open_minimum(&self, config: &Config) {
        let now = clocks().0;
        for (name, spec) in &config.databases {
            if let Some(user) = &spec.user
                && config.min_pool_size(spec) > 0
            {
                let (name, user) = (Arc::from(name.as_str()), Arc::from(user.as_str()));
                self.pooler().pool(&name, &user, now);
            }
        }
    }
}

/// What a new configuration does to a database that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its connections are good.
    Stays,
    /// Its connections lead elsewhere now.
    Renewed,
    /// It has lost its entry, and its clients must go, even where `*` would let them in again.
    Dropped,
}

fn fate(before: Option<Resolved<'_>>, now: Option<Resolved<'_>>) -> Fate {
    let Some(now) = now else {
        return Fate::Dropped;
    };
    let Some(before) = before else {
        return Fate::Renewed;
    };
    match (before.registration, now.registration) {
        (Registration::Named, Registration::Auto) => return Fate::Dropped,
        (Registration::Named | Registration::Auto, Registration::Named)
        | (Registration::Auto, Registration::Auto) => {}
    }
    if before.dbname != now.dbname || before.spec.requires_new_connections(now.spec) {
        Fate::Renewed
    } else {
        Fate::Stays
    }
}

fn tell(error: &PrepareError) {
    let PrepareError::Config(found) = error else {
        events::config_error(error);
        return;
    };
    for diagnostic in found {
        tell_finding(diagnostic);
    }
}

/// One finding about a configuration, for the log.
pub fn tell_finding(diagnostic: &Diagnostic) {
    match diagnostic.severity {
        crate::config::Severity::Error => events::config_error(diagnostic),
        crate::config::Severity::Warning => events::config_warning(diagnostic),
    }
}

/// A change that needs a restart, for the log.
struct Ignored<'a>(&'a IgnoredChange);

impl std::fmt::Display for Ignored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let IgnoredChange {
            name,
            running,
            wanted,
        } = self.0;
        let shown = |value: &Option<String>| value.clone().unwrap_or_default();
        let (running, wanted) = (shown(running), shown(wanted));
        write!(
            f,
            "{name} cannot change while the process runs: it stays \"{running}\", not \"{wanted}\""
        )
    }
}
