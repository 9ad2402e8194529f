//! Reads what functions a cluster's database has, so that statements that call them can be classed.
//!
//! A task of its own for each cluster, with a connection for each look: a large catalog must not
//! hold up the questions for positions.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Monitor;
use super::task::{Trouble, open, user_of};
use crate::pool::PoolKey;
use crate::pooler::Pooler;
use crate::pooler::clusters::LiveCluster;
use crate::pooler::servers::say_goodbye;
use crate::server::errand::{ErrandError, select};
use crate::sql::Catalog;
use crate::telemetry::events;

/// How often it is looked whether functions have changed that nobody changed through this process.
const PERIOD: Duration = Duration::from_secs(60);

/// Shortest time between two looks, however often somebody changes functions.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest time for one look.
const LIMIT: Duration = Duration::from_secs(20);

/// Columns of the catalog's rows.
const COLUMNS: usize = 3;

/// Keeps the functions of one cluster known, for ever.
pub(super) async fn keep(pooler: Arc<Pooler>, monitor: Arc<Monitor>) -> Infallible {
    let live = &monitor.live;
    loop {
        live.until(|view| view.primary.is_some()).await;
        let known = live.functions().generation;
        let look = Box::pin(look(&pooler, live));
        match timeout(LIMIT, look).await.unwrap_or(Err(Trouble::TimedOut)) {
            Ok(catalog) => live.found_functions(known, catalog),
            Err(trouble) => events::functions_unknown(&live.name, &trouble),
        }
        sleep(PAUSE).await;
        forgotten(live, Instant::now() + PERIOD).await;
    }
}

/// Waits until somebody has changed functions, or it is time to look again.
async fn forgotten(live: &LiveCluster, until: Instant) {
    loop {
        let mut woken = std::pin::pin!(live.wanted.notified());
        // Enlisted before looking: what happens in between is not missed.
        woken.as_mut().enable();
        if live.are_functions_stale() {
            return;
        }
        tokio::select! {
            // Both are cancel-safe: nothing is taken from them.
            () = woken => {}
            () = sleep_until(until) => return,
        }
    }
}

async fn look(pooler: &Pooler, live: &LiveCluster) -> Result<Catalog, Trouble> {
    let config = pooler.config();
    let user = user_of(&config, live).ok_or(Trouble::NoHost)?;
    let primary = live
        .view()
        .primary_host()
        .map(|host| Arc::clone(&host.name));
    let database = primary.ok_or(Trouble::NoHost)?;
    let mut conn = open(pooler, live, PoolKey { database, user }).await?;
    let mut rows: Vec<[Vec<u8>; COLUMNS]> = Vec::new();
    // The query itself says how many rows there are at most.
    select(&mut conn, Catalog::QUERY, COLUMNS, |row| {
        let row: Vec<_> = row.into_iter().map(Option::unwrap_or_default).collect();
        rows.push(
            row.try_into()
                .map_err(|_| ErrandError::NotOneRow(COLUMNS))?,
        );
        Ok(())
    })
    .await?;
    say_goodbye(conn).await;
    let rows = rows.iter().map(|row| row.each_ref().map(Vec::as_slice));
    Ok(Catalog::from_rows(rows)?)
}
