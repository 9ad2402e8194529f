//! Carries out what the pools decide: opens connections, closes them, forgets what was removed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::room::Room;
use super::servers::{connector, log_who, target_of};
use super::{Pooler, Server};
use crate::auth::secret::Secret;
use crate::config::{DatabaseSpec, Host, LoadBalanceHosts, SocketDir};
use crate::pool::handle::{Opener, PendingOpen, Removed};
use crate::pool::{OpenFailure, PoolKey, Why, WorkerId};
use crate::server::connect::{ConnectError, Host as KnownHost, HostOrder, HostTurn, Target};
use crate::server::errand::ErrandError;
use crate::server::open::{Identity, OpenError, Reported, greet, log_in, reach};
use crate::session::server_login::{Parameter, ServerLoginError, ServerLoginRequest};
use crate::telemetry::events;
use crate::telemetry::line::{PeerAddress, Side, Who};
use crate::telemetry::stats::{Connect, Happening};

/// Opens connections for the pools of one process.
#[derive(Debug)]
pub struct PoolerOpener(pub Weak<Pooler>);

impl Opener<Server> for PoolerOpener {
    fn open(&self, pending: PendingOpen<Server>) {
        // Without a pooler the process stops, and dropping the ticket counts as a failure.
        let Some(pooler) = self.0.upgrade() else {
            return;
        };
        let (worker, runtime) = pooler.worker(pending.home());
        runtime.spawn(async move { pooler.open(pending, worker).await });
    }

    fn retire(&self, conn: Server, why: Why) {
        let Some(pooler) = self.0.upgrade() else {
            return;
        };
        pooler.happenings.note(closed(why));
        pooler.retire(conn, &why.to_string());
    }

    fn removed(&self, removed: Removed) {
        let Some(pooler) = self.0.upgrade() else {
            return;
        };
        match removed {
            // The same database and user may have a new pool already, which keeps what is here.
            Removed::Pool(key) if pooler.pools.with(|p, _| p.find_pool(&key).is_some()) => {}
            Removed::Pool(key) => {
                pooler.rooms.remove(&key);
                pooler.stats.forget(&key.database, &key.user);
            }
            Removed::Database(name) => events::database_dropped(&name),
        }
    }
}

/// A connection that is logged in, and what its server reported.
#[derive(Debug)]
pub(super) struct Opened {
    conn: Server,
    reported: Reported,
}

/// All that one attempt needs, taken from the configuration of this moment.
struct Plan {
    key: PoolKey,
    room: Arc<Room>,
    target: Target,
    order: HostOrder,
    request: ServerLoginRequest,
    connect_query: Option<String>,
}

impl Pooler {
    async fn open(self: Arc<Self>, pending: PendingOpen<Server>, worker: WorkerId) {
        let key = pending
            .pool()
            .and_then(|pool| self.pools.with(|p, _| p.key(pool).cloned()));
        let Some(key) = key else {
            let now = Instant::now().into_std();
            pending.failed(OpenFailure::Unreachable("no such database".into()), now);
            return;
        };
        let outcome = match self.clusters.find(&key.database) {
            Some(cluster) => {
                let opening = self.open_at_primary(&cluster, (&key, worker));
                Box::pin(opening).await
            }
            None => Box::pin(self.open_at_host(&key, worker)).await,
        };
        let now = Instant::now().into_std();
        let counted = outcome.as_ref().map_or_else(failed, |_| Connect::Opened);
        self.connects.note(&key.database, counted);
        match outcome {
            Ok(Opened { mut conn, reported }) => {
                // A server that speaks already is found out when it is lent.
                let _fitness = self.watches.hear(worker, &mut conn);
                self.room(&key).offer_welcome(reported);
                self.servers.add(conn.facts.id, Arc::clone(&conn.facts));
                pending.opened(conn, now);
            }
            Err(failure) => pending.failed(failure, now),
        }
    }

    /// One attempt, at the host of the entry `leads_to` if there is one.
    pub(super) async fn open_once(
        &self,
        key: &PoolKey,
        leads_to: Option<&str>,
        worker: WorkerId,
    ) -> Result<Opened, OpenFailure> {
        let Some(plan) = self.plan(key.clone(), leads_to) else {
            return Err(OpenFailure::Unreachable("no such database".into()));
        };
        let (room, order) = (Arc::clone(&plan.room), plan.order);
        let limit = self.config().settings.server_connect_timeout;
        let attempt = self.attempt(plan, worker);
        let outcome = match limit {
            Some(limit) => match timeout(limit, attempt).await {
                Ok(outcome) => outcome,
                Err(_) => Err(OpenError::TimedOut),
            },
            None => attempt.await,
        };
        match outcome {
            Ok((conn, reported)) => Ok(Opened { conn, reported }),
            Err(error) => {
                room.with_turn(|turn| turn.failed(order));
                Err(failure(&error))
            }
        }
    }

