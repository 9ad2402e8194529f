//! Which user the process runs as (setting `user`, option `-u`).
//!
//! A pooler needs no rights of the superuser, so it refuses to serve with them.

use nix::errno::Errno;
use nix::unistd::{Gid, User, getegid, geteuid, setgid, setgroups, setuid};

/// Why the process may not go on under its user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Neither `user` nor `-u` names somebody else.
    #[error("pgweir should not run as root: name another user with -u or the setting user")]
    Root,
    /// No such user.
    #[error("could not find user '{0}' to switch to")]
    Unknown(String),
    /// The system refused the switch; it needs root.
    #[error("failed to assume identity of user '{user}': {errno}")]
    Refused {
        /// Whom to become.
        user: String,
        /// What the system said.
        errno: Errno,
    },
}

/// Becomes `user` when one is named, for good: user, group and supplementary groups. Then refuses
/// root. Call it before any listener opens, and before any other thread is started.
pub fn assume(user: Option<&str>) -> Result<(), IdentityError> {
    if let Some(name) = user {
        let known = User::from_name(name).ok().flatten();
        let target = known.ok_or_else(|| IdentityError::Unknown(name.to_owned()))?;
        become_user(&target).map_err(|errno| IdentityError::Refused {
            user: name.to_owned(),
            errno,
        })?;
    }
    if geteuid().is_root() {
        Err(IdentityError::Root)
    } else {
        Ok(())
    }
}

fn become_user(target: &User) -> nix::Result<()> {
    if geteuid() == target.uid && getegid() == target.gid {
        return Ok(()); // an unprivileged process may not touch its groups, and need not
    }
    // Groups first: afterwards there is no right left to change them.
    setgroups(&[target.gid])?;
    setgid(target.gid)?;
    setuid(target.uid)?;
    debug_assert_eq!(Gid::effective(), target.gid);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_named_in_the_error() {
        let error = assume(Some("no-such-user-here")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not find user 'no-such-user-here' to switch to"
        );
    }

    #[test]
    fn root_is_refused_with_or_without_naming_it_and_others_may_stay() {
        let outcome = assume(None);
        if geteuid().is_root() {
            assert_eq!(outcome, Err(IdentityError::Root));
            assert_eq!(assume(Some("root")), Err(IdentityError::Root));
        } else {
            assert_eq!(outcome, Ok(()));
            let me = User::from_uid(geteuid()).unwrap().unwrap();
            assert_eq!(assume(Some(&me.name)), Ok(()));
        }
    }
}
