use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use super::*;
use crate::admin::host::ConsoleError;
use crate::admin::rows::{ClientState, ConnectionState};
use crate::app::shutdown::Stage;
use crate::config::{Config, load};
use crate::net::Peer;
use crate::net::{ClientTls, ServerTls};
use crate::pool::{PoolId, Request, WaiterKind, WorkerId};
use crate::pooler::Parts;
use crate::pooler::client_facts::{ClientCard, Phase};
use crate::pooler::control::Leave;
use crate::process::{Signal, Stop};
use crate::protocol::startup::Replication;
use crate::telemetry::log::{LogSettings, build};
use crate::telemetry::writer::{SinkSettings, Stderr};

/// A host over a configuration file, without any connection.
struct Fixture {
    host: Host,
    dir: tempfile::TempDir,
}

const NAMED: &str = "[databases]\na = host=/nowhere\nb = host=127.0.0.1 pool_size=3\n";

fn parse(text: &str) -> Config {
    let text = text.to_owned();
    let read = move |_: &str| Ok(text.clone().into_bytes());
    load(&read, "x.ini", &[]).unwrap().config
}

impl Fixture {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ini").to_str().unwrap().to_owned();
        std::fs::write(&path, text).unwrap();
        let pooler = Pooler::new(Parts {
            config: parse(text),
            client_tls: ClientTls::disabled(),
            server_tls: ServerTls::disabled(),
            random: [7; 32],
            workers: 1,
            now: clocks().0,
        });
        let silent = LogSettings {
            sinks: SinkSettings {
                stderr: Stderr::Off,
                ..SinkSettings::default()
            },
            ..LogSettings::default()
        };
        let source = Source {
            path: path.clone(),
            ..Source::default()
        };
        // The running configuration names a file of the test's directory, not `x.ini`.
        pooler.set_config(pooler.config().with_setting("conffile", &path).unwrap());
        let host = Host::new(HostParts {
            pooler,
            source,
            log: build(&silent).unwrap().0,
            flags: LogFlags {
                verbose: 0,
                stderr: Stderr::Off,
            },
            shutdown: Shutdown::default(),
        });
        Self { host, dir }
    }

    fn rewrite(&self, text: &str) {
        std::fs::write(self.dir.path().join("x.ini"), text).unwrap();
    }

    fn pool(&self, database: &str, user: &str) -> PoolId {
        let pooler = self.host.pooler();
        pooler
            .pool(&database.into(), &user.into(), clocks().0)
            .unwrap()
    }

    fn client(&self, database: &str, user: &str) -> Arc<ClientFacts> {
        let pooler = self.host.pooler();
        let card = ClientCard {
            id: pooler.next_id(),
            database: database.into(),
            user: user.into(),
            pool_user: user.into(),
            peer: Some(Peer::Tcp(([127, 0, 0, 1], 5000).into())),
            listen_port: 6432,
            local: None,
            connected_at: SystemTime::now(),
            tls: Box::default(),
            application_name: "app".into(),
            replication: Replication::None,
        };
        let facts = Arc::new(ClientFacts::new(card));
        pooler.clients.add(facts.card.id, Arc::clone(&facts));
        facts
    }

    fn database(&self, name: &str) -> Option<DatabaseRow> {
        let rows = ConsoleHost::databases(&self.host);
        rows.into_iter().find(|row| row.name == name)
    }
}

fn database(name: &str) -> Scope {
    Scope::Database(name.to_owned())
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    future.poll(&mut context).is_pending()
}

/// Makes the pool open a connection, which goes nowhere as soon as the test yields.
fn opening(fixture: &Fixture, pool: PoolId) {
    let mut mailbox = fixture.host.pooler().pools.mailbox();
    let request = Request {
        home: WorkerId(0),
        kind: WaiterKind::Login,
        deadline: None,
    };
    let mut acquire = mailbox.acquire(pool, &request, clocks().0);
    assert!(is_pending(std::pin::pin!(acquire.next())));
}

