//! Sans-IO. What a signal asks for, given what came before.
//!
//! ```text
//!  Running ── SIGTERM ──► WaitingForClients ──┐
//!     │                                       ├─ SIGTERM or SIGINT ──► exit at once
//!     └────── SIGINT  ──► WaitingForServers ──┘
//!  SIGQUIT: exit at once, from everywhere. SIGHUP: reload, from everywhere.
//! ```
//! The words are `PgBouncer`'s log lines.

/// A signal that the process answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM.
    WaitForClients,
    /// SIGINT.
    WaitForServers,
    /// SIGQUIT.
    Immediate,
    /// SIGUSR1.
    Pause,
    /// SIGUSR2.
    Resume,
}

/// What a stopping process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All clients leave by themselves; no new ones are let in.
    WaitForClients,
    /// All server connections are released, as for `PAUSE`; then clients are dropped.
    WaitForServers,
}

/// Whether the pooler serves, as the console's `PAUSE` and `RESUME` left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It serves.
    Running,
    /// It is paused, or on the way to be.
    Paused,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Read the configuration again and reopen the log.
    Reload,
    /// Pause all databases.
    Pause,
    /// Resume all databases.
    Resume,
    /// Begin to stop.
    Stop(Stop),
    /// Leave now, with exit code 0.
    Exit,
    /// Nothing.
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Running,
    Stopping(Stop),
}

/// Whether the process is stopping, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownState {
    phase: Phase,
}

impl ShutdownState {
    /// The stop under way.
    pub fn stopping(&self) -> Option<Stop> {
        match self.phase {
            Phase::Running => None,
            Phase::Stopping(stop) => Some(stop),
        }
    }

    /// The console asked for a stop. `false` when nothing comes of it: one is under way already.
    /// Waiting for clients gives way to waiting for servers.
    pub fn command(&mut self, stop: Stop) -> bool {
        let begins = match self.phase {
            Phase::Running => true,
            Phase::Stopping(Stop::WaitForClients) => stop == Stop::WaitForServers,
            Phase::Stopping(Stop::WaitForServers) => false,
        };
        if begins {
            self.phase = Phase::Stopping(stop);
        }
        begins
    }

    /// A signal came: what to do, and the line for the log.
    pub fn signal(&mut self, signal: Signal, activity: Activity) -> (Verdict, &'static str) {
        match signal {
            Signal::Reload => (Verdict::Reload, "got SIGHUP, re-reading config"),
            Signal::Immediate => (Verdict::Exit, "got SIGQUIT, fast exit"),
            Signal::WaitForClients => self.stop(
                Stop::WaitForClients,
                "got SIGTERM, shutting down, waiting for all clients disconnect",
                "got SIGTERM while shutting down, fast exit",
            ),
            Signal::WaitForServers => self.stop(
                Stop::WaitForServers,
                "got SIGINT, shutting down, waiting for all servers connections to be released",
                "got SIGINT while shutting down, fast exit",
            ),
            Signal::Pause => self.pause(activity),
            Signal::Resume => self.resume(activity),
        }
    }

    fn stop(
        &mut self,
        stop: Stop,
        first: &'static str,
        again: &'static str,
    ) -> (Verdict, &'static str) {
        if self.phase == Phase::Running {
            self.phase = Phase::Stopping(stop);
            (Verdict::Stop(stop), first)
        } else {
            (Verdict::Exit, again)
        }
    }

    fn pause(self, activity: Activity) -> (Verdict, &'static str) {
        let paused =
            activity == Activity::Paused || self.phase == Phase::Stopping(Stop::WaitForServers);
        if paused {
            (Verdict::Ignore, "got SIGUSR1, but already paused")
        } else {
            (Verdict::Pause, "got SIGUSR1, pausing all activity")
        }
    }

