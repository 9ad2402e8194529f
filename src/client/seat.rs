//! Between proof and first query: finding the client's pool, and its greeting.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use tokio::time::Instant;

use super::enter::Guest;
use super::fault::Fault;
use super::greeting;
use super::life::Client;
use crate::net::buffers;
use crate::net::flow::{Outbox, release};
use crate::net::wake_up::WakeUp;
use crate::pool::{
    Membership, PoolId, PoolKey, Request, Verdict, WaiterKind, Waiting, Why, WorkerId,
};
use crate::pooler::admission::Place;
use crate::pooler::cancel_keys::KeyHolder;
use crate::pooler::client_facts::{ClientCard, ClientFacts, Phase};
use crate::pooler::room::{Room, Welcome};
use crate::pooler::terms::Terms;
use crate::pooler::{Pooler, Server};
use crate::protocol::cancel_key::{ClientKey, PeerId};
use crate::route::session::Session;
use crate::session::client_state::ClientState;
use crate::telemetry::stats::Counter;

/// Where a guest has been seated.
pub(super) struct Seat {
    pool: PoolId,
    room: Arc<Room>,
    welcome: Arc<Welcome>,
    terms: Arc<Terms>,
    facts: Arc<ClientFacts>,
    books: Books,
}

/// Finds the guest's pool, and waits for a server of it to say hello where none has yet.
pub(super) async fn settle(
    pooler: &Arc<Pooler>,
    guest: &mut Guest,
    worker: WorkerId,
) -> Result<Seat, Fault> {
    // The number first: terms may be newer than it says, and are then looked up again, never older.
    let generation = pooler.generation();
    let config = pooler.config();
    let (database, login) = guest.names();
    let missing = || Fault::NoSuchDatabase(Arc::clone(&database));
    let entry = config.database(&database).ok_or_else(missing)?;
    let key = PoolKey {
        database: Arc::clone(&database),
        user: match config.pool_user(entry.spec, &login) {
            own if *own == *login => Arc::clone(&login),
            forced => pooler.shared.names.share(forced),
        },
    };
    let facts = Arc::new(ClientFacts::new(card(pooler, guest, &key)));
    let listed = Listed::new(pooler, &facts);
    let now = Instant::now().into_std();
    let pool = pooler.pool(&database, &key.user, now);
    let pool = pool.ok_or_else(missing)?;
    let membership = pooler.pools.join(pool, now).ok_or_else(missing)?;
    let room = pooler.room(&key);
    let terms = room.terms(&login, generation, || {
        let terms = Terms::of(&config, generation, &entry, (&login, &key.user));
        pooler.shared.terms.share(terms)
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
    let place = guest.place.take();
    let place = place.expect("whoever comes for a database has taken a place");
    Ok(Seat {
        pool,
        room,
        welcome,
        terms,
        facts,
        books: Books {
            listed,
            place,
            membership,
            key,
        },
    })
}

/// What a guest that is turned away must be taken out of; dropping it does that.
struct Books {
    listed: Listed,
    place: Place,
    membership: Membership<Server>,
    key: KeyHolder,
}

impl Books {
    /// The guest has become a client, which leaves all of them itself. Its key.
    fn keep(self) -> ClientKey {
        self.listed.keep();
        self.place.keep();
        self.membership.keep();
        self.key.keep()
    }
}

impl Drop for Client {
    /// Takes the client out of all books.
    fn drop(&mut self) {
        let card = &self.facts.card;
        self.pooler.clients.remove(card.id);
        self.pooler.admission.leave(&card.database, &card.user);
        self.pooler.pools.leave(self.pool);
        self.pooler.cancel_keys.forget(self.key);
    }
}

/// The client's line in `SHOW CLIENTS`, until this is dropped.
#[derive(Debug)]
pub struct Listed {
    /// `None` once it is kept.
    pooler: Option<Arc<Pooler>>,
    facts: Arc<ClientFacts>,
}

impl Listed {
    /// Lists a client.
    pub fn new(pooler: &Arc<Pooler>, facts: &Arc<ClientFacts>) -> Self {
        pooler.clients.add(facts.card.id, Arc::clone(facts));
        Self {
            pooler: Some(Arc::clone(pooler)),
            facts: Arc::clone(facts),
        }
    }

    /// The line stays until the client takes it out itself.
    fn keep(mut self) {
        self.pooler = None;
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(pooler) = &self.pooler {
            pooler.clients.remove(self.facts.card.id);
        }
    }
}

/// What others may know of a guest.
pub fn card(pooler: &Pooler, guest: &Guest, pool: &PoolKey) -> ClientCard {
    let (names, visitor, packet) = (&pooler.shared.names, &guest.visitor, &guest.packet);
    ClientCard {
        id: visitor.id,
        database: Arc::clone(&pool.database),
        user: guest.names().1,
        pool_user: Arc::clone(&pool.user),
        peer: visitor.peer,
        listen_port: visitor.port,
        local: visitor.local,
        connected_at: visitor.since,
        tls: guest.stream.tls().unwrap_or_default().into(),
        application_name: names.share(packet.application_name.as_deref().unwrap_or_default()),
        replication: packet.replication,
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
            stream,
            mut input,
            proof,
            parameters,
            wishes,
            ..
        } = *guest;
        release(&mut input); // an idle client owns none
        let config = pooler.config();
        let shared = &pooler.shared.params;
        let params = greeting::parameters_of(&self.welcome, parameters, shared);
        let mut output = Outbox::from(buffers::small());
        output.bytes.extend_from_slice(&proof);
        let key = self.books.keep();
        greeting::write(
            &mut output.bytes,
            &self.welcome,
            (&params, &self.terms),
            &config,
            key.bytes(),
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
        let mut client = Client {
            mailbox: pooler.pools.mailbox(),
            pooler,
            worker,
            stream,
            // A copy: what is left of the login, as a rule nothing, would keep its whole buffer.
            input: BytesMut::from(&*input),
            output,
            wake_up: WakeUp::Unknown,
            state,
            facts: self.facts,
            terms: self.terms,
            stats,
            pool: self.pool,
            key,
            route: None,
        };
        client.adopt_route();
        if let Some(route) = client.route.as_deref_mut() {
            route.session = Session::with(wishes);
        }
        client
    }
}
