//! The pid file (setting `pidfile`): tells others which process to signal, and keeps a second
//! instance with the same configuration from starting.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Why the pid file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Its process lives.
    #[error("pidfile '{}' exists, another instance running? (process {pid})", path.display())]
    Owned {
        /// The file.
        path: PathBuf,
        /// The process in it.
        pid: i32,
    },
    /// It could not be read, removed or written.
    #[error("could not {action} pidfile '{}': {source}", path.display())]
    Io {
        /// `read`, `remove` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A pid file that this process has written. [`PidFile::remove`] takes it away again.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    pid: u32,
}

/// Whether a file of a process that is gone was in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// There was one; it was removed, which is worth a line in the log.
    Removed,
    /// There was none.
    None,
}

impl PidFile {
    /// Writes the pid of this process into `path`, unless a living process has it.
    pub fn take(path: &Path) -> Result<(Self, Stale), PidFileError> {
        let pid = std::process::id();
        let failed = |action, source| PidFileError::Io {
            action,
            path: path.to_owned(),
            source,
        };
        let stale = match read_owner(path).map_err(|error| failed("read", error))? {
            Owner::NoFile => Stale::None,
            Owner::Alive(pid) => {
                return Err(PidFileError::Owned {
                    path: path.to_owned(),
                    pid,
                });
            }
            Owner::Gone => {
                fs::remove_file(path).map_err(|error| failed("remove", error))?;
                Stale::Removed
            }
        };
        // `create_new`, so that of two instances that start at once only one goes on.
        let written = fs::File::create_new(path).and_then(|mut file| writeln!(file, "{pid}"));
        written.map_err(|error| failed("write", error))?;
        Ok((
            Self {
                path: path.to_owned(),
                pid,
            },
            stale,
        ))
    }

    /// Removes the file, if it is still ours.
    pub fn remove(self) -> io::Result<()> {
        let ours = fs::read_to_string(&self.path)?.trim() == self.pid.to_string();
        if ours {
            fs::remove_file(&self.path)
        } else {
            Ok(())
        }
    }
}

enum Owner {
    NoFile,
    Gone,
    Alive(i32),
}

fn read_owner(path: &Path) -> io::Result<Owner> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Owner::NoFile),
        Err(error) => return Err(error),
    };
    // In a container the file may outlive the process and its pid be ours now (often 1).
    let own = i32::try_from(std::process::id()).ok();
    let pid = text
        .trim()
        .parse::<i32>()
        .ok()
        .filter(|pid| *pid > 0 && Some(*pid) != own);
    Ok(match pid {
        // EPERM also means that there is such a process.
        Some(pid) if kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH) => Owner::Alive(pid),
        Some(_) | None => Owner::Gone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_in(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join("weir.pid")
    }

    #[test]
    fn a_taken_file_has_our_pid_and_goes_when_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, stale) = PidFile::take(&path_in(&dir)).unwrap();
        assert_eq!(stale, Stale::None);
        let text = fs::read_to_string(path_in(&dir)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        file.remove().unwrap();
        assert!(!path_in(&dir).exists());
    }

    #[test]
    fn the_file_of_a_living_process_is_respected() {
        let dir = tempfile::tempdir().unwrap();
        let parent = std::os::unix::process::parent_id();
        fs::write(path_in(&dir), format!("{parent}\n")).unwrap();
        let error = PidFile::take(&path_in(&dir)).unwrap_err();
        assert!(matches!(error, PidFileError::Owned { .. }), "{error}");
        assert!(error.to_string().contains("another instance running?"));
        assert_eq!(
            fs::read_to_string(path_in(&dir)).unwrap(),
            format!("{parent}\n")
        );
    }

    #[test]
    fn files_of_dead_processes_of_ourselves_and_with_rubbish_are_stale() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let own = std::process::id().to_string();
        for text in [
            child.id().to_string(),
            own,
            "-1".to_owned(),
            "x".to_owned(),
            String::new(),
        ] {
            fs::write(path_in(&dir), &text).unwrap();
            let (file, stale) = PidFile::take(&path_in(&dir)).unwrap();
            assert_eq!(stale, Stale::Removed, "{text:?}");
            file.remove().unwrap();
        }
    }

    #[test]
    fn a_file_that_somebody_else_took_over_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = PidFile::take(&path_in(&dir)).unwrap();
        fs::write(path_in(&dir), "1\n").unwrap();
        file.remove().unwrap();
        assert!(path_in(&dir).exists());
    }
}
