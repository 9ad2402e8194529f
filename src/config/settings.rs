//! Sans-IO. The one table of settings.
//!
//! A row is: meaning, `name: type = default, kind, reload, status;`. Rows stand in the order of
//! `SHOW CONFIG`, which is alphabetical. Not here: what a kind is (`kind`), how values are read
//! (`value`), which settings do not go together (`check`).

use std::time::Duration;

use super::choice::{
    AuthType, ErrorCodes, FenceScope, LogFormat, PoolMode, RouteMode, SslMode, SyslogFacility,
    TlsProtocols,
};
use super::kind::{Kind, ValueError};
use super::model::Secret;
use super::setting::Reload::{Live, Restart};
use super::setting::Status::{Built, NotBuilt, Obsolete};
use super::setting::{Setting, settings};
use super::value::{CheckQuery, HttpAddress, SocketDir, Value, Workers};

const INT_MAX: i64 = i32::MAX as i64;
/// Any number from zero that fits in 32 bits with its sign, as `PgBouncer`'s integers.
const COUNT: Kind = Kind::Int {
    min: 0,
    max: INT_MAX,
};
const SECONDS: Kind = Kind::Seconds { least: 0 };
const NOT_HBA: &str = "auth_type=hba is not built yet";
const ONE_LOOP: &str = "buffers belong to the worker threads and need no tuning";
const FIXED_SUITES: &str = "the TLS library offers one fixed list of safe cipher suites";
const FIXED_GROUPS: &str = "the TLS library chooses the key exchange itself";

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