#[tokio::test]
async fn pause_and_resume_have_pgbouncers_errors() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    assert_eq!(host.resume(&Scope::All), Err(ConsoleError::NotPaused));
    let not_paused = Err(ConsoleError::DatabaseNotPaused("a".into()));
    assert_eq!(host.resume(&database("a")), not_paused);
    assert_eq!(
        host.resume(&database("pgbouncer")),
        Err(ConsoleError::DatabaseNotPaused("pgbouncer".into()))
    );
    let nobody = Err(ConsoleError::NoSuchDatabase("x".into()));
    assert_eq!(host.resume(&database("x")), nobody);
    assert_eq!(host.pause(&database("x")).await, nobody);
    assert_eq!(host.kill(&database("x")), nobody);
    assert_eq!(host.disable("x"), nobody);
    assert_eq!(host.enable("x"), nobody);
    assert_eq!(host.wait_close(&database("x")).await, nobody);
    let admin = host.pause(&database("pgweir")).await.unwrap_err();
    assert_eq!(admin.to_string(), "cannot pause admin db: pgweir");

    assert_eq!(host.pause(&database("a")).await, Ok(()));
    assert_eq!(host.pause(&database("a")).await, Ok(()));
    assert!(fixture.database("a").unwrap().is_paused);
    assert_eq!(ConsoleHost::state(host), PoolerState::Active);
    assert_eq!(host.pause(&Scope::All).await, Ok(()));
    assert_eq!(ConsoleHost::state(host), PoolerState::Paused);
    for scope in [Scope::All, database("a"), database("x")] {
        let already = Err(ConsoleError::AlreadyPaused);
        assert_eq!(host.pause(&scope).await, already, "{scope:?}");
        assert_eq!(host.kill(&scope), already, "{scope:?}");
    }
    assert_eq!(host.resume(&Scope::All), Ok(()));
    assert!(fixture.database("a").unwrap().is_paused);
    assert_eq!(host.resume(&database("a")), Ok(()));
    assert!(!fixture.database("a").unwrap().is_paused);
}

const CLUSTER: &str = "[databases]\napp = host=/p replicas=/r,/s\napp2 = host=/x\n\
    [pgbouncer]\npool_mode=transaction\n";

#[tokio::test]
async fn what_is_done_to_a_cluster_is_done_to_its_hosts() {
    let fixture = Fixture::new(CLUSTER);
    let host = &fixture.host;
    let marks = |mark: fn(&DatabaseRow) -> bool| {
        let rows = ConsoleHost::databases(host).into_iter();
        let rows = rows.map(|row| (mark(&row), row.name));
        let marked = rows.filter_map(|(marked, name)| marked.then_some(name));
        marked.collect::<Vec<_>>().join(" ")
    };
    let all = "app app@/p:5432 app@/r:5432 app@/s:5432";
    assert_eq!(marks(|_| true), format!("{all} app2 pgbouncer"));
    let paused = |row: &DatabaseRow| row.is_paused;
    assert_eq!(host.pause(&database("app")).await, Ok(()));
    assert_eq!(marks(paused), all);
    assert_eq!(host.resume(&database("app")), Ok(()));
    assert_eq!(marks(paused), "");
    assert_eq!(host.disable("app"), Ok(()));
    assert_eq!(marks(|row| row.is_disabled), all);
    assert_eq!(host.enable("app"), Ok(()));
    assert_eq!(marks(|row| row.is_disabled), "");

    // One host alone, which a RESUME of the whole takes along.
    assert_eq!(host.pause(&database("app@/r:5432")).await, Ok(()));
    assert_eq!(marks(paused), "app@/r:5432");
    assert_eq!(host.resume(&database("app")), Ok(()));
    assert_eq!(marks(paused), "");
    let not_paused = Err(ConsoleError::DatabaseNotPaused("app".into()));
    assert_eq!(host.resume(&database("app")), not_paused);

    let gone = [
        fixture.client("app", "u"),
        fixture.client("app@/s:5432", "u"),
    ];
    assert_eq!(host.reconnect(&database("app")), Ok(()));
    assert_eq!(host.wait_close(&database("app")).await, Ok(()));
    assert_eq!(host.kill(&database("app")), Ok(()));
    assert_eq!(marks(paused), all);
    for client in gone {
        assert_eq!(client.control.pending(), Some(Leave::DatabaseRemoved));
    }
}

#[tokio::test]
async fn a_reload_drops_hosts_that_left_and_keeps_the_rest_of_the_cluster() {
    let fixture = Fixture::new(CLUSTER);
    fixture.pool("app", "u");
    fixture.pool("app@/r:5432", "u");
    let (stays, gone) = (
        fixture.client("app", "u"),
        fixture.client("app@/r:5432", "u"),
    );
    fixture.rewrite(&CLUSTER.replace("replicas=/r,/s", "replicas=/s,/t"));
    assert_eq!(fixture.host.reload().await, Ok(()));
    assert_eq!(stays.control.pending(), None);
    assert_eq!(gone.control.pending(), Some(Leave::DatabaseRemoved));
    assert!(fixture.database("app@/r:5432").is_none());
    assert!(fixture.database("app@/t:5432").is_some());
}

