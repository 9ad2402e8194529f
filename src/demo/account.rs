//! The operating system user that servers run as: `PostgreSQL` refuses to run as root.

use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, geteuid};

/// Accounts that root steps down to, best first; every Debian has both once `PostgreSQL` is there.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Why no account could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The account asked for does not exist.
    #[error("no operating system user named {name:?}")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// Only root can start programs as somebody else.
    #[error("only root can start servers as user {name:?}")]
    NotRoot {
        /// The name that was asked for.
        name: String,
    },
    /// The account asked for is root itself.
    #[error("PostgreSQL does not run as root, choose another user than {name:?}")]
    Root {
        /// The name that was asked for.
        name: String,
    },
    /// We are root and none of the usual accounts exists.
    #[error("running as root, and there is no user \"postgres\" or \"nobody\" to run servers as")]
    NoneUsable,
    /// The user database could not be read.
    #[error("cannot look up operating system users: {0}")]
    Lookup(#[from] nix::Error),
}

/// Who runs the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The user that runs pgweir.
    Myself,
    /// Another user, because pgweir runs as root.
    Other {
        /// Its name.
        name: String,
        /// Its user id, never 0.
        uid: u32,
        /// Its primary group.
        gid: u32,
    },
}

impl Account {
    /// The account to use: `wanted`, or ourselves, or an unprivileged one when we are root.
    pub fn choose(wanted: Option<&str>) -> Result<Self, AccountError> {
        match (wanted, geteuid().is_root()) {
            (None, false) => Ok(Self::Myself),
            (None, true) => Self::first_unprivileged(),
            (Some(name), root) => Self::named(name, root),
        }
    }

    fn first_unprivileged() -> Result<Self, AccountError> {
        for name in UNPRIVILEGED {
            match User::from_name(name)? {
                Some(user) if !user.uid.is_root() => return Ok(Self::from_user(user)),
                Some(_) | None => {}
            }
        }
        Err(AccountError::NoneUsable)
    }

    fn named(name: &str, root: bool) -> Result<Self, AccountError> {
        let name_owned = || name.to_owned();
        let user =
            User::from_name(name)?.ok_or_else(|| AccountError::Unknown { name: name_owned() })?;
        if user.uid == geteuid() && !root {
            return Ok(Self::Myself);
        }
        if !root {
            return Err(AccountError::NotRoot { name: name_owned() });
        }
        if user.uid.is_root() {
            return Err(AccountError::Root { name: name_owned() });
        }
        Ok(Self::from_user(user))
    }

    fn from_user(user: User) -> Self {
        let User { name, uid, gid, .. } = user;
        Self::Other {
            name,
            uid: Uid::as_raw(uid),
            gid: Gid::as_raw(gid),
        }
    }

    /// Makes `command` run as this account.
    pub fn apply(&self, command: &mut Command) {
        match self {
            Self::Myself => {}
            // The standard library also drops root's supplementary groups when it sets a user.
            Self::Other { uid, gid, .. } => {
                command.uid(*uid).gid(*gid);
            }
        }
    }

    /// Gives one file or directory to this account.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Myself => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_never_runs_servers_and_others_run_them_themselves() {
        match Account::choose(None) {
            Ok(Account::Myself) => assert!(!geteuid().is_root()),
            Ok(Account::Other { uid, .. }) => assert!(geteuid().is_root() && uid != 0),
            Err(error) => panic!("{error}"),
        }
        assert!(Account::choose(Some("root")).is_err());
    }

    #[test]
    fn an_unknown_account_is_refused_by_name() {
        let error = Account::choose(Some("no-such-user-here")).unwrap_err();
        assert!(error.to_string().contains("no-such-user-here"));
    }
}
