//! How long does it take to look at the messages of a client and a server, without any socket?

#[path = "cases/framer.rs"]
mod cases;
#[path = "cases/frames.rs"]
mod frames;
#[path = "cases/meter.rs"]
mod meter;

mod measure;

fn main() {
    cases::all(&mut measure::measure);
}