#[tokio::test]
async fn databases_of_the_star_entry_are_made_known_by_some_commands_only() {
    let fixture = Fixture::new("[databases]\n* = host=127.0.0.1\n");
    let host = &fixture.host;
    let nobody = |name: &str| Err(ConsoleError::NoSuchDatabase(name.into()));
    assert_eq!(host.enable("x"), nobody("x"));
    assert_eq!(host.resume(&database("x")), nobody("x"));
    assert!(fixture.database("x").is_none());
    assert_eq!(host.disable("x"), Ok(()));
    assert!(fixture.database("x").unwrap().is_disabled);
    assert_eq!(host.enable("x"), Ok(()));
    assert!(!fixture.database("x").unwrap().is_disabled);
}

#[tokio::test]
async fn a_waiting_pause_ends_when_somebody_resumes_or_the_last_connection_goes() {
    for scope in [Scope::All, database("a")] {
        let fixture = Fixture::new(NAMED);
        let host = &fixture.host;
        let pool = fixture.pool("a", "u");
        opening(&fixture, pool);
        let mut pause = std::pin::pin!(host.pause(&scope));
        assert!(is_pending(pause.as_mut()), "{scope:?}");
        assert_eq!(host.resume(&scope), Ok(()));
        assert_eq!(pause.await, Err(ConsoleError::Canceled), "{scope:?}");
        // The opening was to nowhere: it fails, and then nothing is left to wait for.
        assert_eq!(host.pause(&scope).await, Ok(()), "{scope:?}");
    }
}

#[tokio::test]
async fn kill_sends_clients_away_and_leaves_the_database_paused() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    fixture.pool("a", "u");
    let (gone, stays) = (fixture.client("a", "u"), fixture.client("b", "u"));
    assert_eq!(host.kill(&database("a")), Ok(()));
    assert_eq!(gone.control.pending(), Some(Leave::DatabaseRemoved));
    assert_eq!(stays.control.pending(), None);
    assert!(fixture.database("a").unwrap().is_paused);
    // KILL of all takes what is in use, as PgBouncer does.
    fixture.pool("a", "u");
    assert_eq!(host.kill(&Scope::All), Ok(()));
    assert!(!fixture.database("b").unwrap().is_paused);
    assert_eq!(stays.control.pending(), None);
}

#[tokio::test]
async fn any_client_can_be_killed_by_its_number() {
    let fixture = Fixture::new(NAMED);
    let client = fixture.client("pgbouncer", "admin");
    let nobody = ConnId(client.card.id.0 + 1);
    let host = &fixture.host;
    assert_eq!(host.kill_client(nobody), Err(ConsoleError::ClientNotFound));
    assert_eq!(host.kill_client(client.card.id), Ok(()));
    assert_eq!(client.control.pending(), Some(Leave::Killed));
}

#[tokio::test]
async fn tables_count_clients_by_pool_and_phase() {
    let fixture = Fixture::new(NAMED);
    fixture.pool("a", "u");
    let client = fixture.client("a", "u");
    client.enter(Phase::Idle);
    fixture.client("a", "u"); // logs in
    let waiting = fixture.client("a", "u");
    waiting.enter(Phase::Waiting);
    waiting.wait_us.store(0, Ordering::Relaxed);
    fixture.client("pgweir", "admin");
    let pools = ConsoleHost::pools(&fixture.host);
    let shown: Vec<_> = pools
        .iter()
        .map(|row| (&*row.database, &*row.user, row.clients.active))
        .collect();
    assert_eq!(shown, [("a", "u", 1), ("pgbouncer", "pgbouncer", 1)]);
    let states: Vec<_> = ConsoleHost::clients(&fixture.host)
        .iter()
        .map(|row| row.state)
        .collect();
    assert_eq!(
        states,
        [
            ConnectionState::Client(ClientState::Idle),
            ConnectionState::Client(ClientState::Login),
            ConnectionState::Client(ClientState::Waiting),
            ConnectionState::Client(ClientState::Login),
        ]
    );
    let lists = ConsoleHost::lists(&fixture.host);
    assert_eq!((lists.pools, lists.used_clients), (2, 4));
    assert_eq!((lists.databases, lists.login_clients), (3, 2));
    let users = ConsoleHost::users(&fixture.host);
    let admin = users.iter().find(|user| user.name == "admin").unwrap();
    assert_eq!(admin.current_client_connections, 1);
}

