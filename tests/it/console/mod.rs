//! The admin console and the signals.

mod control;
mod shutdown;
mod tables;

use crate::support::Wire;

/// The error of a command.
fn refusal(console: &mut Wire, command: &str) -> String {
    let answer = console.query(command);
    answer
        .error()
        .unwrap_or_else(|| format!("no error: {answer:?}"))
}

/// Runs a command that works, and checks its tag.
fn run(console: &mut Wire, command: &str, tag: &str) {
    let answer = console.query(command);
    assert_eq!(answer.error(), None, "{command}");
    assert_eq!(answer.tag().as_deref(), Some(tag), "{command}");
}
