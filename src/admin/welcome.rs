//! Sans-IO. What a console client is told at login, and the version texts.

use bytes::BytesMut;

use crate::protocol::reply;

/// Release of `PgBouncer` whose console we speak.
pub use crate::version::COMPATIBLE_WITH as PGBOUNCER_VERSION;

/// Answer of `SHOW VERSION`. Tools look for the words `PgBouncer` and a version number.
pub const VERSION_TEXT: &str = concat!("PgBouncer 1.26.1 (pgweir ", env!("CARGO_PKG_VERSION"), ")");

/// `ParameterStatus` messages of a console login, in order. Parameters that the client itself gave
/// and that are tracked (`application_name`, `DateStyle`, ...) follow with the client's values.
pub const PARAMETERS: [(&str, &str); 8] = [
    ("pgbouncer.version", PGBOUNCER_VERSION),
    ("server_version", "1.26.1/bouncer"),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
];

/// Appends the `ParameterStatus` messages of [`PARAMETERS`].
pub fn parameters(out: &mut BytesMut) {
    for (name, value) in PARAMETERS {
        reply::parameter_status(out, name, value);
    }
}

/// Detail of the notice that `SHOW HELP` sends: `PgBouncer`'s, byte for byte, and behind it our own.
pub const USAGE: &str = "
\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
\tSHOW PEERS|PEER_POOLS
\tSHOW SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE
\tSHOW DNS_HOSTS|DNS_ZONES
\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
\tSET key = arg
\tRELOAD
\tPAUSE [<db>]
\tRESUME [<db>]
\tDISABLE <db>
\tENABLE <db>
\tRECONNECT [<db>]
\tKILL [<db>]
\tKILL_CLIENT <client_id>
\tSHUTDOWN
\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS
\tWAIT_CLOSE [<db>]
\tSHOW QUERIES [ORDER BY <column> [ASC|DESC]] [LIMIT <n>]
\tRESET QUERIES";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_release_of_pgbouncer_stands_everywhere() {
        assert!(VERSION_TEXT.starts_with(&format!("PgBouncer {PGBOUNCER_VERSION} ")));
        assert!(PARAMETERS.contains(&("pgbouncer.version", PGBOUNCER_VERSION)));
        let server_version = format!("{PGBOUNCER_VERSION}/bouncer");
        assert!(PARAMETERS.contains(&("server_version", server_version.as_str())));
    }
}
