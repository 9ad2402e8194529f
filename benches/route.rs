//! How long does it take to decide where a query goes?

#[path = "cases/frames.rs"]
#[expect(dead_code, reason = "other benchmarks use the rest of them")]
mod frames;
#[path = "cases/meter.rs"]
mod meter;
#[path = "cases/route.rs"]
mod route;

mod measure;

fn main() {
    route::all(&mut measure::measure);
}