settings! {
    /// Comma-separated list of users who may run every command of the admin console.
    admin_users: Vec<String> = Some(""), Kind::List, Live, Built;
    /// Adds the client's host and port to `application_name` when it connects ("app - host:port"),
    /// so that the origin of a query can be seen on the server.
    application_name_add_host: bool = Some("0"), Kind::Bool, Live, Built;
    /// Database of `[databases]` on which `auth_query` is run. Not set: the database that the client
    /// asked for. Can be set per database.
    auth_dbname: Option<String> = None, Kind::Text, Live, Built;
    /// File with user names and passwords. Read again by RELOAD.
    auth_file: Option<String> = None, Kind::Path, Live, Built;
    /// File with host-based access rules, used with `auth_type=hba`.
    auth_hba_file: Option<String> = Some(""), Kind::Path, Live, NotBuilt(NOT_HBA);
    /// File with user name maps for the cert and peer rules of `auth_hba_file`.
    auth_ident_file: Option<String> = None, Kind::Path, Live, NotBuilt(NOT_HBA);
    /// Options for `auth_type=ldap`.
    auth_ldap_options: Option<String> = None, Kind::SecretText, Live,
        NotBuilt("auth_type=ldap is not built yet");
    /// Query that fetches the password of a user who is not in `auth_file`. $1 is the user's name.
    /// It returns two columns, the name and the password, and runs as `auth_user`. Can be set per
    /// database.
    auth_query: String = Some("SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE \
        rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin"), Kind::Sql, Live, Built;
    /// How clients log in. any: everybody is let in and each database needs a forced user. trust:
    /// no password, but the user must be known. plain: password in clear text. md5: MD5, or SCRAM
    /// for users with a SCRAM secret. scram-sha-256: SCRAM only. cert, hba, ldap and pam are
    /// errors.
    auth_type: AuthType = Some("md5"), Kind::Choice(AuthType::NAMES), Live, Built;
    /// User who runs `auth_query`. The password is taken from `auth_file`. Can be set per
    /// database.
    auth_user: Option<String> = None, Kind::Text, Live, Built;
    /// Databases that were made from the "*" entry are forgotten after being idle for so long.
    autodb_idle_timeout: Option<Duration> = Some("3600"), Kind::Timeout, Live, Built;
    /// Availability zone of this process: reads go to replicas of the same `zone` as long as there
    /// is one that may be used. Empty: zones are not looked at.
    availability_zone: Option<String> = Some(""), Kind::Text, Live, Built;
    /// Longest time a cancel request waits for a server connection; then it is dropped.
    cancel_wait_timeout: Option<Duration> = Some("10"), Kind::Timeout, Live, Built;
    /// A client that sends nothing for so long is disconnected. Can be set per user.
    client_idle_timeout: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// A client that has not logged in after so long is disconnected.
    client_login_timeout: Option<Duration> = Some("60"), Kind::Timeout, Live, Built;
    /// Cipher suites of TLS 1.3 that are offered to clients.
    client_tls13_ciphers: Option<String> = None, Kind::Text, Live, NotBuilt(FIXED_SUITES);
    /// Certificates of the authorities that sign client certificates. Needed for
    /// `client_tls_sslmode=verify-ca` and verify-full.
    client_tls_ca_file: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Certificate that is shown to clients.
    client_tls_cert_file: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Cipher suites of TLS 1.2 and older that are offered to clients.
    client_tls_ciphers: String = Some("default"), Kind::Text, Live, NotBuilt(FIXED_SUITES);
    /// Parameters of the DHE key exchange with clients.
    client_tls_dheparams: String = Some("auto"), Kind::Text, Live, NotBuilt(FIXED_GROUPS);
    /// Curve of the ECDH key exchange with clients.
    client_tls_ecdhcurve: String = Some("auto"), Kind::Text, Live, NotBuilt(FIXED_GROUPS);
    /// Private key of `client_tls_cert_file`.
    client_tls_key_file: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Versions of TLS that are offered to clients: secure or all (both are 1.2 and 1.3), or a list
    /// of tlsv1.2 and tlsv1.3. Older versions are not built.
    client_tls_protocols: TlsProtocols = Some("secure"), Kind::TlsProtocols, Live, Built;
    /// TLS with clients. disable: never. allow, prefer: if the client asks. require: always.
    /// verify-ca, verify-full: always, with a certificate that `client_tls_ca_file` vouches for.
    client_tls_sslmode: SslMode = Some("disable"), Kind::Choice(SslMode::NAMES), Live, Built;
    /// The configuration file that the next RELOAD reads. Set at start from the command line.
    conffile: Option<String> = None, Kind::Path, Live, Built;
    /// Most server connections of one pool, that is, of one user and database. Can be set per
    /// database and per user as `pool_size`.
    default_pool_size: usize = Some("20"), COUNT, Live, Built;
    /// Refuses the simple query protocol, which allows several statements in one message.
    disable_pqexec: bool = Some("0"), Kind::Bool, Restart, Built;
    /// How long a looked-up address is kept.
    dns_max_ttl: Duration = Some("15"), SECONDS, Live, Built;
    /// How long a failed look-up is remembered.
    dns_nxdomain_ttl: Duration = Some("15"), SECONDS, Live, Built;
    /// How often the zones' serial numbers are looked at.
    dns_zone_check_period: Option<Duration> = Some("0"), Kind::Timeout, Live,
        NotBuilt("names are looked up by the operating system, which knows no zones");
    /// Which SQLSTATE the pooler's own errors carry. pgbouncer: 08P01 for all. postgres: the code
    /// that `PostgreSQL` has for the case, for example 53300 for too many connections.
    error_codes: ErrorCodes = Some("pgbouncer"), Kind::Choice(ErrorCodes::NAMES), Live, Built;
    /// How often the servers' positions in the log are asked for while a client waits to know whether
    /// a replica has its writes; five times as often while one does nothing else. Shorter: reads come
    /// back to replicas sooner after a write.
    fence_interval: Duration = Some("0.01"), Kind::Interval { least_ms: 1 }, Live, Built;
    /// Whose writes a read on a replica is sure to see, and behind whose reads it never goes back.
    /// session: those of the same client connection. user: of all clients with the same database
    /// and user. database: of all clients of the database. off: reads may be stale.
    fence_scope: FenceScope = Some("session"), Kind::Choice(FenceScope::NAMES), Live, Built;
    /// How long a read may wait for a replica that has not yet got its client's writes. Then it goes to
    /// the primary. With 0 it goes there at once; but a client that has not paused for ten times
    /// `fence_interval` waits for one such interval, and less often where that does not help.
    fence_wait: Duration = Some("0"), SECONDS, Live, Built;
    /// Comma-separated list of host names by which HTTP may be asked besides addresses and localhost.
    /// Requests with another name in their Host header are refused, since a page of somebody else may
    /// have sent a browser here.
    http_allowed_hosts: Vec<String> = Some(""), Kind::List, Restart, Built;
    /// Password of `http_auth_user`, by which HTTP basic authentication is asked for metrics and tables.
    http_auth_password: Option<Secret> = Some(""), Kind::SecretText, Restart, Built;
    /// Token that HTTP asks for metrics and tables ("Authorization: Bearer TOKEN").
    http_auth_token: Option<Secret> = Some(""), Kind::SecretText, Restart, Built;
    /// User of HTTP basic authentication.
    http_auth_user: Option<String> = Some(""), Kind::Text, Restart, Built;
    /// Where HTTP is served, as address:port: metrics for Prometheus at /metrics, health at /healthz
    /// and /readyz, tables at /api/v1. Empty: nowhere. Tables are shown to other machines only where
    /// a token or a password is set.
    http_listen: Option<HttpAddress> = Some(""), Kind::HttpAddress, Restart, Built;
    /// Most databases, and most pairs of database and user, that /metrics names. All others together
    /// are called "other".
    http_max_pools: usize = Some("100"), COUNT, Live, Built;
    /// Certificate by which HTTP is served over TLS.
    http_tls_cert_file: Option<String> = Some(""), Kind::Path, Restart, Built;
    /// Private key of `http_tls_cert_file`.
    http_tls_key_file: Option<String> = Some(""), Kind::Path, Restart, Built;
    /// A client that idles inside a transaction for so long is disconnected. Can be set per user.
    idle_transaction_timeout: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// Comma-separated list of startup parameters that are accepted and ignored. "options" in the
    /// list ignores the unknown parameters inside options.
    ignore_startup_parameters: Vec<String> = Some(""), Kind::List, Live, Built;
    /// Name of the Windows service.
    job_name: String = Some("pgbouncer"), Kind::Text, Restart,
        NotBuilt("there is no Windows service");
    /// Comma-separated list of addresses to listen on, or "*" for all. Empty: unix sockets only.
    listen_addr: Vec<String> = Some(""), Kind::List, Restart, Built;
    /// How many connections may wait to be accepted.
    listen_backlog: u32 = Some("128"), COUNT, Restart, Built;
    /// Port of the TCP and unix sockets.
    listen_port: u16 = Some("6432"), Kind::Int { min: 1, max: 65535 }, Restart, Built;
    /// Logs each login.
    log_connections: bool = Some("1"), Kind::Bool, Live, Built;
    /// Logs each disconnection with its reason.
    log_disconnections: bool = Some("1"), Kind::Bool, Live, Built;
    /// Look of the log. pgbouncer: lines as `PgBouncer` writes them. json: one object a line.
    log_format: LogFormat = Some("pgbouncer"), Kind::Choice(LogFormat::NAMES), Live, Built;
    /// A query that takes at least so many milliseconds, the wait for a server included, is logged:
    /// both times apart, and its text without values. Of many at once only some are. 0: every query.
    /// -1: none.
    log_min_duration: i32 = Some("100"), Kind::Int { min: -1, max: INT_MAX }, Live, Built;
    /// Logs the errors that the pooler sends to clients.
    log_pooler_errors: bool = Some("1"), Kind::Bool, Live, Built;
    /// Logs the summed-up statistics every `stats_period`.
    log_stats: bool = Some("1"), Kind::Bool, Live, Built;
    /// Log file. Opened again by RELOAD, so it can be rotated.
    logfile: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Notice that each client gets after its login.
    login_notify_message: Option<String> = Some(""), Kind::Text, Live, Built;
    /// Most client connections. The admin console does not count.
    max_client_conn: usize = Some("100"), COUNT, Live, Built;
    /// Most client connections of one database. Can be set per database.
    max_db_client_connections: Option<usize> = Some("0"), Kind::Limit, Live, Built;
    /// Most server connections of one database, over all its pools. Can be set per database.
    max_db_connections: Option<usize> = Some("0"), Kind::Limit, Live, Built;
    /// Longest message of the protocol that is accepted.
    max_packet_size: usize = Some("2147483647"), Kind::Bytes { min: 256, max: 0xffff_ffff },
        Live, Built;
    /// Prepared statements that are kept on one server connection, so that clients of transaction
    /// and statement pools can use them. 0: they are not looked at.
    max_prepared_statements: usize = Some("200"), COUNT, Live, Built;
    /// Most client connections of one user. Can be set per user.
    max_user_client_connections: Option<usize> = Some("0"), Kind::Limit, Live, Built;
    /// Most server connections of one user, over all pools. Can be set per user.
    max_user_connections: Option<usize> = Some("0"), Kind::Limit, Live, Built;
    /// Server connections that a pool keeps open even when idle, if the database has a forced user
    /// or the pool has a client. Can be set per database.
    min_pool_size: usize = Some("0"), COUNT, Live, Built;
    /// User who asks the servers of a database with replicas for their role and position. The
    /// password is taken from `auth_file`; no right is needed but to log in. A member of `pg_monitor`
    /// sees at once that a replica follows a new primary, anybody else after a checkpoint. Empty:
    /// the forced user of the database, else `auth_user`, else a user who has logged in.
    monitor_user: Option<String> = Some(""), Kind::Text, Live, Built;
    /// This process's number in a group of peers, see `[peers]`. 0: it has no peers.
    peer_id: Option<u16> = Some("0"), Kind::Int { min: 0, max: 16383 }, Live, Built;
    /// File for the process id. Needed with -d.
    pidfile: Option<String> = Some(""), Kind::Path, Restart, Built;
    /// Size of a connection's buffer.
    pkt_buf: usize = Some("4096"), Kind::Bytes { min: 1, max: INT_MAX }, Restart,
        NotBuilt(ONE_LOOP);
    /// How many server connections one pool may be opening at once. 1: one after the other, as
    /// `PgBouncer`.
    pool_connect_parallelism: usize = Some("4"), Kind::Int { min: 1, max: 1000 }, Live, Built;
    /// A pool without clients and servers is forgotten after so long.
    pool_idle_timeout: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// When a server connection goes back to its pool. session: when the client leaves.
    /// transaction: after each transaction. statement: after each query. Can be set per database
    /// and per user.
    pool_mode: PoolMode = Some("session"), Kind::Choice(PoolMode::NAMES), Live, Built;
    /// Counts what each statement costs, whatever its values are, for SHOW QUERIES.
    query_stats: bool = Some("1"), Kind::Bool, Live, Built;
    /// Statements that each worker counts at most. What is counted of those that have to make room is
    /// shown in one row for all of them.
    query_stats_max: usize = Some("1000"), Kind::Int { min: 10, max: 100_000 }, Live, Built;
    /// A query that runs for so long loses its server connection. Can be set per user.
    query_timeout: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// A client that waits for a server for so long gets a notice.
    query_wait_notify: Option<Duration> = Some("5"), Kind::Timeout, Live, Built;
    /// A client that waits for a server for so long is disconnected. Can be set per database and
    /// per user.
    query_wait_timeout: Option<Duration> = Some("120"), Kind::Timeout, Live, Built;
    /// How often each server of a database with replicas is asked for its role, position and lag.
    replica_check_period: Duration = Some("1"), Kind::Interval { least_ms: 10 }, Live, Built;
    /// A server that has not answered for so long gets no more reads until it does.
    replica_check_timeout: Duration = Some("1"), Kind::Interval { least_ms: 10 }, Live, Built;
    /// A replica that is behind the primary by more than this time gets no reads.
    replica_max_lag: Option<Duration> = Some("10"), Kind::Timeout, Live, Built;
    /// A replica that is behind the primary by more than so many bytes of its log gets no reads.
    /// 0: bytes are not looked at.
    replica_max_lag_bytes: Option<u64> = Some("0"), Kind::Bytes { min: 0, max: i64::MAX },
        Live, Built;
    /// Time in which the share of a replica that has come back grows to its whole.
    replica_slow_start: Option<Duration> = Some("10"), Kind::Timeout, Live, Built;
    /// Server connections that a pool may have beyond its size once a client has waited for
    /// `reserve_pool_timeout`. Can be set per database and per user.
    reserve_pool_size: usize = Some("0"), COUNT, Live, Built;
    /// How long a client waits before the reserve is used. 0: the reserve is not used.
    reserve_pool_timeout: Option<Duration> = Some("5"), Kind::Timeout, Live, Built;
    /// A resolv.conf of one's own.
    resolv_conf: Option<String> = Some(""), Kind::Path, Restart,
        NotBuilt("names are looked up by the operating system");
    /// Where reads go of databases that have `replicas`, and of no others. on: to a replica, if they
    /// are proven to be reads and see all that `fence_scope` promises. observe: to the primary, but
    /// where they would have gone is counted. off: to the primary, and nothing is looked at.
    route_mode: RouteMode = Some("on"), Kind::Choice(RouteMode::NAMES), Live, Built;
    /// How often one connection is read before the next has its turn.
    sbuf_loopcnt: usize = Some("5"), COUNT, Live, NotBuilt(ONE_LOOP);
    /// Iterations of the SCRAM verifier that is made for a user whose password is stored plain.
    scram_iterations: u32 = Some("4096"), Kind::Int { min: 1, max: INT_MAX }, Live, Built;
    /// A server connection that was idle for longer is tried before it is used again.
    server_check_delay: Duration = Some("30"), SECONDS, Live, Built;
    /// What it is tried with. `<empty>`: an empty query. Nothing at all: it is not tried.
    server_check_query: CheckQuery = Some("<empty>"), Kind::Sql, Live, Built;
    /// A server connection whose connect and login take longer is given up.
    server_connect_timeout: Option<Duration> = Some("15"), Kind::Timeout, Live, Built;
    /// Closes server connections of session pools at once when RECONNECT or a changed database
    /// asks for it, without waiting for the client to leave.
    server_fast_close: bool = Some("0"), Kind::Bool, Live, Built;
    /// A server connection that was idle for so long is closed.
    server_idle_timeout: Option<Duration> = Some("600"), Kind::Timeout, Live, Built;
    /// A server connection of this age is closed when it is not in use. 0: it is used once. Can be
    /// set per database.
    server_lifetime: Duration = Some("3600"), SECONDS, Live, Built;
    /// Pause after a failed connect or login.
    server_login_retry: Duration = Some("15"), SECONDS, Live, Built;
    /// Query that cleans a server connection when it goes back to a session pool.
    server_reset_query: Option<String> = Some("DISCARD ALL"), Kind::Sql, Live, Built;
    /// Runs `server_reset_query` in transaction and statement pools, too.
    server_reset_query_always: bool = Some("0"), Kind::Bool, Live, Built;
    /// Uses the server connection that was idle longest, not the one used last.
    server_round_robin: bool = Some("0"), Kind::Bool, Live, Built;
    /// Cipher suites of TLS 1.3 that are offered to servers.
    server_tls13_ciphers: Option<String> = None, Kind::Text, Live, NotBuilt(FIXED_SUITES);
    /// Certificates of the authorities that sign the servers' certificates. Not set: those that the
    /// operating system trusts.
    server_tls_ca_file: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Certificate that is shown to servers that ask for one.
    server_tls_cert_file: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Cipher suites of TLS 1.2 and older that are offered to servers.
    server_tls_ciphers: String = Some("default"), Kind::Text, Live, NotBuilt(FIXED_SUITES);
    /// Private key of `server_tls_cert_file`.
    server_tls_key_file: Option<String> = Some(""), Kind::Path, Live, Built;
    /// Versions of TLS that are offered to servers, see `client_tls_protocols`.
    server_tls_protocols: TlsProtocols = Some("secure"), Kind::TlsProtocols, Live, Built;
    /// TLS with servers. disable: never. allow, prefer: if the server can. require: always.
    /// verify-ca: always, with a certificate that `server_tls_ca_file` vouches for. verify-full:
    /// and it must be for the server's host name.
    server_tls_sslmode: SslMode = Some("prefer"), Kind::Choice(SslMode::NAMES), Live, Built;
    /// Name of the Windows service, the older name of `job_name`.
    service_name: String = Some("pgbouncer"), Kind::Text, Restart,
        Obsolete("there is no Windows service");
    /// Lets several processes listen on the same port.
    so_reuseport: bool = Some("0"), Kind::Bool, Restart, Built;
    /// How often the averages of the SHOW commands are made and logged.
    stats_period: Duration = Some("60"), Kind::Seconds { least: 1 }, Live, Built;
    /// Comma-separated list of users who may run the SHOW commands of the admin console.
    stats_users: Vec<String> = Some(""), Kind::List, Live, Built;
    /// How long SUSPEND and an online restart could take.
    suspend_timeout: Option<Duration> = Some("10"), Kind::Timeout, Live,
        Obsolete("SUSPEND and online restarts went away with PgBouncer 1.26");
    /// Sends the log to syslog.
    syslog: bool = Some("0"), Kind::Bool, Live, Built;
    /// Facility of the lines in syslog.
    syslog_facility: SyslogFacility = Some("daemon"), Kind::Choice(SyslogFacility::NAMES),
        Live, Built;
    /// Name of the program in syslog.
    syslog_ident: String = Some("pgbouncer"), Kind::Text, Live, Built;
    /// Accepts a TCP connection only when its first bytes are there (`TCP_DEFER_ACCEPT`, 45
    /// seconds).
    tcp_defer_accept: bool = Some("1"), Kind::Bool, Live, Built;
    /// TCP keepalive on client and server connections.
    tcp_keepalive: bool = Some("1"), Kind::Bool, Live, Built;
    /// Unanswered keepalive probes that end a connection. 0: the system's default.
    tcp_keepcnt: u32 = Some("0"), COUNT, Live, Built;
    /// Silence before the first keepalive probe. 0: the system's default.
    tcp_keepidle: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// Time between keepalive probes. 0: the system's default.
    tcp_keepintvl: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// Size of the sockets' buffers in the kernel. 0: the system's default.
    tcp_socket_buffer: Option<usize> = Some("0"), Kind::Bytes { min: 0, max: INT_MAX }, Live, Built;
    /// How long sent data may stay unacknowledged before the connection is ended
    /// (`TCP_USER_TIMEOUT`). 0: the system's default.
    tcp_user_timeout: Option<Duration> = Some("0"), Kind::Milliseconds, Live, Built;
    /// Comma-separated list of further parameters that are tracked per client. The parameters that
    /// `PostgreSQL` reports to clients are tracked without being named here.
    track_extra_parameters: Vec<String> = Some(""), Kind::List, Restart, Built;
    /// A transaction that runs for so long loses its server connection. Can be set per user.
    transaction_timeout: Option<Duration> = Some("0"), Kind::Timeout, Live, Built;
    /// Directory of the unix sockets, for clients and for servers without a host. "@name": in the
    /// abstract namespace. Empty: no unix sockets.
    unix_socket_dir: Option<SocketDir> = Some("/tmp"), Kind::Path, Restart, Built;
    /// Group of the unix socket.
    unix_socket_group: Option<String> = Some(""), Kind::Text, Restart, Built;
    /// Access rights of the unix socket, octal.
    unix_socket_mode: u32 = Some("0777"), Kind::Mode, Restart, Built;
    /// User to become after the start as root.
    user: Option<String> = None, Kind::Text, Restart, Built;
    /// How much is logged, as the number of -v on the command line: 0 to 3.
    verbose: u8 = None, Kind::Int { min: 0, max: 255 }, Live, Built;
    /// Threads that serve clients: auto, or a number. auto is one for each core, and one where there
    /// are only two cores.
    workers: Workers = Some("auto"), Kind::Workers, Restart, Built;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_show_config() {
        let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn each_default_is_a_value_of_its_kind() {
        let defaults = Settings::default();
        for setting in SETTINGS {
            let Some(raw) = setting.default else { continue };
            let mut settings = Settings::default();
            assert_eq!(
                settings.assign(setting.name, raw),
                Some(Ok(())),
                "{}",
                setting.name
            );
            assert!(settings.same(setting.name, &defaults), "{}", setting.name);
            assert!(setting.is_default(raw), "{}", setting.name);
        }
    }

    #[test]
    fn each_row_has_an_effect_on_its_own_field_only() {
        for setting in SETTINGS {
            let other = [
                "1",
                "0",
                "x",
                "trust",
                "require",
                "transaction",
                "json",
                "postgres",
            ]
            .into_iter()
            .chain(["tlsv1.3", "local0", "300", "off", "*:9127"])
            .find(|raw| {
                let mut settings = Settings::default();
                settings.assign(setting.name, raw) == Some(Ok(()))
                    && !settings.same(setting.name, &Settings::default())
            });
            let raw = other.unwrap_or_else(|| panic!("{} takes only its default", setting.name));
            let mut changed = Settings::default();
            changed.assign(setting.name, raw);
            for row in SETTINGS {
                let same = changed.same(row.name, &Settings::default());
                assert_eq!(
                    same,
                    row.name != setting.name,
                    "{} -> {}",
                    setting.name,
                    row.name
                );
            }
            let mut copied = Settings::default();
            copied.copy(setting.name, &changed);
            assert_eq!(copied, changed, "{}", setting.name);
        }
    }

    #[test]
    fn defaults_that_pgbouncer_documents_are_typed_right() {
        let settings = Settings::default();
        assert_eq!(settings.listen_port, 6432);
        assert_eq!(settings.unix_socket_mode, 0o777);
        assert_eq!(
            settings.unix_socket_dir,
            Some(SocketDir::Path("/tmp".into()))
        );
        assert_eq!(settings.query_wait_timeout, Some(Duration::from_secs(120)));
        assert_eq!(settings.query_timeout, None);
        assert_eq!(settings.server_lifetime, Duration::from_secs(3600));
        assert_eq!(settings.server_check_query, CheckQuery::Empty);
        assert_eq!(settings.server_reset_query.as_deref(), Some("DISCARD ALL"));
        assert_eq!(settings.max_db_connections, None);
        assert_eq!(settings.pool_mode, PoolMode::Session);
        assert_eq!(settings.workers, Workers::Auto);
        assert!(
            settings
                .auth_query
                .ends_with("WHERE rolname=$1 AND rolcanlogin")
        );
    }

    #[test]
    fn unknown_names_are_not_assigned() {
        assert_eq!(Settings::default().assign("nope", "1"), None);
        assert!(
            find("Listen_Port").is_none(),
            "names are case-sensitive, as in PgBouncer"
        );
    }
}
