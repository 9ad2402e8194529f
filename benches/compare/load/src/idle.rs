//! Clients that log in, perhaps ask something, and then stay and do nothing.

use std::io::{self, Read as _, Write as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::json;
use crate::swarm::{Next, Swarm};
use crate::wire::{self, Mode};

/// Clients that are busy at the same time.
const BUSY_AT_ONCE: usize = 50;
/// Longest time until all are there.
const PATIENCE: Duration = Duration::from_secs(120);

/// Holds `clients` clients that each ran `queries` queries, until standard input ends.
pub fn hold(swarm: &mut Swarm, clients: usize, queries: u64) -> Result<(), LoadError> {
    let query: Rc<[u8]> = Rc::from(wire::script(Mode::Extended, "SELECT 1", 1).batch);
    let (mut opened, deadline) = (0, Instant::now() + PATIENCE);
    while (opened < clients || swarm.waiting() > 0) && Instant::now() < deadline {
        while opened < clients && swarm.waiting() < BUSY_AT_ONCE {
            swarm.open();
            opened += 1;
        }
        swarm.turn(|client| {
            if client.ready_count > queries {
                return Ok(Next::Rest);
            }
            client.send(&query, 1)?;
            Ok(Next::Wait)
        })?;
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{{\"held\":{},\"failed\":{},\"failure\":{}}}",
        swarm.alive(),
        swarm.failures.count,
        json::quoted(&swarm.failures.first),
    )?;
    out.flush()?;
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}
