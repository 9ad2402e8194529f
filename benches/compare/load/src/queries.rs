//! The closed loop: each client sends a batch, waits for all answers, and sends the next.
//!
//! It stands still at both ends of the measured time: it says that it is ready and waits for a
//! line before it starts, and takes no client's answer after the last. So whoever started it can
//! read the pooler's clock at those moments, and all that it finds was spent on what was counted.

use std::io::{self, BufRead as _, Write as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::LoadError;
use crate::json;
use crate::latency::Latencies;
use crate::swarm::{Next, Swarm};
use crate::wire::Script;

/// Clients that log in at the same time.
const LOGINS_AT_ONCE: usize = 32;
/// Longest time for logins, and for the answers after the end.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_AT_END: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// How many clients.
    pub clients: usize,
    /// Queries in a batch.
    pub depth: u32,
    /// What they send.
    pub script: Script,
    /// How long before the measured time, and how long it is.
    pub warm_up: Duration,
    /// How long the measured time is.
    pub duration: Duration,
}

/// Runs the plan and prints the outcome.
pub fn run(swarm: &mut Swarm, plan: &Plan) -> Result<(), LoadError> {
    log_in(swarm, plan.clients)?;
    if !plan.script.prelude.is_empty() {
        swarm.send_all(&Rc::from(&*plan.script.prelude), 1);
        finish(swarm, PATIENCE, &mut |_| Ok(Next::Rest))?;
    }
    loop_for(swarm, plan, plan.warm_up)?;
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    io::stdin().lock().read_line(&mut String::new())?;
    let outcome = loop_for(swarm, plan, plan.duration)?;
    writeln!(out, "{}", outcome.json(swarm))?;
    Ok(())
}

/// All clients log in, some at a time.
pub fn log_in(swarm: &mut Swarm, clients: usize) -> Result<(), LoadError> {
    let (mut opened, deadline) = (0, Instant::now() + PATIENCE);
    while opened < clients || swarm.waiting() > 0 {
        while opened < clients && swarm.waiting() < LOGINS_AT_ONCE {
            swarm.open();
            opened += 1;
        }
        swarm.turn(|_| Ok(Next::Rest))?;
        if Instant::now() > deadline {
            return Err(LoadError::Protocol("the logins took more than a minute"));
        }
    }
    Ok(())
}

/// Serves the clients until none waits; gives the number of those that still wait at the deadline.
fn finish(
    swarm: &mut Swarm,
    patience: Duration,
    on_ready: &mut impl FnMut(&mut Client) -> Result<Next, LoadError>,
) -> Result<usize, LoadError> {
    let deadline = Instant::now() + patience;
    while swarm.waiting() > 0 && Instant::now() < deadline {
        swarm.turn(&mut *on_ready)?;
    }
    Ok(swarm.waiting())
}

struct Outcome {
    queries: u64,
    bytes: u64,
    elapsed: Duration,
    latencies: Latencies,
    stalled: usize,
}

fn loop_for(swarm: &mut Swarm, plan: &Plan, duration: Duration) -> Result<Outcome, LoadError> {
    let batch: Rc<[u8]> = Rc::from(&*plan.script.batch);
    let (bytes, began) = (swarm.bytes(), Instant::now());
    let end = began + duration;
    let mut latencies = Latencies::new();
    swarm.send_all(&batch, plan.depth);
    let mut on_ready = |client: &mut Client| {
        let now = Instant::now();
        latencies.add(now - client.since);
        if now >= end {
            return Ok(Next::Rest);
        }
        client.since = now;
        client.send(&batch, plan.depth)?;
        Ok(Next::Wait)
    };
    let stalled = finish(swarm, duration + PATIENCE_AT_END, &mut on_ready)?;
    Ok(Outcome {
        queries: latencies.total() * u64::from(plan.depth),
        bytes: swarm.bytes().saturating_sub(bytes),
        elapsed: began.elapsed(),
        latencies,
        stalled,
    })
}

impl Outcome {
    fn json(&self, swarm: &Swarm) -> String {
        format!(
            "{{\"transactions\":{},\"bytes\":{},\"seconds\":{:.6},\"p50_us\":{:.1},\
             \"p99_us\":{:.1},\"stalled\":{},\"failed\":{},\"failure\":{}}}",
            self.queries,
            self.bytes,
            self.elapsed.as_secs_f64(),
            self.latencies.quantile_us(500),
            self.latencies.quantile_us(990),
            self.stalled,
            swarm.failures.count,
            json::quoted(&swarm.failures.first),
        )
    }
}
