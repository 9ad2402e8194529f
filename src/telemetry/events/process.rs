//! Events of the process as a whole.

use std::fmt;

use super::{Details, Repeat, emit};
use crate::telemetry::line::Level;

/// Everything listens; clients are served from now on.
pub fn process_up() {
    let version = env!("CARGO_PKG_VERSION");
    emit(
        Level::Log,
        "process_up",
        Details::default(),
        format_args!("process up: pgweir {version}"),
    );
}

/// A listener is open. `address` is `127.0.0.1:6432` or `unix:/tmp/.s.PGSQL.6432`.
pub fn listening(address: &dyn fmt::Display) {
    emit(
        Level::Log,
        "listening",
        Details::default(),
        format_args!("listening on {address}"),
    );
}

/// What the kernel allows, and what the configuration may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLimits {
    /// Soft limit, after it was raised.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
    /// Setting `max_client_conn`.
    pub max_client_conn: u64,
    /// Descriptors that all allowed clients and servers use together.
    pub expected: u64,
}

/// The limits, once at start. A warning follows when they cannot hold what is configured.
pub fn descriptor_limits(limits: &DescriptorLimits) {
    let DescriptorLimits {
        soft,
        hard,
        max_client_conn,
        expected,
    } = limits;
    let text = format_args!(
        "kernel file descriptor limit: {soft} (hard: {hard}); \
         max_client_conn: {max_client_conn}, max expected fd use: {expected}"
    );
    emit(Level::Log, "descriptor_limits", Details::default(), text);
    if expected > soft {
        let text = format_args!(
            "max expected fd use of {expected} is above the file descriptor limit of {soft}: \
             raise the limit or lower max_client_conn"
        );
        emit(
            Level::Warning,
            "descriptors_short",
            Details::default(),
            text,
        );
    }
}

/// A signal came; `text` says what it leads to.
pub fn signal(text: &str) {
    emit(
        Level::Log,
        "signal",
        Details::default(),
        format_args!("{text}"),
    );
}

/// What a shutdown waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// All clients have gone.
    Clients,
    /// All server connections were released.
    Servers,
}

/// A shutdown has what it waited for; the process ends.
pub fn connections_dropped(dropped: Dropped) {
    let side = match dropped {
        Dropped::Clients => "client",
        Dropped::Servers => "server",
    };
    let text = format_args!("{side} connections dropped, exiting");
    emit(Level::Log, "connections_dropped", Details::default(), text);
}

/// The pid file of a process that is gone was removed.
pub fn stale_pid_file() {
    let text = format_args!("stale pidfile, removing");
    emit(Level::Log, "stale_pid_file", Details::default(), text);
}

/// The configuration has something odd that is ignored or adjusted.
pub fn config_warning(warning: &dyn fmt::Display) {
    emit(
        Level::Warning,
        "config_warning",
        Details::default(),
        format_args!("{warning}"),
    );
}

/// The configuration has an error, with file and line.
pub fn config_error(error: &dyn fmt::Display) {
    let details = Details {
        error: Some(error),
        ..Details::default()
    };
    emit(
        Level::Error,
        "config_error",
        details,
        format_args!("{error}"),
    );
}

/// A reload failed; the old configuration stays.
pub fn config_load_failed() {
    let text = format_args!("config file loading failed");
    emit(
        Level::Warning,
        "config_load_failed",
        Details::default(),
        text,
    );
}

/// The process ends because of `error`. Returns when the line is written.
pub fn fatal(error: &dyn fmt::Display) {
    let details = Details {
        error: Some(error),
        ..Details::default()
    };
    emit(Level::Fatal, "fatal", details, format_args!("{error}"));
}

/// Something failed that should not, and the process goes on. `doing` is what it was about.
pub fn internal_error(doing: &'static str, error: &dyn fmt::Display) {
    let details = Details {
        repeat: Repeat::Limited,
        error: Some(error),
        ..Details::default()
    };
    emit(
        Level::Error,
        "internal_error",
        details,
        format_args!("{doing}: {error}"),
    );
}
