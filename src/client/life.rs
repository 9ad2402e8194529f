//! The life of a client after its login: idle, waiting, linked, and round again.
//!
//! ```text
//!   greet ──► Idle ──needs a server──► Waiting ──lease──► Linked ──at rest──► Idle
//!               └──────────── Fault or goodbye: told, logged, closed ───────────┘
//! ```
//! This file only sequences; what bytes mean is `session`'s, moving them is `exchange`'s.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::time::{timeout, timeout_at};

use super::enter::Guest;
use super::fault::Fault;
use super::routing::{Route, StillGood};
use super::seat::settle;
use super::timing::Overdue;
use super::visitor::Visitor;
use crate::net::Stream;
use crate::net::buffers::{self, Size};
use crate::net::flow::{Fill, Hope, Outbox, Side, fill, flush, release};
use crate::net::wake_up::WakeUp;
use crate::pool::{Mailbox, PoolId, Verdict, WorkerId};
use crate::pooler::client_facts::{ClientFacts, Phase};
use crate::pooler::terms::{RouteTerms, Terms};
use crate::pooler::{Pooler, Server};
use crate::protocol::cancel_key::ClientKey;
use crate::session::client_state::{ClientError, ClientState};
use crate::session::from_client::{ClientBytes, FromClient, from_client};
use crate::telemetry::stats::{Counter, Happening, WorkerStats};

/// How a client's connection ends.
#[derive(Debug)]
pub enum Goodbye {
    /// The client said so.
    Terminated,
    /// Something went wrong.
    Fault(Fault),
}

