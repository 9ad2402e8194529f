//! Finds out what is known about a user who wants to log in.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::fault::Fault;
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::pool::{Request, Use, Verdict, WaiterKind, Waiting, Why, WorkerId};
use crate::pooler::Pooler;
use crate::server::errand::{Found, look_up};

/// The user's secret; `None` for one that nobody knows.
///
/// Looks into `auth_file` first, then asks the server by `auth_query`. The answer is asked for anew at
/// each login, so a changed password counts at once.
pub async fn secret_of(
    pooler: &Arc<Pooler>,
    config: &Config,
    (database, user): (&Arc<str>, &Arc<str>),
    worker: WorkerId,
) -> Result<Option<Secret>, Fault> {
    if let Some(secret) = pooler.credentials.in_file(user) {
        return Ok(Some(secret));
    }
    let Some(entry) = config.database(database) else {
        return Ok(None);
    };
    let Some(auth_user) = config.auth_user(entry.spec) else {
        return Ok(None);
    };
    let on: Arc<str> = match config.auth_dbname(entry.spec) {
        Some(name) => name.into(),
        None => Arc::clone(database),
    };
    // Passwords are those of the whole cluster, not of one of its hosts.
    let parent = entry.spec.derived_from.as_deref();
    let family: Arc<str> = parent.map_or_else(|| Arc::clone(database), Arc::from);
    let (on, sql) = ((&on, &auth_user.into()), config.auth_query(entry.spec));
    // Boxed, as most clients need no room for it.
    let found = Box::pin(ask(pooler, on, sql, user, worker)).await?;
    let secret = match found {
        Found::Nobody => {
            pooler.credentials.queried(&family, user, None);
            return Err(Fault::NoSuchUser);
        }
        Found::User(text) => {
            let text = text.unwrap_or_default();
            Secret::parse(&text).map_err(|_| Fault::Config)?
        }
    };
    pooler
        .credentials
        .queried(&family, user, Some(secret.clone()));
    Ok(Some(secret))
}

/// Runs the query on a connection of the pool of `auth_user`. The client's parameters are not applied
/// to it (CVE-2025-12819).
async fn ask(
    pooler: &Arc<Pooler>,
    (database, auth_user): (&Arc<str>, &Arc<str>),
    sql: &str,
    user: &str,
    worker: WorkerId,
) -> Result<Found, Fault> {
    let now = Instant::now().into_std();
    let pool = pooler.pool(database, auth_user, now).ok_or(Fault::Config)?;
    let request = Request {
        home: worker,
        kind: WaiterKind::Login,
        deadline: None,
    };
    let mut mailbox = pooler.pools.mailbox();
    let mut acquire = mailbox.acquire(pool, &request, now);
    let mut lease = loop {
        match acquire.next().await? {
            Waiting::Lease(lease) => break lease,
            Waiting::Notice => {}
        }
    };
    drop(acquire);
    lease.set_use(Use::Active);
    let limit = pooler.config().settings.server_connect_timeout;
    let limit = limit.unwrap_or(std::time::Duration::from_secs(15));
    let answer = timeout(limit, look_up(&mut lease, sql, user)).await;
    let now = Instant::now().into_std();
    if let Ok(Ok(found)) = answer {
        lease.finish(Verdict::Keep, now);
        return Ok(found);
    }
    lease.finish(
        Verdict::Discard(Why::Conversation("auth_query failed")),
        now,
    );
    Err(Fault::Config)
}
