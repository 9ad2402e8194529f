//! All other tables of the console.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::size_of;
use std::sync::Arc;
use std::time::Instant;

use crate::admin::rows::{
    Changeable, ClientCounts, ConfigRow, Counters, DatabaseRow, DnsHostRow, Lists, MemRow, PeerRow,
    PoolRow, PoolerState, ServerCounts, Stats, StatsRow, UserRow,
};
use crate::auth::secret::Secret;
use crate::config::setting::Reload;
use crate::config::{Config, DatabaseSpec, Host, PeerSpec, PoolMode, UserSpec};
use crate::pool::{DatabaseSnapshot, PoolKey, PoolSnapshot};
use crate::pooler::Pooler;
use crate::pooler::client_facts::{ClientFacts, Phase};
use crate::pooler::room::Room;
use crate::server::conn::ServerConn;
use crate::telemetry::stats::{Averages, Counter, Totals};

use super::{CONSOLE, is_console};

/// Connections that `PgBouncer` shows as the size of the console's pool.
const CONSOLE_POOL_SIZE: u32 = 2;

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Clients that are logged in and do not wait, by pool.
#[derive(Debug, Default)]
struct Crowd {
    settled: HashMap<PoolKey, u32>,
    console: u32,
    console_users: BTreeMap<Arc<str>, usize>,
}

impl Crowd {
    fn count(pooler: &Pooler) -> Self {
        let mut crowd = Self::default();
        for client in pooler.clients.all() {
            crowd.add(&client);
        }
        crowd
    }

    fn add(&mut self, client: &ClientFacts) {
        let card = &client.card;
        if is_console(&card.database) {
            self.console += 1;
            let user = Arc::clone(&card.user);
            *self.console_users.entry(user).or_default() += 1;
            return;
        }
        match client.phase() {
            Phase::Login | Phase::Waiting => {}
            Phase::Idle | Phase::Active => {
                let key = PoolKey {
                    database: Arc::clone(&card.database),
                    user: Arc::clone(&card.pool_user),
                };
                *self.settled.entry(key).or_default() += 1;
            }
        }
    }
}

/// `SHOW POOLS`.
pub fn pools(pooler: &Pooler, now: Instant) -> Vec<PoolRow> {
    let config = pooler.config();
    let crowd = Crowd::count(pooler);
    let snapshot = pooler.pools.with(|pools, _| pools.snapshot(now));
    let rows = snapshot.iter().map(|pool| pool_row(&config, &crowd, pool));
    let mut rows: Vec<_> = rows.chain([console_pool(crowd.console)]).collect();
    rows.sort_by(|one, other| (&one.database, &one.user).cmp(&(&other.database, &other.user)));
    rows
}

fn pool_row(config: &Config, crowd: &Crowd, pool: &PoolSnapshot) -> PoolRow {
    let database = config.database(&pool.key.database);
    let mode = match &database {
        Some(database) => config.pool_mode(database.spec, &pool.key.user),
        None => config.settings.pool_mode,
    };
    PoolRow {
        database: pool.key.database.to_string(),
        user: pool.key.user.to_string(),
        clients: ClientCounts {
            active: crowd.settled.get(&pool.key).copied().unwrap_or(0),
            waiting: number(pool.cl_waiting),
            active_cancel_requests: number(pool.sv_active_cancel),
            waiting_cancel_requests: 0,
        },
        servers: ServerCounts {
            active: number(pool.sv_active),
            active_cancel: number(pool.sv_active_cancel),
            being_canceled: number(pool.sv_being_canceled),
            idle: number(pool.sv_idle),
            used: number(pool.sv_used),
            tested: number(pool.sv_tested),
            login: number(pool.sv_login),
        },
        maxwait: pool.maxwait,
        pool_mode: mode.name(),
        load_balance_hosts: database.and_then(|database| balance(database.spec)),
    }
}

fn console_pool(clients: u32) -> PoolRow {
    PoolRow {
        database: CONSOLE.to_owned(),
        user: CONSOLE.to_owned(),
        clients: ClientCounts {
            active: clients,
            ..ClientCounts::default()
        },
        servers: ServerCounts::default(),
        maxwait: std::time::Duration::ZERO,
        pool_mode: PoolMode::Statement.name(),
        load_balance_hosts: None,
    }
}

/// Shown where there is more than one host to choose from.
fn balance(spec: &DatabaseSpec) -> Option<&'static str> {
    (spec.hosts.len() > 1).then(|| spec.load_balance_hosts.name())
}

