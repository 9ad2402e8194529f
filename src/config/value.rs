//! Sans-IO. A setting's text to its typed value, as `PgBouncer` reads it.
//!
//! Numbers are read as by `strtol` with base 0 (`0x1F`, and `0777` is octal), times are seconds
//! with a fraction. More lenient than `PgBouncer`: booleans may also be words. Stricter: a number
//! that does not fit is an error and does not wrap.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::choice::{
    AUTH_TYPES_NOT_BUILT, AuthType, ErrorCodes, FenceScope, LogFormat, PoolMode, RouteMode,
    SslMode, SyslogFacility, TlsProtocols,
};
use super::kind::{Kind, ValueError, WORKERS_MAX};
use super::model::Secret;
use super::nearest;

/// Longest time that can be set, about a hundred years: what is longer is cut to it, so that no
/// sum with a point in time can overflow.
pub const LONGEST_SECONDS: u64 = 100 * 365 * 24 * 3600;

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// Reads `raw`, which is one trimmed line.
    fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError>;

    /// The value of a setting whose default is NULL.
    fn absent(kind: &Kind) -> Result<Self, ValueError> {
        Self::read("", kind)
    }
}

/// Reads a number as `strtol` with base 0 does, all of the text or nothing.
pub(super) fn integer(raw: &str) -> Result<i64, ValueError> {
    let (negative, digits) = match raw.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, raw.strip_prefix('+').unwrap_or(raw)),
    };
    let (digits, radix) = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    // `from_str_radix` would take a second sign.
    if !digits.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(ValueError::NotInt);
    }
    let value = i64::from_str_radix(digits, radix).map_err(|_| ValueError::NotInt)?;
    Ok(if negative { -value } else { value })
}

fn in_range(raw: &str, kind: &Kind) -> Result<i64, ValueError> {
    let (min, max) = kind.range();
    let value = integer(raw)?;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(ValueError::OutOfRange { min, max })
    }
}

/// Reads a time in seconds, `least` or more, with a fraction or in hexadecimal.
pub(super) fn seconds(raw: &str, least: u32) -> Result<Duration, ValueError> {
    let wrong = || ValueError::NotSeconds(least);
    let longest = Duration::from_secs(LONGEST_SECONDS);
    if raw.contains(['x', 'X']) {
        let whole = u64::try_from(integer(raw).map_err(|_| wrong())?).map_err(|_| wrong())?;
        return at_least(Duration::from_secs(whole).min(longest), least);
    }
    let number: f64 = raw.parse().map_err(|_| wrong())?;
    if !number.is_finite() || number.is_sign_negative() && number != 0.0 {
        return Err(wrong());
    }
    let time = Duration::try_from_secs_f64(number.abs()).map_or(longest, |time| time.min(longest));
    at_least(time, least)
}

fn at_least(time: Duration, least: u32) -> Result<Duration, ValueError> {
    if time < Duration::from_secs(least.into()) {
        return Err(ValueError::NotSeconds(least));
    }
    Ok(time)
}

/// Reads a boolean: any number as `PgBouncer`, or a word.
pub(super) fn boolean(raw: &str) -> Result<bool, ValueError> {
    if let Ok(number) = integer(raw) {
        return Ok(number != 0);
    }
    let is = |words: [&str; 3]| words.iter().any(|word| raw.eq_ignore_ascii_case(word));
    match (is(["on", "yes", "true"]), is(["off", "no", "false"])) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        (false, false) => Err(ValueError::NotBool),
    }
}

/// Cuts a list with commas between; blanks around the parts and empty parts do not count.
pub(super) fn list(raw: &str) -> Vec<String> {
    let parts = raw
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn not_choice(raw: &str, allowed: &'static [&'static str]) -> ValueError {
    let hint = nearest::hint(raw, allowed.iter().copied());
    ValueError::NotChoice { allowed, hint }
}

fn one_line(raw: &str) -> Result<String, ValueError> {
    if raw.contains(['\0', '\n', '\r']) {
        return Err(ValueError::NotOneLine);
    }
    Ok(raw.to_owned())
}

macro_rules! integers {
    ($($type:ty),+) => { $(
        impl Value for $type {
            fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError> {
                let value = in_range(raw, kind)?;
                let (min, max) = kind.range();
                Self::try_from(value).map_err(|_| ValueError::OutOfRange { min, max })
            }

            fn absent(kind: &Kind) -> Result<Self, ValueError> {
                Self::read("0", kind)
            }
        }
    )+ };
}
integers!(u8, u16, u32, i32, usize);

macro_rules! words {
    ($($type:ty),+) => { $(
        impl Value for $type {
            fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
                Self::from_name(raw).ok_or_else(|| not_choice(raw, Self::NAMES))
            }
        }
    )+ };
}
words!(
    PoolMode,
    SslMode,
    LogFormat,
    ErrorCodes,
    SyslogFacility,
    RouteMode,
    FenceScope
);

impl Value for AuthType {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        let known = |name: &&&str| raw.eq_ignore_ascii_case(name);
        match AUTH_TYPES_NOT_BUILT.iter().find(known) {
            Some(name) => Err(ValueError::AuthTypeNotBuilt(name)),
            None => Self::from_name(raw).ok_or_else(|| not_choice(raw, Self::NAMES)),
        }
    }
}

