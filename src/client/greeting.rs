//! What a client is told between its proof and its first query.
//!
//! The order is `PgBouncer`'s: `AuthenticationOk`, its version, what the server reported, the
//! pooler's own parameters, the client's values, the cancel key, an optional notice, readiness.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::enter::send;
use super::fault::Fault;
use crate::config::{Config, Role};
use crate::net::Stream;
use crate::pooler::alike::Alike;
use crate::pooler::room::{Likeness, Welcome};
use crate::protocol::reply::{self, Report};
use crate::protocol::startup::StartupPacket;
use crate::protocol::{Severity, SqlState, TransactionStatus};
use crate::session::params::{ParamSet, is_settable};
use crate::version::{COMPATIBLE_WITH, OWN};

/// Answers a client that asked for a newer protocol, or for options of one: 3.0, and none of those.
pub(super) async fn negotiate(stream: &mut Stream, packet: &StartupPacket) -> Result<(), Fault> {
    let Some(unknown) = packet.negotiation() else {
        return Ok(());
    };
    let mut out = BytesMut::new();
    reply::negotiate_protocol(&mut out, unknown.to_vec());
    send(stream, &out).await
}

/// The client's parameters: what the pool's servers report, and what it has set itself.
pub fn parameters_of(
    welcome: &Welcome,
    own: Vec<(String, String)>,
    shared: &Alike<ParamSet>,
) -> Arc<ParamSet> {
    if own.is_empty() {
        return Arc::clone(&welcome.params);
    }
    welcome.with_own(own, |own| {
        let mut params = ParamSet::clone(&welcome.params);
        for (name, value) in own {
            params.set(name, value);
        }
        shared.share(params)
    })
}

/// The whole greeting behind the proof.
pub fn write(
    out: &mut BytesMut,
    welcome: &Welcome,
    likeness: Likeness<'_>,
    config: &Config,
    key: [u8; 8],
) {
    let words = welcome.words(likeness, || words(welcome, likeness, config));
    out.extend_from_slice(&words);
    reply::backend_key(out, key);
    if let Some(message) = config.settings.login_notify_message.as_deref()
        && !message.is_empty()
    {
        reply::notice(
            out,
            &Report::new(Severity::Notice, SqlState::SUCCESS, message),
        );
    }
    reply::ready_for_query(out, TransactionStatus::Idle);
}

/// What clients that are alike hear.
fn words(welcome: &Welcome, (params, terms): Likeness<'_>, config: &Config) -> Bytes {
    let mut out = BytesMut::new();
    reply::auth_ok(&mut out);
    reply::parameter_status(&mut out, "pgbouncer.version", COMPATIBLE_WITH);
    reply::parameter_status(&mut out, "pgweir.version", OWN);
    for parameter in &welcome.reported {
        let name = String::from_utf8_lossy(&parameter.name);
        if !is_settable(&name) {
            let reads_only = terms.route.is_some_and(|route| route.role == Role::Replica);
            let value = match &*name {
                // Drivers choose by it (`target_session_attrs`); the server that greeted was the primary.
                "in_hot_standby" if reads_only => "on".into(),
                _ => String::from_utf8_lossy(&parameter.value),
            };
            reply::parameter_status(&mut out, &name, &value);
        }
    }
    let statements = config.settings.max_prepared_statements.to_string();
    reply::parameter_status(&mut out, "pgbouncer.max_prepared_statements", &statements);
    reply::parameter_status(&mut out, "pgbouncer.pool_mode", terms.mode.name());
    for (name, value) in params.iter() {
        reply::parameter_status(&mut out, name, value);
    }
    out.freeze()
}