#[tokio::test]
async fn the_console_counts_its_own_commands() {
    let fixture = Fixture::new(NAMED);
    let command = Command::Reload;
    fixture.host.note(ConsoleEvent::Command(&command));
    let stats = ConsoleHost::stats(&fixture.host);
    assert_eq!(stats.len(), 1);
    assert_eq!(stats[0].database, "pgbouncer");
    assert_eq!(stats[0].stats.total.queries, 1);
}

#[tokio::test]
async fn a_reload_drops_what_left_and_gives_new_limits_to_what_stays() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    fixture.pool("a", "u");
    fixture.pool("b", "u");
    let (gone, stays) = (fixture.client("a", "u"), fixture.client("b", "u"));
    let generation = host.pooler().generation();
    fixture.rewrite("[databases]\nb = host=127.0.0.1 pool_size=5\n[pgbouncer]\nlisten_port=1\n");
    assert_eq!(host.reload().await, Ok(()));
    assert_eq!(gone.control.pending(), Some(Leave::DatabaseRemoved));
    assert_eq!(stays.control.pending(), None);
    assert!(fixture.database("a").is_none());
    assert_eq!(fixture.database("b").unwrap().pool_size, 5);
    assert!(host.pooler().generation() > generation);
    // A setting that needs a restart stays.
    assert_eq!(host.pooler().config().settings.listen_port, 6432);
}

#[tokio::test]
async fn a_database_that_loses_its_entry_is_dropped_even_where_the_star_covers_it() {
    let fixture = Fixture::new("[databases]\na = host=127.0.0.1\n* = host=127.0.0.1\n");
    fixture.pool("a", "u");
    fixture.pool("auto", "u");
    let (gone, stays) = (fixture.client("a", "u"), fixture.client("auto", "u"));
    fixture.rewrite("[databases]\n* = host=127.0.0.1\n");
    assert_eq!(fixture.host.reload().await, Ok(()));
    assert_eq!(gone.control.pending(), Some(Leave::DatabaseRemoved));
    assert_eq!(stays.control.pending(), None);
    assert!(fixture.database("a").is_none());
    assert!(fixture.database("auto").is_some());
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    fixture.pool("a", "u");
    let before = host.pooler().config();
    let bad = [
        "[databases]\nb = nonsense=1\n".to_owned(),
        "[pgbouncer]\nauth_file=/nowhere/users\n".to_owned(),
        "[pgbouncer]\nserver_tls_sslmode=verify-ca\nserver_tls_ca_file=/nowhere/ca\n".to_owned(),
    ];
    for text in bad {
        fixture.rewrite(&text);
        assert_eq!(host.reload().await, Err(ConsoleError::ReloadFailed));
        assert_eq!(*host.pooler().config(), *before, "{text}");
        assert!(fixture.database("a").is_some());
    }
}

#[tokio::test]
async fn only_entries_that_lead_elsewhere_lose_their_greeting() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    let rooms: Vec<_> = ["a", "b"]
        .iter()
        .map(|name| {
            fixture.pool(name, "u");
            let room = host.pooler().room(&crate::pool::PoolKey::new(name, "u"));
            room.offer_welcome(Vec::new());
            room
        })
        .collect();
    fixture.rewrite("[databases]\na = host=/nowhere pool_size=9\nb = host=127.0.0.2\n");
    assert_eq!(host.reload().await, Ok(()));
    assert!(rooms[0].welcome().is_some());
    assert!(rooms[1].welcome().is_none());
    host.reconnect(&database("a")).unwrap();
    assert!(rooms[0].welcome().is_none());
}

#[tokio::test]
async fn set_changes_one_setting_or_says_that_it_failed() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    assert_eq!(host.set("default_pool_size", "7").await, Ok(()));
    assert_eq!(host.pooler().config().settings.default_pool_size, 7);
    for (key, value) in [
        ("nonsense", "1"),
        ("default_pool_size", "x"),
        ("auth_file", "/nowhere/users"),
        ("client_tls_sslmode", "require"),
    ] {
        let failed = Err(ConsoleError::SetFailed);
        assert_eq!(host.set(key, value).await, failed, "{key}");
    }
    assert_eq!(host.set("listen_port", "1").await, Ok(()));
    assert_eq!(host.pooler().config().settings.listen_port, 6432);
}

