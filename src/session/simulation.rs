//! Clients and servers without sockets: the same bytes straight to a modelled backend, and through the
//! pooler with every buffer cut at random and a change of server whenever one is at rest.
//!
//! A client must be told the same in both worlds, and a server that is at rest must have nothing left
//! of its client. A failure prints the seed, which gives the same run again.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod script;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;

use self::backend::Backend;
use self::script::{Dice, Script, Startup};
use super::calls::{CallTerms, Counting, LinkStart};
use super::client_state::{ClientState, SimpleQuery, Tracking};
use super::from_client::{ClientBytes, FromClient, from_client};
use super::from_server::{from_server, link, probe};
use super::params::{ParamSet, UNKNOWN};
use super::prepared::Registry;
use super::server_state::ServerState;
use crate::queries::{Books, Host};

const DEFAULTS: [(&str, &str); 2] = [("TimeZone", "UTC"), ("application_name", "")];

fn param_set(params: &[(&str, &str)]) -> Arc<ParamSet> {
    let mut set = ParamSet::new();
    for (name, value) in params {
        set.set(name, value);
    }
    Arc::new(set)
}

/// A pooled connection.
struct Server {
    state: ServerState,
    input: BytesMut,
    output: BytesMut,
    backend: Backend,
    free: bool,
    lies: bool,
}

impl Server {
    fn new() -> Self {
        Self {
            state: ServerState::new(param_set(&DEFAULTS)),
            input: BytesMut::new(),
            output: BytesMut::new(),
            backend: Backend::new(&DEFAULTS),
            free: true,
            lies: false,
        }
    }

    /// What must hold when another client could take the connection.
    fn check_rest(&mut self) {
        self.backend.feed(&self.output.split());
        assert!(self.backend.is_clean(), "not at rest: {:?}", self.backend);
        assert!(self.state.owed().is_empty());
        if self.lies {
            return; // it would have told us the rest
        }
        let held: BTreeMap<Vec<u8>, Vec<u8>> = self
            .state
            .prepared
            .iter()
            .map(|statement| {
                let text = statement.rest().split(|byte| *byte == 0).next();
                (statement.name().to_vec(), text.unwrap_or_default().to_vec())
            })
            .collect();
        assert_eq!(held, self.backend.named, "we know what the server holds");
        for (name, value) in self.state.params.iter().filter(|(_, v)| *v != UNKNOWN) {
            let real = self.backend.params.get(name);
            assert_eq!(Some(value), real.map(|v| &**v), "{name}");
        }
        let extra = self.backend.params.contains_key("extra.x");
        assert!(
            !extra || self.state.params.value("extra.x").is_some(),
            "it would stay"
        );
    }
}

/// How a client ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// When everything has been answered.
    Well,
    /// It disappears after so many of its bytes.
    After(usize),
    /// Some of its bytes are garbage.
    Garbled,
    /// Some frames of its servers are lost, doubled or changed.
    LiedTo,
}

struct Client {
    state: ClientState,
    flights: Vec<Vec<u8>>,
    /// What has been answered after each flight.
    expected: Vec<usize>,
    answers: Vec<u8>,
    flight: usize,
    sent: usize,
    sent_all: usize,
    input: BytesMut,
    told: BytesMut,
    /// Bytes of it that have been compared.
    checked: usize,
    server: Option<usize>,
    ends: Ends,
    gone: bool,
}

struct World {
    dice: Dice,
    clients: Vec<Client>,
    servers: Vec<Server>,
    books: Counted,
}

/// Where the calls of every second server are counted.
struct Counted(Books);

impl Counted {
    fn follow(&self, server: &mut ServerState, client: &ClientState) {
        let names: [Arc<str>; 2] = ["db".into(), "u".into()];
        let start = LinkStart {
            book: (self.0.of(0), self.0.seed),
            names: (&names[0], &names[1]),
            terms: CallTerms {
                counting: Counting::On,
                most: 20,
                slow_us: Some(1_000_000),
            },
            host: Host::Primary,
        };
        let now = tokio::time::Instant::now().into_std();
        server.begin_calls(&start, &client.params, now);
    }
}

