//! Moves bytes between a client and the server that is lent to it, until it can go back.
//!
//! Thin: `session` decides what every byte means. Both directions run at once, and each direction
//! reads only when what it read before has been written: a peer that does not read is never answered
//! with memory. Invariant: no byte read from a socket is lost when the exchange stops.

use std::io;
use std::task::{Context, Poll};
use std::time::Instant as StdInstant;

use tokio::time::Instant;

use super::timing::{Activity, Ended, Timing};
use crate::cluster::position::SharedWrites;
use crate::protocol::{SqlState, TransactionStatus};

use crate::net::buffers::{LARGE, Size};
use crate::net::flow::{Fill, Hope, Progress, Side, Wire, fill, flush, release};
use crate::session::client_state::{ClientError, ClientState};
use crate::session::from_client::{ClientBytes, FromClient, from_client};
use crate::session::from_server::{from_server, probe};
use crate::session::routed::Routed;
use crate::session::server_state::{OutOfSync, ServerState};
use crate::telemetry::stats::Times;

/// Why an exchange stops.
#[derive(Debug)]
pub enum Stop {
    /// The server owes nothing and nothing is open: outside a transaction.
    Rest,
    /// The client has left.
    ClientGone(Gone),
    /// The client's connection broke.
    ClientBroken(io::Error),
    /// The client broke the protocol.
    ClientFault(ClientError),
    /// The server closed its connection; what it said before has been passed on.
    ServerGone,
    /// The server's connection broke.
    ServerBroken(io::Error),
    /// The server's replies do not fit.
    ServerFault(OutOfSync),
    /// The client has opened a transaction block, which it may not.
    BlockOpen,
    /// Somebody must say whether what the client sent next may go to this server.
    Gate,
    /// What is on trial must run again on another server.
    Again(Again),
}

/// Why a read on trial must run again.
#[derive(Debug)]
pub enum Again {
    /// The server refused it, with this code, and is at rest now.
    Refused(SqlState),
    /// The server refused it with this code, and waits for more of it.
    Abandoned(SqlState),
    /// The server is gone.
    Lost,
}

/// How a client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It said goodbye.
    Terminated,
    /// It closed its connection.
    Closed,
}

/// How long a client holds its server (`pool_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Until it leaves.
    Session,
    /// Until the server is at rest.
    Transaction,
    /// The same, and a transaction block is refused.
    Statement,
}

/// What has become of the client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// Some have been dealt with.
    Something,
    /// More are needed.
    Nothing,
    /// They wait for the server's replies; more would only pile up.
    Waits,
}

/// A client and its server for the time of one lease.
#[derive(Debug)]
pub struct Exchange<'a, C, S> {
    /// The client's conversation.
    pub client: &'a mut ClientState,
    /// The client's socket.
    pub client_side: Side<'a, C>,
    /// The server's conversation.
    pub server: &'a mut ServerState,
    /// The server's socket.
    pub server_side: Side<'a, S>,
    /// How long the client holds the server.
    pub hold: Hold,
    /// What is remembered between polls.
    pub course: &'a mut Course,
    /// Where the times of queries and transactions are recorded.
    pub times: &'a Times,
    /// Who must know of a write before the client knows that it is done.
    pub writes: Option<&'a SharedWrites>,
}

/// What is remembered of an exchange between two polls: little, as each client has room for it.
#[derive(Debug)]
pub struct Course {
    /// Bytes received from the client and from the server since the exchange began.
    pub received: (u64, u64),
    /// When its query and its transaction began.
    pub timing: Timing,
    /// The time, where it has been read already in this poll, or just before the first one.
    now: Option<StdInstant>,
}

impl Course {
    /// Of an exchange that begins now.
    pub fn new(now: StdInstant) -> Self {
        Self {
            received: (0, 0),
            timing: Timing::new(now),
            now: Some(now),
        }
    }
}

/// Which way bytes are moved next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Something has ended.
pub fn record(times: &Times, ended: Ended) {
    match ended {
        Ended::Nothing => {}
        Ended::Query(query) => times.queries.record(query),
        Ended::Single(time) => times.single.record(time),
        Ended::Last { query, transaction } => {
            times.queries.record(query);
            times.transactions.record(transaction);
        }
        Ended::Transaction(transaction) => times.transactions.record(transaction),
    }
}

