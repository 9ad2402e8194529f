//! Lines to syslog: datagrams to `/dev/log`, best effort.
//!
//! Not here: what a line says. A log daemon that is absent or slow costs lines, never time: the
//! socket does not block, and what it does not take is dropped and counted by the caller.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::line::Level;

/// Where syslog listens.
pub const DEV_LOG: &str = "/dev/log";

/// Facilities that the setting `syslog_facility` names, with their numbers (RFC 5424).
const FACILITIES: [(&str, u8); 12] = [
    ("auth", 4),
    ("authpriv", 10),
    ("daemon", 3),
    ("user", 1),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// A value of the setting `syslog_facility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// `daemon`, the default.
    pub const DAEMON: Self = Self(3);

    /// From its name; `None` for a name that `PgBouncer` does not know either.
    pub fn from_name(name: &str) -> Option<Self> {
        let known = FACILITIES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, number)| Self(*number))
    }
}

/// Settings `syslog_facility` and `syslog_ident`, and where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogSettings {
    /// Facility of each line.
    pub facility: Facility,
    /// Program name in each line.
    pub ident: String,
    /// Socket of the daemon: [`DEV_LOG`], or another one in tests.
    pub socket: PathBuf,
}

/// A sender of datagrams. It connects anew when the daemon was restarted.
#[derive(Debug)]
pub struct Syslog {
    settings: SyslogSettings,
    pid: u32,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// A sender that connects with the first line.
    pub fn new(settings: SyslogSettings, pid: u32) -> Self {
        Self {
            settings,
            pid,
            socket: None,
        }
    }

    /// Sends one line. An error means that this line is lost.
    pub fn send(&mut self, level: Level, body: &str) -> io::Result<()> {
        let priority = self.settings.facility.0 * 8 + level.syslog_severity();
        let datagram = format!("<{priority}>{}[{}]: {body}", self.settings.ident, self.pid);
        if let Some(socket) = &self.socket {
            match socket.send(datagram.as_bytes()) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.socket = None,
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.settings.socket)?;
        socket.set_nonblocking(true)?;
        socket.send(datagram.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(daemon: &UnixDatagram) -> String {
        let mut datagram = [0; 200];
        let length = daemon.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_line_carries_priority_ident_and_process_and_survives_a_restart_of_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let settings = SyslogSettings {
            facility: Facility::from_name("local3").unwrap(),
            ident: "weir".to_owned(),
            socket: path.clone(),
        };
        let mut syslog = Syslog::new(settings, 7);
        assert!(syslog.send(Level::Log, "nobody listens").is_err());

        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::Warning, "one").unwrap();
        assert_eq!(received(&daemon), "<156>weir[7]: one");

        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::Fatal, "two").unwrap();
        assert_eq!(received(&daemon), "<154>weir[7]: two");
    }

    #[test]
    fn facilities_are_known_by_name_in_any_case() {
        assert_eq!(Facility::from_name("Daemon"), Some(Facility::DAEMON));
        assert_eq!(Facility::from_name("local8"), None);
    }
}
