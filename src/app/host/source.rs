//! What the HTTP side shows besides the console's tables.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Host, connections, numbers};
use crate::app::shutdown::Stage;
use crate::config::{Config, DatabaseSpec};
use crate::http::own::Numbers;
use crate::http::{ClientKind, Limits, Readiness, Source};
use crate::pooler::Pooler;
use crate::pooler::servers::{connector, target_of};
use crate::server::connect::Target;

/// How long `/readyz` waits for servers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most servers that it tries.
const TRIED: usize = 16;

impl Source for Host {
    fn obstacle(&self) -> Option<Readiness> {
        if self.way_out().stage() > Stage::Serving {
            Some(Readiness::ShuttingDown)
        } else if self.pooler().pools.with(|pools, _| pools.is_all_paused()) {
            Some(Readiness::Paused)
        } else {
            None
        }
    }

    async fn has_primary(&self) -> bool {
        let pooler = self.pooler();
        let clusters = pooler.clusters.all();
        if clusters
            .iter()
            .any(|cluster| cluster.view().primary_host().is_some())
        {
            return true;
        }
        let targets = targets(&pooler.config());
        if targets.is_empty() {
            return clusters.is_empty(); // else their monitors have answered for them
        }
        let mut tries: JoinSet<bool> = targets
            .into_iter()
            .map(|target| can_reach(Arc::clone(pooler), target))
            .collect();
        while let Some(tried) = tries.join_next().await {
            if tried.unwrap_or(false) {
                return true;
            }
        }
        false
    }

    fn limits(&self) -> Limits {
        let config = self.pooler().config();
        Limits {
            clients: config.settings.max_client_conn,
            user_connections: config.settings.max_user_connections.unwrap_or(0),
        }
    }

    fn client_kinds(&self) -> Vec<ClientKind> {
        connections::client_kinds(self.pooler())
    }

    fn numbers(&self) -> Numbers {
        numbers::numbers(self)
    }

    fn most_named(&self) -> usize {
        self.pooler().config().settings.http_max_pools
    }
}

/// The servers of entries that no monitor looks after.
fn targets(config: &Config) -> HashSet<Target> {
    let alone = |spec: &&DatabaseSpec| spec.replicas.is_empty() && spec.derived_from.is_none();
    let specs = config
        .databases
        .values()
        .chain(&config.autodb)
        .filter(alone);
    let targets = specs.flat_map(|spec| {
        let hosts = spec.hosts.iter();
        hosts.filter_map(|host| target_of(config, host, spec.port))
    });
    targets.take(TRIED).collect()
}

async fn can_reach(pooler: Arc<Pooler>, target: Target) -> bool {
    let (config, tls) = (pooler.config(), pooler.server_tls.load_full());
    let connector = connector(&pooler, &config, &tls);
    let connected = timeout(PATIENCE, connector.connect(&target)).await;
    matches!(connected, Ok(Ok(_)))
}