impl World {
    fn new(seed: u64, ends: fn(&mut Dice) -> Ends) -> Self {
        let mut dice = Dice::new(seed);
        let registry = Arc::new(Registry::default());
        let limit = 1 + dice.below(4);
        let startup = dice.pick(&[Startup::Plain, Startup::Own]);
        let clients = (0..=dice.below(3))
            .map(|number| {
                let names = [["CA", "ZA", "EA"], ["CB", "ZB", "EB"], ["CC", "ZA", ""]];
                let [app, zone, extra] = names[number % 3];
                let mut params = match startup {
                    Startup::Plain => DEFAULTS.to_vec(),
                    Startup::Own => vec![("application_name", app), ("TimeZone", zone)],
                };
                if startup == Startup::Own && !extra.is_empty() {
                    params.push(("extra.x", extra));
                }
                let ends = ends(&mut dice);
                let mut flights = Script::random(&mut dice, startup);
                if ends == Ends::Garbled {
                    garble(&mut dice, &mut flights);
                }
                Client::new(&params, Arc::clone(&registry), limit, flights, ends)
            })
            .collect();
        let servers = (0..=dice.below(2)).map(|_| Server::new()).collect();
        Self {
            dice,
            clients,
            servers,
            books: Counted(Books::new(1, 7)),
        }
    }

    fn run(&mut self) {
        let mut quiet = 0;
        while self.clients.iter().any(|client| !client.gone) {
            let number = self.dice.below(self.clients.len());
            if std::env::var_os("PGWEIR_SEED").is_some() {
                eprintln!("{}", self.story());
            }
            quiet = if self.turn(number) { 0 } else { quiet + 1 };
            if quiet > 300 && self.clients[number].ends == Ends::LiedTo {
                self.leave(number); // it would wait for ever
                quiet = 0;
            }
            assert!(quiet < 2000, "stuck: {}", self.story());
        }
        for server in &self.servers {
            assert!(
                server.free || server.backend.closed,
                "not given back: {:?}",
                server.backend
            );
        }
    }

    /// What everybody is doing, for a failed run.
    fn story(&self) -> String {
        let tell = |client: &Client| {
            let server = client.server.and_then(|at| self.servers.get(at));
            format!(
                "flight {} of {}, {:?}, unread {:?}\n told {:?}\n expected {:?}\n",
                client.flight,
                client.flights.len(),
                server.map(|server| (&server.state, &server.backend)),
                String::from_utf8_lossy(&client.input),
                String::from_utf8_lossy(&client.told),
                String::from_utf8_lossy(&client.answers),
            )
        };
        self.clients
            .iter()
            .filter(|client| !client.gone)
            .map(tell)
            .collect()
    }

    /// One client does a little. Says whether anything happened.
    fn turn(&mut self, number: usize) -> bool {
        if self.clients[number].gone {
            return false;
        }
        let mut moved = self.clients[number].send(&mut self.dice);
        moved |= self.pump_client(number);
        moved |= self.pump_server(number);
        self.settle(number);
        let client = &mut self.clients[number];
        match client.ends {
            Ends::Well => client.check_told(),
            Ends::After(bytes) if client.sent_all >= bytes => self.leave(number),
            Ends::After(_) | Ends::Garbled | Ends::LiedTo => {}
        }
        let client = &self.clients[number];
        if !client.gone && client.has_finished() && !moved {
            if client.ends == Ends::Well {
                assert_eq!(client.told.len(), client.answers.len());
            }
            self.leave(number);
            return true;
        }
        moved
    }

