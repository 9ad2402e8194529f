//! A client with its server: from the lease to the moment the connection can go back.
//!
//! Invariant: a connection is given back as `Keep` only at rest and, where the pool resets its
//! connections, after the reset; in every other case it is closed, with a reason.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant as StdInstant;

use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::exchange::{Again, Course, Exchange, Hold, Stop, record};
use super::fault::Fault;
use super::journey::{Journeyed, Tries};
use super::life::{Client, Goodbye};
use super::pins::Left;
use super::routing::Route;
use super::timing::{Activity, Overdue};
use super::waiting::{Granted, Origin};
use crate::config::PoolMode;
use crate::net::flow::Side;
use crate::net::wake_up::WakeUp;
use crate::pool::{Check, Lease, Use, Verdict, Why};
use crate::pooler::Server;
use crate::pooler::client_facts::Phase;
use crate::protocol::TransactionStatus;
use crate::server::conn::{Fitness, ServerConn};
use crate::server::errand;
use crate::session::client_state::ClientState;
use crate::session::from_server::link;
use crate::session::server_state::{OutOfSync, ServerState};
use crate::telemetry::stats::{Counter, Happening, ServerRole};

/// How a link ends.
enum End {
    /// The connection is at rest: the client goes on without it.
    Rest,
    /// What was sent must run again on another connection, and this is what becomes of this one.
    Again(Verdict),
    /// The client leaves, and this is what becomes of the connection.
    Leave(Goodbye, Verdict),
}

/// What is remembered of a link between two polls: little, as each client has room for it.
struct Link {
    course: Course,
    timer: Option<Pin<Box<Sleep>>>,
    /// The pool will close the connection when it comes back (`server_fast_close`).
    unwanted: bool,
}

impl Link {
    fn new(began: StdInstant) -> Self {
        Self {
            course: Course::new(began),
            timer: None,
            unwanted: false,
        }
    }
}

/// What follows a conversation.
enum After<'a> {
    Done(Result<(), Goodbye>),
    /// The server is asked or reset first: rare, so it has room of its own.
    More(Pin<Box<dyn Future<Output = Result<(), Goodbye>> + Send + 'a>>),
}

impl Client {
    /// Uses a connection until it can go back.
    pub(super) fn linked(
        &mut self,
        mut lease: Lease<Server>,
        began: StdInstant,
    ) -> impl Future<Output = Result<(), Goodbye>> + Send {
        self.enlist(&mut lease, began);
        let mut link = Link::new(began);
        // An `async fn` would hold what it is given twice, for as long as the client lives.
        async move {
            let ended = poll_fn(|cx| self.converse(&mut lease, &mut link, cx)).await;
            let rest = match self.settle(lease, &mut link, ended) {
                After::Done(outcome) => return outcome,
                After::More(rest) => rest,
            };
            rest.await
        }
    }

