//! Times a closure and prints one line for it: nanoseconds for each operation, bytes for each second.
//!
//! The best of several rounds counts: on a machine that does other things too, the others say more
//! about the machine. With `PGWEIR_BENCH_SMOKE=1` every operation runs once, to show that it works.

use std::time::{Duration, Instant};

/// How long one round takes.
const ROUND: Duration = Duration::from_millis(100);
/// Rounds, of which the best counts.
const ROUNDS: usize = 9;

/// Whether benchmarks only have to work.
fn smoke() -> bool {
    std::env::var_os("PGWEIR_BENCH_SMOKE").is_some_and(|value| value == "1")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock itself"
)]
fn clock() -> Instant {
    Instant::now()
}

fn time(count: u64, operation: &mut dyn FnMut()) -> Duration {
    let began = clock();
    for _ in 0..count {
        operation();
    }
    clock().duration_since(began)
}

/// Runs `operation`, which deals with `bytes` bytes (0 where that means nothing), and prints.
#[expect(
    clippy::print_stdout,
    reason = "its figures are what a benchmark is for"
)]
pub fn measure(name: &str, bytes: usize, operation: &mut dyn FnMut()) {
    if smoke() {
        operation();
        println!("{name:44} works");
        return;
    }
    let mut count = 1;
    while time(count, operation) < ROUND / 10 {
        count *= 2;
    }
    let rounds = (0..ROUNDS).map(|_| time(count * 10, operation));
    let best = rounds.min().unwrap_or_default().as_secs_f64();
    let seconds = best / f64::from(u32::try_from(count * 10).expect("rounds are short"));
    let speed = f64::from(u32::try_from(bytes).expect("operations are small")) / seconds / 1e6;
    print!("{name:44} {:12.1} ns/op", seconds * 1e9);
    match bytes {
        0 => println!(),
        _ => println!(" {speed:10.1} MB/s"),
    }
}
