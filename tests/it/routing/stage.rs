//! A primary with two streaming replicas, pgweir in front of them, and who ran what.

use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pgweir::demo::cluster::{Cluster, ClusterOptions, Server};

use crate::support::fixture::options;
use crate::support::guard::Guard;
use crate::support::message::{extended, query};
use crate::support::wait::until;
use crate::support::wire::Answer;
use crate::support::{Fixture, Setup, Weir, Wire};

const TABLES: &str = include_str!("tables.sql");

/// Roles; the monitor's own queries stay out of the logs.
const ROLES: &str = "create role app login superuser; create role other login superuser;\
    create role monitor login; alter role monitor set log_statement = 'none';\
    create role calm login; alter role calm set search_path = calm, public;\
    create role wild login; alter role wild set search_path = wild, public";

/// Which kind of server ran a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The primary.
    Primary,
    /// One of the replicas.
    Replica,
}

/// Where a statement is expected to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// On the primary.
    Primary,
    /// On a replica.
    Replica,
    /// On a replica as soon as one has what the client has seen: it is tried again until then.
    Soon,
    /// Anywhere, or nowhere where pgweir answers itself.
    Any,
}

/// How a client sends a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `Query`
    Simple,
    /// `Parse`, `Bind`, `Describe`, `Execute`, `Sync`
    Extended,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Simple, Self::Extended];

    /// Runs a statement to its end.
    pub fn run(self, client: &mut Wire, sql: &str) -> Answer {
        client.send(&match self {
            Self::Simple => query(sql),
            Self::Extended => extended(sql),
        });
        Answer(client.until_ready(1))
    }
}

/// One run of a statement, as a server's log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What the server was at the start of the test.
    pub place: Place,
    /// Name of the server.
    pub server: String,
    /// The server's process.
    pub pid: String,
    /// Whether it was refused, or failed.
    pub failed: bool,
}

/// The servers.
#[derive(Debug)]
pub struct Stage {
    /// Primary and replicas.
    pub cluster: Cluster,
    next: AtomicU32,
    _guard: Guard,
}

