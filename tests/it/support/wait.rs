//! Waiting for what no socket tells of: asked again and again, with a deadline.

use std::time::Duration;

use pgweir::demo::interrupt::{Deadline, Interrupt};

/// Longer than anything here takes, even on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(20);
/// The one pause of these tests: between two questions to a server or a console.
const POLL: Duration = Duration::from_millis(5);

/// The first value that `question` gives; fails the test when there is none within [`LIMIT`].
pub fn eventually<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(LIMIT);
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(!deadline.passed(), "not within {LIMIT:?}: {what}");
        pause();
    }
}

/// As [`eventually`], for a question with yes or no.
pub fn until(what: &str, mut question: impl FnMut() -> bool) {
    eventually(what, || question().then_some(()));
}

/// The pause itself, for samplers.
pub fn pause() {
    let never = Interrupt::never();
    never.pause(POLL).expect("nobody raises this flag");
}
