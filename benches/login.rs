//! How much CPU does the login of a client by SCRAM-SHA-256 cost, when its keys are known?

#[path = "cases/login.rs"]
mod cases;
#[path = "cases/meter.rs"]
mod meter;

mod measure;

use std::hint::black_box;

use measure::measure;

fn main() {
    cases::all(&mut measure);
    let request = cases::key_request();
    measure("deriving the keys of a password", 0, &mut || {
        black_box(request.derive());
    });
}
