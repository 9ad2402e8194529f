//! Connect, log in, one query, goodbye; and again.

use std::io::{self, BufRead as _, Write as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::json;
use crate::latency::Latencies;
use crate::swarm::{Next, Swarm};
use crate::wire::{self, Mode};

/// Failures after which it is given up.
const FAILURES_MAX: u64 = 1000;
/// Longest wait for the last ones.
const PATIENCE_AT_END: Duration = Duration::from_secs(10);

/// Runs so many clients side by side for so long and prints the outcome. Before that it waits for
/// a line, as `queries` does.
pub fn run(swarm: &mut Swarm, clients: usize, duration: Duration) -> Result<(), LoadError> {
    let query: Rc<[u8]> = Rc::from(wire::script(Mode::Simple, "SELECT 1", 1).batch);
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    io::stdin().lock().read_line(&mut String::new())?;
    let began = Instant::now();
    let end = began + duration;
    let mut latencies = Latencies::new();
    for _ in 0..clients {
        swarm.open();
    }
    while swarm.waiting() > 0
        && swarm.failures.count < FAILURES_MAX
        && Instant::now() < end + PATIENCE_AT_END
    {
        swarm.turn(|client| {
            if client.ready_count == 1 {
                client.send(&query, 1)?;
                return Ok(Next::Wait);
            }
            client.terminate()?;
            let now = Instant::now();
            latencies.add(now - client.since);
            Ok(if now < end {
                Next::Replace
            } else {
                Next::Leave
            })
        })?;
    }
    writeln!(
        out,
        "{{\"transactions\":{},\"seconds\":{:.6},\"p50_us\":{:.1},\"p99_us\":{:.1},\
         \"stalled\":{},\"failed\":{},\"failure\":{}}}",
        latencies.total(),
        began.elapsed().as_secs_f64(),
        latencies.quantile_us(500),
        latencies.quantile_us(990),
        swarm.waiting(),
        swarm.failures.count,
        json::quoted(&swarm.failures.first),
    )?;
    Ok(())
}