    fn plan(&self, key: PoolKey, leads_to: Option<&str>) -> Option<Plan> {
        let config = self.config();
        let database = config.database(&key.database)?;
        let room = self.room(&key);
        let order = match database.spec.load_balance_hosts {
            LoadBalanceHosts::RoundRobin => HostOrder::RoundRobin,
            LoadBalanceHosts::Disable => HostOrder::Stick,
        };
        let target = match leads_to {
            None => {
                let pick = |turn: &mut HostTurn| turn.pick(&database.spec.hosts, order).cloned();
                target_of(&config, &room.with_turn(pick)?, database.spec.port)?
            }
            Some(entry) => {
                let spec = config.database(entry)?.spec;
                target_of(&config, spec.hosts.first()?, spec.port)?
            }
        };
        let forced = forced_secret(database.spec, &key.user);
        // What `auth_query` found is remembered for the entry whose host this is.
        let parent = database.spec.derived_from.as_deref();
        let family = parent.map_or_else(|| Arc::clone(&key.database), Arc::from);
        let text = |text: &str| text.as_bytes().into();
        let request = ServerLoginRequest {
            user: text(&key.user),
            database: text(database.dbname),
            parameters: database
                .spec
                .startup
                .iter()
                .map(|(name, value)| Parameter::new(name.as_bytes(), value.as_bytes()))
                .collect(),
            credential: self
                .credentials
                .for_server(&family, &key.user, forced.as_ref()),
        };
        let connect_query = database.spec.connect_query.clone();
        Some(Plan {
            key,
            room,
            target,
            order,
            request,
            connect_query,
        })
    }

    async fn attempt(&self, plan: Plan, worker: WorkerId) -> Result<(Server, Reported), OpenError> {
        let config = self.config();
        let tls = self.server_tls.load_full();
        let connector = connector(self, &config, &tls);
        let who = Identity {
            id: self.next_id(),
            pool: plan.key,
            home: worker,
        };
        let now = Instant::now().into_std();
        let reached = match reach(connector, &plan.target, &who, now).await {
            Ok(reached) => reached,
            Err(error) => {
                if let OpenError::Connect(ConnectError::Handshake(_)) = error {
                    self.happenings.note(Happening::ServerTlsFailed);
                }
                tell_refused(&who, &plan.target, &error);
                return Err(error);
            }
        };
        let facts = reached.facts();
        if !facts.tls.is_empty() {
            self.happenings.note(Happening::ServerTls);
        }
        if config.settings.log_connections {
            events::server_connected(&log_who(facts), facts.local);
        }
        let (mut conn, reported) = match log_in(reached, plan.request, &self.keys, worker).await {
            Ok(opened) => opened,
            Err(error) => {
                tell_refused(&who, &plan.target, &error);
                return Err(error);
            }
        };
        if let Some(sql) = plan.connect_query {
            match greet(&mut conn, &sql).await {
                Ok(()) => {}
                Err(ErrandError::Refused(message)) => {
                    events::server_login_failed(&log_who(&conn.facts), "ERROR", &message);
                }
                Err(_) => {
                    return Err(ServerLoginError::Lost(std::io::ErrorKind::ConnectionReset).into());
                }
            }
        }
        Ok((conn, reported))
    }

    /// Says goodbye to a server and closes its socket.
    pub fn retire(&self, conn: Server, why: &str) {
        self.servers.remove(conn.facts.id);
        if self.config().settings.log_disconnections {
            let age = conn.facts.connected_at.elapsed().unwrap_or_default();
            events::closing(&log_who(&conn.facts), why, age);
        }
        let (_, runtime) = self.next_worker();
        runtime.spawn(super::servers::say_goodbye(conn));
    }
}

fn failed(failure: &OpenFailure) -> Connect {
    match failure {
        OpenFailure::Unreachable(_) => Connect::Unreachable,
        OpenFailure::Rejected { .. } => Connect::Rejected,
        OpenFailure::NoPrimary => Connect::NoPrimary,
    }
}

