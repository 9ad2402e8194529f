//! `from_client` with a client's bytes, legal or not, with a server, without, or with one on demand.
//!
//! Claims: how the bytes are cut changes nothing; without tracking a server gets exactly what the
//! client sent; with tracking it gets every message that is not answered here, once.

use bytes::BytesMut;
use pgweir::session::client_state::Tracking;

use crate::input::{Input, cut};
use crate::table::{Linked, Outcome, Setup, Table};
use crate::wire::{Manners, client_message, tags};

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let setup = Setup::read(&mut input);
    let seed = input.byte();
    let mut bytes = BytesMut::new();
    while !input.is_empty() {
        client_message(&mut input, Manners::Any, &mut bytes);
    }
    let mut whole = Table::new(setup);
    let introduction = whole.to_server.len();
    whole.client_says(&bytes);
    let mut pieces = Table::new(setup);
    for piece in cut(&bytes, seed) {
        pieces.client_says(piece);
    }
    assert_eq!(whole.seen(), pieces.seen(), "cut with seed {seed}");
    if setup.linked == Linked::AtOnce && introduction == 0 {
        check(setup, &whole, &bytes);
    }
}

fn check(setup: Setup, table: &Table, bytes: &[u8]) {
    let consumed = &bytes[..bytes.len() - table.client_input.len()];
    match setup.tracking {
        Tracking::Off => assert_eq!(&table.to_server[..], consumed),
        Tracking::On { .. } if matches!(table.outcome, Outcome::ClientFault(_)) => {}
        Tracking::On { .. } => {
            let (before, after) = (tags(consumed), tags(&table.to_server));
            let count = |tags: &[u8], tag| tags.iter().filter(|found| **found == tag).count();
            for tag in *b"QFBDESdcf" {
                assert_eq!(
                    count(&before, tag),
                    count(&after, tag),
                    "messages of type {tag}"
                );
            }
            // A message that must wait for replies has us ask for them.
            assert!(
                count(&before, b'H') <= count(&after, b'H'),
                "a Flush was lost"
            );
        }
    }
}