    fn resume(self, activity: Activity) -> (Verdict, &'static str) {
        match (self.phase, activity) {
            (Phase::Stopping(_), _) => {
                (Verdict::Ignore, "got SIGUSR2 while shutting down, ignoring")
            }
            (Phase::Running, Activity::Paused) => {
                (Verdict::Resume, "got SIGUSR2, continuing from PAUSE")
            }
            (Phase::Running, Activity::Running) => (Verdict::Ignore, "got SIGUSR2, but not paused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Paused, Running};
    use Signal::{Immediate, Pause, Reload, Resume, WaitForClients, WaitForServers};

    /// The verdicts for signals that follow each other; `PAUSE` takes effect at once.
    fn verdicts(signals: &[Signal]) -> Vec<Verdict> {
        let (mut state, mut activity) = (ShutdownState::default(), Running);
        let mut verdicts = Vec::new();
        for signal in signals {
            let (verdict, line) = state.signal(*signal, activity);
            assert!(line.starts_with("got SIG"), "{line}");
            match verdict {
                Verdict::Pause => activity = Paused,
                Verdict::Resume => activity = Running,
                Verdict::Reload | Verdict::Stop(_) | Verdict::Exit | Verdict::Ignore => {}
            }
            verdicts.push(verdict);
        }
        verdicts
    }

    #[test]
    fn a_second_term_or_int_leaves_at_once() {
        let clients = Verdict::Stop(Stop::WaitForClients);
        let servers = Verdict::Stop(Stop::WaitForServers);
        assert_eq!(
            verdicts(&[WaitForClients, WaitForClients]),
            [clients, Verdict::Exit]
        );
        assert_eq!(
            verdicts(&[WaitForClients, WaitForServers]),
            [clients, Verdict::Exit]
        );
        assert_eq!(
            verdicts(&[WaitForServers, WaitForClients]),
            [servers, Verdict::Exit]
        );
        assert_eq!(
            verdicts(&[WaitForServers, WaitForServers]),
            [servers, Verdict::Exit]
        );
    }

    #[test]
    fn quit_leaves_and_hup_reloads_in_every_state() {
        for before in [
            None,
            Some(WaitForClients),
            Some(WaitForServers),
            Some(Pause),
        ] {
            let mut state = ShutdownState::default();
            before.map(|signal| state.signal(signal, Running));
            assert_eq!(state.signal(Reload, Running).0, Verdict::Reload);
            assert_eq!(state.signal(Immediate, Running).0, Verdict::Exit);
        }
    }

    #[test]
    fn pause_and_resume_act_once_and_never_undo_a_shutdown() {
        assert_eq!(
            verdicts(&[Resume, Pause, Pause, Resume, Resume]),
            [
                Verdict::Ignore,
                Verdict::Pause,
                Verdict::Ignore,
                Verdict::Resume,
                Verdict::Ignore
            ]
        );
        assert_eq!(
            verdicts(&[WaitForClients, Pause, Resume])[1..],
            [Verdict::Pause, Verdict::Ignore]
        );
        assert_eq!(
            verdicts(&[WaitForServers, Pause, Resume])[1..],
            [Verdict::Ignore, Verdict::Ignore]
        );
    }

    #[test]
    fn the_console_can_turn_waiting_for_clients_into_waiting_for_servers_but_not_back() {
        let mut state = ShutdownState::default();
        assert!(state.command(Stop::WaitForClients));
        assert!(!state.command(Stop::WaitForClients));
        assert!(state.command(Stop::WaitForServers));
        assert!(!state.command(Stop::WaitForClients));
        assert_eq!(state.stopping(), Some(Stop::WaitForServers));
    }

    #[test]
    fn a_signal_after_a_shutdown_command_leaves_at_once() {
        let mut state = ShutdownState::default();
        assert!(state.command(Stop::WaitForServers));
        assert!(!state.command(Stop::WaitForClients));
        assert_eq!(state.stopping(), Some(Stop::WaitForServers));
        assert_eq!(state.signal(WaitForClients, Running).0, Verdict::Exit);
    }
}
