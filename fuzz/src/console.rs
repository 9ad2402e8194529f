//! The admin console: commands, and the conversation in both protocols.
//!
//! Claims: every query and every `Sync` gets exactly one `ReadyForQuery`; what is sent are whole
//! frames; a user who may only look never changes anything.

use bytes::BytesMut;
use pgweir::admin::answer::Answer;
use pgweir::admin::command::{Command, Role, Show, parse};
use pgweir::admin::console::{Console, Step};
use pgweir::admin::host::ConsoleError;
use pgweir::admin::rows::lists::{LIST_COLUMNS, Lists};
use pgweir::admin::table::Sheet;

use crate::input::Input;
use crate::wire::{put, tags};

/// Runs one input: role, then `c` and a command, or else messages.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let role = match input.choose(b"as") {
        b'a' => Role::Admin,
        _ => Role::Stats,
    };
    match input.byte() {
        b'c' => {
            if let Ok(command) = parse(input.rest(), role) {
                check(role, &command);
            }
        }
        _ => talk(role, &mut input),
    }
}

fn check(role: Role, command: &Command) {
    let looks = matches!(
        command,
        Command::Show(_) | Command::ShowDriverParameter(_) | Command::SetIgnored
    );
    assert!(looks || role == Role::Admin, "{command:?} by {role:?}");
}

fn talk(role: Role, input: &mut Input<'_>) {
    let mut console = Console::new(role);
    let (mut sent, mut out) = (BytesMut::new(), BytesMut::new());
    let mut asked = 0;
    let mut skipping = false;
    while !input.is_empty() {
        let (tag, body) = message(input);
        let before = out.len();
        let step = follow(&mut console, tag, &body, role, &mut out);
        put(&mut sent, tag, &[&body]);
        if step == Step::Close {
            break;
        }
        let ready = tags(&out[before..])
            .iter()
            .filter(|tag| **tag == b'Z')
            .count();
        let expected = match tag {
            b'S' => 1,
            b'Q' | b'F' if !skipping => 1,
            _ => 0,
        };
        assert_eq!(ready, expected, "ReadyForQuery after {tag}");
        let failed = tags(&out[before..]).contains(&b'E');
        skipping = tag != b'S' && (skipping || (failed && expected == 0));
        asked += expected;
    }
    let answered = tags(&out).iter().filter(|tag| **tag == b'Z').count();
    assert!(answered >= asked);
}

fn follow(console: &mut Console, tag: u8, body: &[u8], role: Role, out: &mut BytesMut) -> Step {
    let mut step = console.feed(tag, body, out);
    loop {
        console.take_refusal();
        step = match step {
            Step::Continue | Step::Close => return step,
            Step::Rows => console.rows(out),
            Step::Run(command) => {
                check(role, &command);
                console.finish(outcome(&command), out)
            }
        };
    }
}

/// What a host would say: a table of a few rows, an error, or that it is done.
fn outcome(command: &Command) -> Result<Answer, ConsoleError> {
    match command {
        Command::Show(Show::Help) => Ok(Answer::to(command)),
        Command::Show(_) | Command::ShowDriverParameter(_) => {
            let (columns, rows) = (LIST_COLUMNS, Lists::default().rows());
            Ok(Answer::Rows(Box::new(Sheet { columns, rows })))
        }
        Command::Reload => Err(ConsoleError::ReloadFailed),
        other => Ok(Answer::to(other)),
    }
}

/// One message: its type, then what belongs to it. `%` is any body of any type.
fn message(input: &mut Input<'_>) -> (u8, Vec<u8>) {
    let name = |input: &mut Input<'_>| match input.byte() {
        0 | b'-' => vec![0],
        letter => vec![letter, 0],
    };
    let tag = input.choose(b"QPBDECSHXFd%");
    let body = match tag {
        b'Q' => [text(input), vec![0]].concat(),
        b'P' => [name(input), text(input), vec![0, 0, 0]].concat(),
        b'B' => {
            let names = [name(input), name(input)].concat();
            let formats = input.byte() % 4;
            let codes = (0..formats).flat_map(|_| [0, input.byte() % 3]).collect();
            [names, vec![0, 0, 0, 0, 0, formats], codes].concat()
        }
        b'D' | b'C' => {
            let target = input.choose(b"SP");
            [vec![target], name(input)].concat()
        }
        b'E' => [name(input), vec![0, 0, 0, input.byte() % 4]].concat(),
        b'%' => return (input.byte(), input.piece().to_vec()),
        _ => Vec::new(),
    };
    (tag, body)
}

/// A command, mostly a good one.
fn text(input: &mut Input<'_>) -> Vec<u8> {
    let at = usize::from(input.byte());
    let known = [
        "show lists",
        "show help",
        "reload",
        "pause a",
        "set a = 'b'",
        "",
        "show",
        "kill",
    ];
    match known.get(at % (known.len() + 2)) {
        Some(text) => text.as_bytes().to_vec(),
        None => input
            .piece()
            .iter()
            .copied()
            .filter(|byte| *byte != 0)
            .collect(),
    }
}
