//! Lets console clients in, and out again.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;

use super::host::Host;
use crate::admin::command::Role;
use crate::admin::serve::{Ended, Leftover, serve};
use crate::admin::welcome;
use crate::client::enter::{Guest, Rights};
use crate::client::fault::Fault;
use crate::client::seat::{Listed, card};
use crate::pool::PoolKey;
use crate::pooler::Pooler;
use crate::pooler::client_facts::{ClientFacts, Phase};
use crate::pooler::terms::codes;
use crate::protocol::TransactionStatus;
use crate::protocol::cancel_key::PeerId;
use crate::protocol::reply::{self, Report};
use crate::telemetry::stats::Counter;

/// The door to the console.
#[derive(Debug, Clone)]
pub struct Consoles {
    host: Host,
}

impl Consoles {
    /// A door that leads to these levers.
    pub fn new(host: Host) -> Self {
        Self { host }
    }

    /// Serves one console client until it leaves.
    pub async fn serve(&self, pooler: &Arc<Pooler>, guest: Box<Guest>, rights: Rights) {
        let key = PoolKey::new(&guest.packet.database, &guest.packet.user);
        let (facts, cancelled) = ClientFacts::of_console(card(pooler, &guest, &key));
        let facts = Arc::new(facts);
        let _listed = Listed::new(pooler, &facts);
        facts.enter(Phase::Idle); // as PgBouncer shows it
        let config = pooler.config();
        let own = config.settings.peer_id.and_then(PeerId::new);
        let Some(key) = pooler.cancel_keys.draw(&facts, own) else {
            return;
        };
        let Guest {
            visitor,
            stream,
            input,
            mut proof,
            parameters,
            ..
        } = *guest;
        greet(&mut proof, &parameters, key.key().bytes());
        let leftover = Leftover {
            input,
            output: proof,
        };
        let host = self.host.asked_by(&facts, &visitor);
        host.count(Counter::ClientLogins);
        let role = match rights {
            Rights::Admin => Role::Admin,
            Rights::Stats => Role::Stats,
        };
        let stop = ordered(pooler, &facts);
        let ended = serve((stream, leftover), &host, role, &cancelled, stop).await;
        let reason = match (facts.control.pending(), ended) {
            (Some(leave), _) => leave.to_string(),
            (None, Ok(Ended::ByClient)) => "client close request".to_owned(),
            (None, Ok(Ended::Stopped)) => "server shutting down".to_owned(),
            (None, Ok(Ended::ProtocolError)) => "bad packet".to_owned(),
            (None, Ok(Ended::Eof) | Err(_)) => "client unexpected eof".to_owned(),
        };
        visitor.log_end(&config, &reason);
    }
}

/// Appends all that a console client is told before its first command; its own values come last.
fn greet(out: &mut BytesMut, own: &[(String, String)], key: [u8; 8]) {
    reply::auth_ok(out);
    welcome::parameters(out);
    for (name, value) in own {
        reply::parameter_status(out, name, value);
    }
    reply::backend_key(out, key);
    reply::ready_for_query(out, TransactionStatus::Idle);
}

/// Ready when somebody orders the client to leave.
async fn ordered(pooler: &Pooler, facts: &ClientFacts) -> Option<Report> {
    let leave = poll_fn(|cx| {
        facts.control.register(cx.waker());
        facts.control.pending().map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    Fault::from(leave).report(codes(&pooler.config()))
}
