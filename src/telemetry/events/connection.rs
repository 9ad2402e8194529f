//! Events of one client or server connection.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Details, Repeat, emit};
use crate::telemetry::line::{Level, Who};
use crate::telemetry::log::Switch;

/// What a client asked for with its startup packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginAttempt<'a> {
    /// Database as the client named it, known or not.
    pub database: &'a str,
    /// User as the client named it, known or not.
    pub user: &'a str,
    /// Protocol and cipher, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`; `None` without TLS.
    pub tls: Option<&'a str>,
    /// `no`, `physical` or `logical`.
    pub replication: &'a str,
}

/// A client says who it is (`log_connections`).
pub fn login_attempt(who: &Who<'_>, attempt: &LoginAttempt<'_>) {
    let LoginAttempt {
        database,
        user,
        tls,
        replication,
    } = attempt;
    let details = Details {
        switch: Some(Switch::Connections),
        ..Details::of(who)
    };
    emit(
        Level::Log,
        "login_attempt",
        details,
        format_args!(
            "login attempt: db={database} user={user} tls={} replication={replication}",
            tls.unwrap_or("no")
        ),
    );
}

/// A login ended without success, after the client proved who it is or not (`log_connections`).
pub fn login_failed(who: &Who<'_>, database: &str, user: &str) {
    let details = Details {
        switch: Some(Switch::Connections),
        ..Details::of(who)
    };
    emit(
        Level::Log,
        "login_failed",
        details,
        format_args!("login failed: db={database} user={user}"),
    );
}

/// The user of a login is not known.
pub fn no_such_user(who: &Who<'_>, user: &str) {
    emit(
        Level::Log,
        "no_such_user",
        Details::of(who),
        format_args!("no such user: {user}"),
    );
}

/// A startup parameter is neither tracked nor ignored; the client is refused.
pub fn refused_parameter(who: &Who<'_>, text: &str) {
    emit(
        Level::Warning,
        "refused_parameter",
        Details::of(who),
        format_args!("{text}"),
    );
}

/// A connection is about to close, on either side (`log_disconnections`).
pub fn closing(who: &Who<'_>, reason: &str, age: Duration) {
    let details = Details {
        switch: Some(Switch::Disconnections),
        reason: Some(reason),
        elapsed_ms: u64::try_from(age.as_millis()).ok(),
        ..Details::of(who)
    };
    let seconds = age.as_secs();
    let text = format_args!("closing because: {reason} (age={seconds}s)");
    emit(Level::Log, "closing", details, text);
}

/// pgweir itself sent this error to a client (`log_pooler_errors`).
pub fn pooler_error(who: &Who<'_>, error: &str) {
    let details = Details {
        switch: Some(Switch::PoolerErrors),
        error: Some(&error),
        ..Details::of(who)
    };
    emit(
        Level::Warning,
        "pooler_error",
        details,
        format_args!("pooler error: {error}"),
    );
}

/// A server took our connection; the login follows (`log_connections`). `local` is our end, `None`
/// for a unix socket.
pub fn server_connected(who: &Who<'_>, local: Option<SocketAddr>) {
    let details = Details {
        switch: Some(Switch::Connections),
        ..Details::of(who)
    };
    let text = "new connection to server";
    match local {
        Some(local) => {
            emit(
                Level::Log,
                "server_connected",
                details,
                format_args!("{text} (from {local})"),
            );
        }
        None => emit(
            Level::Log,
            "server_connected",
            details,
            format_args!("{text}"),
        ),
    }
}

/// A server refused our login, with its own severity and message.
pub fn server_login_failed(who: &Who<'_>, severity: &str, message: &str) {
    let details = Details {
        repeat: Repeat::Limited,
        error: Some(&message),
        ..Details::of(who)
    };
    let text = format_args!("server login failed: {severity} {message}");
    emit(Level::Warning, "server_login_failed", details, text);
}

/// A query that took long, and where the time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowQuery<'a> {
    /// Time in which the client waited for a server.
    pub waited_us: u64,
    /// Time of the server.
    pub server_us: u64,
    /// Number of the statement; `None` where it was not read.
    pub fingerprint: Option<u64>,
    /// Its text, which must have no values in it.
    pub text: &'a str,
}

/// A query took at least `log_min_duration`.
pub fn slow_query(who: &Who<'_>, query: &SlowQuery<'_>) {
    let all = query.waited_us.saturating_add(query.server_us);
    let details = Details {
        repeat: Repeat::Limited,
        elapsed_ms: Some(all / 1000),
        ..Details::of(who)
    };
    let (all, waited) = (Milliseconds(all), Milliseconds(query.waited_us));
    let server = Milliseconds(query.server_us);
    let times = format_args!("total {all} (waited {waited} for a server, server {server})");
    let Some(fingerprint) = query.fingerprint else {
        let text = format_args!("slow query: {times}, text not read");
        return emit(Level::Log, "slow_query", details, text);
    };
    let text = query.text;
    let text = format_args!("slow query: {times}, fingerprint {fingerprint:016x}, {text}");
    emit(Level::Log, "slow_query", details, text);
}

/// Microseconds, shown as milliseconds.
struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} ms", self.0 / 1000, self.0 % 1000 / 100)
    }
}

/// A step worth seeing with `-v` only. `text` must not have SQL text or parameters in it.
pub fn debug(who: &Who<'_>, event: &'static str, text: &dyn fmt::Display) {
    emit(
        Level::Debug,
        event,
        Details::of(who),
        format_args!("{text}"),
    );
}