/// `SHOW DATABASES`.
pub fn databases(pooler: &Pooler) -> Vec<DatabaseRow> {
    let config = pooler.config();
    let used = pooler.pools.with(|pools, _| pools.databases());
    let used: HashMap<&str, &DatabaseSnapshot> =
        used.iter().map(|known| (&*known.name, known)).collect();
    let names = config.databases.keys().map(String::as_str);
    let names: BTreeSet<&str> = names.chain(used.keys().copied()).collect();
    let rows = names
        .into_iter()
        .filter_map(|name| database_row(pooler, &config, (name, used.get(name).copied())));
    let console = console_database(&config, Crowd::count(pooler).console);
    let mut rows: Vec<_> = rows.chain([console]).collect();
    // The entries of a cluster's hosts stand behind their parent.
    rows.sort_by_cached_key(|row| {
        let spec = config.databases.get(&row.name);
        let parent = spec.and_then(|spec| spec.derived_from.clone());
        (
            parent.clone().unwrap_or_else(|| row.name.clone()),
            parent.map(|_| row.name.clone()),
        )
    });
    rows
}

fn database_row(
    pooler: &Pooler,
    config: &Config,
    (name, used): (&str, Option<&DatabaseSnapshot>),
) -> Option<DatabaseRow> {
    let database = config.database(name)?;
    let spec = database.spec;
    let own_size = spec.pool_size.unwrap_or(config.settings.default_pool_size);
    let reserve = spec.reserve_pool_size;
    let reserve = reserve.unwrap_or(config.settings.reserve_pool_size);
    Some(DatabaseRow {
        name: name.to_owned(),
        host: hosts(&spec.hosts),
        port: spec.port,
        database: database.dbname.to_owned(),
        force_user: spec.user.clone(),
        pool_size: number(own_size),
        min_pool_size: number(config.min_pool_size(spec)),
        reserve_pool_size: number(reserve),
        server_lifetime_s: config.server_lifetime(spec).as_secs(),
        pool_mode: spec.pool_mode.map(PoolMode::name),
        load_balance_hosts: balance(spec),
        max_connections: number(config.max_db_connections(spec).unwrap_or(0)),
        current_connections: number(used.map_or(0, |used| used.connections)),
        max_client_connections: number(config.max_db_client_connections(spec).unwrap_or(0)),
        current_client_connections: number(pooler.admission.of_database(name)),
        is_paused: used.is_some_and(|used| used.is_paused),
        is_disabled: used.is_some_and(|used| used.is_disabled),
    })
}

/// The host list as it was written; `None` for the default unix socket.
fn hosts(hosts: &[Host]) -> Option<String> {
    let written = hosts.iter().map(ToString::to_string);
    let written: Vec<_> = written.filter(|host| !host.is_empty()).collect();
    (!written.is_empty()).then(|| written.join(","))
}

fn console_database(config: &Config, clients: u32) -> DatabaseRow {
    DatabaseRow {
        name: CONSOLE.to_owned(),
        host: None,
        port: config.settings.listen_port,
        database: CONSOLE.to_owned(),
        force_user: Some(CONSOLE.to_owned()),
        pool_size: CONSOLE_POOL_SIZE,
        min_pool_size: 0,
        reserve_pool_size: 0,
        server_lifetime_s: config.settings.server_lifetime.as_secs(),
        pool_mode: Some(PoolMode::Statement.name()),
        load_balance_hosts: None,
        max_connections: 0,
        current_connections: 0,
        max_client_connections: 0,
        current_client_connections: clients,
        is_paused: false,
        is_disabled: false,
    }
}

/// `SHOW USERS`: users of the files and users that are connected.
pub fn users(pooler: &Pooler) -> Vec<UserRow> {
    let config = pooler.config();
    let crowd = Crowd::count(pooler);
    let mut names: BTreeSet<String> = pooler.credentials.users().into_iter().collect();
    names.extend(config.users.keys().cloned());
    let specs = config.databases.values().chain(&config.autodb);
    names.extend(specs.filter_map(|spec| spec.user.clone()));
    let connected = pooler.clients.all().into_iter();
    names.extend(connected.map(|client| client.card.user.to_string()));
    names.insert(CONSOLE.to_owned());
    let row = |name: String| {
        let own = config.users.get(&name);
        let console = crowd.console_users.get(name.as_str());
        let clients = pooler.admission.of_user(&name) + console.copied().unwrap_or(0);
        let servers = pooler.pools.with(|pools, _| pools.user_connections(&name));
        UserRow {
            pool_size: own.and_then(|own| own.pool_size).map(number),
            reserve_pool_size: own.and_then(|own| own.reserve_pool_size).map(number),
            pool_mode: own.and_then(|own| own.pool_mode).map(PoolMode::name),
            max_user_connections: number(config.max_user_connections(&name).unwrap_or(0)),
            current_connections: number(servers),
            max_user_client_connections: number(
                config.max_user_client_connections(&name).unwrap_or(0),
            ),
            current_client_connections: number(clients),
            name,
        }
    };
    names.into_iter().map(row).collect()
}

/// `SHOW PEERS`.
pub fn peers(config: &Config) -> Vec<PeerRow> {
    let row = |(id, peer): (&u16, &PeerSpec)| PeerRow {
        peer_id: u32::from(*id),
        host: peer.host.to_string(),
        port: peer.port,
        pool_size: number(peer.pool_size.unwrap_or(config.settings.default_pool_size)),
    };
    config.peers.iter().map(row).collect()
}

