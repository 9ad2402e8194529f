//! Sans-IO. Entries with replicas: which hosts they have, and the entry that each host gets.
//!
//! An entry `app` with `replicas` stands for a cluster. Each of its hosts gets an entry of its own,
//! `app@HOST:PORT`, so that pools, limits, `SHOW` and the console's commands know single hosts
//! without knowing of clusters. Invariant: these entries are made once, when the file is read, and a
//! file cannot name one itself.

use std::collections::BTreeMap;

use super::choice::Role;
use super::diagnostic::{Diagnostic, Origin};
use super::effective::Config;
use super::model::{DatabaseSpec, Host};
use super::replicas::{Address, REPLICA_WEIGHT, ReplicaSpec};

/// What the file says a host is; the servers themselves have the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredRole {
    /// It stands in `host`.
    Primary,
    /// It stands in `replicas`.
    Replica,
}

/// One host of an entry with replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterHost {
    /// Name of its own entry, `app@HOST:PORT`.
    pub entry: String,
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What the file says it is.
    pub declared: DeclaredRole,
    /// Its share of the reads beside that of the others; 0: none as long as another is left.
    pub weight: u16,
    /// The availability zone it is in.
    pub zone: Option<String>,
    /// Most server connections per user to this host, where it has a number of its own.
    pub pool_size: Option<usize>,
}

/// An entry with replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster<'a> {
    /// The entry's name.
    pub name: &'a str,
    /// The entry.
    pub spec: &'a DatabaseSpec,
    /// Its hosts: those of `host`, then those of `replicas`. No two are the same.
    pub hosts: Vec<ClusterHost>,
}

impl<'a> Cluster<'a> {
    /// The cluster that an entry stands for, with these as its replicas; `None` where the entry has
    /// none.
    pub(super) fn of(
        name: &'a str,
        spec: &'a DatabaseSpec,
        replicas: &[ReplicaSpec],
    ) -> Option<Self> {
        if spec.replicas.is_empty() {
            return None;
        }
        let mut hosts: Vec<ClusterHost> = Vec::new();
        let mut add = |host: ClusterHost| {
            if hosts.iter().all(|known| known.entry != host.entry) {
                hosts.push(host);
            }
        };
        for host in &spec.hosts {
            add(ClusterHost {
                entry: format!("{name}@{}", Address(host, spec.port)),
                host: host.clone(),
                port: spec.port,
                declared: DeclaredRole::Primary,
                weight: REPLICA_WEIGHT,
                zone: None,
                pool_size: None,
            });
        }
        for replica in replicas {
            add(ClusterHost {
                entry: format!("{name}@{}", Address(&replica.host, replica.port)),
                host: replica.host.clone(),
                port: replica.port,
                declared: DeclaredRole::Replica,
                weight: replica.weight,
                zone: replica.zone.clone(),
                pool_size: replica.pool_size,
            });
        }
        Some(Self { name, spec, hosts })
    }

    /// The entries of its hosts, by name.
    pub(super) fn derived(&self) -> Vec<(String, DatabaseSpec)> {
        let hosts = self.hosts.iter();
        let hosts = hosts.map(|host| (host.entry.clone(), host.derived(self)));
        hosts.collect()
    }
}

impl ClusterHost {
    fn derived(&self, cluster: &Cluster<'_>) -> DatabaseSpec {
        let spec = cluster.spec;
        let dbname = spec.dbname.clone();
        DatabaseSpec {
            dbname: dbname.or_else(|| Some(cluster.name.to_owned())),
            hosts: vec![self.host.clone()],
            port: self.port,
            replicas: Vec::new(),
            role: Role::Auto,
            derived_from: Some(cluster.name.to_owned()),
            pool_size: self.pool_size.or(spec.pool_size),
            // The pool of the cluster itself keeps connections to the primary open.
            min_pool_size: match self.declared {
                DeclaredRole::Primary => Some(0),
                DeclaredRole::Replica => spec.min_pool_size,
            },
            ..spec.clone()
        }
    }
}

