//! Sans-IO. Entries back to connect strings.

use std::fmt::Display;
use std::time::Duration;

use super::choice::{LoadBalanceHosts, Role};
use super::connstr;
use super::ini;
use super::model::{DatabaseSpec, Host, PeerSpec, Secret, UserSpec};

/// Whether passwords are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// As they are: the text can be read back.
    Shown,
    /// As `***`.
    Masked,
}

/// Collects `key=value` pairs.
#[derive(Default)]
struct Pairs(Vec<String>);

impl Pairs {
    fn put(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            let value = connstr::quote(&value.to_string());
            self.0.push(format!("{key}={value}"));
        }
    }

    fn seconds(&mut self, key: &str, value: Option<Duration>) {
        self.put(key, value.map(|time| time.as_secs_f64()));
    }
}

/// The entry as a connect string that reads back the same if `secrets` are shown.
pub fn database(spec: &DatabaseSpec, secrets: Secrets) -> String {
    let mut pairs = Pairs::default();
    let hosts = spec
        .hosts
        .iter()
        .filter(|host| **host != Host::DefaultSocket);
    let hosts: Vec<String> = hosts.map(ToString::to_string).collect();
    pairs.put("host", (!hosts.is_empty()).then(|| hosts.join(",")));
    pairs.put("port", Some(spec.port));
    let replicas: Vec<String> = spec.replicas.iter().map(ToString::to_string).collect();
    pairs.put(
        "replicas",
        (!replicas.is_empty()).then(|| replicas.join(",")),
    );
    match spec.role {
        Role::Auto => {}
        role @ (Role::Primary | Role::Replica) => pairs.put("role", Some(role)),
    }
    pairs.put("dbname", spec.dbname.as_ref());
    pairs.put("user", spec.user.as_ref());
    pairs.put(
        "password",
        spec.password
            .as_ref()
            .map(|password| shown(password, secrets)),
    );
    pairs.put("auth_user", spec.auth_user.as_ref());
    pairs.put("auth_query", spec.auth_query.as_ref());
    pairs.put("auth_dbname", spec.auth_dbname.as_ref());
    pairs.put("pool_size", spec.pool_size);
    pairs.put("min_pool_size", spec.min_pool_size);
    pairs.put("reserve_pool_size", spec.reserve_pool_size);
    pairs.put("max_db_connections", spec.max_db_connections);
    pairs.put("max_db_client_connections", spec.max_db_client_connections);
    pairs.put("pool_mode", spec.pool_mode);
    pairs.seconds("query_wait_timeout", spec.query_wait_timeout);
    pairs.seconds("server_lifetime", spec.server_lifetime);
    match spec.load_balance_hosts {
        LoadBalanceHosts::RoundRobin => {}
        LoadBalanceHosts::Disable => pairs.put("load_balance_hosts", Some("disable")),
    }
    pairs.put("connect_query", spec.connect_query.as_ref());
    for (name, value) in spec.startup.iter() {
        pairs.put(name, Some(value));
    }
    pairs.0.join(" ")
}

fn shown(password: &Secret, secrets: Secrets) -> &str {
    match secrets {
        Secrets::Shown => password.expose(),
        Secrets::Masked => "***",
    }
}

/// The entry as a connect string that reads back the same.
pub fn user(spec: &UserSpec) -> String {
    let mut pairs = Pairs::default();
    pairs.put("pool_size", spec.pool_size);
    pairs.put("reserve_pool_size", spec.reserve_pool_size);
    pairs.put("pool_mode", spec.pool_mode);
    pairs.put("max_user_connections", spec.max_user_connections);
    pairs.put(
        "max_user_client_connections",
        spec.max_user_client_connections,
    );
    pairs.seconds("query_timeout", spec.query_timeout);
    pairs.seconds("query_wait_timeout", spec.query_wait_timeout);
    pairs.seconds("idle_transaction_timeout", spec.idle_transaction_timeout);
    pairs.seconds("transaction_timeout", spec.transaction_timeout);
    pairs.seconds("client_idle_timeout", spec.client_idle_timeout);
    pairs.0.join(" ")
}

/// The entry as a connect string that reads back the same.
pub fn peer(spec: &PeerSpec) -> String {
    let mut pairs = Pairs::default();
    pairs.put("host", Some(&spec.host));
    pairs.put("port", Some(spec.port));
    pairs.put("pool_size", spec.pool_size);
    pairs.0.join(" ")
}

