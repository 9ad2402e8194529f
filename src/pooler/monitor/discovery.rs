//! Finds the replicas that the file does not name one by one: behind names with several addresses,
//! and by asking the primary who streams from it (`replicas='*'`).
//!
//! One task for each cluster that has something to find. What it finds becomes part of the
//! configuration (`config::found`), through whoever puts new ones into force.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use tokio::time::{Instant, sleep_until, timeout};

use super::Monitor;
use super::task::{Trouble, open, user_of};
use crate::cluster::roster::Roster;
use crate::config::found::Item;
use crate::config::{Config, Host, ReplicaSpec};
use crate::pool::PoolKey;
use crate::pooler::Pooler;
use crate::pooler::servers::{dns_times, say_goodbye};
use crate::server::errand::select;
use crate::telemetry::events;

/// Who gets the primary's log. Receivers that are no servers are left out, and so are subscribers of
/// logical replication. Without the role `pg_monitor` there are rows, but no addresses in them.
const QUESTION: &str = "select pg_catalog.host(r.client_addr), r.application_name \
    from pg_catalog.pg_stat_replication r where r.state = 'streaming' \
    and r.application_name not in ('pg_receivewal', 'pg_basebackup') \
    and not exists (select from pg_catalog.pg_replication_slots s \
    where s.active_pid = r.pid and s.slot_type = 'logical') order by 1, 2 limit 256";

/// Columns of its answer.
const COLUMNS: usize = 2;

/// The primary is asked once in so many times of `replica_check_period`.
const RARITY: u32 = 10;

/// Longest time for one look.
const LIMIT: Duration = Duration::from_secs(10);

/// What stands behind one item of `replicas`.
#[derive(Default)]
struct Behind {
    roster: Roster<ReplicaSpec>,
    /// Once a name has led to several addresses, its hosts are called by them.
    many: bool,
}

impl Behind {
    /// A name leads to these addresses. Those of one family count: a server that has one of each is
    /// not two servers.
    fn leads_to(&mut self, item: &ReplicaSpec, addresses: &[IpAddr], now: StdInstant) {
        let older = addresses.iter().any(IpAddr::is_ipv4);
        let family = addresses
            .iter()
            .filter(|address| address.is_ipv4() == older);
        let family: BTreeSet<_> = family.copied().collect();
        self.many |= family.len() > 1;
        let hosts = family.into_iter().map(|address| at(item, address));
        self.roster.update(hosts, now);
    }
}

/// Whether an entry has anything to find.
pub(super) fn is_needed(config: &Config, entry: &str) -> bool {
    let spec = config.databases.get(entry);
    spec.is_some_and(|spec| spec.replicas.iter().any(|item| item.item() != Item::Host))
}

/// Keeps the replicas of one cluster found, for ever.
pub(super) async fn keep(pooler: Arc<Pooler>, monitor: Arc<Monitor>) -> Infallible {
    let mut items: Vec<ReplicaSpec> = Vec::new();
    let mut behind: Vec<Behind> = Vec::new();
    loop {
        let config = pooler.config();
        let entry = &*monitor.live.name;
        let now_items = config.databases.get(entry);
        let now_items = now_items
            .map(|spec| spec.replicas.clone())
            .unwrap_or_default();
        if items != now_items {
            behind = now_items.iter().map(|_| Behind::default()).collect();
            items = now_items;
        }
        let mut found = Vec::new();
        for (item, behind) in items.iter().zip(&mut behind) {
            found.extend(look(&pooler, &monitor, item, behind).await);
        }
        if found != config.replicas(entry) {
            pooler.clusters.found(&monitor.live.name, found);
        }
        next_look(&monitor, &config).await;
    }
}

/// Until it is time, or there is another primary.
async fn next_look(monitor: &Monitor, config: &Config) {
    let settings = &config.settings;
    let period = (settings.replica_check_period * RARITY).min(settings.dns_max_ttl);
    let until = Instant::now() + period.max(Duration::from_millis(100));
    let primary = monitor.live.view().primary;
    let other = monitor
        .live
        .until(|view| view.primary.is_some() && view.primary != primary);
    tokio::select! {
        // Both are cancel-safe: nothing is taken from them.
        _ = other => {}
        () = sleep_until(until) => {}
    }
}

/// The hosts that an item stands for.
async fn look(
    pooler: &Pooler,
    monitor: &Monitor,
    item: &ReplicaSpec,
    behind: &mut Behind,
) -> Vec<ReplicaSpec> {
    let now = Instant::now().into_std();
    match item.item() {
        Item::Host => return vec![item.clone()],
        Item::Name(name) => {
            if let Some(addresses) = addresses(pooler, name).await {
                behind.leads_to(item, &addresses, now);
            }
            if !behind.many {
                return vec![item.clone()];
            }
        }
        Item::Streaming => streaming(pooler, monitor, item, (behind, now)).await,
    }
    behind.roster.hosts().cloned().collect()
}

