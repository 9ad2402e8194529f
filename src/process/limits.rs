//! The limit on open descriptors.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Soft and hard limit on open descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// What the kernel allows now.
    pub soft: u64,
    /// How far an unprivileged process may raise it.
    pub hard: u64,
}

/// Raises the soft limit to the hard one, since each connection is a descriptor. A kernel that
/// refuses leaves the limit as it was, which the returned figures show.
pub fn raise_descriptors() -> nix::Result<Descriptors> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    Ok(Descriptors {
        soft: if raised { hard } else { soft },
        hard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_ends_at_the_hard_one() {
        let limits = raise_descriptors().unwrap();
        assert_eq!(limits.soft, limits.hard);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(limits, Descriptors { soft, hard });
    }
}
