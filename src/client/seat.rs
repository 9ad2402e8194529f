//! Between proof and first query: finding the client's pool, and its greeting.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::enter::Guest;
use super::fault::Fault;
use super::greeting;
use super::life::Client;
use super::terms::Terms;
use crate::net::Peer;
use crate::net::buffers;
use crate::net::flow::Outbox;
use crate::pool::{
    Membership, PoolId, PoolKey, Request, Verdict, WaiterKind, Waiting, Why, WorkerId,
};
use crate::pooler::admission::Place;
use crate::pooler::cancel_keys::KeyHolder;
use crate::pooler::client_facts::{ClientCard, ClientFacts, Phase};
use crate::pooler::room::{Room, Welcome};
use crate::pooler::{Pooler, Server};
use crate::protocol::cancel_key::PeerId;
use crate::session::client_state::ClientState;
use crate::telemetry::stats::Counter;

/// Where a guest has been seated.
pub(super) struct Seat {
    pool: PoolId,
    room: Arc<Room>,
    welcome: Arc<Welcome>,
    terms: Box<Terms>,
    facts: Arc<ClientFacts>,
    books: Books,
}

/// Finds the guest's pool, and waits for a server of it to say hello where none has yet.
pub(super) async fn settle(
    pooler: &Arc<Pooler>,
    guest: &mut Guest,
    worker: WorkerId,
) -> Result<Seat, Fault> {
    let config = pooler.config();
    let database: Arc<str> = guest.packet.database.as_str().into();
    let missing = || Fault::NoSuchDatabase(Arc::clone(&database));
    let entry = config.database(&database).ok_or_else(missing)?;
    let login = guest.packet.user.as_str();
    let pool_user: Arc<str> = config.pool_user(entry.spec, login).into();
    let generation = pooler.generation();
    let terms = Box::new(Terms::of(&config, generation, &entry, (login, &pool_user)));
    let facts = Arc::new(ClientFacts::new(card(guest, &database, &pool_user)));
    let listed = Listed::new(pooler, &facts);
    let now = Instant::now().into_std();
    let pool = pooler
        .pool(&database, &pool_user, now)
        .ok_or_else(missing)?;
    let membership = pooler.pools.join(pool, now).ok_or_else(missing)?;
    let room = pooler.room(&PoolKey {
        database,
        user: pool_user,
    });
    let welcome = match room.welcome() {
        Some(welcome) => welcome,
        None => first_welcome(pooler, &room, pool, worker, &facts, &terms).await?,
    };
    let own = config.settings.peer_id.and_then(PeerId::new);
    let key = pooler
        .cancel_keys
        .draw(&facts, own)
        .ok_or(Fault::Exhausted)?;
    let books = Books {
        listed,
        place: guest.place.take(),
        membership,
        key,
    };
    Ok(Seat {
        pool,
        room,
        welcome,
        terms,
        facts,
        books,
    })
}

/// What must be undone when a client goes; dropping it does.
#[derive(Debug)]
#[expect(dead_code, reason = "held for what their end undoes")]
pub(super) struct Books {
    listed: Listed,
    place: Option<Place>,
    membership: Membership<Server>,
    key: KeyHolder,
}

/// The client's line in `SHOW CLIENTS`, until this is dropped.
#[derive(Debug)]
pub struct Listed {
    pooler: Arc<Pooler>,
    facts: Arc<ClientFacts>,
}

impl Listed {
    /// Lists a client.
    pub fn new(pooler: &Arc<Pooler>, facts: &Arc<ClientFacts>) -> Self {
        pooler.clients.add(facts.card.id, Arc::clone(facts));
        Self {
            pooler: Arc::clone(pooler),
            facts: Arc::clone(facts),
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.pooler.clients.remove(self.facts.card.id);
    }
}

/// What others may know of a guest.
pub fn card(guest: &Guest, database: &Arc<str>, pool_user: &Arc<str>) -> ClientCard {
    let (peer_host, peer_port, peer_pid) = match guest.visitor.peer {
        Some(Peer::Tcp(address)) => (address.ip().to_string(), address.port(), None),
        Some(Peer::Unix { pid, .. }) => ("unix".to_owned(), guest.visitor.port, pid),
        None => ("unknown".to_owned(), 0, None),
    };
    ClientCard {
        id: guest.visitor.id,
        database: Arc::clone(database),
        user: guest.packet.user.as_str().into(),
        pool_user: Arc::clone(pool_user),
        peer: guest.visitor.who().peer.to_string(),
        peer_host,
        peer_port,
        peer_pid,
        local: guest.visitor.local,
        connected_at: guest.visitor.since,
        tls: guest.stream.tls().unwrap_or_default(),
        application_name: guest.packet.application_name.clone().unwrap_or_default(),
        replication: guest.packet.replication,
    }
}

/// The pool's first client waits until a server has logged in, as its greeting is the server's.
async fn first_welcome(
    pooler: &Arc<Pooler>,
    room: &Room,
    pool: PoolId,
    worker: WorkerId,
    facts: &ClientFacts,
    terms: &Terms,
) -> Result<Arc<Welcome>, Fault> {
    facts.enter(Phase::Waiting);
    let now = Instant::now();
    facts
        .wait_us
        .store(pooler.micros_since_start(now.into_std()), Ordering::Relaxed);
    let request = Request {
        home: worker,
        kind: WaiterKind::Login,
        deadline: terms.wait.map(|limit| (now + limit).into_std()),
    };
    let mut mailbox = pooler.pools.mailbox();
    loop {
        let asked = Instant::now().into_std();
        let mut acquire = mailbox.acquire(pool, &request, asked);
        let lease = loop {
            match acquire.next().await? {
                Waiting::Lease(lease) => break lease,
                Waiting::Notice => {}
            }
        };
        drop(acquire);
        let now = Instant::now().into_std();
        if let Some(welcome) = room.welcome() {
            lease.finish(Verdict::Untouched, now);
            return Ok(welcome);
        }
        // RECONNECT has just made the greeting void, so the next connection must bring a new one.
        lease.finish(Verdict::Discard(Why::CloseNeeded), now);
    }
}

impl Seat {
    /// The client, with its greeting on the way.
    pub(super) fn seat(self, pooler: Arc<Pooler>, guest: Box<Guest>, worker: WorkerId) -> Client {
        let Guest {
            visitor,
            stream,
            input,
            proof,
            parameters,
            ..
        } = *guest;
        let config = pooler.config();
        let params = greeting::parameters_of(&self.welcome, &parameters);
        let mut output = Outbox::from(proof);
        let key = self.books.key.key().bytes();
        greeting::write(
            &mut output.bytes,
            &self.welcome,
            &params,
            &self.terms,
            &config,
            key,
        );
        let mut state = ClientState::new(
            params,
            Arc::clone(&self.room.statements),
            self.terms.tracking,
            self.terms.simple_query,
            config.settings.max_packet_size,
        );
        state.lend = buffers::small;
        let stats = self.room.stats.worker(usize::from(worker.0));
        stats.add(Counter::ClientLogins, 1);
        Client {
            mailbox: pooler.pools.mailbox(),
            pooler,
            worker,
            visitor,
            stream,
            input,
            output,
            state,
            facts: self.facts,
            terms: self.terms,
            stats,
            pool: self.pool,
            books: self.books,
        }
    }
}