/// The console's counters of some numbers.
pub fn counters(value: impl Fn(Counter) -> u64) -> Counters {
    Counters {
        server_assignments: value(Counter::ServerAssignments),
        transactions: value(Counter::Transactions),
        queries: value(Counter::Queries),
        received_bytes: value(Counter::BytesReceived),
        sent_bytes: value(Counter::BytesSent),
        transaction_us: value(Counter::TransactionTime),
        query_us: value(Counter::QueryTime),
        wait_us: value(Counter::WaitTime),
        client_parses: value(Counter::ClientParses),
        server_parses: value(Counter::ServerParses),
        binds: value(Counter::Binds),
        client_logins: value(Counter::ClientLogins),
    }
}

fn both(totals: &Totals, averages: &Averages) -> Stats {
    Stats {
        total: counters(|counter| totals.get(counter)),
        average: counters(|counter| averages.get(counter)),
    }
}

/// `SHOW STATS`.
pub fn stats(pooler: &Pooler, now: Instant) -> Vec<StatsRow> {
    let known = pooler.stats.databases(now);
    let row = |known: crate::telemetry::stats::DatabaseStats| StatsRow {
        database: known.database.to_string(),
        stats: both(&known.totals, &known.averages),
    };
    known.into_iter().map(row).collect()
}

/// `SHOW TOTALS`.
pub fn totals(pooler: &Pooler, now: Instant) -> Stats {
    let (totals, averages) = pooler.stats.all(now);
    both(&totals, &averages)
}

/// `SHOW LISTS`.
pub fn lists(pooler: &Pooler) -> Lists {
    let clients = pooler.clients.all();
    let login = clients
        .iter()
        .filter(|client| client.phase() == Phase::Login);
    let (dns_names, dns_pending) = pooler.dns.counts();
    let pools = pooler.pools.with(|pools, _| pools.databases());
    let pools: usize = pools.iter().map(|database| database.pools).sum();
    Lists {
        databases: wide(databases(pooler).len()),
        users: wide(users(pooler).len()),
        peers: wide(pooler.config().peers.len()),
        pools: wide(pools + 1),
        peer_pools: 0,
        free_clients: 0,
        used_clients: wide(clients.len()),
        login_clients: wide(login.count()),
        free_servers: 0,
        used_servers: wide(pooler.servers.len()),
        dns_names: wide(dns_names),
        dns_zones: 0,
        dns_queries: 0,
        dns_pending: wide(dns_pending),
    }
}

/// `SHOW CONFIG`.
pub fn config(config: &Config) -> Vec<ConfigRow> {
    let row = |row: crate::config::ConfigRow| ConfigRow {
        key: row.key.to_owned(),
        value: row.value,
        default: row.default.map(str::to_owned),
        changeable: match row.reload {
            Reload::Live => Changeable::Live,
            Reload::Restart => Changeable::Restart,
        },
    };
    config.show().into_iter().map(row).collect()
}

/// `SHOW MEM`: the fixed part of what can be counted, under `PgBouncer`'s names. Nothing is kept
/// for later use, and buffers belong to connections only while these are busy.
pub fn mem(pooler: &Pooler) -> Vec<MemRow> {
    let config = pooler.config();
    let row = |name, size: usize, used: usize| MemRow {
        name,
        size: wide(size),
        used: wide(used),
        free: 0,
        memtotal: wide(size.saturating_mul(used)),
    };
    let databases = config.databases.len() + usize::from(config.autodb.is_some());
    vec![
        row("user_cache", size_of::<UserSpec>(), config.users.len()),
        row(
            "credentials_cache",
            size_of::<Secret>(),
            pooler.credentials.users().len(),
        ),
        row("db_cache", size_of::<DatabaseSpec>(), databases),
        row("peer_cache", size_of::<PeerSpec>(), config.peers.len()),
        row("pool_cache", size_of::<Room>(), pooler.rooms.all().len()),
        row(
            "server_cache",
            size_of::<ServerConn>(),
            pooler.servers.len(),
        ),
        row(
            "client_cache",
            size_of::<ClientFacts>(),
            pooler.clients.len(),
        ),
    ]
}

/// `SHOW DNS_HOSTS`.
pub fn dns_hosts(pooler: &Pooler) -> Vec<DnsHostRow> {
    let rows = pooler.dns.rows().into_iter().map(|row| {
        let addresses = row.addresses.iter();
        let addresses: Vec<_> = addresses
            .map(|address| std::net::SocketAddr::new(*address, 0).to_string())
            .collect();
        DnsHostRow {
            hostname: row.hostname,
            ttl_s: i64::try_from(row.ttl.as_secs()).unwrap_or(i64::MAX),
            addrs: addresses.join(","),
        }
    });
    rows.collect()
}

/// `SHOW STATE`.
pub fn state(pooler: &Pooler) -> PoolerState {
    if pooler.pools.with(|pools, _| pools.is_all_paused()) {
        PoolerState::Paused
    } else {
        PoolerState::Active
    }
}
