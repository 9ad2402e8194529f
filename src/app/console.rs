//! Lets console clients in, and serves them with the levers of the process.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;

use super::host::Host;
use crate::admin::{Ended, Leftover, Role, serve, welcome};
use crate::client::enter::{Guest, Rights};
use crate::client::fault::Fault;
use crate::client::seat::card;
use crate::client::terms::codes;
use crate::config::Config;
use crate::pooler::Pooler;
use crate::pooler::client_facts::{ClientFacts, Phase};
use crate::pooler::control::Control;
use crate::protocol::TransactionStatus;
use crate::protocol::cancel_key::PeerId;
use crate::protocol::reply::{self, Report};
use crate::telemetry::stats::Counter;

/// The door to the console.
#[derive(Debug, Clone)]
pub struct Consoles {
    host: Host,
}

/// A console's line in `SHOW CLIENTS`.
struct Listed<'a> {
    pooler: &'a Pooler,
    facts: Arc<ClientFacts>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.pooler.clients.remove(self.facts.card.id);
    }
}

impl Consoles {
    /// With the levers that its clients may pull.
    pub fn new(host: Host) -> Self {
        Self { host }
    }

    /// Serves one console client.
    pub async fn serve(&self, pooler: &Arc<Pooler>, guest: Box<Guest>, rights: Rights) {
        let config = pooler.config();
        let database = guest.packet.database.as_str().into();
        let user = guest.packet.user.as_str().into();
        let facts = Arc::new(ClientFacts::new(card(&guest, &database, &user)));
        facts.enter(Phase::Idle);
        pooler.clients.add(facts.card.id, Arc::clone(&facts));
        let listed = Listed {
            pooler,
            facts: Arc::clone(&facts),
        };
        let Guest {
            visitor,
            mut stream,
            input,
            mut proof,
            parameters,
            ..
        } = *guest;
        let own = config.settings.peer_id.and_then(PeerId::new);
        let Some(key) = pooler.cancel_keys.draw(&facts, own) else {
            let fault = Fault::Exhausted;
            return visitor
                .send_away(&config, &mut stream, &proof, &fault)
                .await;
        };
        greet(&mut proof, &parameters, key.key().bytes());
        let host = self.host.asked_by(&facts, &visitor);
        host.count(Counter::ClientLogins);
        let role = match rights {
            Rights::Admin => Role::Admin,
            Rights::Stats => Role::Stats,
        };
        let leftover = Leftover {
            input,
            output: proof,
        };
        let stop = ordered(&facts.control, &config);
        let ended = serve((stream, leftover), &host, role, &facts.cancelled, stop).await;
        drop(listed);
        let reason = match (ended, facts.control.pending()) {
            (Ok(Ended::Stopped), Some(leave)) => leave.to_string(),
            (Ok(Ended::ByClient | Ended::Stopped), _) => "client close request".to_owned(),
            (Ok(Ended::Eof), _) => Fault::Eof.to_string(),
            (Ok(Ended::ProtocolError), _) => "protocol error".to_owned(),
            (Err(error), _) => Fault::Lost(error).to_string(),
        };
        visitor.log_end(&pooler.config(), &reason);
    }
}

/// `AuthenticationOk` and everything up to readiness. Values that the client gave come last.
fn greet(out: &mut BytesMut, own: &[(String, String)], key: [u8; 8]) {
    reply::auth_ok(out);
    welcome::parameters(out);
    for (name, value) in own {
        reply::parameter_status(out, name, value);
    }
    reply::backend_key(out, key);
    reply::ready_for_query(out, TransactionStatus::Idle);
}

/// Waits for an order to leave; its last words.
async fn ordered(control: &Control, config: &Config) -> Option<Report> {
    poll_fn(|cx| {
        control.register(cx.waker());
        match control.pending() {
            Some(leave) => Poll::Ready(Fault::from(leave).report(codes(config))),
            None => Poll::Pending,
        }
    })
    .await
}
