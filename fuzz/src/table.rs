//! One client and one server with the bytes between them.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use pgweir::protocol::peek_header;
use pgweir::session::client_state::{ClientError, ClientState, SimpleQuery, Tally, Tracking};
use pgweir::session::from_client::{ClientBytes, FromClient, from_client};
use pgweir::session::from_server::{from_server, link, probe};
use pgweir::session::params::ParamSet;
use pgweir::session::prepared::Registry;
use pgweir::session::server_state::{OutOfSync, ServerState};

use crate::input::Input;

/// Largest frame of a client. Small, so that its limit is met.
const FRAME_MAX: usize = 600;

/// When the client gets its server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    AtOnce,
    OnDemand,
    Never,
}

/// How the conversation begins.
#[derive(Clone, Copy)]
pub struct Setup {
    pub tracking: Tracking,
    pub simple_query: SimpleQuery,
    pub linked: Linked,
    /// Whether the client's parameters differ from the server's.
    pub differs: bool,
}

impl Setup {
    /// From one byte: tracking with its limit, `disable_pqexec`, the link, the parameters.
    pub fn read(input: &mut Input<'_>) -> Self {
        let bits = input.byte();
        let limit = usize::from(bits & 3);
        Self {
            tracking: match limit {
                0 => Tracking::Off,
                limit => Tracking::On { limit },
            },
            linked: match bits >> 2 & 3 {
                0 => Linked::OnDemand,
                1 => Linked::Never,
                _ => Linked::AtOnce,
            },
            simple_query: match bits & 16 {
                0 => SimpleQuery::Allowed,
                _ => SimpleQuery::Disallowed,
            },
            differs: bits & 32 != 0,
        }
    }
}

/// What came of all bytes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Open,
    NeedsServer,
    Terminated,
    ClientFault(ClientError),
    ServerFault(OutOfSync),
}

/// The conversation.
pub struct Table {
    pub client: ClientState,
    pub server: ServerState,
    pub outcome: Outcome,
    linked: Linked,
    pub client_input: BytesMut,
    pub server_input: BytesMut,
    pub to_server: BytesMut,
    pub to_client: BytesMut,
}

/// All that can be seen of a conversation, to compare two.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    outcome: &'a Outcome,
    to_server: &'a [u8],
    to_client: &'a [u8],
    owed: usize,
    is_at_rest: bool,
    statements: usize,
    held: usize,
    tally: Tally,
}

fn parameters(pairs: &[(&str, &str)]) -> Arc<ParamSet> {
    let mut set = ParamSet::new();
    for (name, value) in pairs {
        set.set(name, value);
    }
    Arc::new(set)
}

impl Table {
    pub fn new(setup: Setup) -> Self {
        let of_server = parameters(&[("TimeZone", "UTC"), ("application_name", "")]);
        let of_client = match setup.differs {
            true => parameters(&[("TimeZone", "GMT"), ("search_path", "a, \"b'")]),
            false => Arc::clone(&of_server),
        };
        let mut table = Self {
            client: ClientState::new(
                of_client,
                Arc::new(Registry::default()),
                setup.tracking,
                setup.simple_query,
                FRAME_MAX,
            ),
            server: ServerState::new(of_server),
            outcome: Outcome::Open,
            linked: setup.linked,
            client_input: BytesMut::new(),
            server_input: BytesMut::new(),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
        };
        if setup.linked == Linked::AtOnce {
            link(&mut table.client, &mut table.server, &mut table.to_server);
        }
        table
    }

    /// Bytes from the client. They wait while parameters are being set, as in the program.
    pub fn client_says(&mut self, piece: &[u8]) {
        if self.outcome == Outcome::Open {
            self.client_input.put_slice(piece);
            self.pass_client_input();
        }
    }

    fn pass_client_input(&mut self) {
        if self.server.is_in_setup() || self.client_input.is_empty() {
            return;
        }
        let linked = self.linked == Linked::AtOnce;
        let outcome = from_client(
            &mut self.client,
            linked.then_some(&mut self.server),
            ClientBytes {
                input: &mut self.client_input,
                to_server: &mut self.to_server,
                to_client: &mut self.to_client,
            },
        );
        match outcome {
            Ok(FromClient::Drained | FromClient::Wait | FromClient::Gate) => {}
            Ok(FromClient::Terminated) => self.outcome = Outcome::Terminated,
            Err(error) => self.outcome = Outcome::ClientFault(error),
            Ok(FromClient::NeedServer) => {
                assert!(!linked, "a linked client needs no server");
                if self.linked == Linked::Never {
                    self.outcome = Outcome::NeedsServer;
                    return;
                }
                self.linked = Linked::AtOnce;
                link(&mut self.client, &mut self.server, &mut self.to_server);
                self.pass_client_input();
            }
        }
    }

    /// Bytes from the server.
    pub fn server_says(&mut self, piece: &[u8]) {
        if self.outcome != Outcome::Open {
            return;
        }
        self.server_input.put_slice(piece);
        let outcome = from_server(
            &mut self.client,
            &mut self.server,
            &mut self.server_input,
            &mut self.to_client,
        );
        if let Err(error) = outcome {
            self.outcome = Outcome::ServerFault(error);
            return;
        }
        self.check_progress();
    }

    /// What happens when both sides have been read: what the client said during the setup goes on,
    /// and the question is asked that settles an uncertain `Sync`.
    pub fn settle(&mut self) {
        if self.outcome != Outcome::Open {
            return;
        }
        self.pass_client_input();
        if self.outcome == Outcome::Open
            && self.server.needs_probe()
            && self.client.is_between_frames()
        {
            probe(&mut self.server, &mut self.to_server);
        }
    }

    /// Nothing that could be dealt with stays in the input.
    fn check_progress(&self) {
        if let Ok(Some(header)) = peek_header(&self.server_input, usize::MAX) {
            let whole = self.server_input.len() >= header.total;
            assert!(!whole, "a whole frame {header:?} was left");
            let partial = matches!(header.tag, b'Z' | b'S' | b'E' | b'C');
            assert!(partial, "the head of {header:?} was left");
        }
    }

    pub fn seen(&self) -> Seen<'_> {
        Seen {
            outcome: &self.outcome,
            to_server: &self.to_server,
            to_client: &self.to_client,
            owed: self.server.owed().len(),
            is_at_rest: self.server.is_at_rest(),
            statements: self.client.statements.len(),
            held: self.server.prepared.len(),
            tally: self.client.tally,
        }
    }
}
