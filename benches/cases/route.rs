//! From what a client has sent to where it goes: what every query of a routed client pays.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pgweir::cluster::choice::Chance;
use pgweir::cluster::observation::{Observation, Policy, Role as ServerRole};
use pgweir::cluster::position::Scope;
use pgweir::cluster::view::ClusterView;
use pgweir::cluster::{Cluster, HostId, HostSpec, Lsn};
use pgweir::config::{Role, RouteMode};
use pgweir::route::cache::{Cache, Reading};
use pgweir::route::decide::{Attempt, Target};
use pgweir::route::dialect::Dialect;
use pgweir::route::plan::{Counting, Desk, Plan, Rules, Standing, plan};
use pgweir::route::segment::Alone;
use pgweir::route::session::{HoldBegin, Session};
use pgweir::session::client_state::{ClientState, SimpleQuery, Tracking};
use pgweir::session::params::ParamSet;
use pgweir::session::prepared::Registry;
use pgweir::sql::lexer::Quoting;
use pgweir::sql::{Catalog, classify};
use tokio::time::Instant;

use crate::frames::{Frames, frame};
use crate::meter::Meter;

const UNKNOWN: &str = "SELECT o.id, o.total FROM orders o JOIN users u ON o.user_id = u.id \
    WHERE u.id = 42 AND lower(o.status) <> 'cancelled' ORDER BY 2 LIMIT 10";

/// More texts than are remembered.
const TEXTS: u32 = 8192;

/// One of many queries that differ in a literal.
fn other(aid: u32) -> Vec<u8> {
    let text = format!("select abalance from pgbench_accounts where aid = {aid:06}\0");
    frame(b'Q', text.as_bytes())
}

/// A client of a primary and two replicas that show all of it.
struct Table {
    client: ClientState,
    session: Session,
    cache: Cache,
    catalog: Catalog,
    view: Arc<ClusterView>,
    now: std::time::Instant,
}

impl Table {
    fn new() -> Self {
        let now = Instant::now().into_std();
        let hosts = ["a@p", "a@r", "a@s"].map(HostSpec::named).to_vec();
        let mut cluster = Cluster::new(hosts, Policy::default());
        let roles = [
            ServerRole::Primary,
            ServerRole::Replica,
            ServerRole::Replica,
        ];
        for (place, role) in (0..).zip(roles) {
            let seen = Observation {
                role,
                timeline: 1,
                system_id: 1,
                shown: Lsn(100),
                bound: Some(Lsn(100)),
                started_at: 1,
                connection: 1,
                asked_at: now,
                answered_at: now,
            };
            cluster.observed(HostId(place), seen);
        }
        let (registry, tracking) = (Arc::new(Registry::default()), Tracking::On { limit: 200 });
        let (params, simple) = (Arc::new(ParamSet::new()), SimpleQuery::Allowed);
        Self {
            client: ClientState::new(params, registry, tracking, simple, 1 << 30),
            session: Session::default(),
            cache: Cache::new(1),
            catalog: Catalog::builtin(),
            view: cluster.view(),
            now: now + Duration::from_millis(1),
        }
    }

    fn plan(&mut self, input: &[u8]) -> Plan {
        let dialect = Dialect::of(&self.client.params);
        let mut reading = Reading {
            cache: &mut self.cache,
            catalog: &self.catalog,
            generation: 1,
            quoting: dialect.quoting,
            encoding: dialect.encoding,
        };
        let mut desk = Desk {
            session: &mut self.session,
            rules: Rules {
                mode: RouteMode::On,
                role: Role::Auto,
                hold: HoldBegin::Yes,
            },
            access: dialect.access,
            view: &self.view,
            scope: Scope::Session,
            standing: Standing::Unlinked,
            alone: Alone::Allowed,
            counting: Counting::Once,
            attempt: Attempt::First,
            now: self.now,
            chance: Chance::new(1),
        };
        let mut out = BytesMut::new();
        plan(input, &self.client, &mut reading, &mut desk, &mut out)
    }

    /// Where a read goes that must go to a replica, or the case measures something else.
    fn read(&mut self, input: &[u8]) {
        let plan = black_box(self.plan(black_box(input)));
        assert!(matches!(plan, Plan::Go(journey) if journey.decision.target != Target::Primary));
    }
}

/// Measures every case.
pub fn all(measure: &mut Meter<'_>) {
    let mut table = Table::new();
    let frames = Frames::new();
    measure("the same query", frames.query.len(), &mut || {
        table.read(&frames.query);
    });
    let others: Vec<_> = (0..TEXTS).map(other).collect();
    let mut others = others.iter().cycle();
    let bytes = frames.query.len();
    measure("a query with other literals", bytes, &mut || {
        table.read(others.next().expect("it has no end"));
    });
    let (unnamed, _) = frames.unnamed();
    measure("parse, bind, describe, execute", unnamed.len(), &mut || {
        table.read(&unnamed);
    });
    measure("not known: classified", UNKNOWN.len(), &mut || {
        let sql = black_box(UNKNOWN.as_bytes());
        black_box(classify(sql, Quoting::Standard, &table.catalog));
    });
}
