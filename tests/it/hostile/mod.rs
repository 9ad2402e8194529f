//! Peers that break the protocol, by mistake or on purpose.
//!
//! After each attack pgweir must run, must have no panic in its log (its end checks that), and must
//! serve others; the attacker must be answered or cut off, and not left hanging. Every known
//! vulnerability of `PgBouncer` of this kind has a test here, by its number.

mod frames;
mod logins;
mod servers;

use crate::support::{Weir, Wire};

/// A client that is served all the time.
struct Canary {
    client: Wire,
    asked: u32,
}

impl Canary {
    fn new(weir: &Weir) -> Self {
        let client = weir.app();
        Self { client, asked: 0 }
    }

    /// It gets its own answer, and soon.
    fn sings(&mut self) {
        self.asked += 1;
        let value = format!("{}", self.asked);
        assert_eq!(self.client.value(&format!("select {value}")), value);
    }
}
