//! From an accepted socket to a client that may ask: startup packet, limits, proof, greeting.
//!
//! The order of the checks is `PgBouncer`'s: parameters, limits, console rights, proof; only then is a
//! missing database named, so that names do not leak. Everything is bounded by `client_login_timeout`.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::auth::{AuthError, authenticate};
use super::fault::Fault;
use super::greeting;
use super::lookup::secret_of;
use super::visitor::Visitor;
use crate::auth::secret::Secret;
use crate::config::model::CONSOLE_DATABASES;
use crate::config::{AuthType, Config};
use crate::net::accept::{AcceptError, Accepted, accept};
use crate::net::chance;
use crate::net::{ClientTls, Incoming, Peer, Stream};
use crate::pool::WorkerId;
use crate::pooler::Pooler;
use crate::pooler::admission::{Caps, Place};
use crate::pooler::limits::scram_iterations;
use crate::pooler::servers::socket_options;
use crate::protocol::startup::{Replication, StartupPacket, classify_parameters};
use crate::route::wishes::{Wishes, is_wish};
use crate::session::client_login::{
    ClientAuth, ClientLoginRequest, LoginChance, Proof, UserLookup,
};
use crate::session::params::TRACKED;
use crate::telemetry::events::{self, LoginAttempt};
use crate::telemetry::stats::Happening;

/// A client that has proved who it is.
#[derive(Debug)]
pub struct Guest {
    /// Where it comes from.
    pub visitor: Visitor,
    /// Its connection.
    pub stream: Stream,
    /// What it sent behind its login.
    pub input: BytesMut,
    /// What it asked for.
    pub packet: Box<StartupPacket>,
    /// To be sent before the greeting (the end of the SCRAM exchange).
    pub proof: BytesMut,
    /// Tracked parameters that it set.
    pub parameters: Vec<(String, String)>,
    /// Where it wants to be sent.
    pub wishes: Wishes,
    /// Its place among the clients; the console takes none.
    pub place: Option<Place>,
    /// When its login must be over.
    pub deadline: Option<Instant>,
}

impl Guest {
    /// Database and user that it has asked for.
    pub fn names(&self) -> (Arc<str>, Arc<str>) {
        let names = self.visitor.names.clone();
        names.expect("a guest has sent its startup packet")
    }
}

/// What a connection turned out to be.
#[derive(Debug)]
pub enum Entered {
    /// A client of a database.
    Client(Box<Guest>),
    /// A client of the console, with its rights.
    Console(Box<Guest>, Rights),
    /// A cancel request; the stream closes when it has been dealt with.
    Cancel(Stream, Vec<u8>),
}

/// What a user may do on the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Everything (`admin_users`).
    Admin,
    /// SHOW (`stats_users`).
    Stats,
}

/// Lets a connection in, or sends it away: then there is nothing left to do.
///
/// An `async fn` would hold what it is given twice.
pub fn enter(
    pooler: &Arc<Pooler>,
    incoming: Incoming,
    worker: WorkerId,
) -> impl Future<Output = Option<Entered>> + Send {
    let config = pooler.config();
    let (address, local) = (incoming.address(), incoming.local_address());
    let stream = incoming.into_stream(&socket_options(&config)).ok();
    let peer = || stream.as_ref()?.peer().ok();
    let peer = address.map(Peer::Tcp).or_else(peer);
    let local = local.or_else(|| stream.as_ref()?.local_addr());
    let ends = (peer, local);
    let mut visitor = Visitor::new(pooler.next_id(), ends, config.settings.listen_port);
    let deadline = config
        .settings
        .client_login_timeout
        .map(|limit| Instant::now() + limit);
    let tls: Arc<ClientTls> = pooler.client_tls.load_full();
    async move {
        // Boxed apart, so that each piece of a login is small enough for the allocator's quick way.
        let accepted = Box::pin(accept(stream?, &tls, deadline)).await;
        count_handshake(pooler, &accepted);
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The client has been told already, where it could understand it.
                visitor.log_end(&config, &error.to_string());
                return None;
            }
        };
        let (stream, packet, leftover) = match accepted {
            Accepted::Cancel { stream, key } => return Some(Entered::Cancel(stream, key)),
            Accepted::Startup {
                stream,
                packet,
                leftover,
            } => (stream, packet, leftover),
        };
        visitor.names(&packet, &pooler.shared.names);
        log_attempt(&visitor, &config, &stream, &packet);
        let mut guest = Box::new(Guest {
            visitor,
            stream,
            input: leftover,
            packet,
            proof: BytesMut::new(),
            parameters: Vec::new(),
            wishes: Wishes::default(),
            place: None,
            deadline,
        });
        let admitted = Box::pin(admit(pooler, &config, &mut guest, worker));
        let outcome = match deadline {
            Some(deadline) => match timeout_at(deadline, admitted).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Fault::LoginTimeout),
            },
            None => admitted.await,
        };
        match outcome {
            Ok(None) => Some(Entered::Client(guest)),
            Ok(Some(rights)) => Some(Entered::Console(guest, rights)),
            Err(fault) => {
                pooler.happenings.note(fault.refusal());
                let Guest {
                    visitor,
                    mut stream,
                    proof,
                    ..
                } = *guest;
                // Boxed, like all that few clients come to: the others have no room for it.
                Box::pin(visitor.send_away(&config, &mut stream, &proof, &fault)).await;
                None
            }
        }
    }
}

