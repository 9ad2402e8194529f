//! The periodic statistics: averages, the `stats:` line, the service manager's status.

use std::convert::Infallible;

use tokio::time::{Instant, sleep};

use crate::pooler::Pooler;
use crate::process::systemd;
use crate::telemetry::events;

/// Makes averages each `stats_period`, for as long as the process runs. A changed period counts
/// from the next one on.
pub async fn keep_averages(pooler: &Pooler) -> Infallible {
    loop {
        sleep(pooler.config().settings.stats_period).await;
        let averages = pooler.stats.tick(Instant::now().into_std());
        events::stats(&averages);
        // Without a service manager there is nobody to tell.
        drop(systemd::status(&averages.to_string()));
    }
}
