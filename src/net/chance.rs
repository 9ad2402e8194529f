//! Random bytes for secrets, drawn from the kernel in advance.
//!
//! A login needs a nonce and a cancel key; each thread draws for several of them with one call.
//! Invariant: no byte is given out twice, and what has been given out is not kept.

use std::cell::RefCell;

use ring::rand::{SecureRandom, SystemRandom};

/// Bytes drawn at once: enough for a dozen logins.
const DRAWN: usize = 384;

/// The kernel gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoChance;

struct Pool {
    bytes: [u8; DRAWN],
    /// How many of them, at the end, have not been given out.
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            bytes: [0; DRAWN],
            left: 0,
        })
    };
}

/// Random bytes that nobody has seen.
pub fn draw<const N: usize>() -> Result<[u8; N], NoChance> {
    const { assert!(N <= DRAWN, "more than is drawn at once") };
    POOL.with_borrow_mut(|pool| {
        if pool.left < N {
            pool.left = 0;
            SystemRandom::new()
                .fill(&mut pool.bytes)
                .map_err(|_| NoChance)?;
            pool.left = DRAWN;
        }
        let unused = pool.bytes.get_mut(DRAWN - pool.left..).unwrap_or_default();
        let next = unused.first_chunk_mut::<N>().ok_or(NoChance)?;
        pool.left -= N;
        Ok(std::mem::replace(next, [0; N]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_given_out_twice_or_kept() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10 * DRAWN / 16 {
            let bytes: [u8; 16] = draw().unwrap();
            assert!(seen.insert(bytes));
            POOL.with_borrow(|pool| {
                let (given, unused) = pool.bytes.split_at(DRAWN - pool.left);
                assert!(given.iter().all(|&byte| byte == 0));
                assert!(!unused.windows(16).any(|window| window == bytes));
            });
        }
    }

    #[test]
    fn a_rest_that_is_too_short_is_not_stretched() {
        let first: [u8; 300] = draw().unwrap();
        let second: [u8; 300] = draw().unwrap();
        assert!(!second.windows(8).any(|window| window == [0; 8]));
        assert_ne!(first, second);
    }
}