    /// What follows when the conversation has stopped.
    fn settle(
        &mut self,
        mut lease: Lease<Server>,
        link: &mut Link,
        ended: Result<Stop, Fault>,
    ) -> After<'_> {
        if matches!(ended, Ok(Stop::Rest)) && self.must_ask() {
            let link = std::mem::replace(link, Link::new(Instant::now().into_std()));
            return After::More(Box::pin(self.linger(lease, link)));
        }
        let (outcome, verdict, now) = self.close(&mut lease, &mut link.course, ended);
        if matches!(verdict, Verdict::Keep) && self.terms.reset.is_some() {
            return After::More(Box::pin(self.reset(lease, outcome)));
        }
        lease.finish(verdict, now);
        After::Done(outcome)
    }

    /// The server is at rest, but the client may have left something there: as long as that is so, it
    /// keeps the connection.
    async fn linger(&mut self, mut lease: Lease<Server>, mut link: Link) -> Result<(), Goodbye> {
        let mut left;
        let ended = loop {
            left = self.ask_what_is_left(&mut lease).await;
            match left {
                Left::Nothing | Left::Astray => break Ok(Stop::Rest),
                Left::NoAnswer => break Ok(Stop::ServerGone),
                Left::Something => {}
            }
            let ended = poll_fn(|cx| self.converse(&mut lease, &mut link, cx)).await;
            if !matches!(ended, Ok(Stop::Rest)) || !self.must_ask() {
                break ended;
            }
        };
        let (outcome, verdict, now) = self.close(&mut lease, &mut link.course, ended);
        let verdict = if left == Left::Astray {
            Verdict::Discard(Why::Conversation("session state left on a replica"))
        } else {
            verdict
        };
        if matches!(verdict, Verdict::Keep) && self.terms.reset.is_some() {
            return self.reset(lease, outcome).await;
        }
        lease.finish(verdict, now);
        outcome
    }

    /// Takes the connection to this worker and checks it where it was idle for long. `None` where it
    /// turned out to be dead: the client asks for another one. The time is when it was ready.
    pub(super) async fn prepare(
        &mut self,
        granted: Granted,
    ) -> Option<(Lease<Server>, StdInstant)> {
        let Granted { mut lease, origin } = granted;
        // Who gave it back just now has listened to it last.
        if lease.home != self.worker {
            self.pooler.happenings.note(Happening::SocketMoved);
        }
        let is_dead = (lease.home != self.worker && lease.rehome(self.worker).is_err())
            || (origin == Origin::Idle
                && lease.hear(&mut Context::from_waker(Waker::noop())) == Fitness::Unfit);
        if is_dead {
            lease.finish(Verdict::Discard(Why::Crashed), Instant::now().into_std());
            return None;
        }
        if lease.check() == Check::NotNeeded {
            let since = lease.since();
            return Some((lease, since));
        }
        Box::pin(self.check(lease)).await
    }

    async fn check(&mut self, mut lease: Lease<Server>) -> Option<(Lease<Server>, StdInstant)> {
        let run = errand::run(&mut lease, &self.terms.check);
        let checked = timeout(self.terms.errand, run).await;
        let now = Instant::now().into_std();
        if matches!(checked, Ok(Ok(()))) {
            self.pooler.happenings.note(Happening::Checked);
            lease.set_use(Use::Active);
            return Some((lease, now));
        }
        self.pooler.happenings.note(Happening::CheckFailed);
        lease.finish(Verdict::Discard(Why::CheckFailed), now);
        None
    }

    /// Client and server know of each other: for the console and for cancel requests.
    fn enlist(&mut self, lease: &mut Lease<Server>, now: StdInstant) {
        let micros = self.pooler.micros_since_start(now);
        self.facts.request_us.store(micros, Ordering::Relaxed);
        lease.facts.request_us.store(micros, Ordering::Relaxed);
        lease
            .facts
            .link
            .store(self.facts.card.id.0, Ordering::Relaxed);
        lease.facts.slot.get_or_init(|| lease.slot());
        self.facts.has_server(Some(lease.facts.id));
        self.facts.enter(Phase::Active);
        self.stats.add(Counter::ServerAssignments, 1);
        self.begin_calls(&mut lease.state, now);
        let server: &mut ServerConn = lease;
        // Where it is `Setup`, the exchange holds the client's data back until it is over.
        link(&mut self.state, &mut server.state, &mut server.output.bytes);
        if self.route.is_some() {
            self.begin_journey(&mut server.state, &mut server.output.bytes, now);
        }
    }

    fn delist(&mut self, lease: &Lease<Server>) {
        self.facts.has_server(None);
        lease.facts.link.store(0, Ordering::Relaxed);
        lease.note_prepared();
        let prepared = u32::try_from(self.state.statements.len()).unwrap_or(u32::MAX);
        self.facts.prepared.store(prepared, Ordering::Relaxed);
    }

    /// Goes on with the exchange. Everything but the memory of it is put together at each poll: that
    /// is cheaper than room for it in each client.
    fn converse(
        &mut self,
        lease: &mut Lease<Server>,
        link: &mut Link,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stop, Fault>> {
        if let Some(leave) = self.facts.control.pending() {
            return Poll::Ready(Err(Fault::from(leave)));
        }
        let stop = loop {
            match self.exchange(lease, link, cx) {
                Poll::Ready(Stop::Gate) => self.open_gate(&lease.state),
                stop => break stop,
            }
        };
        if let Poll::Ready(stop) = stop {
            return Poll::Ready(Ok(stop));
        }
        if lease.state.has_slow_calls() {
            self.log_slow_calls(&mut lease.state);
        }
        if self.terms.mode == PoolMode::Session {
            // A link may last for days.
            self.count_link(&mut link.course);
            self.count_answers(&mut lease.state);
        }
        if self.facts.control.take_nudge() {
            let (pools, slot) = (&self.pooler.pools, lease.slot());
            link.unwanted = pools.with(|pools, _| pools.is_close_needed(slot));
        }
        if link.unwanted {
            if self.may_run_again() {
                return Poll::Ready(Ok(Stop::Again(Again::Lost)));
            }
            if lease.state.is_at_rest() {
                return Poll::Ready(Err(Fault::ConfigurationChanged));
            }
        }
        let deadline = link.course.timing.deadline(&self.terms.timeouts);
        match poll_deadline(&mut link.timer, deadline, cx) {
            Poll::Ready(overdue) => Poll::Ready(Err(overdue.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn exchange(
        &mut self,
        lease: &mut Lease<Server>,
        link: &mut Link,
        cx: &mut Context<'_>,
    ) -> Poll<Stop> {
        let server: &mut ServerConn = lease;
        let route = self.route.as_deref();
        let hold = match self.terms.mode {
            _ if route.is_some_and(Route::keeps_connection) => Hold::Session,
            PoolMode::Session => Hold::Session,
            PoolMode::Transaction => Hold::Transaction,
            PoolMode::Statement => Hold::Statement,
        };
        let role = route.map_or(ServerRole::Primary, Route::role);
        let mut anew = WakeUp::Unknown; // servers go from task to task
        let mut exchange = Exchange {
            client: &mut self.state,
            client_side: Side {
                stream: &mut self.stream,
                input: &mut self.input,
                output: &mut self.output,
                wake_up: &mut self.wake_up,
            },
            server: &mut server.state,
            server_side: Side {
                stream: &mut server.stream,
                input: &mut server.input,
                output: &mut server.output,
                wake_up: &mut anew,
            },
            hold,
            course: &mut link.course,
            times: self.stats.times(role),
            writes: route.and_then(Route::writes),
        };
        exchange.poll(cx)
    }

    /// Counts what has happened, and says what becomes of the client and of the connection, and when
    /// the link ended.
    fn close(
        &mut self,
        lease: &mut Lease<Server>,
        course: &mut Course,
        ended: Result<Stop, Fault>,
    ) -> (Result<(), Goodbye>, Verdict, StdInstant) {
        let now = match ended {
            Ok(Stop::Rest) => course.timing.changed(), // when it came to rest, just now
            _ => Instant::now().into_std(),
        };
        let last = course.timing.change(Activity::Idle, now);
        let role = self
            .route
            .as_deref()
            .map_or(ServerRole::Primary, Route::role);
        record(self.stats.times(role), last);
        self.count_link(course);
        let journeyed = match ended {
            Ok(Stop::Again(_)) => Journeyed::Again,
            Ok(_) | Err(_) => Journeyed::Arrived,
        };
        self.end_calls(&mut lease.state, journeyed, now);
        let end = match ended {
            Ok(Stop::Again(again)) => self.again(&again),
            ended => conclude(ended, &self.state, &lease.state),
        };
        let (outcome, verdict) = match end {
            End::Rest | End::Again(Verdict::Keep) => (Ok(()), Verdict::Keep),
            End::Again(verdict) => (Ok(()), verdict),
            End::Leave(goodbye, verdict) => (Err(goodbye), self.unless_pinned(verdict)),
        };
        self.count_answers(&mut lease.state);
        self.delist(lease);
        self.end_journey(now, journeyed);
        let verdict = match verdict {
            Verdict::Keep if self.terms.reset.is_none() => self.last_look(lease),
            verdict => verdict,
        };
        (outcome, verdict, now)
    }

    /// What was on trial must run again.
    fn again(&mut self, again: &Again) -> End {
        let verdict = match again {
            Again::Refused(_) => Verdict::Keep,
            Again::Abandoned(_) => Verdict::Discard(Why::Conversation("read refused")),
            Again::Lost => Verdict::Discard(Why::Crashed),
        };
        match self.run_again(again) {
            Tries::Left => End::Again(verdict),
            Tries::Spent => End::Leave(Fault::ServerCrashed.into(), Verdict::Discard(Why::Crashed)),
        }
    }

    /// Resets the connection, as its pool wants that, and gives it back.
    async fn reset(
        &mut self,
        mut lease: Lease<Server>,
        outcome: Result<(), Goodbye>,
    ) -> Result<(), Goodbye> {
        let sql = self.terms.reset.as_deref().unwrap_or_default();
        lease.set_use(Use::Tested);
        let reset = timeout(self.terms.errand, errand::run(&mut lease, sql)).await;
        let verdict = if matches!(reset, Ok(Ok(()))) {
            self.pooler.happenings.note(Happening::Reset);
            lease.state.was_reset(sql);
            self.last_look(&mut lease)
        } else {
            self.pooler.happenings.note(Happening::ResetFailed);
            Verdict::Discard(Why::ResetFailed)
        };
        lease.finish(verdict, Instant::now().into_std());
        outcome
    }

    /// From here on the worker's watch hears what an idle server says.
    fn last_look(&self, lease: &mut Lease<Server>) -> Verdict {
        match self.pooler.watches.hear(self.worker, lease) {
            Fitness::Fit => Verdict::Keep,
            Fitness::Unfit => Verdict::Discard(Why::Crashed),
        }
    }
}

/// What the end of the exchange means for client and connection.
fn conclude(ended: Result<Stop, Fault>, client: &ClientState, server: &ServerState) -> End {
    let discard = |reason| Verdict::Discard(Why::Conversation(reason));
    match ended {
        Ok(Stop::Rest | Stop::Gate) => End::Rest,
        Ok(Stop::Again(_)) => End::Again(Verdict::Discard(Why::Crashed)),
        Ok(Stop::ClientGone(gone)) => {
            let goodbye = match gone {
                super::exchange::Gone::Terminated => Goodbye::Terminated,
                super::exchange::Gone::Closed => Fault::Eof.into(),
            };
            End::Leave(goodbye, after_client(client, server))
        }
        Ok(Stop::ClientBroken(error)) => {
            End::Leave(Fault::Lost(error).into(), after_client(client, server))
        }
        Ok(Stop::ClientFault(fault)) => {
            End::Leave(Fault::from(fault).into(), after_client(client, server))
        }
        Ok(Stop::ServerGone | Stop::ServerBroken(_)) => {
            End::Leave(Fault::ServerCrashed.into(), Verdict::Discard(Why::Crashed))
        }
        Ok(Stop::ServerFault(OutOfSync::SetupRefused)) => End::Leave(
            Fault::InvalidParameter.into(),
            discard("invalid server parameter"),
        ),
        Ok(Stop::ServerFault(_)) => {
            End::Leave(Fault::ServerCrashed.into(), discard("broken server packet"))
        }
        Ok(Stop::BlockOpen) => End::Leave(
            Fault::BlockInStatementMode.into(),
            discard("transaction blocks not allowed in statement pooling mode"),
        ),
        Err(Fault::Overdue(Overdue::Query)) => End::Leave(
            Fault::Overdue(Overdue::Query).into(),
            discard("query timeout"),
        ),
        Err(Fault::Overdue(overdue)) => {
            End::Leave(Fault::Overdue(overdue).into(), after_client(client, server))
        }
        Err(fault) => End::Leave(fault.into(), after_client(client, server)),
    }
}

/// A client that leaves: its connection is kept only when nothing of it is left there, not even a
/// frame that asks for no reply (copy data) and that the server would complete with what the next
/// client sends.
fn after_client(client: &ClientState, server: &ServerState) -> Verdict {
    if client.is_mid_forward() {
        return Verdict::Discard(Why::Conversation("client disconnected inside a message"));
    }
    if server.is_at_rest() {
        return Verdict::Keep;
    }
    let reason = match server.status() {
        TransactionStatus::Idle => "client disconnected with query in progress",
        TransactionStatus::InBlock | TransactionStatus::Failed => {
            "client disconnect while server was not ready"
        }
    };
    Verdict::Discard(Why::Conversation(reason))
}

/// Waits for the deadline, which may move from poll to poll. Without one it costs nothing.
fn poll_deadline(
    timer: &mut Option<Pin<Box<Sleep>>>,
    deadline: Option<(StdInstant, Overdue)>,
    cx: &mut Context<'_>,
) -> Poll<Overdue> {
    let Some((at, overdue)) = deadline else {
        return Poll::Pending;
    };
    let at = Instant::from_std(at);
    let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
    if sleep.deadline() != at {
        sleep.as_mut().reset(at);
    }
    sleep.as_mut().poll(cx).map(|()| overdue)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::session::client_state::{SimpleQuery, Tracking};
    use crate::session::from_client::{ClientBytes, from_client};
    use crate::session::params::ParamSet;
    use crate::session::prepared::Registry;
    use bytes::BytesMut;

    /// What becomes of the connection of a client that leaves right behind `sent`.
    fn left_behind(sent: &[u8]) -> Verdict {
        let params = Arc::new(ParamSet::new());
        let mut server = ServerState::new(Arc::clone(&params));
        let registry = Arc::new(Registry::default());
        let simple = SimpleQuery::Allowed;
        let mut client = ClientState::new(params, registry, Tracking::Off, simple, 1 << 20);
        let bytes = ClientBytes {
            input: &mut BytesMut::from(sent),
            to_server: &mut BytesMut::new(),
            to_client: &mut BytesMut::new(),
        };
        from_client(&mut client, Some(&mut server), bytes).expect("legal messages");
        after_client(&client, &server)
    }

    #[test]
    fn a_client_that_leaves_inside_a_message_takes_its_connection_with_it() {
        assert_eq!(left_behind(b"H\0\0\0\x04"), Verdict::Keep);
        assert_eq!(left_behind(b"d\0\0\0\x05x"), Verdict::Keep);
        // Late copy data: the server ignores it, but reads it to its end.
        assert!(matches!(left_behind(b"d\0\0\0\x06x"), Verdict::Discard(_)));
        assert!(matches!(left_behind(b"Q\0\0\0\x06x"), Verdict::Discard(_)));
    }
}
