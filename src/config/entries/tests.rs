use super::*;
use proptest::prelude::*;

fn line() -> Origin {
    Origin::Line {
        file: "t.ini".into(),
        line: 7,
    }
}

fn read_database(text: &str) -> (Option<DatabaseSpec>, Vec<String>) {
    let mut found = Vec::new();
    let spec = database("x", text, &line(), &mut found);
    (spec, found.iter().map(ToString::to_string).collect())
}

fn database_errors(text: &str) -> Vec<String> {
    let (spec, found) = read_database(text);
    assert_eq!(spec, None, "{text}");
    found
}

#[test]
fn a_full_database_entry_is_typed() {
    let text = "host=a,/run,@abs,::1 port=0x10 dbname='my db' user=u password='p''w' auth_user=au \
        auth_query='select 1' auth_dbname=ad pool_size=0 min_pool_size=2 reserve_pool=3 \
        max_db_connections=4 max_db_client_connections=5 pool_mode=Statement query_wait_timeout=0 \
        server_lifetime=1.5 load_balance_hosts=disable connect_query='set x=1' \
        client_encoding=UTF8 datestyle=ISO timezone=GMT application_name=app";
    let (spec, found) = read_database(text);
    let some = |text: &str| Some(text.to_owned());
    let expected = DatabaseSpec {
        dbname: some("my db"),
        hosts: vec![
            Host::Tcp("a".into()),
            Host::Unix("/run".into()),
            Host::Abstract("abs".into()),
            Host::Tcp("::1".into()),
        ],
        port: 16,
        replicas: vec![],
        role: Role::Auto,
        derived_from: None,
        user: some("u"),
        password: Some(Secret::new("p'w")),
        auth_user: some("au"),
        auth_query: some("select 1"),
        auth_dbname: some("ad"),
        pool_size: Some(0),
        min_pool_size: Some(2),
        reserve_pool_size: Some(3),
        max_db_connections: Some(4),
        max_db_client_connections: Some(5),
        pool_mode: Some(PoolMode::Statement),
        query_wait_timeout: Some(Duration::ZERO),
        server_lifetime: Some(Duration::from_millis(1500)),
        load_balance_hosts: LoadBalanceHosts::Disable,
        connect_query: some("set x=1"),
        startup: crate::config::StartupParameters {
            client_encoding: some("UTF8"),
            datestyle: some("ISO"),
            timezone: some("GMT"),
            application_name: some("app"),
        },
    };
    assert_eq!((spec, found), (Some(expected), vec![]));
}

#[test]
fn an_empty_entry_is_all_defaults() {
    assert_eq!(read_database(""), (Some(DatabaseSpec::default()), vec![]));
    assert_eq!(DatabaseSpec::default().hosts, [Host::DefaultSocket]);
}

#[test]
fn values_that_mean_not_set_are_not_set() {
    let text = "pool_size=-1 min_pool_size=-1 reserve_pool_size=-1 max_db_connections=0 \
        max_db_client_connections=-1 server_lifetime=0 query_wait_timeout=-1";
    assert_eq!(read_database(text), (Some(DatabaseSpec::default()), vec![]));
    let mut found = Vec::new();
    let text = "pool_size=-1 max_user_connections=0 query_timeout=0 transaction_timeout=-1";
    assert_eq!(
        user("u", text, &line(), &mut found),
        Some(UserSpec::default())
    );
}

#[test]
fn wrong_databases_are_reported_exactly() {
    let port = "port: expected a port from 1 to 65535";
    for (text, expected) in [
        ("port=0", format!("{port}, got \"0\"")),
        ("port=70000", format!("{port}, got \"70000\"")),
        ("port=5x", format!("{port}, got \"5x\"")),
        (
            "pool_size=abc",
            "pool_size: expected a whole number, got \"abc\"".into(),
        ),
        (
            "pool_size=99999999999",
            "pool_size: expected a whole number, got \"99999999999\"".into(),
        ),
        (
            "pool_mode=foo",
            "pool_mode: expected session, transaction, statement, got \"foo\"".into(),
        ),
        (
            "load_balance_hosts=foo",
            "load_balance_hosts: expected round-robin, disable, got \"foo\"".into(),
        ),
        (
            "query_wait_timeout=5s",
            "query_wait_timeout: expected a number of seconds, 0 or more, got \"5s\"".into(),
        ),
        ("host=,", "host: expected a host, got \",\"".into()),
        (
            "hots=a",
            "unknown parameter \"hots\", did you mean \"host\"?".into(),
        ),
        (
            "passwd=a",
            "unknown parameter \"passwd\", did you mean \"password\"?".into(),
        ),
        ("zzzzzz=a", "unknown parameter \"zzzzzz\"".into()),
        ("host=''", "the key at column 1 has an empty value".into()),
        (
            "host=a ; why",
            "expected key=value at column 8 (a value with blanks needs single quotes)".into(),
        ),
        (
            "auth_dbname=pgbouncer",
            "auth_dbname: expected a database other than the admin console, got \"pgbouncer\""
                .into(),
        ),
    ] {
        let expected = format!("t.ini:7: database \"x\": {expected}");
        assert_eq!(database_errors(text), [expected], "{text}");
    }
}

