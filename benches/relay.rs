//! How long does it take to relay a whole query and its answer, over streams in memory?

#[path = "cases/relay.rs"]
mod cases;
#[path = "cases/frames.rs"]
mod frames;
#[path = "cases/meter.rs"]
mod meter;

mod measure;

fn main() {
    cases::all(&mut measure::measure);
}
