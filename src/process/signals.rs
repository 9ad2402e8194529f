//! The signals of the process as a stream.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::shutdown::Signal;

/// All signals that [`Signal`] names. While it lives, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    hangup: Stream,
    terminate: Stream,
    interrupt: Stream,
    quit: Stream,
    user1: Stream,
    user2: Stream,
}

impl Signals {
    /// Takes the signals over. Needs a runtime with its I/O driver on.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal. Cancel-safe: a signal that was not returned is returned next time.
    pub async fn next(&mut self) -> Signal {
        // Each arm is cancel-safe: `recv` keeps what it has not returned. The most urgent first.
        tokio::select! {
            biased;
            _ = self.quit.recv() => Signal::Immediate,
            _ = self.interrupt.recv() => Signal::WaitForServers,
            _ = self.terminate.recv() => Signal::WaitForClients,
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.user1.recv() => Signal::Pause,
            _ = self.user2.recv() => Signal::Resume,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Number, raise};

    #[tokio::test]
    async fn every_signal_arrives_as_what_it_asks_for() {
        let mut signals = Signals::listen().unwrap();
        let table = [
            (Number::SIGHUP, Signal::Reload),
            (Number::SIGTERM, Signal::WaitForClients),
            (Number::SIGINT, Signal::WaitForServers),
            (Number::SIGQUIT, Signal::Immediate),
            (Number::SIGUSR1, Signal::Pause),
            (Number::SIGUSR2, Signal::Resume),
        ];
        for (number, expected) in table {
            raise(number).unwrap();
            assert_eq!(signals.next().await, expected, "{number}");
        }
    }
}