fn at(item: &ReplicaSpec, address: IpAddr) -> ReplicaSpec {
    item.at(Host::Tcp(address.to_string()), item.port)
}

async fn addresses(pooler: &Pooler, name: &str) -> Option<Vec<IpAddr>> {
    let lookup = pooler.dns.resolve(name, dns_times(&pooler.config()));
    timeout(LIMIT, lookup).await.ok()?.ok()
}

/// Asks the primary. Without an answer the roster stays as it is.
async fn streaming(
    pooler: &Pooler,
    monitor: &Monitor,
    item: &ReplicaSpec,
    (behind, now): (&mut Behind, StdInstant),
) {
    let live = &monitor.live;
    let view = live.view();
    let Some(primary) = view.primary_host().map(|host| Arc::clone(&host.name)) else {
        return;
    };
    // After a promotion the primary is one of those that were found, and names itself no more.
    let entry = |spec: &ReplicaSpec| format!("{}@{}", live.name, spec.address());
    behind.roster.keep(now, |spec| entry(spec) == *primary);
    let asked = timeout(LIMIT, Box::pin(ask(pooler, monitor, primary))).await;
    match asked.unwrap_or(Err(Trouble::TimedOut)) {
        Ok(rows) => {
            let hosts = rows.iter().filter_map(|row| receiver(item, row));
            behind.roster.update(hosts, now);
        }
        Err(trouble) => events::replicas_unknown(&live.name, &trouble),
    }
}

type Row = [Option<Vec<u8>>; COLUMNS];

async fn ask(pooler: &Pooler, monitor: &Monitor, primary: Arc<str>) -> Result<Vec<Row>, Trouble> {
    let config = pooler.config();
    let user = user_of(&config, &monitor.live).ok_or(Trouble::NoHost)?;
    let key = PoolKey {
        database: primary,
        user,
    };
    let mut conn = open(pooler, &monitor.live, key).await?;
    let mut rows: Vec<Row> = Vec::new();
    select(&mut conn, QUESTION, COLUMNS, |row| {
        rows.extend(Row::try_from(row).ok());
        Ok(())
    })
    .await?;
    say_goodbye(conn).await;
    Ok(rows)
}

/// Where a receiver can be reached: at its own address and the port of the item, unless its
/// `application_name` is an address with a port, for networks that show another one.
fn receiver(item: &ReplicaSpec, [address, name]: &Row) -> Option<ReplicaSpec> {
    let text = |value: &Option<Vec<u8>>| {
        let value = value.as_deref()?;
        str::from_utf8(value).ok().map(str::to_owned)
    };
    let named = text(name).and_then(|name| name.parse::<SocketAddr>().ok());
    if let Some(named) = named {
        return Some(item.at(Host::Tcp(named.ip().to_string()), named.port()));
    }
    let address: IpAddr = text(address)?.parse().ok()?;
    Some(at(item, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_several_addresses_stands_for_several_hosts() {
        let item = ReplicaSpec::parse("db:6000?zone=b", 5432).unwrap();
        let now = Instant::now().into_std();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut behind = Behind::default();
        behind.leads_to(&item, &[address("::1"), address("10.0.0.2")], now);
        assert!(!behind.many, "one server in both families");
        let both = [address("10.0.0.3"), address("::1"), address("10.0.0.2")];
        behind.leads_to(&item, &both, now);
        assert!(behind.many);
        let hosts: Vec<_> = behind.roster.hosts().collect();
        let names: Vec<_> = hosts
            .iter()
            .map(|host| host.address().to_string())
            .collect();
        assert_eq!(names, ["10.0.0.2:6000", "10.0.0.3:6000"]);
        assert!(hosts.iter().all(|host| host.zone.as_deref() == Some("b")));
    }

    #[test]
    fn a_receiver_is_where_it_comes_from_or_where_it_says_it_is() {
        let item = ReplicaSpec::parse("*:6000?weight=3", 5432).unwrap();
        let row = |address: Option<&str>, name: &str| -> Row {
            [
                address.map(|text| text.as_bytes().to_vec()),
                Some(name.as_bytes().to_vec()),
            ]
        };
        let place = |row: Row| {
            let spec = receiver(&item, &row)?;
            assert_eq!(spec.weight, 3);
            Some(spec.address().to_string())
        };
        let own = place(row(Some("10.0.0.7"), "walreceiver"));
        assert_eq!(own.as_deref(), Some("10.0.0.7:6000"));
        let said = place(row(Some("10.0.0.7"), "192.168.1.2:5433"));
        assert_eq!(said.as_deref(), Some("192.168.1.2:5433"));
        let six = place(row(Some("::1"), "walreceiver"));
        assert_eq!(six.as_deref(), Some("[::1]:6000"));
        assert_eq!(place(row(None, "standby1")), None, "nobody may see it");
    }
}
