//! What a client leaves on its connection that is neither followed nor reset: a temporary table, an
//! advisory lock, `LISTEN`, a cursor `WITH HOLD`, a statement of SQL `PREPARE`.
//!
//! Only routed clients are looked at so closely. Where a statement may have left or taken away such a
//! thing, the server itself is asked when it is at rest: nothing is counted here. While there is
//! something, the client keeps the connection, and when it leaves, the connection is closed.

use tokio::time::timeout;

use super::life::Client;
use crate::config::Role;
use crate::pool::{Lease, Use, Verdict, Why};
use crate::pooler::Server;
use crate::route::decide::Target;
use crate::route::session::Pin;
use crate::server::errand::{self, ErrandError};

/// Whether a client has left something on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It has, and keeps the connection.
    Something,
    Nothing,
    /// It has, on a replica, where it cannot stay as it may want to write. It loses that.
    Astray,
    /// The server has not answered, or not to the end: what it says next is for nobody.
    NoAnswer,
}

/// One row with `t` where something is left. Every name is that of `pg_catalog`, whatever the
/// client's `search_path` says.
const WHAT_IS_LEFT: &str = "select \
    exists(select 1 from pg_catalog.pg_locks l where l.locktype operator(pg_catalog.=) 'advisory' \
        and l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()) \
    or exists(select 1 from pg_catalog.pg_listening_channels()) \
    or exists(select 1 from pg_catalog.pg_cursors c where c.is_holdable) \
    or exists(select 1 from pg_catalog.pg_prepared_statements s where s.from_sql) \
    or exists(select 1 from pg_catalog.pg_class c \
        where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
        and c.relpersistence operator(pg_catalog.=) 't')";

impl Client {
    /// Whether the server must be asked before it can go back.
    pub(super) fn must_ask(&self) -> bool {
        self.route
            .as_deref()
            .is_some_and(super::routing::Route::must_ask)
    }

    /// Asks the server, which is at rest.
    pub(super) async fn ask_what_is_left(&mut self, lease: &mut Lease<Server>) -> Left {
        lease.set_use(Use::Tested);
        let aside = &mut self.output.bytes;
        let asked = timeout(self.terms.errand, errand::ask(lease, WHAT_IS_LEFT, aside)).await;
        lease.set_use(Use::Active);
        let Some(route) = self.route.as_deref_mut() else {
            return Left::NoAnswer;
        };
        let is_astray = route.terms.role == Role::Auto
            && matches!(&route.link, Some(link) if link.target != Target::Primary);
        let left = match asked {
            Ok(Ok(false)) => Left::Nothing,
            Ok(Ok(true)) if is_astray => Left::Astray,
            // In doubt the connection stays with its client.
            Ok(Ok(true) | Err(ErrandError::Refused(_))) => Left::Something,
            Ok(Err(_)) | Err(_) => Left::NoAnswer,
        };
        route.pin(match left {
            Left::Something | Left::NoAnswer => Pin::Yes,
            Left::Nothing | Left::Astray => Pin::No,
        });
        left
    }

    /// What a client that leaves has pinned goes with it.
    pub(super) fn unless_pinned(&self, verdict: Verdict) -> Verdict {
        let pinned = self
            .route
            .as_deref()
            .is_some_and(|route| route.keeps_connection() || route.must_ask());
        match verdict {
            Verdict::Keep if pinned => {
                Verdict::Discard(Why::Conversation("client left session state behind"))
            }
            verdict => verdict,
        }
    }
}
