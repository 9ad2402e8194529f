//! Lets console clients in, and out again.

use std::future::poll_fn;
use std::io::Cursor;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, join, split};

use super::host::Host;
use crate::admin::command::Role;
use crate::admin::serve::{Ended, serve};
use crate::admin::welcome;
use crate::client::enter::{Guest, Rights};
use crate::client::fault::Fault;
use crate::client::seat::{Listed, card};
use crate::client::terms::codes;
use crate::pooler::Pooler;
use crate::pooler::client_facts::{ClientFacts, Phase};
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
    pub async fn serve(&self, pooler: &Arc<Pooler>, mut guest: Box<Guest>, rights: Rights) {
        let database: Arc<str> = guest.packet.database.as_str().into();
        let user: Arc<str> = guest.packet.user.as_str().into();
        let facts = Arc::new(ClientFacts::new(card(&guest, &database, &user)));
        let _listed = Listed::new(pooler, &facts);
        facts.enter(Phase::Active);
        let config = pooler.config();
        let own = config.settings.peer_id.and_then(PeerId::new);
        let Some(key) = pooler.cancel_keys.draw(&facts, own) else {
            return;
        };
        let greeting = greeting(&guest, key.key().bytes());
        self.host.count(Counter::ClientLogins);
        if guest.stream.write_all(&greeting).await.is_err() || guest.stream.flush().await.is_err() {
            guest.visitor.log_end(&config, "client unexpected eof");
            return;
        }
        let Guest {
            visitor,
            stream,
            input,
            ..
        } = *guest;
        let (reader, writer) = split(stream);
        let stream = join(Cursor::new(input).chain(reader), writer);
        let role = match rights {
            Rights::Admin => Role::Admin,
            Rights::Stats => Role::Stats,
        };
        let ended = serve(
            stream,
            &self.host,
            role,
            &facts.cancelled,
            ordered(pooler, &facts),
        )
        .await;
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

/// All that a console client is told before its first command.
fn greeting(guest: &Guest, key: [u8; 8]) -> BytesMut {
    let mut out = guest.proof.clone();
    reply::auth_ok(&mut out);
    welcome::parameters(&mut out);
    for (name, value) in &guest.parameters {
        reply::parameter_status(&mut out, name, value);
    }
    reply::backend_key(&mut out, key);
    reply::ready_for_query(&mut out, TransactionStatus::Idle);
    out
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
