//! What can be logged: one function for each event, with its level, its switch and its words.
//!
//! The words are `PgBouncer`'s where it has the same event, since log parsers know them. Not here:
//! whether a line is written ([`super::log`]) and its form ([`super::line`]).

mod cluster;
mod connection;
mod pool;
mod process;

use std::fmt;

use super::line::{Level, Who};
use super::log::Switch;

pub use cluster::{
    functions_unknown, host_refused, monitor_failed, primary_back, primary_changed, primary_lost,
    replica_left, replica_ready, replicas_found, replicas_unknown,
};
pub use connection::{
    LoginAttempt, SlowQuery, closing, debug, login_attempt, login_failed, no_such_user,
    pooler_error, refused_parameter, server_connected, server_login_failed, slow_query,
};
pub use pool::{
    auto_database_registered, console_command, console_failed, database_dropped, idle_pool_removed,
    reserve_connection, stats,
};
pub use process::{
    DescriptorLimits, Dropped, config_error, config_load_failed, config_warning,
    connections_dropped, descriptor_limits, fatal, internal_error, listening, process_up, signal,
    stale_pid_file,
};

/// Whether a burst of the same event is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Repeat {
    /// Each line counts.
    #[default]
    Always,
    /// See [`super::throttle`].
    Limited,
}

/// What an event has besides its words.
#[derive(Clone, Copy, Default)]
struct Details<'a> {
    who: Option<&'a Who<'a>>,
    switch: Option<Switch>,
    repeat: Repeat,
    reason: Option<&'a str>,
    error: Option<&'a dyn fmt::Display>,
    elapsed_ms: Option<u64>,
}

impl<'a> Details<'a> {
    fn of(who: &'a Who<'a>) -> Self {
        Self {
            who: Some(who),
            ..Self::default()
        }
    }
}

macro_rules! send {
    ($tracing_level:ident, $level:expr, $event:expr, $details:expr, $text:expr) => {{
        let Details { who, switch, repeat, reason, error, elapsed_ms } = $details;
        tracing::event!(
            target: "pgweir",
            tracing::Level::$tracing_level,
            severity = $level.as_str(),
            switch = switch.map(Switch::as_str),
            limited_as = (repeat == Repeat::Limited).then_some($event),
            event = $event,
            who = who.map(tracing::field::display),
            side = who.map(|who| who.side.as_str()),
            id = who.map(|who| who.id.0),
            database = who.and_then(|who| who.database),
            user = who.and_then(|who| who.user),
            peer = who.map(|who| tracing::field::display(who.peer)),
            reason,
            error = error.map(tracing::field::display),
            elapsed_ms,
            "{}",
            $text
        )
    }};
}

/// Hands one event to the log. `event` is its fixed name.
fn emit(level: Level, event: &'static str, details: Details<'_>, text: fmt::Arguments<'_>) {
    match level {
        Level::Fatal | Level::Error => send!(ERROR, level, event, details, text),
        Level::Warning => send!(WARN, level, event, details, text),
        Level::Log => send!(INFO, level, event, details, text),
        Level::Debug => send!(DEBUG, level, event, details, text),
        Level::Noise => send!(TRACE, level, event, details, text),
    }
}

#[cfg(test)]
mod tests;
