//! Drivers of several languages against a real server through the pooler, in both modes.
//!
//! Python and Node drivers come from `requirements.txt` and `package.json` beside this file; the
//! environment says where they have been installed: `PGWEIR_TEST_PYTHON` is an interpreter that
//! has them, `PGWEIR_TEST_NODE_PATH` a `node_modules`. Tests of drivers that are not there are left
//! out with a word about it, but are errors where CI is `true`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing step is a failing test"
)]

mod rust;
mod scripts;
mod stage;