impl Stage {
    /// The servers that tests share which change nothing about them. Every statement is logged.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Stage> =
            LazyLock::new(|| Stage::start(options().with_setting("log_statement", "all")));
        &SHARED
    }

    /// pgweir in front of them with the settings that most tests want, shared as well. Reads go to
    /// replicas by now.
    pub fn weir() -> &'static Weir {
        // Where it fails once, it fails at once for all the others.
        static SHARED: LazyLock<Weir> = LazyLock::new(|| {
            let weir = Stage::shared().setup().start();
            Stage::shared().await_replicas(&weir, "app");
            weir
        });
        &SHARED
    }

    /// New servers, with roles and the tables in the database `app`, on the replicas too.
    pub fn start(options: ClusterOptions) -> Self {
        Self::with_databases(options, &["app"])
    }

    /// The same with several databases.
    pub fn with_databases(options: ClusterOptions, databases: &[&str]) -> Self {
        Self::start_with(options, |server| {
            for statement in ROLES.split_inclusive(';') {
                server.psql("postgres", statement).unwrap();
            }
            for database in databases {
                let sql = format!("create database {database} owner app");
                server.psql("postgres", &sql).unwrap();
                server.psql(database, TABLES).unwrap();
            }
        })
    }

    /// The same with other contents.
    pub fn start_with(options: ClusterOptions, populate: impl FnOnce(&Server)) -> Self {
        let options = options
            .with_setting("log_line_prefix", "[%p] ")
            .with_setting("max_prepared_transactions", "10")
            .with_setting("hot_standby_feedback", "on");
        let installation = &Fixture::get().installation;
        let mut cluster = Cluster::start(installation, options).unwrap();
        let guard = Guard::over(cluster.dir()).unwrap();
        populate(cluster.primary());
        cluster.add_replica().unwrap();
        cluster.add_replica().unwrap();
        cluster.wait_for_replicas().unwrap();
        Self {
            cluster,
            next: AtomicU32::new(0),
            _guard: guard,
        }
    }

    /// The entry of the database `app` of the cluster under a name.
    pub fn entry(&self, name: &str, more: &str) -> String {
        self.entry_of(name, "app", more)
    }

    /// The entry of a database of the cluster under a name.
    pub fn entry_of(&self, name: &str, database: &str, more: &str) -> String {
        let ports: Vec<String> = self.cluster.replicas().iter().map(replica).collect();
        format!(
            "{name} = host=127.0.0.1 port={} dbname={database} replicas={} {more}",
            self.cluster.primary().port(),
            ports.join(",")
        )
    }

    /// An ini file with the database `app`.
    pub fn setup(&self) -> Setup {
        Setup::new()
            .entry(&self.entry("app", ""))
            .set("monitor_user", "monitor")
            .user("monitor", "")
            .set("replica_check_period", 0.05)
            .set("replica_slow_start", 0)
    }

    /// A comment that no other statement has.
    pub fn mark(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("/* mark {number}. */")
    }

    /// All servers, the first primary first.
    pub fn servers(&self) -> impl Iterator<Item = (Place, &Server)> {
        let primary = [(Place::Primary, self.cluster.primary())];
        let replicas = self.cluster.replicas().iter();
        let replicas = replicas.map(|server| (Place::Replica, server));
        primary.into_iter().chain(replicas)
    }

    /// Every run of the statement with this mark. A server writes it down before it begins.
    pub fn runs(&self, mark: &str) -> Vec<Run> {
        let mut runs = Vec::new();
        for (place, server) in self.servers() {
            let log = fs::read(server.log_file()).unwrap();
            let log = String::from_utf8_lossy(&log);
            let mut failed = Vec::new();
            let own = runs.len();
            // The further lines of a statement begin with a tab.
            let log = log.replace("\n\t", " ");
            for line in log.lines().filter(|line| line.contains(mark)) {
                let (pid, text) = line.split_once("] ").unwrap_or_default();
                let pid = pid.trim_start_matches('[').to_owned();
                match text.split_once(":  ").unwrap_or_default() {
                    ("LOG", said) if said.starts_with("statement: ") => {}
                    ("LOG", said) if said.starts_with("execute ") => {}
                    ("STATEMENT", _) => {
                        failed.push(pid);
                        continue;
                    }
                    _ => continue,
                }
                runs.push(Run {
                    place,
                    server: server.name().to_owned(),
                    pid,
                    failed: false,
                });
            }
            // What does not even parse is written down as failed alone.
            for pid in failed {
                match runs[own..].iter_mut().rfind(|run| run.pid == pid) {
                    Some(run) => run.failed = true,
                    None => runs.push(Run {
                        place,
                        server: server.name().to_owned(),
                        pid,
                        failed: true,
                    }),
                }
            }
        }
        runs
    }

    /// Waits until a new client of this entry reads on a replica, with functions too.
    pub fn await_replicas(&self, weir: &Weir, entry: &str) {
        until("reads go to replicas", || {
            let mark = self.mark();
            weir.client(entry, "app")
                .run(&format!("select steady(1) {mark}"));
            self.place(&mark) == Some(Place::Replica)
        });
    }

    /// Where the statement with this mark was run to its end; `None` when nowhere, or twice.
    pub fn place(&self, mark: &str) -> Option<Place> {
        let runs = self.runs(mark);
        let mut done = runs.iter().filter(|run| !run.failed);
        let first = done.next()?;
        done.next().is_none().then_some(first.place)
    }

    /// Runs steps of one client in one protocol, each of which must work and run where it is
    /// expected. `{n}` in a step is a number that only this call has.
    pub fn play(&self, client: &mut Wire, protocol: Protocol, steps: &[(&str, Expect)]) {
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        for (sql, expected) in steps {
            let mut run = || {
                let mark = self.mark();
                let sql = format!("{} {mark}", sql.replace("{n}", &number));
                let answer = protocol.run(client, &sql);
                assert_eq!(answer.error(), None, "{protocol:?}: {sql}");
                mark
            };
            let mark = run();
            let place = match expected {
                Expect::Any => continue,
                Expect::Soon => {
                    until(&format!("{sql} on a replica"), || {
                        self.place(&run()) == Some(Place::Replica)
                    });
                    continue;
                }
                Expect::Primary => Place::Primary,
                Expect::Replica => Place::Replica,
            };
            let runs = self.runs(&mark);
            let shown = format!("{protocol:?}: {sql}: {runs:?}");
            assert_eq!(self.place(&mark), Some(place), "{shown}");
        }
    }

    /// The same with a new client of the shared pgweir in each protocol.
    pub fn both(steps: &[(&str, Expect)]) {
        let (weir, stage) = (Self::weir(), Self::shared());
        for protocol in Protocol::ALL {
            stage.play(&mut weir.client("app", "app"), protocol, steps);
        }
    }
}

fn replica(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port())
}