/// The name of an entry, in quotes if it needs them.
pub fn name(name: &str) -> String {
    if ini::is_bare_name(name) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::choice::PoolMode;
    use crate::config::diagnostic::Origin;
    use crate::config::model::StartupParameters;
    use crate::config::{entries, load};
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[ -~é]{1,6}")
    }

    fn hosts() -> impl Strategy<Value = Vec<Host>> {
        prop_oneof![
            Just(vec![Host::DefaultSocket]),
            proptest::collection::vec("[/@]?[a-z0-9.:-]{1,6}".prop_map(|h| Host::parse(&h)), 1..3),
        ]
    }

    fn spec() -> impl Strategy<Value = DatabaseSpec> {
        let texts = (text(), text(), text(), text(), text(), text(), text());
        let numbers = (
            proptest::option::of(0..50usize),
            proptest::option::of(1..9usize),
            1..u16::MAX,
        );
        let times = (
            proptest::option::of(0..99u64),
            proptest::option::of(1..9999u64),
        );
        (hosts(), texts, numbers, times).prop_map(|(hosts, texts, numbers, times)| DatabaseSpec {
            hosts,
            dbname: texts.0,
            user: texts.1,
            password: texts.2.map(Secret::new),
            auth_user: texts.3,
            auth_query: texts.4,
            connect_query: texts.5,
            startup: StartupParameters {
                timezone: texts.6,
                ..StartupParameters::default()
            },
            pool_size: numbers.0,
            min_pool_size: numbers.0,
            max_db_connections: numbers.1,
            port: numbers.2,
            role: [Role::Auto, Role::Primary][usize::from(times.0.is_some())],
            pool_mode: numbers.1.map(|_| PoolMode::Statement),
            query_wait_timeout: times.0.map(Duration::from_secs),
            server_lifetime: times.1.map(Duration::from_millis),
            ..DatabaseSpec::default()
        })
    }

    proptest! {
        #[test]
        fn a_rendered_database_reads_back(spec in spec()) {
            let mut found = Vec::new();
            let text = database(&spec, Secrets::Shown);
            let read = entries::database("x", &text, &Origin::Default, &mut found);
            prop_assert_eq!(read.as_ref(), Some(&spec), "{} {:?}", text, found);
        }

        #[test]
        fn a_rendered_file_reads_back(name in "[ -~é]{1,20}", spec in spec()) {
            prop_assume!(!["*", "pgbouncer", "pgweir"].contains(&name.as_str()));
            let entry = database(&spec, Secrets::Shown);
            let text = format!("[databases]\n{} = {entry}\n", super::name(&name));
            let read = |_: &str| Ok(text.clone().into_bytes());
            let loaded = load(&read, "x.ini", &[]).unwrap();
            prop_assert_eq!(loaded.config.databases.get(&name), Some(&spec));
        }

        #[test]
        fn masked_text_has_no_password(mut spec in spec(), password in "[A-Z]{12}") {
            spec.password = Some(Secret::new(password.clone()));
            prop_assert!(!database(&spec, Secrets::Masked).contains(&password));
            let debug = format!("{spec:?}");
            prop_assert!(!debug.contains(&password));
        }
    }

    #[test]
    fn replicas_read_back() {
        let (origin, mut found) = (Origin::Default, Vec::new());
        let text = "host=a port=5 replicas=b:5?weight=0&zone=z,[::1]:6,/run:5 role=replica";
        let spec = entries::database("x", text, &origin, &mut found).unwrap();
        assert_eq!(database(&spec, Secrets::Shown), text);
    }

    #[test]
    fn users_and_peers_read_back() {
        let (origin, mut found) = (Origin::Default, Vec::new());
        let text = "pool_size=0 pool_mode=transaction max_user_connections=3 query_timeout=1.5 \
            query_wait_timeout=0 client_idle_timeout=7";
        let spec = entries::user("u", text, &origin, &mut found).unwrap();
        assert_eq!(user(&spec), text);
        let (id, spec) =
            entries::peer("7", "host=@s port=5 pool_size=2", &origin, &mut found).unwrap();
        assert_eq!(
            (id, peer(&spec).as_str()),
            (7, "host=@s port=5 pool_size=2")
        );
    }
}