#[test]
fn all_errors_of_an_entry_are_collected() {
    let found = database_errors("port=0 pool_size=x hots=a");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_console_is_no_database() {
    for name in ["pgbouncer", "pgweir"] {
        let mut found = Vec::new();
        assert_eq!(database(name, "host=a", &line(), &mut found), None);
        assert_eq!(
            found[0].to_string(),
            format!("t.ini:7: database name \"{name}\" is reserved")
        );
    }
}

#[test]
fn names_that_pgbouncer_cuts_off_are_refused() {
    let mut found = Vec::new();
    assert!(database(&"d".repeat(63), "", &line(), &mut found).is_some());
    assert!(database(&"d".repeat(64), "", &line(), &mut found).is_none());
    assert!(user(&"u".repeat(127), "", &line(), &mut found).is_some());
    assert!(user(&"u".repeat(128), "", &line(), &mut found).is_none());
    assert_eq!(found.len(), 2);
    assert!(found[0].text.ends_with("the name is longer than 63 bytes"));
}

#[test]
fn an_empty_host_in_a_list_is_left_out_with_a_warning() {
    let (spec, found) = read_database("host=a,,b");
    let hosts = [Host::Tcp("a".into()), Host::Tcp("b".into())];
    assert_eq!(spec.unwrap().hosts, hosts);
    assert_eq!(
        found,
        ["t.ini:7: database \"x\": host: an empty host of the list is left out"]
    );
}

#[test]
fn no_piece_of_a_password_is_ever_shown() {
    for text in [
        "password=s3cret",
        "password=my s3cret",
        "password=my s3cret=x",
        "password=my port=s3cret",
        "password='it's port=s3cret",
        "password='it' s3cret=1",
        "host='a password='s3cret' port=s3cret",
        "port=5432password=s3cret",
        "port   =   5432password=s3cret",
        "pwd=my s3cret=1 port=s3cret",
        "PASSWORD=x s3cret=y",
        "passphrase_s3cret=1",
        "user=u password='s3cret",
        "replicas=r1,r2password=s3cret",
        "password=x' replicas=s3cret:z",
    ] {
        let (_, found) = read_database(text);
        assert!(!found.concat().contains("s3cret"), "{text}: {found:?}");
    }
    let (spec, _) = read_database("password=s3cret");
    assert!(!format!("{spec:?}").contains("s3cret"));
}

#[test]
fn every_documented_key_is_known() {
    let mut found = Vec::new();
    for key in DATABASE_KEYS {
        database("x", &format!("{key}=1"), &line(), &mut found);
    }
    for key in USER_KEYS {
        user("x", &format!("{key}=1"), &line(), &mut found);
    }
    for key in PEER_KEYS {
        peer("1", &format!("{key}=1"), &line(), &mut found);
    }
    let unknown: Vec<_> = found
        .iter()
        .filter(|found| found.text.contains("unknown"))
        .collect();
    assert_eq!(unknown, Vec::<&Diagnostic>::new());
}

#[test]
fn users_take_their_own_keys_only() {
    let mut found = Vec::new();
    let text = "pool_size=1 reserve_pool_size=2 pool_mode=transaction max_user_connections=3 \
        max_user_client_connections=4 query_timeout=5 query_wait_timeout=0 \
        idle_transaction_timeout=7 transaction_timeout=8 client_idle_timeout=9";
    let seconds = |n| Some(Duration::from_secs(n));
    let expected = UserSpec {
        pool_size: Some(1),
        reserve_pool_size: Some(2),
        pool_mode: Some(PoolMode::Transaction),
        max_user_connections: Some(3),
        max_user_client_connections: Some(4),
        query_timeout: seconds(5),
        query_wait_timeout: seconds(0),
        idle_transaction_timeout: seconds(7),
        transaction_timeout: seconds(8),
        client_idle_timeout: seconds(9),
    };
    assert_eq!(user("u", text, &line(), &mut found), Some(expected));
    assert_eq!(user("u", "host=a", &line(), &mut found), None);
    assert_eq!(
        found[0].to_string(),
        "t.ini:7: user \"u\": unknown parameter \"host\""
    );
}

#[test]
fn peers_have_a_number_and_a_host() {
    let mut found = Vec::new();
    let spec = PeerSpec {
        host: Host::Tcp("h".into()),
        port: 6432,
        pool_size: None,
    };
    assert_eq!(
        peer("16383", "host=h", &line(), &mut found),
        Some((16383, spec))
    );
    for (name, text, expected) in [
        (
            "0",
            "host=h",
            "expected a number from 1 to 16383 as the peer's name",
        ),
        (
            "16384",
            "host=h",
            "expected a number from 1 to 16383 as the peer's name",
        ),
        (
            "x",
            "host=h",
            "expected a number from 1 to 16383 as the peer's name",
        ),
        ("1", "port=2", "host is missing"),
        ("1", "host=h dbname=x", "unknown parameter \"dbname\""),
    ] {
        found.clear();
        assert_eq!(peer(name, text, &line(), &mut found), None);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].to_string(),
            format!("t.ini:7: peer \"{name}\": {expected}")
        );
    }
}