#[tokio::test]
async fn pools_with_a_forced_user_and_a_minimum_are_made_without_clients() {
    let fixture = Fixture::new(
        "[databases]\na = host=127.0.0.1 user=f min_pool_size=1\nb = host=127.0.0.1 user=f\n",
    );
    fixture.host.open_minimum(&fixture.host.pooler().config());
    let pools = ConsoleHost::pools(&fixture.host);
    let made: Vec<_> = pools.iter().map(|row| &*row.database).collect();
    assert_eq!(made, ["a", "pgbouncer"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_waits_for_clients_ends_with_the_last_one() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    let caps = crate::pooler::admission::Caps {
        total: 1,
        database: None,
        user: None,
    };
    let admission = &host.pooler().admission;
    let place = admission.enter(&"a".into(), &"u".into(), caps).unwrap();
    host.shut_down(ShutdownMode::WaitForClients);
    assert!(host.pooler().is_stopping());
    assert_eq!(host.way_out().stage(), Stage::WaitForClients);
    assert_eq!(host.resume(&Scope::All), Err(ConsoleError::ShuttingDown));
    let mut finished = std::pin::pin!(host.way_out().finished(host.pooler()));
    assert!(is_pending(finished.as_mut()));
    // Pausing still works, and so does resuming one database.
    assert_eq!(host.pause(&database("a")).await, Ok(()));
    assert_eq!(host.resume(&database("a")), Ok(()));
    drop(place);
    finished.await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_waits_for_servers_is_a_pause_without_an_end() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    let pool = fixture.pool("a", "u");
    opening(&fixture, pool);
    let mut finished = std::pin::pin!(host.way_out().finished(host.pooler()));
    assert!(is_pending(finished.as_mut()));
    host.shut_down(ShutdownMode::WaitForClients);
    host.shut_down(ShutdownMode::WaitForServers);
    assert!(is_pending(finished.as_mut()));
    assert_eq!(ConsoleHost::state(host), PoolerState::Paused);
    assert_eq!(host.resume(&Scope::All), Err(ConsoleError::ShuttingDown));
    let not_paused = Err(ConsoleError::DatabaseNotPaused("a".into()));
    assert_eq!(host.resume(&database("a")), not_paused);
    assert_eq!(
        host.pause(&Scope::All).await,
        Err(ConsoleError::AlreadyPaused)
    );
    // The opening to nowhere fails, and was all that was left.
    finished.await;
}

#[tokio::test]
async fn signals_pull_the_same_levers() {
    let fixture = Fixture::new(NAMED);
    let host = &fixture.host;
    host.obey(Signal::Pause).await;
    assert_eq!(ConsoleHost::state(host), PoolerState::Paused);
    host.obey(Signal::Resume).await;
    assert_eq!(ConsoleHost::state(host), PoolerState::Active);
    fixture.rewrite("[databases]\nc=host=127.0.0.1\n");
    host.obey(Signal::Reload).await;
    assert!(fixture.database("c").is_some());
    host.obey(Signal::WaitForServers).await;
    assert_eq!(host.way_out().stage(), Stage::WaitForServers);
    host.obey(Signal::WaitForClients).await;
    assert_eq!(host.way_out().stage(), Stage::Exit);
    host.way_out().finished(host.pooler()).await;
    host.way_out().begin(Stop::WaitForClients, host.pooler());
    assert_eq!(host.way_out().stage(), Stage::Exit);
}

#[tokio::test(start_paused = true)]
async fn averages_are_made_each_stats_period_even_a_changed_one() {
    let fixture = Fixture::new("[pgbouncer]\nstats_period=60\n");
    let host = &fixture.host;
    let logins = || ConsoleHost::totals(host).average.client_logins;
    let mut periods = std::pin::pin!(crate::app::stats::keep_averages(host.pooler()));
    for _ in 0..600 {
        host.count(Counter::ClientLogins);
    }
    let minute = tokio::time::sleep(std::time::Duration::from_secs(61));
    tokio::select! {
        never = &mut periods => match never {},
        () = minute => {}
    }
    assert_eq!(logins(), 600 / 61);
    host.set("stats_period", "10").await.unwrap();
    // The old period ends, then the new one counts: the growth is out of the averages.
    let rest = tokio::time::sleep(std::time::Duration::from_secs(59 + 15));
    tokio::select! {
        never = &mut periods => match never {},
        () = rest => {}
    }
    assert_eq!(logins(), 0);
}
