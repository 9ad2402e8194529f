//! How long does a client need to get a server connection of the pool, and to give it back?

#[path = "cases/checkout.rs"]
mod cases;
#[path = "cases/meter.rs"]
mod meter;

mod measure;

use std::sync::atomic::{AtomicBool, Ordering};

use cases::{lease, now, pool_of};
use measure::measure;
use pgweir::pool::Verdict;

fn main() {
    cases::all(&mut measure);

    let at = now();
    let (handle, pool) = pool_of(20);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut mailbox = handle.mailbox();
            while !stop.load(Ordering::Relaxed) {
                lease(&mut mailbox, pool, at).finish(Verdict::Keep, at);
            }
        });
        let mut mailbox = handle.mailbox();
        measure("an idle connection, and back; two threads", 0, &mut || {
            lease(&mut mailbox, pool, at).finish(Verdict::Keep, at);
        });
        stop.store(true, Ordering::Relaxed);
    });
}
