use super::*;
use crate::config::load;

fn config(text: &str) -> Config {
    let read = |_: &str| Ok(text.as_bytes().to_vec());
    load(&read, "t.ini", &[]).unwrap().config
}

const PRECEDENCE: &str = "[pgbouncer]\nauth_file=f\ndefault_pool_size=1\nreserve_pool_size=1\n\
    min_pool_size=1\npool_mode=session\nquery_wait_timeout=1\nserver_lifetime=1\n\
    max_db_connections=1\nmax_user_connections=1\nmax_user_client_connections=1\nquery_timeout=1\n\
    idle_transaction_timeout=1\ntransaction_timeout=1\nclient_idle_timeout=1\n\
    [databases]\nplain=\nown=pool_size=2 reserve_pool_size=2 min_pool_size=2 pool_mode=transaction \
    query_wait_timeout=2 server_lifetime=2 max_db_connections=2 max_db_client_connections=2 \
    auth_user=a auth_dbname=plain auth_query=q\n\
    [users]\nu=pool_size=3 reserve_pool_size=3 pool_mode=statement query_wait_timeout=3 \
    max_user_connections=3 max_user_client_connections=3 query_timeout=3 \
    idle_transaction_timeout=3 transaction_timeout=3 client_idle_timeout=3\n\
    off=query_wait_timeout=0 pool_size=0\n";

#[test]
fn user_beats_database_beats_setting() {
    let config = config(PRECEDENCE);
    let (plain, own) = (&config.databases["plain"], &config.databases["own"]);
    let secs = |n| Some(Duration::from_secs(n));
    for (spec, user, number, mode) in [
        (plain, "x", 1, PoolMode::Session),
        (own, "x", 2, PoolMode::Transaction),
        (plain, "u", 3, PoolMode::Statement),
        (own, "u", 3, PoolMode::Statement),
    ] {
        let count = usize::try_from(number).unwrap();
        assert_eq!(config.pool_size(spec, user), count);
        assert_eq!(config.reserve_pool_size(spec, user), count);
        assert_eq!(config.pool_mode(spec, user), mode);
        assert_eq!(config.query_wait_timeout(spec, user), secs(number));
    }
    for (user, number) in [("x", 1), ("u", 3)] {
        let count = usize::try_from(number).ok();
        assert_eq!(config.max_user_connections(user), count);
        assert_eq!(config.max_user_client_connections(user), count);
        assert_eq!(config.query_timeout(user), secs(number));
        assert_eq!(config.idle_transaction_timeout(user), secs(number));
        assert_eq!(config.transaction_timeout(user), secs(number));
        assert_eq!(config.client_idle_timeout(user), secs(number));
    }
    for (spec, number, clients) in [(plain, 1, None), (own, 2, Some(2))] {
        assert_eq!(config.min_pool_size(spec), number);
        assert_eq!(config.max_db_connections(spec), Some(number));
        assert_eq!(config.max_db_client_connections(spec), clients);
    }
    assert_eq!(config.server_lifetime(plain), Duration::from_secs(1));
    assert_eq!(config.server_lifetime(own), Duration::from_secs(2));
    assert_eq!(config.auth_user(own), Some("a"));
    assert_eq!(config.auth_user(plain), None);
    assert_eq!(config.auth_dbname(own), Some("plain"));
    assert_eq!(config.auth_query(own), "q");
    assert!(config.auth_query(plain).starts_with("SELECT rolname"));
}

#[test]
fn a_zero_of_the_user_counts_where_zero_has_a_meaning() {
    let config = config(PRECEDENCE);
    let own = &config.databases["own"];
    assert_eq!(config.query_wait_timeout(own, "off"), None);
    assert_eq!(config.pool_size(own, "off"), 0);
}

#[test]
fn an_unnamed_database_comes_from_the_star_under_its_own_name() {
    let config = config("[databases]\na=dbname=b\n*=host=h\n");
    let named = config.database("a").unwrap();
    assert_eq!(
        (named.dbname, named.registration),
        ("b", Registration::Named)
    );
    let auto = config.database("other").unwrap();
    assert_eq!(
        (auto.dbname, auto.registration),
        ("other", Registration::Auto)
    );
    assert_eq!(auto.spec.hosts, [crate::config::Host::Tcp("h".into())]);
}

#[test]
fn a_star_with_a_dbname_gives_that_name() {
    let config = config("[databases]\n*=host=h dbname=one\n");
    assert_eq!(
        config.database("other").map(|found| found.dbname),
        Some("one")
    );
}

#[test]
fn the_console_and_unknown_names_are_no_databases() {
    let star = config("[databases]\n*=host=h\n");
    assert_eq!(star.database("pgbouncer"), None);
    assert_eq!(star.database("pgweir"), None);
    assert_eq!(config("[databases]\na=\n").database("b"), None);
}

#[test]
fn the_forced_user_owns_the_pool() {
    let config = config("[databases]\nf=user=forced\np=\n");
    assert_eq!(config.pool_user(&config.databases["f"], "me"), "forced");
    assert_eq!(config.pool_user(&config.databases["p"], "me"), "me");
}

#[test]
fn new_connections_are_required_for_what_they_were_made_with() {
    let base = "host=a port=1 dbname=d user=u connect_query=q auth_query=q auth_dbname=d";
    let config =
        |text: &str| config(&format!("[databases]\nx={text}\nd=\n")).databases["x"].clone();
    let old = config(base);
    for (from, to) in [
        ("host=a", "host=b"),
        ("host=a", "host=a,b"),
        ("port=1", "port=2"),
        ("dbname=d u", "dbname=e u"),
        ("user=u", "user=v"),
        ("user=u ", ""),
        ("connect_query=q", "connect_query=r"),
        ("auth_query=q", "auth_query=r"),
        (" auth_dbname=d", ""),
        ("port=1", "port=1 load_balance_hosts=disable"),
    ] {
        let new = config(&base.replace(from, to));
        assert!(old.requires_new_connections(&new), "{from} -> {to}");
        assert!(new.requires_new_connections(&old), "{to} -> {from}");
    }
    for more in [
        "pool_size=1",
        "pool_mode=statement",
        "password=x",
        "server_lifetime=1",
    ] {
        let new = config(&format!("{base} {more}"));
        assert!(!old.requires_new_connections(&new), "{more}");
    }
}