proptest! {
    #[test]
    fn no_entry_panics(text in concat!(
        "\\PC{0,40}|",
        "((host|port|password|pool_mode)(=| = )('|[a-z0-9,]{0,4}|-1)? ?){0,4}",
    )) {
        let mut found = Vec::new();
        let spec = database("x", &text, &line(), &mut found);
        let errors = found.iter().any(|found| found.severity == crate::config::Severity::Error);
        prop_assert_eq!(spec.is_none(), errors);
        if let Some(spec) = spec {
            prop_assert!(!spec.hosts.is_empty() && spec.port != 0);
        }
        user("x", &text, &line(), &mut found);
        peer("1", &text, &line(), &mut found);
    }
}

#[test]
fn replicas_are_typed_with_the_port_of_the_line_wherever_it_stands() {
    let (spec, found) = read_database("replicas=r1,r2:7?weight=5 host=p port=6000 role=Replica");
    let spec = spec.unwrap();
    let hosts = spec.replicas.iter().map(ToString::to_string);
    let hosts: Vec<String> = hosts.collect();
    assert_eq!(hosts, ["r1:6000", "r2:7?weight=5"]);
    assert_eq!((spec.role, found), (Role::Replica, vec![]));
}

#[test]
fn wrong_replicas_are_reported_with_the_host_that_is_wrong() {
    let replicas = "expected a host besides the line's own";
    for (text, expected) in [
        (
            "replicas=r1,r2:x",
            "replicas: host 2 (\"r2:x\"): expected a port from 1 to 65535 behind the colon",
        ),
        (
            "replicas=::1",
            "replicas: host 1 (\"::1\"): an IPv6 address stands in brackets here: [::1]:5432",
        ),
        (
            "replicas=r?weigth=2",
            "replicas: host 1 (\"r?weigth=2\"): expected weight=N, zone=NAME or pool_size=N \
             behind the question mark, with & between",
        ),
        (
            "replicas=r,s,r:5432",
            "replicas: host 3 (\"r:5432\") is there twice, remove one of the two",
        ),
        ("replicas=,", "replicas: expected a host, got \",\""),
        (
            "role=master",
            "role: expected auto, primary, replica, got \"master\"",
        ),
        (
            "role=replica",
            "role=replica needs replicas= with at least one host",
        ),
    ] {
        let expected = format!("t.ini:7: database \"x\": {expected}");
        assert_eq!(database_errors(text), [expected], "{text}");
    }
    let own = database_errors("host=p replicas=p");
    assert!(own[1].ends_with(replicas), "{own:?}");
    let mut found = Vec::new();
    assert_eq!(database("*", "replicas=r", &line(), &mut found), None);
    assert!(
        found[0].text.contains("needs a name of its own"),
        "{found:?}"
    );
}

#[test]
fn a_replica_that_is_the_host_itself_is_left_out_with_a_warning() {
    let (spec, found) = read_database("host=p,q replicas=q,r,p:1 port=5");
    let spec = spec.unwrap();
    let hosts: Vec<String> = spec.replicas.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["r:5", "p:1"]);
    let text = "replicas: host 1 (\"q\") is the line's own host and is left out";
    assert_eq!(found, [format!("t.ini:7: database \"x\": {text}")]);
}