fn count_handshake(pooler: &Pooler, accepted: &Result<Accepted, AcceptError>) {
    let stream = match accepted {
        Err(AcceptError::Handshake(_)) => {
            return pooler.happenings.note(Happening::ClientTlsFailed);
        }
        Err(_) => return,
        Ok(Accepted::Startup { stream, .. } | Accepted::Cancel { stream, .. }) => stream,
    };
    match stream {
        Stream::TlsAccepted(_) => pooler.happenings.note(Happening::ClientTls),
        Stream::Tcp(_) | Stream::Unix(_) | Stream::TlsConnected(_) | Stream::Lost => {}
    }
}

fn log_attempt(visitor: &Visitor, config: &Config, stream: &Stream, packet: &StartupPacket) {
    if !config.settings.log_connections {
        return;
    }
    let tls = stream.tls();
    let attempt = LoginAttempt {
        database: &packet.database,
        user: &packet.user,
        tls: tls.as_deref(),
        replication: match packet.replication {
            Replication::None => "no",
            Replication::Physical => "physical",
            Replication::Logical => "logical",
        },
    };
    events::login_attempt(&visitor.who(), &attempt);
}

/// All checks; the rights of a console's user.
async fn admit(
    pooler: &Arc<Pooler>,
    config: &Config,
    guest: &mut Guest,
    worker: WorkerId,
) -> Result<Option<Rights>, Fault> {
    greeting::negotiate(&mut guest.stream, &guest.packet).await?;
    guest.parameters = parameters(config, &guest.visitor, &mut guest.packet)?;
    guest.wishes = Wishes::take(&mut guest.parameters)?;
    let console = CONSOLE_DATABASES.contains(&&*guest.packet.database);
    if guest.packet.replication != Replication::None && !console {
        return Err(Fault::Unsupported("replication connection"));
    }
    let (database, user) = guest.names();
    if console {
        let rights = console_rights(config, guest)?;
        if !is_own_user(guest) {
            prove(pooler, config, guest, (&database, &user), worker).await?;
        }
        return Ok(Some(rights));
    }
    guest.place = Some(take_place(pooler, config, &database, &user)?);
    prove(pooler, config, guest, (&database, &user), worker).await?;
    if config.database(&database).is_none() {
        return Err(Fault::NoSuchDatabase(database));
    }
    let disabled = pooler.pools.with(|pools, _| {
        pools
            .find_database(&database)
            .is_some_and(|id| pools.is_disabled(id))
    });
    if disabled {
        return Err(Fault::Disabled(database));
    }
    if pooler.is_stopping() {
        return Err(Fault::ShuttingDown);
    }
    Ok(None)
}

fn listed(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(name))
}

