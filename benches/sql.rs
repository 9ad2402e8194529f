//! How long does it take to look at a statement without parsing it?

#[path = "cases/sql.rs"]
mod cases;
#[path = "cases/meter.rs"]
mod meter;

mod measure;

fn main() {
    cases::all(&mut measure::measure);
}
