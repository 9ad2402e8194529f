//! Sans-IO. What pgweir is, and which `PgBouncer` it can stand in for.

/// Release of `PgBouncer` whose behaviour pgweir follows; what tools that ask are told.
pub const COMPATIBLE_WITH: &str = "1.26.1";

/// Our own release.
pub const OWN: &str = env!("CARGO_PKG_VERSION");
