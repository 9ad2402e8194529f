//! What the service manager is told (`Type=notify`, `Type=notify-reload`).
//!
//! Without a service manager (`NOTIFY_SOCKET` not set) everything here does nothing. A manager that
//! cannot be reached is no reason to stop serving, so errors are returned for the log only.

use std::io;

use sd_notify::NotifyState;

/// Clients are served, after start and again after each reload.
pub fn ready() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready])
}

/// A reload begins; [`ready`] ends it. The manager compares the moment with its own clock.
pub fn reloading() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])
}

/// The process is on its way out.
pub fn stopping() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping])
}

/// One line for people who look at the service. Whatever follows a newline is left out, since the
/// protocol would read it as another message.
pub fn status(text: &str) -> io::Result<()> {
    let line = text.lines().next().unwrap_or_default();
    sd_notify::notify(&[NotifyState::Status(line)])
}
