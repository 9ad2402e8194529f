//! Events of pools, databases, the console and the statistics.

use std::time::Duration;

use super::{Details, Repeat, emit};
use crate::telemetry::line::{Level, Who};
use crate::telemetry::log::Switch;
use crate::telemetry::stats::Averages;

/// A waiting client is old enough for a connection beyond the pool's size.
pub fn reserve_connection(client: &Who<'_>) {
    let details = Details {
        repeat: Repeat::Limited,
        ..Details::of(client)
    };
    let text = format_args!("taking connection from reserve_pool");
    emit(Level::Warning, "reserve_connection", details, text);
}

/// The `*` entry made a database on first use.
pub fn auto_database_registered(database: &str) {
    let text = format_args!("registered new auto-database: {database}");
    emit(
        Level::Log,
        "auto_database_registered",
        Details::default(),
        text,
    );
}

/// A database left the configuration, or an auto-database was idle for `autodb_idle_timeout`.
pub fn database_dropped(database: &str) {
    let text = format_args!(
        "dropping database '{database}' as it does not exist anymore or inactive auto-database"
    );
    emit(Level::Log, "database_dropped", Details::default(), text);
}

/// A pool had nothing to do for `pool_idle_timeout`.
pub fn idle_pool_removed(database: &str, user: &str, age: Duration) {
    let seconds = age.as_secs();
    let text = format_args!(
        "cleaning up idle pool for user {user} on db {database} because: \
         pool idle timeout (age= {seconds}s)"
    );
    emit(Level::Log, "idle_pool_removed", Details::default(), text);
}

/// Somebody on the console gave a command that changes something. `command` is its upper-case
/// word; `database` its argument.
pub fn console_command(command: &str, database: Option<&str>) {
    let details = Details::default();
    if let Some(name) = database {
        let text = format_args!("{command} '{name}' command issued");
        emit(Level::Log, "console_command", details, text);
    } else {
        let text = format_args!("{command} command issued");
        emit(Level::Log, "console_command", details, text);
    }
}

/// A console command failed; `message` is what the console answered.
pub fn console_failed(message: &str) {
    let details = Details {
        error: Some(&message),
        ..Details::default()
    };
    emit(
        Level::Error,
        "console_failed",
        details,
        format_args!("{message}"),
    );
}

/// The averages of the last `stats_period` (`log_stats`).
pub fn stats(averages: &Averages) {
    let details = Details {
        switch: Some(Switch::Stats),
        ..Details::default()
    };
    emit(Level::Log, "stats", details, format_args!("{averages}"));
}