    fn pump_client(&mut self, number: usize) -> bool {
        let client = &mut self.clients[number];
        let before = client.input.len();
        // Random cuts: only a part of what has come is looked at.
        let cut = 1 + self.dice.below(before.max(1));
        let mut later = client.input.split_off(cut.min(before));
        let mut nowhere = BytesMut::new();
        let (server, to_server) = match client.server.map(|at| &mut self.servers[at]) {
            Some(server) => (Some(&mut server.state), &mut server.output),
            None => (None, &mut nowhere),
        };
        let was_linked = server.is_some();
        let sent_before = to_server.len();
        let outcome = from_client(
            &mut client.state,
            server,
            ClientBytes {
                input: &mut client.input,
                to_server,
                to_client: &mut client.told,
            },
        );
        let sent = to_server.len() != sent_before;
        assert!(was_linked || to_server.is_empty(), "bytes for nobody");
        client.input.unsplit(std::mem::take(&mut later));
        if let (Ok(_), Some(at)) = (&outcome, client.server) {
            self.servers[at].state.check_calls();
        }
        match outcome {
            Ok(FromClient::Terminated) | Err(_) => {
                assert_ne!(client.ends, Ends::Well, "{outcome:?}");
                self.leave(number);
                return true;
            }
            Ok(FromClient::NeedServer) => {
                assert!(!was_linked);
                return self.lend(number);
            }
            Ok(FromClient::Drained | FromClient::Wait | FromClient::Gate) => {}
        }
        client.input.len() != before || sent
    }

    fn lend(&mut self, number: usize) -> bool {
        let free: Vec<_> = (0..self.servers.len())
            .filter(|at| self.servers[*at].free)
            .collect();
        if free.is_empty() {
            return false;
        }
        let at = self.dice.pick(&free);
        let server = &mut self.servers[at];
        server.free = false;
        let client = &mut self.clients[number];
        client.server = Some(at);
        if at.is_multiple_of(2) {
            self.books.follow(&mut server.state, &client.state);
        }
        link(&mut client.state, &mut server.state, &mut server.output);
        true
    }

    /// Moves some bytes to the backend and back.
    fn pump_server(&mut self, number: usize) -> bool {
        let client = &mut self.clients[number];
        let Some(at) = client.server else {
            return false;
        };
        let server = &mut self.servers[at];
        let up = self.dice.below(server.output.len() + 1);
        let sent = server.output.split_to(up);
        server.backend.feed(&sent);
        if client.ends == Ends::LiedTo {
            server.lies = true;
            lie(&mut self.dice, &mut server.backend.output);
        }
        let down = self.dice.below(server.backend.output.len() + 1);
        server.input.extend(server.backend.output.drain(..down));
        let before = server.input.len();
        let outcome = from_server(
            &mut client.state,
            &mut server.state,
            &mut server.input,
            &mut client.told,
        );
        if let Err(error) = outcome {
            assert_ne!(client.ends, Ends::Well, "{error}, {:?}", server.state);
            self.leave(number);
            return true;
        }
        server.state.check_calls();
        if server.backend.closed && server.backend.output.is_empty() && server.output.is_empty() {
            assert_ne!(client.ends, Ends::Well);
            self.leave(number);
            return true;
        }
        // Bytes of ours that wait count too: the next turn may move them.
        let rests = server.output.len() + server.backend.output.len();
        up + down > 0 || rests > 0 || server.input.len() != before
    }

    /// Probes where that is needed, and gives the server back where that is allowed.
    fn settle(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(at) = client.server else {
            return;
        };
        let server = &mut self.servers[at];
        if server.state.needs_probe() && client.state.is_between_frames() {
            probe(&mut server.state, &mut server.output);
        }
        if server.state.is_at_rest() && server.input.is_empty() && self.dice.one_in(2) {
            server.check_rest();
            server.free = true;
            client.server = None;
        }
    }

    fn leave(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.gone = true;
        let Some(at) = client.server.take() else {
            return;
        };
        let server = &mut self.servers[at];
        if server.state.is_at_rest() && !server.backend.closed && server.input.is_empty() {
            server.check_rest();
            server.free = true;
        } else {
            *server = Server::new();
        }
    }
}

impl Client {
    fn new(
        params: &[(&str, &str)],
        registry: Arc<Registry>,
        limit: usize,
        flights: Vec<Vec<u8>>,
        ends: Ends,
    ) -> Self {
        let mut direct = Backend::new(params);
        let expected = flights
            .iter()
            .map(|flight| {
                direct.feed(flight);
                direct.output.len()
            })
            .collect();
        assert!(!direct.closed || ends == Ends::Garbled, "{direct:?}");
        Self {
            state: ClientState::new(
                param_set(params),
                registry,
                Tracking::On { limit },
                SimpleQuery::Allowed,
                1 << 20,
            ),
            flights,
            expected,
            answers: std::mem::take(&mut direct.output),
            flight: 0,
            sent: 0,
            sent_all: 0,
            input: BytesMut::new(),
            told: BytesMut::new(),
            checked: 0,
            server: None,
            ends,
            gone: false,
        }
    }

