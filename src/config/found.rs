//! Sans-IO. Replicas that the file does not name itself: what was found in their place.
//!
//! `replicas` may hold names that lead to several addresses, and `*`, which stands for whatever
//! streams from the primary. What they stand for is found while the process runs (`pooler`), and
//! comes into the configuration here, so that everything else knows hosts only.

use std::net::IpAddr;

use super::cluster::Cluster;
use super::effective::Config;
use super::model::Host;
use super::replicas::ReplicaSpec;

/// Stands for all that stream from the primary.
pub const STREAMING: &str = "*";

/// What an item of `replicas` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// One host.
    Host,
    /// A name, which may lead to several.
    Name(&'a str),
    /// Whatever streams from the primary.
    Streaming,
}

impl ReplicaSpec {
    /// What it is.
    pub fn item(&self) -> Item<'_> {
        match &self.host {
            Host::Tcp(name) if name == STREAMING => Item::Streaming,
            Host::Tcp(name) if name.parse::<IpAddr>().is_err() => Item::Name(name),
            Host::Tcp(_) | Host::Unix(_) | Host::Abstract(_) | Host::DefaultSocket => Item::Host,
        }
    }

    /// The same words for another host.
    #[must_use]
    pub fn at(&self, host: Host, port: u16) -> Self {
        Self {
            host,
            port,
            ..self.clone()
        }
    }
}

impl Config {
    /// The replicas of an entry, as far as they are hosts.
    pub fn replicas(&self, entry: &str) -> Vec<ReplicaSpec> {
        if let Some(found) = self.found.get(entry) {
            return found.clone();
        }
        let named = self.databases.get(entry).into_iter();
        let named = named.flat_map(|spec| &spec.replicas);
        let hosts = named.filter(|replica| replica.item() != Item::Streaming);
        hosts.cloned().collect()
    }

    /// The configuration with these hosts as the replicas of an entry.
    #[must_use]
    pub fn with_found(&self, entry: &str, found: Vec<ReplicaSpec>) -> Self {
        let mut config = self.clone();
        let own = |parent: Option<&str>| parent == Some(entry);
        config
            .databases
            .retain(|_, spec| !own(spec.derived_from.as_deref()));
        config.found.insert(entry.to_owned(), found);
        let cluster = config.databases.get(entry);
        let cluster = cluster.and_then(|spec| Cluster::of(entry, spec, &config.replicas(entry)));
        let derived = cluster.map(|cluster| cluster.derived()).unwrap_or_default();
        let origin = config.sources.databases.get(entry).cloned();
        for (name, spec) in derived {
            // An entry of the file wins over a host that nobody has named.
            if !config.databases.contains_key(&name) {
                let origin = origin.clone().unwrap_or_default();
                config.sources.databases.insert(name.clone(), origin);
                config.databases.insert(name, spec);
            }
        }
        config
    }

    /// After a reload: what was found before holds for entries that still ask for the same.
    pub(super) fn adopt_found(&mut self, running: &Self) {
        for (entry, found) in &running.found {
            let replicas = |config: &Self| {
                let spec = config.databases.get(entry);
                spec.map(|spec| spec.replicas.clone())
            };
            if replicas(self) == replicas(running) {
                *self = self.with_found(entry, found.clone());
            }
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
        load(&read, "t.ini", &[]).unwrap().config
    }

    fn names(config: &Config) -> Vec<&str> {
        config.databases.keys().map(String::as_str).collect()
    }

    fn host(config: &Config, host: &str) -> ReplicaSpec {
        config.databases["app"].replicas[0].at(Host::Tcp(host.into()), 7)
    }

    #[test]
    fn items_are_hosts_names_or_whatever_streams() {
        let config = read("app = host=p replicas='10.0.0.1,[::1]:7,/run,db,*:6000?weight=2'");
        let replicas = &config.databases["app"].replicas;
        let items: Vec<_> = replicas.iter().map(ReplicaSpec::item).collect();
        let (host, name) = (Item::Host, Item::Name("db"));
        assert_eq!(items, [host, host, host, name, Item::Streaming]);
        assert_eq!((replicas[4].port, replicas[4].weight), (6000, 2));
        let hosts = ["app@10.0.0.1:5432", "app@/run:5432", "app@db:5432"];
        assert!(hosts.iter().all(|name| names(&config).contains(name)));
        assert!(!names(&config).iter().any(|name| name.contains('*')));
    }

    #[test]
    fn what_is_found_takes_the_place_of_what_the_file_says() {
        let config = read("app = host=p replicas='*?weight=3'\n'app@y:7' = host=z");
        assert_eq!(names(&config), ["app", "app@p:5432", "app@y:7"]);
        let hosts = vec![host(&config, "x"), host(&config, "y"), host(&config, "p")];
        let config = config.with_found("app", hosts);
        let all = ["app", "app@p:5432", "app@p:7", "app@x:7", "app@y:7"];
        assert_eq!(names(&config), all);
        assert_eq!(
            config.databases["app@x:7"].derived_from.as_deref(),
            Some("app")
        );
        assert_eq!(
            config.databases["app@y:7"].derived_from, None,
            "the file's own"
        );
        let cluster = config.clusters().next().unwrap();
        assert!(cluster.hosts.iter().skip(1).all(|host| host.weight == 3));
        let config = config.with_found("app", Vec::new());
        assert_eq!(names(&config), ["app", "app@p:5432", "app@y:7"]);
    }

    #[test]
    fn a_reload_keeps_what_was_found_while_the_entry_asks_for_the_same() {
        let text = "app = host=p replicas='*'";
        let running = read(text);
        let found = vec![host(&running, "x")];
        let running = running.with_found("app", found);
        let (same, _) = running.reloaded(read("app = host=p replicas='*' pool_size=9"));
        assert_eq!(names(&same), ["app", "app@p:5432", "app@x:7"]);
        assert_eq!(same.databases["app@x:7"].pool_size, Some(9));
        let (other, _) = running.reloaded(read("app = host=p replicas='*?weight=2'"));
        assert_eq!(names(&other), ["app", "app@p:5432"]);
    }
}