fn closed(why: Why) -> Happening {
    match why {
        Why::IdleTimeout => Happening::ClosedIdle,
        Why::LifetimeOver => Happening::ClosedOld,
        Why::EvictedForMaxDbConnections => Happening::ClosedForDatabase,
        Why::EvictedForMaxUserConnections => Happening::ClosedForUser,
        Why::EvictedForPoolSize => Happening::ClosedForPool,
        Why::TooManyInPool => Happening::ClosedTooMany,
        Why::CloseNeeded => Happening::ClosedAsNeeded,
        Why::ConfigurationChanged => Happening::ClosedByChange,
        Why::Paused => Happening::ClosedByPause,
        Why::DatabaseRemoved => Happening::ClosedRemoved,
        Why::LeaseDropped => Happening::ClosedDropped,
        Why::CheckFailed => Happening::ClosedCheckFailed,
        Why::ResetFailed => Happening::ClosedResetFailed,
        Why::Crashed => Happening::ClosedCrashed,
        Why::Conversation(_) => Happening::ClosedUnfinished,
    }
}

/// The password of an entry, for the user that all its clients become.
pub(super) fn forced_secret(spec: &DatabaseSpec, user: &str) -> Option<Secret> {
    let forced = spec.password.as_ref()?.expose().as_bytes();
    let forced = Secret::parse(forced).ok();
    forced.filter(|_| spec.user.as_deref() == Some(user))
}

/// One line for an attempt that came to nothing, and one for the server's own words.
fn tell_refused(who: &Identity, target: &Target, error: &OpenError) {
    let peer = peer_name(target);
    let who = Who {
        side: Side::Server,
        id: who.id,
        database: Some(&who.pool.database),
        user: Some(&who.pool.user),
        peer: PeerAddress::Host(&peer, target.port),
    };
    let reason = match error {
        OpenError::Login(ServerLoginError::Refused(refusal)) => {
            events::server_login_failed(&who, "FATAL", &refusal.message);
            "login failed".to_owned()
        }
        OpenError::Connect(ConnectError::Lookup(_)) | OpenError::TimedOut => {
            failure(error).to_string()
        }
        OpenError::Connect(_) | OpenError::Login(_) => {
            let text = failure(error).to_string();
            let detail = error.to_string();
            if text == detail {
                text
            } else {
                format!("{text}: {detail}")
            }
        }
    };
    events::closing(&who, &reason, Duration::ZERO);
}

fn peer_name(target: &Target) -> String {
    match &target.host {
        KnownHost::Name(name) | KnownHost::Unix(name) => name.clone(),
        KnownHost::Ip(address) => address.to_string(),
    }
}

fn failure(error: &OpenError) -> OpenFailure {
    match error {
        OpenError::Connect(error) => OpenFailure::Unreachable(error.text().into()),
        OpenError::TimedOut => OpenFailure::Unreachable("connect timeout".into()),
        OpenError::Login(ServerLoginError::Refused(refusal)) => match refusal.code {
            Some(code) => OpenFailure::Rejected {
                code,
                message: refusal.message.as_str().into(),
            },
            None => OpenFailure::Unreachable(refusal.message.as_str().into()),
        },
        OpenError::Login(ServerLoginError::WrongSecretType) => OpenFailure::Rejected {
            code: crate::protocol::SqlState::PROTOCOL_VIOLATION,
            message: "server login failed: wrong password type".into(),
        },
        OpenError::Login(ServerLoginError::Lost(_)) => {
            OpenFailure::Unreachable("server conn crashed?".into())
        }
        OpenError::Login(error) => OpenFailure::Unreachable(error.to_string().into()),
    }
}

/// Hosts of an entry as the connector knows them; `None` for the default socket where there is none.
pub(super) fn host_of(host: &Host, default: Option<&SocketDir>) -> Option<KnownHost> {
    match host {
        Host::Tcp(name) => Some(KnownHost::parse(name)),
        Host::Unix(dir) => Some(KnownHost::Unix(dir.clone())),
        Host::Abstract(name) => Some(KnownHost::Unix(format!("@{name}"))),
        Host::DefaultSocket => match default? {
            SocketDir::Path(dir) => Some(KnownHost::Unix(dir.clone())),
            SocketDir::Abstract(name) => Some(KnownHost::Unix(format!("@{name}"))),
        },
    }
}