/// Which startup parameters follow the client, and which end the login.
fn parameters(
    config: &Config,
    visitor: &Visitor,
    packet: &mut StartupPacket,
) -> Result<Vec<(String, String)>, Fault> {
    let settings = &config.settings;
    let tracked = |name: &str| {
        TRACKED.iter().any(|known| known.eq_ignore_ascii_case(name))
            || listed(&settings.track_extra_parameters, name)
            || is_wish(name)
    };
    let ignored = |name: &str| listed(&settings.ignore_startup_parameters, name);
    let mut parameters = classify_parameters(packet, &tracked, &ignored)?;
    if settings.application_name_add_host {
        let host = match visitor.peer {
            Some(Peer::Tcp(address)) => address.to_string(),
            Some(Peer::Unix { .. }) | None => format!("unix:{}", settings.listen_port),
        };
        let place = parameters
            .iter_mut()
            .find(|(name, _)| name == "application_name");
        match place {
            Some((_, value)) => *value = format!("{value} - {host}"),
            None => parameters.push(("application_name".into(), format!("app - {host}"))),
        }
    }
    Ok(parameters)
}

fn console_rights(config: &Config, guest: &Guest) -> Result<Rights, Fault> {
    let (settings, user) = (&config.settings, &guest.packet.user);
    if settings.admin_users.contains(user) || is_own_user(guest) {
        Ok(Rights::Admin)
    } else if settings.stats_users.contains(user) || settings.auth_type == AuthType::Any {
        Ok(Rights::Stats)
    } else {
        Err(Fault::NotAllowed)
    }
}

/// The process's own user, as `pgbouncer` over the unix socket: needs no password.
fn is_own_user(guest: &Guest) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    let name = CONSOLE_DATABASES.contains(&&*guest.packet.user);
    name && matches!(guest.visitor.peer, Some(Peer::Unix { uid, .. }) if uid == own)
}

fn take_place(
    pooler: &Pooler,
    config: &Config,
    database: &Arc<str>,
    user: &Arc<str>,
) -> Result<Place, Fault> {
    let entry = config.database(database);
    let caps = Caps {
        total: config.settings.max_client_conn,
        database: entry.and_then(|entry| config.max_db_client_connections(entry.spec)),
        user: config.max_user_client_connections(user),
    };
    Ok(pooler.admission.enter(database, user, caps)?)
}

/// Lets the client prove who it is, and remembers what that is good for.
async fn prove(
    pooler: &Arc<Pooler>,
    config: &Config,
    guest: &mut Guest,
    (database, user): (&Arc<str>, &Arc<str>),
    worker: WorkerId,
) -> Result<(), Fault> {
    let auth = match config.settings.auth_type {
        AuthType::Any => {
            let forced = config
                .database(database)
                .is_none_or(|entry| entry.spec.user.is_some());
            return if forced { Ok(()) } else { Err(Fault::Config) };
        }
        AuthType::Trust => ClientAuth::Trust,
        AuthType::Plain => ClientAuth::Plain,
        AuthType::Md5 => ClientAuth::Md5,
        AuthType::ScramSha256 => ClientAuth::ScramSha256,
    };
    let secret: Option<Secret> = secret_of(pooler, config, (database, user), worker).await?;
    let request = ClientLoginRequest {
        auth,
        user: user.as_bytes(),
        lookup: secret
            .as_ref()
            .map_or(UserLookup::Unknown, UserLookup::Known),
        chance: chance()?,
        process: &pooler.process_key,
        scram_iterations: scram_iterations(config),
    };
    let (stream, input) = (&mut guest.stream, &mut guest.input);
    let proved = authenticate(stream, input, request, &pooler.keys).await;
    let authenticated = proved.map_err(|error| match error {
        AuthError::Login(error) => {
            if secret.is_none() {
                events::no_such_user(&guest.visitor.who(), user);
            }
            Fault::Login(error)
        }
        AuthError::Frame(error) => Fault::LoginFrame(error),
        AuthError::Lost(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Fault::Eof,
        AuthError::Lost(error) => Fault::Lost(error),
        AuthError::NoKeys => Fault::Exhausted,
    })?;
    guest.proof = authenticated.bytes;
    match authenticated.proof {
        Proof::Nothing => {}
        Proof::Password(password) => pooler.credentials.learned_password(user, password),
        Proof::Keys(keys) => pooler.credentials.learned_keys(user, keys),
    }
    Ok(())
}

fn chance() -> Result<LoginChance, Fault> {
    Ok(LoginChance {
        md5_salt: chance::draw().map_err(|_| Fault::Exhausted)?,
        nonce: chance::draw().map_err(|_| Fault::Exhausted)?,
    })
}

/// Writes bytes of the login at once.
pub(super) async fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Fault> {
    stream.write_all(bytes).await.map_err(Fault::Lost)?;
    stream.flush().await.map_err(Fault::Lost)
}