impl Value for TlsProtocols {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        // As libtls reads it: a first word with "!" takes away from all, any other adds to none.
        let (mut tls12, mut tls13) = (
            raw.trim_start().starts_with('!'),
            raw.trim_start().starts_with('!'),
        );
        for word in raw.split([',', ':']).map(str::trim) {
            let (add, word) = match word.strip_prefix('!') {
                Some(word) => (false, word.trim()),
                None => (true, word),
            };
            match word.to_ascii_lowercase().as_str() {
                "all" | "legacy" | "secure" | "default" | "tlsv1" => (tls12, tls13) = (add, add),
                "tlsv1.2" => tls12 = add,
                "tlsv1.3" => tls13 = add,
                "tlsv1.0" | "tlsv1.1" => {}
                _ => return Err(ValueError::NotTlsProtocols),
            }
        }
        match (tls12, tls13) {
            (true, true) => Ok(Self::Both),
            (true, false) => Ok(Self::Tls12),
            (false, true) => Ok(Self::Tls13),
            (false, false) => Err(ValueError::NoTlsProtocol),
        }
    }
}

impl Value for bool {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        boolean(raw)
    }
}

impl Value for Duration {
    fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError> {
        if let Kind::Interval { least_ms } = *kind {
            let time = seconds(raw, 0).map_err(|_| ValueError::NotInterval(least_ms))?;
            let long = time >= Duration::from_millis(least_ms.into());
            return if long {
                Ok(time)
            } else {
                Err(ValueError::NotInterval(least_ms))
            };
        }
        let least = if let Kind::Seconds { least } = *kind {
            least
        } else {
            0
        };
        seconds(raw, least)
    }
}

impl Value for Option<Duration> {
    fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError> {
        let time = if *kind == Kind::Milliseconds {
            Duration::from_millis(in_range(raw, kind)?.unsigned_abs())
        } else {
            seconds(raw, 0)?
        };
        Ok((!time.is_zero()).then_some(time))
    }
}

impl Value for Option<usize> {
    fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError> {
        let number = usize::try_from(in_range(raw, kind)?).unwrap_or(0);
        Ok((number > 0).then_some(number))
    }
}

impl Value for Option<u64> {
    fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError> {
        let number = u64::try_from(in_range(raw, kind)?).unwrap_or(0);
        Ok((number > 0).then_some(number))
    }
}

impl Value for Option<u16> {
    fn read(raw: &str, kind: &Kind) -> Result<Self, ValueError> {
        u16::read(raw, kind).map(|number| (number > 0).then_some(number))
    }
}

impl Value for String {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        one_line(raw)
    }
}

impl Value for Option<String> {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        one_line(raw).map(|text| (!text.is_empty()).then_some(text))
    }
}

impl Value for Vec<String> {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        one_line(raw).map(|text| list(&text))
    }
}

/// How many threads serve clients (`workers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// As many as suit the cores that the process may use.
    Auto,
    /// That many.
    Count(NonZeroUsize),
}

impl Value for Workers {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        if raw.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let count = integer(raw)
            .ok()
            .and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| *count <= WORKERS_MAX);
        count
            .and_then(NonZeroUsize::new)
            .map(Self::Count)
            .ok_or(ValueError::NotWorkers)
    }
}

/// Where HTTP is served (`http_listen`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAddress {
    /// A name, an address without brackets, or `*` for all addresses.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl Value for Option<HttpAddress> {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        if raw.is_empty() {
            return Ok(None);
        }
        let (host, port) = raw.rsplit_once(':').ok_or(ValueError::NotHttpAddress)?;
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_address = inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
        let is_name = inner.is_none() && !host.is_empty() && !host.contains([':', '[', ']', ' ']);
        let port: u16 = port.parse().map_err(|_| ValueError::NotHttpAddress)?;
        if !(is_address || is_name) || port == 0 {
            return Err(ValueError::NotHttpAddress);
        }
        let host = inner.unwrap_or(host).to_owned();
        Ok(Some(HttpAddress { host, port }))
    }
}

impl Value for Option<Secret> {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        one_line(raw).map(|text| (!text.is_empty()).then(|| Secret::new(text)))
    }
}

/// How an idle server connection is tried before it is used again (`server_check_query`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckQuery {
    /// Not at all (the setting is empty).
    Off,
    /// With an empty query (the setting is `<empty>`, the default).
    Empty,
    /// With this SQL.
    Sql(String),
}

impl Value for CheckQuery {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        one_line(raw).map(|text| match text.as_str() {
            "" => Self::Off,
            "<empty>" => Self::Empty,
            _ => Self::Sql(text),
        })
    }
}

/// Where unix sockets live (`unix_socket_dir`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketDir {
    /// In this directory.
    Path(String),
    /// In the abstract namespace; the name without its leading `@`.
    Abstract(String),
}

impl Value for Option<SocketDir> {
    fn read(raw: &str, _: &Kind) -> Result<Self, ValueError> {
        one_line(raw).map(|text| match text.strip_prefix('@') {
            Some(name) => Some(SocketDir::Abstract(name.to_owned())),
            None if text.is_empty() => None,
            None => Some(SocketDir::Path(text)),
        })
    }
}

#[cfg(test)]
mod tests;
