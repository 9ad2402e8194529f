//! What the monitors find out about real servers: roles, a promotion, a replica that stops.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use pgweir::cluster::{ClusterView, HostId, HostState, Refused, Standing};
use pgweir::config::load;
use pgweir::net::{ClientTls, ServerTls};
use pgweir::pooler::{Parts, Pooler, monitor};
use pgweir::sql::Verdict;
use tokio::sync::oneshot;

use super::Stage;
use super::failover::{Frozen, follow};
use crate::support::fixture::options;
use crate::support::wait::until;

const READY: HostState = HostState::Replica(Standing::Ready);
const PRIMARY: HostId = HostId(0);
const FIRST: HostId = HostId(1);
const SECOND: HostId = HostId(2);

/// The monitors of one process, without clients.
struct Watch {
    pooler: Arc<Pooler>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn over(stage: &Stage, more: &str) -> Self {
        let text = format!(
            "[databases]\n{}\n[pgbouncer]\nmonitor_user=monitor\nreplica_check_period=0.1\n{more}",
            stage.entry("app", "")
        );
        let read = move |_: &str| Ok(text.clone().into_bytes());
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let pooler = Pooler::new(Parts {
            config: load(&read, "x.ini", &[]).unwrap().config,
            client_tls: ClientTls::disabled(),
            server_tls: ServerTls::disabled(),
            random: [7; 32],
            workers: 1,
            now: tokio::time::Instant::now().into_std(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let watched = Arc::clone(&pooler);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = monitor::run(&watched) => {}
                }
            });
        });
        Self {
            pooler,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn view(&self) -> Option<Arc<ClusterView>> {
        let live = self.pooler.clusters.find("app")?;
        Some(Arc::clone(&live.view()))
    }

    fn is(&self, host: HostId, state: HostState) -> bool {
        self.view()
            .is_some_and(|view| view.host(host).unwrap().state == state)
    }

    fn until(&self, host: HostId, state: HostState) {
        let what = format!("{host:?} is {state:?}");
        until(&what, || self.is(host, state));
    }

    fn primary(&self) -> Option<HostId> {
        self.view().and_then(|view| view.primary)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_replica_that_stops_gets_no_reads_until_it_is_back() {
    let mut stage = Stage::start(options());
    let watch = Watch::over(&stage, "");
    watch.until(PRIMARY, HostState::Primary);
    watch.until(FIRST, READY);
    watch.until(SECOND, READY);
    let before = watch.view().unwrap();
    assert_eq!(before.timeline, 1);
    stage.cluster.replicas_mut()[1].kill_hard().unwrap();
    watch.until(SECOND, HostState::Down);
    assert!(watch.is(FIRST, READY));
    stage.cluster.replicas_mut()[1].start().unwrap();
    watch.until(SECOND, READY);
    let after = watch.view().unwrap();
    let epoch = |view: &ClusterView| view.host(SECOND).unwrap().epoch;
    assert_ne!(
        epoch(&before),
        epoch(&after),
        "it may have forgotten something"
    );
    assert!(after.host(SECOND).unwrap().back_since.is_some());
}

#[test]
fn users_functions_are_known_and_known_anew_when_somebody_has_changed_them() {
    let stage = Stage::start(options());
    let watch = Watch::over(&stage, "");
    watch.until(PRIMARY, HostState::Primary);
    let live = watch.pooler.clusters.find("app").unwrap();
    let is_read = |name: &str| {
        let functions = live.functions();
        functions.catalog.known_call(name) == Some(Verdict::READ)
    };
    until("a stable function is harmless", || is_read("steady"));
    assert!(!is_read("newly_made"));
    let sql = "create function newly_made() returns int language sql stable as 'select 1'";
    stage.cluster.primary().psql("app", sql).unwrap();
    live.forget_functions();
    assert!(!is_read("steady"), "it may be volatile now");
    until("the new one is known", || is_read("newly_made"));
}

#[test]
fn a_frozen_replica_gets_no_reads() {
    let stage = Stage::start(options());
    let watch = Watch::over(&stage, "replica_check_timeout=0.3\n");
    watch.until(SECOND, READY);
    let frozen = Frozen::new(&stage.cluster.replicas()[1]);
    watch.until(SECOND, HostState::Down);
    drop(frozen);
    watch.until(SECOND, READY);
}

#[test]
fn of_two_primaries_the_one_with_the_newer_timeline_is_believed() {
    let mut stage = Stage::start(options());
    let watch = Watch::over(&stage, "");
    watch.until(FIRST, READY);
    watch.until(SECOND, READY);
    // Nobody has told the old primary, which goes on, and with it the second replica.
    stage.cluster.replicas_mut()[0].promote().unwrap();
    watch.until(FIRST, HostState::Primary);
    assert_eq!(watch.primary(), Some(FIRST));
    assert_eq!(watch.view().unwrap().timeline, 2);
    watch.until(PRIMARY, HostState::Refused(Refused::OldTimeline));
    watch.until(SECOND, HostState::Replica(Standing::OtherTimeline));
}

#[test]
fn a_promotion_is_followed_and_the_old_primary_is_refused() {
    let mut stage = Stage::start(options());
    let sql = "grant pg_monitor to monitor";
    stage.cluster.primary().psql("postgres", sql).unwrap();
    stage.cluster.wait_for_replicas().unwrap();
    let watch = Watch::over(&stage, "");
    watch.until(FIRST, READY);
    watch.until(SECOND, READY);

    stage.cluster.primary_mut().kill_hard().unwrap();
    until("the primary is lost", || watch.primary().is_none());
    assert!(watch.is(SECOND, READY), "reads go on meanwhile");
    stage.cluster.replicas_mut()[0].promote().unwrap();
    watch.until(FIRST, HostState::Primary);
    let replicas = stage.cluster.replicas();
    follow(&replicas[1], &replicas[0]);
    watch.until(SECOND, READY);
    assert_eq!(watch.view().unwrap().host(SECOND).unwrap().timeline, 2);

    stage.cluster.primary_mut().start().unwrap();
    watch.until(PRIMARY, HostState::Refused(Refused::OldTimeline));
    assert_eq!(watch.primary(), Some(FIRST));

    // Without a primary there is none, and none is invented.
    stage.cluster.replicas_mut()[0].kill_hard().unwrap();
    until("the primary is lost", || watch.primary().is_none());
    stage.cluster.replicas_mut()[0].start().unwrap();
    until("the primary is back", || watch.primary() == Some(FIRST));
}