impl Config {
    /// The entries with replicas, by name.
    pub fn clusters(&self) -> impl Iterator<Item = Cluster<'_>> {
        let entries = self.databases.iter();
        entries.filter_map(|(name, spec)| Cluster::of(name, spec, &self.replicas(name)))
    }

    /// The entry of that name, and those of its hosts behind it.
    pub fn family(&self, name: &str) -> Vec<String> {
        let spec = self.databases.get(name);
        let cluster = spec.and_then(|spec| Cluster::of(name, spec, &self.replicas(name)));
        let hosts = cluster.into_iter().flat_map(|cluster| cluster.hosts);
        let hosts = hosts.map(|host| host.entry);
        [name.to_owned()].into_iter().chain(hosts).collect()
    }

    /// Gives each host of the entries with replicas an entry of its own.
    pub(super) fn derive_hosts(&mut self, found: &mut Vec<Diagnostic>) {
        let mut derived: BTreeMap<String, (DatabaseSpec, Origin)> = BTreeMap::new();
        for cluster in self.clusters() {
            let origin = self.sources.databases.get(cluster.name).cloned();
            let origin = origin.unwrap_or_default();
            for (entry, spec) in cluster.derived() {
                if self.databases.contains_key(&entry) {
                    let text = format!(
                        "database \"{}\": the name belongs to a host of \"{}\", which has replicas; \
                         rename this entry",
                        entry, cluster.name
                    );
                    let own = self.sources.databases.get(&entry);
                    found.push(Diagnostic::error(own.unwrap_or(&origin), text));
                }
                derived.insert(entry, (spec, origin.clone()));
            }
        }
        for (name, (spec, origin)) in derived {
            self.sources.databases.insert(name.clone(), origin);
            self.databases.insert(name, spec);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn read(text: &str) -> Config {
        let text = format!("[databases]\n{text}\n[pgbouncer]\nauth_file=f\npool_mode=transaction");
        let read = move |_: &str| Ok(text.clone().into_bytes());
        let loaded = load(&read, "t.ini", &[]).unwrap();
        assert_eq!(loaded.warnings, []);
        loaded.config
    }

    #[test]
    fn each_host_of_a_cluster_gets_an_entry() {
        let config = read(
            "app = host=p port=6000 replicas='r1,[::1]:7?weight=3&zone=b&pool_size=2' \
             pool_size=9 min_pool_size=4\nplain = host=h\nother = host=x dbname=o replicas=y",
        );
        let names: Vec<&String> = config.databases.keys().collect();
        assert_eq!(
            names,
            [
                "app",
                "app@[::1]:7",
                "app@p:6000",
                "app@r1:6000",
                "other",
                "other@x:5432",
                "other@y:5432",
                "plain"
            ]
        );
        let spec = &config.databases["app@[::1]:7"];
        assert_eq!((spec.dbname.as_deref(), spec.port), (Some("app"), 7));
        assert_eq!(spec.hosts, [Host::Tcp("::1".into())]);
        assert_eq!(spec.derived_from.as_deref(), Some("app"));
        assert_eq!((spec.pool_size, spec.min_pool_size), (Some(2), Some(4)));
        assert!(spec.replicas.is_empty());
        let spec = &config.databases["app@p:6000"];
        assert_eq!((spec.pool_size, spec.min_pool_size), (Some(9), Some(0)));
        let other = config.database("other@y:5432").unwrap();
        assert_eq!(other.dbname, "o");
        assert_eq!(
            config.family("other"),
            ["other", "other@x:5432", "other@y:5432"]
        );
        assert_eq!(config.family("plain"), ["plain"]);
    }

    #[test]
    fn clusters_tell_their_hosts_in_the_order_of_the_file() {
        let config = read("app = host=p,q,p replicas='r?weight=0&zone=a' role=replica");
        let clusters: Vec<_> = config.clusters().collect();
        let [cluster] = clusters.as_slice() else {
            panic!("{clusters:?}")
        };
        assert_eq!((cluster.name, cluster.spec.role), ("app", Role::Replica));
        let hosts = cluster.hosts.iter();
        let hosts = hosts.map(|host| {
            (
                &*host.entry,
                host.declared,
                host.weight,
                host.zone.as_deref(),
            )
        });
        assert_eq!(
            hosts.collect::<Vec<_>>(),
            [
                ("app@p:5432", DeclaredRole::Primary, 1, None),
                ("app@q:5432", DeclaredRole::Primary, 1, None),
                ("app@r:5432", DeclaredRole::Replica, 0, Some("a")),
            ]
        );
    }

    #[test]
    fn a_file_cannot_name_the_entry_of_a_host() {
        let text = "[databases]\n'app@r:5432' = host=z\napp = host=p replicas=r\n[pgbouncer]\n\
            auth_file=f\npool_mode=transaction\n";
        let read = |_: &str| Ok(text.as_bytes().to_vec());
        let found = load(&read, "t.ini", &[]).unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "t.ini:2: database \"app@r:5432\": the name belongs to a host of \"app\", which has \
              replicas; rename this entry"
            ]
        );
    }

    #[test]
    fn other_replicas_leave_the_connections_of_the_entry_alone() {
        let before = read("app = host=p replicas=r");
        let after = read("app = host=p replicas=r?weight=2,s");
        let of = |config: &Config, name: &str| config.databases[name].clone();
        assert!(!of(&before, "app").requires_new_connections(&of(&after, "app")));
        let host = "app@r:5432";
        assert!(!of(&before, host).requires_new_connections(&of(&after, host)));
    }
}