impl<C: Wire, S: Wire> Exchange<'_, C, S> {
    /// Goes on until there is a reason to stop or nothing to do.
    ///
    /// One way is followed until it is blocked, then the other one. What is likely comes first: a
    /// server that owes nothing has nothing to say, and a reply may end the exchange, so that the
    /// client need not be asked for more.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        let (mut way, mut other) = if self.server.is_quiet() {
            (Way::ToServer, Way::ToClient)
        } else {
            (Way::ToClient, Way::ToServer)
        };
        // A task is woken for a reply, as a rule; whatever else is asked, is asked to be woken later.
        let mut hope = Hope::High;
        let mut blocked = 0;
        while blocked < 2 {
            let asked = way;
            match self.step(way, std::mem::replace(&mut hope, Hope::Low), cx) {
                Ok(Progress::Made) => {
                    blocked = 0;
                    self.note_activity();
                }
                Ok(Progress::None) => {
                    blocked += 1;
                    std::mem::swap(&mut way, &mut other);
                }
                Err(stop) => return Poll::Ready(self.on_trial(stop)),
            }
            if let Some(again) = self.refused() {
                return Poll::Ready(Stop::Again(again));
            }
            // What the client has sent already goes first: it may be what our settings held up.
            let dealt_with = asked == Way::ToServer || self.client_side.input.is_empty();
            if dealt_with && self.may_stop() {
                return Poll::Ready(Stop::Rest);
            }
            if self.hold == Hold::Statement && self.is_in_block() {
                return Poll::Ready(Stop::BlockOpen);
            }
        }
        self.course.now = None;
        Poll::Pending
    }

    /// A read on trial whose server is lost has lost nothing.
    fn on_trial(&self, stop: Stop) -> Stop {
        let routed = self.client.routed.as_deref();
        match stop {
            Stop::ServerGone | Stop::ServerBroken(_)
                if routed.is_some_and(Routed::may_run_again) =>
            {
                Stop::Again(Again::Lost)
            }
            other => other,
        }
    }

    /// A read that the server has refused, once nothing more is to come.
    fn refused(&self) -> Option<Again> {
        let code = self.client.routed.as_deref()?.refused()?;
        if self.server.is_at_rest() && self.server_side.input.is_empty() {
            return Some(Again::Refused(code));
        }
        (!self.server.will_answer()).then_some(Again::Abandoned(code))
    }

    fn step(&mut self, way: Way, hope: Hope, cx: &mut Context<'_>) -> Result<Progress, Stop> {
        let progress = match way {
            Way::ToServer => self.client_to_server(cx)?,
            Way::ToClient => self.server_to_client(hope, cx)?,
        };
        if self.server.needs_probe() && self.client.is_between_frames() {
            probe(self.server, &mut self.server_side.output.bytes);
            return Ok(Progress::Made);
        }
        Ok(progress)
    }

    /// At rest, and no part of a frame is on its way in either direction.
    fn may_stop(&self) -> bool {
        self.hold != Hold::Session
            && self.server.is_at_rest()
            && !self.client.is_mid_forward()
            && !self.awaits_granted()
            && self.server_side.output.is_empty()
            && self.server_side.input.is_empty()
    }

    fn awaits_granted(&self) -> bool {
        let routed = self.client.routed.as_deref();
        routed.is_some_and(Routed::awaits_granted)
    }

    /// A reply has said that a transaction block is open, and nothing more is to come.
    fn is_in_block(&self) -> bool {
        self.server.is_quiet() && self.server.status() != TransactionStatus::Idle
    }

    /// Follows what the server is doing; the clock is read only when that changes.
    fn note_activity(&mut self) {
        let activity = if !self.server.is_quiet() && !self.server.owed().is_empty() {
            match self.course.timing.activity() {
                Activity::Busy => return,
                Activity::Setup | Activity::Idle | Activity::IdleInTransaction
                    if self.server.is_in_setup() =>
                {
                    Activity::Setup
                }
                Activity::Setup | Activity::Idle | Activity::IdleInTransaction => Activity::Busy,
            }
        } else if self.server.is_at_rest() {
            Activity::Idle
        } else {
            Activity::IdleInTransaction
        };
        if activity != self.course.timing.activity() {
            let now = self.course.now.take();
            let now = now.unwrap_or_else(|| Instant::now().into_std());
            record(self.times, self.course.timing.change(activity, now));
        }
    }

    fn server_to_client(&mut self, hope: Hope, cx: &mut Context<'_>) -> Result<Progress, Stop> {
        let mut progress = flush(&mut self.client_side, cx).map_err(Stop::ClientBroken)?;
        if !self.client_side.output.is_empty() {
            return Ok(progress);
        }
        match fill(&mut self.server_side, Size::Large, hope, cx) {
            Fill::Pending => return Ok(progress),
            Fill::Closed => return Err(Stop::ServerGone),
            Fill::Broken(error) => return Err(Stop::ServerBroken(error)),
            Fill::Read(count) => {
                self.course.received.1 += count;
                if self.server.follows_calls() {
                    self.hear(count);
                }
            }
        }
        progress = Progress::Made;
        let side = &mut self.server_side;
        let outcome = from_server(
            self.client,
            self.server,
            side.input,
            &mut self.client_side.output.bytes,
        );
        release(side.input);
        if let Some(writes) = self.writes {
            writes.wrote(Instant::now().into_std());
        }
        // What came before the fault is the client's all the same.
        flush(&mut self.client_side, cx).map_err(Stop::ClientBroken)?;
        outcome.map_err(Stop::ServerFault)?;
        Ok(progress)
    }

    /// What the client has sent goes to the server now.
    #[inline(never)]
    fn tell_time(&mut self) {
        let now = self.course.now;
        let now = now.unwrap_or_else(|| Instant::now().into_std());
        self.course.now = Some(now);
        self.server.tell_time(now);
    }

    /// So many bytes have come from the server. The clock is read once for them: what ends with them,
    /// ends now.
    #[inline(never)]
    fn hear(&mut self, count: u64) {
        let now = Instant::now().into_std();
        self.course.now = Some(now);
        self.server.heard(now, count);
    }

    fn client_to_server(&mut self, cx: &mut Context<'_>) -> Result<Progress, Stop> {
        let mut progress = flush(&mut self.server_side, cx).map_err(Stop::ServerBroken)?;
        if !self.server_side.output.is_empty() || self.client_lags() {
            return Ok(progress);
        }
        let mut passed = self.pass_on_input()?;
        if passed == Passed::Nothing {
            match fill(&mut self.client_side, Size::Small, Hope::Low, cx) {
                Fill::Pending => return Ok(progress),
                Fill::Closed => return Err(Stop::ClientGone(Gone::Closed)),
                Fill::Broken(error) => return Err(Stop::ClientBroken(error)),
                Fill::Read(count) => self.course.received.0 += count,
            }
            progress = Progress::Made;
            passed = self.pass_on_input()?;
        }
        if passed == Passed::Something {
            progress = Progress::Made;
        }
        flush(&mut self.server_side, cx).map_err(Stop::ServerBroken)?;
        Ok(progress)
    }

    /// A client that does not read our replies is not read from: they would fill the memory.
    fn client_lags(&self) -> bool {
        self.client_side.output.bytes.len() > LARGE
    }

    /// Deals with what the client has sent already.
    #[inline]
    fn pass_on_input(&mut self) -> Result<Passed, Stop> {
        let before = self.client_side.input.len();
        if before == 0 {
            return Ok(Passed::Nothing);
        }
        if self.server.follows_calls() {
            self.tell_time();
        }
        let bytes = ClientBytes {
            input: self.client_side.input,
            to_server: &mut self.server_side.output.bytes,
            to_client: &mut self.client_side.output.bytes,
        };
        let outcome = from_client(self.client, Some(self.server), bytes);
        let changed = self.client_side.input.len() != before;
        release(self.client_side.input);
        match outcome {
            Ok(FromClient::Terminated) => Err(Stop::ClientGone(Gone::Terminated)),
            Ok(_) if changed => Ok(Passed::Something),
            Ok(FromClient::Wait) => Ok(Passed::Waits),
            Ok(FromClient::Gate) => Err(Stop::Gate),
            Ok(FromClient::Drained | FromClient::NeedServer) => Ok(Passed::Nothing),
            Err(fault) => Err(Stop::ClientFault(fault)),
        }
    }
}