    /// Sends some of the flight, or begins the next when this one has been answered.
    fn send(&mut self, dice: &mut Dice) -> bool {
        let Some(flight) = self.flights.get(self.flight) else {
            return false;
        };
        let rest = &flight[self.sent..];
        if rest.is_empty() {
            let answered = self.told.len() >= self.expected[self.flight];
            if answered || self.ends == Ends::Garbled && dice.one_in(20) {
                self.flight += 1;
                self.sent = 0;
                return true;
            }
            return false;
        }
        let now = 1 + dice.below(rest.len());
        self.input.extend_from_slice(&rest[..now]);
        self.sent += now;
        self.sent_all += now;
        true
    }

    fn has_finished(&self) -> bool {
        self.flight == self.flights.len()
    }

    fn check_told(&mut self) {
        let checked = std::mem::replace(&mut self.checked, self.told.len());
        let fresh = self.answers.get(checked..self.told.len());
        assert!(
            fresh == Some(&self.told[checked..]),
            "told {:?}\n expected {:?}",
            String::from_utf8_lossy(&self.told),
            String::from_utf8_lossy(&self.answers),
        );
    }
}

/// Makes garbage of a few bytes: of types, lengths, names.
fn garble(dice: &mut Dice, flights: &mut [Vec<u8>]) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(flights.len());
        let flight = &mut flights[at];
        if flight.is_empty() {
            continue;
        }
        let place = dice.below(flight.len());
        match dice.below(4) {
            0 => flight[place] = dice.pick(b"QPBDECSHXdcfF?\0\x01\xff"),
            1 => drop(flight.remove(place)),
            2 => flight.insert(place, dice.pick(b"QPBDECSHXdcf\0\x05")),
            _ => flight.truncate(place),
        }
    }
}

/// Loses, doubles or changes one of the frames at the start of what a server says.
fn lie(dice: &mut Dice, output: &mut Vec<u8>) {
    let Some(header) = output.first_chunk::<5>() else {
        return;
    };
    let [tag, length @ ..] = *header;
    let total = 1 + usize::try_from(u32::from_be_bytes(length)).unwrap();
    if output.len() < total || !dice.one_in(12) {
        return; // the start was sent already, or the truth
    }
    match dice.below(3) {
        0 => drop(output.drain(..total)),
        // Some lies cannot be seen through: a doubled `ReadyForQuery` may answer the next `Sync`; an
        // invented copy, or the invented success of one, leaves a `Sync` unanswered.
        1 if tag != b'Z' => drop(output.splice(..0, output[..total].to_vec())),
        _ if tag != b'E' => output[0] = dice.pick(b"12CDEHINSTVWcdnst?K"),
        _ => {}
    }
}

/// Runs a number of worlds. `PGWEIR_SEED` picks one and tells its story; `PGWEIR_SEEDS` says how many.
fn simulate(ends: fn(&mut Dice) -> Ends) {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("PGWEIR_SEED") {
        Some(one) => one..one + 1,
        None => 0..number("PGWEIR_SEEDS").unwrap_or(1000),
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed, ends).run());
        assert!(outcome.is_ok(), "PGWEIR_SEED={seed}");
    }
}

#[test]
fn clients_are_told_the_same_as_without_a_pooler() {
    simulate(|_| Ends::Well);
}

#[test]
fn clients_that_disappear_leave_nothing_behind() {
    simulate(|dice| match dice.below(2) {
        0 => Ends::Well,
        _ => Ends::After(dice.below(400)),
    });
}

#[test]
fn garbage_from_a_client_never_leaves_a_server_that_only_looks_at_rest() {
    simulate(|dice| match dice.below(3) {
        0 => Ends::Well,
        _ => Ends::Garbled,
    });
}

#[test]
fn a_server_that_lies_never_looks_at_rest_while_it_is_not() {
    simulate(|_| Ends::LiedTo);
}
