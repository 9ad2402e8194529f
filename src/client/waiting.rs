//! A client in the queue of its pool.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::time::Instant;

use super::fault::Fault;
use super::life::{Client, Goodbye};
use super::routing::Route;
use crate::net::Stream;
use crate::net::buffers::{SMALL, Size};
use crate::net::flow::{Fill, Hope, Side, fill, flush};
use crate::pool::{Lease, PoolId, Request, WaiterKind, Waiting};
use crate::pooler::Server;
use crate::pooler::client_facts::Phase;
use crate::protocol::reply::{self, Report};
use crate::protocol::{Severity, SqlState};
use crate::telemetry::stats::{Counter, ServerRole};

/// A connection for a client.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) lease: Lease<Server>,
    pub(super) origin: Origin,
}

/// Where a connection was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the pool.
    Idle,
    /// With another client a moment ago, or just opened.
    HandedOver,
}

impl Client {
    /// In the queue of its pool. The client is read from meanwhile, so that one that leaves is
    /// noticed, up to one buffer.
    pub(super) async fn wait_for_server(&mut self) -> Result<Granted, Goodbye> {
        let now = Instant::now();
        let std_now = now.into_std();
        let (pool, request) = self.request(now);
        let Self {
            pooler,
            mailbox,
            stream,
            input,
            output,
            wake_up,
            facts,
            ..
        } = self;
        let mut acquire = mailbox.acquire(pool, &request, std_now);
        if let Some(mut lease) = acquire.take_ready() {
            let wanted = wanted(self.route.as_deref());
            self.stats.times(wanted).waits.record(0);
            lease.state.waited_us = 0;
            return Ok(Granted {
                lease,
                origin: Origin::Idle,
            });
        }
        let since = pooler.micros_since_start(std_now);
        facts.wait_us.store(since, Ordering::Relaxed);
        facts.enter(Phase::Waiting);
        let lease = poll_fn(|cx| {
            if let Some(leave) = facts.control.pending() {
                return Poll::Ready(Err(Fault::from(leave).into()));
            }
            let mut side = Side {
                stream: &mut *stream,
                input: &mut *input,
                output: &mut *output,
                wake_up: &mut *wake_up,
            };
            match acquire.poll_next(cx) {
                Poll::Ready(Ok(Waiting::Lease(lease))) => return Poll::Ready(Ok(lease)),
                Poll::Ready(Ok(Waiting::Notice)) => {
                    put_queued(&mut side.output.bytes);
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(Err(refusal)) => return Poll::Ready(Err(Fault::from(refusal).into())),
                Poll::Pending => {}
            }
            watch(&mut side, cx).map_or(Poll::Pending, |fault| Poll::Ready(Err(fault.into())))
        })
        .await;
        drop(acquire);
        let until = match &lease {
            Ok(lease) => lease.since(),
            Err(_) => Instant::now().into_std(),
        };
        let waited = until.saturating_duration_since(std_now).as_micros();
        let waited = u64::try_from(waited).unwrap_or(u64::MAX);
        self.stats.add(Counter::WaitTime, waited);
        let wanted = wanted(self.route.as_deref());
        self.stats.times(wanted).waits.record(waited);
        lease.map(|mut lease| {
            lease.state.waited_us = waited;
            Granted {
                lease,
                origin: Origin::HandedOver,
            }
        })
    }
}

impl Client {
    /// What is asked for, and of which pool.
    fn request(&mut self, now: Instant) -> (PoolId, Request) {
        let pool = self.pool_for_next(now.into_std());
        let wait = self.patience(self.terms.wait);
        let request = Request {
            home: self.worker,
            kind: WaiterKind::Established,
            deadline: wait.map(|limit| (now + limit).into_std()),
        };
        (pool, request)
    }
}

/// What kind of server is waited for.
fn wanted(route: Option<&Route>) -> ServerRole {
    route.map_or(ServerRole::Primary, Route::next_role)
}

/// The notice of `query_wait_notify`.
fn put_queued(out: &mut BytesMut) {
    let text = "No server connection available in postgres backend, client being queued";
    reply::notice(out, &Report::new(Severity::Notice, SqlState::SUCCESS, text));
}

/// Writes what is to be written to a waiting client, and notices that it has left.
fn watch(side: &mut Side<'_, Stream>, cx: &mut Context<'_>) -> Option<Fault> {
    if let Err(error) = flush(side, cx) {
        return Some(Fault::Lost(error));
    }
    while side.input.len() < SMALL {
        match fill(side, Size::Small, Hope::Low, cx) {
            Fill::Pending => return None,
            Fill::Closed => return Some(Fault::Eof),
            Fill::Broken(error) => return Some(Fault::Lost(error)),
            Fill::Read(_) => {}
        }
    }
    None
}
