//! `from_server` with a server's bytes, legal or not, in turns with a client's legal messages.
//!
//! Claims: how the bytes are cut changes nothing; without tracking a client gets exactly what the
//! server sent; a server is at rest only when it has answered all that asks for `ReadyForQuery`.

use bytes::BytesMut;
use pgweir::session::client_state::Tracking;

use crate::input::{Input, cut};
use crate::table::{Linked, Outcome, Setup, Table};
use crate::wire::{Manners, client_message, server_message, tags};

/// Runs one input: turns of client and server, each behind its number of messages.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let setup = Setup::read(&mut input);
    let seed = input.byte();
    let (mut whole, mut pieces) = (Table::new(setup), Table::new(setup));
    let mut from_server = BytesMut::new();
    while !input.is_empty() && whole.outcome == Outcome::Open {
        let mut bytes = BytesMut::new();
        for _ in 0..input.byte() % 8 {
            client_message(&mut input, Manners::Legal, &mut bytes);
        }
        whole.client_says(&bytes);
        cut(&bytes, seed)
            .into_iter()
            .for_each(|piece| pieces.client_says(piece));
        bytes.clear();
        for _ in 0..input.byte() % 8 {
            server_message(&mut input, &mut bytes);
        }
        from_server.extend_from_slice(&bytes);
        whole.server_says(&bytes);
        cut(&bytes, seed)
            .into_iter()
            .for_each(|piece| pieces.server_says(piece));
        whole.settle();
        pieces.settle();
        assert_eq!(whole.seen(), pieces.seen(), "cut with seed {seed}");
    }
    check(setup, &whole, &from_server);
}

fn check(setup: Setup, table: &Table, from_server: &[u8]) {
    let sent = tags(&table.to_server);
    let from_server = &from_server[..from_server.len() - table.server_input.len()];
    let received = tags(from_server);
    let count = |tags: &[u8], wanted: &[u8]| tags.iter().filter(|tag| wanted.contains(tag)).count();
    // A server that reads copy data answers no Sync.
    let copies = count(&received, b"GW") > 0;
    if table.outcome == Outcome::Open && table.server.is_at_rest() && !copies {
        let (asked, answered) = (count(&sent, b"QFS"), count(&received, b"Z"));
        // After an error in a batch a server ignores all but Sync.
        let least = match count(&received, b"E") {
            0 => asked,
            _ => count(&sent, b"S"),
        };
        assert!(
            (least..=asked).contains(&answered),
            "at rest after {answered} of {asked} answers"
        );
    }
    // Parameter settings, probes, and answers that were given before there was a server.
    let ours = setup.differs || copies || setup.linked != Linked::AtOnce;
    if setup.tracking == Tracking::Off && !ours && table.outcome == Outcome::Open {
        assert_eq!(&table.to_client[..], from_server);
    }
}