impl From<Fault> for Goodbye {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A client that may ask.
#[derive(Debug)]
pub struct Client {
    pub(super) pooler: Arc<Pooler>,
    pub(super) worker: WorkerId,
    pub(super) stream: Stream,
    pub(super) input: BytesMut,
    pub(super) output: Outbox,
    pub(super) wake_up: WakeUp,
    pub(super) state: ClientState,
    pub(super) facts: Arc<ClientFacts>,
    pub(super) terms: Arc<Terms>,
    pub(super) stats: WorkerStats,
    pub(super) pool: PoolId,
    pub(super) mailbox: Mailbox<Server>,
    pub(super) key: ClientKey,
    /// Where its statements may go to more than one server.
    pub(super) route: Option<Box<Route>>,
}

/// Seats a guest in its pool. `None`: it has been told why it cannot stay.
pub async fn welcome(
    pooler: Arc<Pooler>,
    mut guest: Box<Guest>,
    worker: WorkerId,
) -> Option<Box<Client>> {
    let deadline = guest.deadline;
    let settling = settle(&pooler, &mut guest, worker);
    let settled = match deadline {
        Some(deadline) => match timeout_at(deadline, settling).await {
            Ok(settled) => settled,
            Err(_) => Err(Fault::ServerDown),
        },
        None => settling.await,
    };
    match settled {
        Ok(seat) => {
            pooler.happenings.note(Happening::LetIn);
            Some(Box::new(seat.seat(pooler, guest, worker)))
        }
        Err(fault) => {
            pooler.happenings.note(fault.refusal());
            let config = pooler.config();
            let Guest {
                visitor,
                stream,
                proof,
                ..
            } = &mut *guest;
            visitor.send_away(&config, stream, proof, &fault).await;
            None
        }
    }
}

impl Client {
    /// Serves the client until it leaves.
    pub async fn live(&mut self) {
        poll_fn(|cx| {
            self.facts.control.register(cx.waker());
            Poll::Ready(())
        })
        .await;
        let goodbye = loop {
            if let Err(goodbye) = self.idle().await {
                break goodbye;
            }
            if self.awaits_position() {
                Box::pin(self.until_position()).await;
                continue;
            }
            if let Some(limit) = self.wait_for_replica() {
                Box::pin(self.until_replica(limit)).await;
            }
            let granted = match self.wait_for_server().await {
                Ok(granted) => granted,
                Err(goodbye) if self.falls_back(&goodbye) => continue,
                Err(goodbye) => break goodbye,
            };
            let Some((lease, began)) = self.prepare(granted).await else {
                continue;
            };
            if self.is_still_good() == StillGood::No {
                lease.finish(Verdict::Untouched, began);
                continue;
            }
            if let Err(goodbye) = self.linked(lease, began).await {
                break goodbye;
            }
        };
        if self.input.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.input)); // nobody reads on
        }
        match goodbye {
            Goodbye::Terminated => self.log_goodbye(),
            Goodbye::Fault(fault) => Box::pin(self.leave(fault)).await,
        }
    }

    /// Without a server: answers what can be answered here, until something needs one.
    async fn idle(&mut self) -> Result<(), Goodbye> {
        self.facts.enter(Phase::Idle);
        let limit = self.terms.timeouts.client_idle;
        // WakeUp once to be woken, then woken because there is something, as a rule.
        let mut hope = Hope::Low;
        let asked = poll_fn(|cx| self.poll_idle(std::mem::replace(&mut hope, Hope::High), cx));
        let Some(limit) = limit else {
            return asked.await;
        };
        // Boxed, as a client without the limit must not be larger for it.
        match Box::pin(timeout(limit, asked)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::Overdue(Overdue::ClientIdle).into()),
        }
    }

    fn poll_idle(&mut self, mut hope: Hope, cx: &mut Context<'_>) -> Poll<Result<(), Goodbye>> {
        loop {
            if let Some(leave) = self.facts.control.pending() {
                return Poll::Ready(Err(Fault::from(leave).into()));
            }
            self.refresh_terms();
            let dealt = match self.route {
                None => self.deal_with_input(),
                Some(_) => self.deal_with_routed(),
            };
            let needs_server = match dealt {
                Ok(FromClient::Terminated) => return Poll::Ready(Err(Goodbye::Terminated)),
                Ok(FromClient::NeedServer) => true,
                Ok(FromClient::Drained | FromClient::Wait | FromClient::Gate) => false,
                Err(fault) => return Poll::Ready(Err(Fault::from(fault).into())),
            };
            if !self.output.bytes.is_empty() {
                self.count(); // what was answered here: no link may follow that would
            }
            let mut side = Side {
                stream: &mut self.stream,
                input: &mut self.input,
                output: &mut self.output,
                wake_up: &mut self.wake_up,
            };
            if let Err(error) = flush(&mut side, cx) {
                return Poll::Ready(Err(Fault::Lost(error).into()));
            }
            if !side.output.is_empty() {
                return Poll::Pending; // a client that does not read is not read from, nor served
            }
            if needs_server {
                return Poll::Ready(Ok(()));
            }
            match fill(
                &mut side,
                Size::Small,
                std::mem::replace(&mut hope, Hope::Low),
                cx,
            ) {
                Fill::Pending => return Poll::Pending,
                Fill::Closed => return Poll::Ready(Err(Fault::Eof.into())),
                Fill::Broken(error) => return Poll::Ready(Err(Fault::Lost(error).into())),
                Fill::Read(count) => self.stats.add(Counter::BytesReceived, count),
            }
        }
    }

    pub(super) fn deal_with_input(&mut self) -> Result<FromClient, ClientError> {
        if self.input.is_empty() {
            return Ok(FromClient::Drained);
        }
        let outcome = from_client(
            &mut self.state,
            None,
            ClientBytes {
                input: &mut self.input,
                to_server: &mut BytesMut::new(),
                to_client: &mut self.output.bytes,
            },
        );
        release(&mut self.input);
        outcome
    }

    /// A new configuration counts from the next transaction on.
    pub(super) fn refresh_terms(&mut self) {
        let generation = self.pooler.generation();
        if generation == self.terms.generation {
            return;
        }
        let config = self.pooler.config();
        let card = &self.facts.card;
        if let Some(entry) = config.database(&card.database) {
            let users = (&*card.user, &*card.pool_user);
            let fresh = Terms::of(&config, generation, &entry, users);
            // Names that have been given out stay with the way they were given.
            let (mode, tracking) = (self.terms.mode, self.terms.tracking);
            self.terms = self.pooler.shared.terms.share(Terms {
                mode,
                tracking,
                route: RouteTerms::of(&config, entry.spec, mode),
                ..fresh
            });
            self.adopt_route();
        }
    }

    fn log_goodbye(&self) {
        self.pooler.happenings.note(Happening::Left);
        let config = self.pooler.config();
        if config.settings.log_disconnections {
            Visitor::of(&self.facts.card).log_end(&config, "client close request");
        }
    }

    async fn leave(&mut self, fault: Fault) {
        self.pooler.happenings.note(fault.departure());
        let config = self.pooler.config();
        let unread = std::mem::take(&mut self.output.bytes);
        let visitor = Visitor::of(&self.facts.card);
        visitor
            .send_away(&config, &mut self.stream, &unread, &fault)
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_and_what_others_know_of_it_are_small() {
        let (client, facts) = (size_of::<Client>(), size_of::<ClientFacts>());
        assert!(client <= 320, "a client has {client} bytes");
        assert!(facts <= 248, "its facts have {facts} bytes");
    }
}
