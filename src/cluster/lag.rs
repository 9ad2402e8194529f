//! Sans-IO. How far a replica is behind, in bytes and in time, by one clock: ours.
//!
//! Invariant: the time is never more than the truth; it is less by at most one check period.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::view::Lag;
use crate::lsn::Lsn;

/// Positions of the primary that are remembered.
const KEPT: usize = 256;

/// Where the primary was, when.
#[derive(Debug, Default)]
pub(super) struct History {
    passed: VecDeque<(Instant, Lsn)>,
    /// Two entries are this far apart at least.
    width: Duration,
}

impl History {
    /// One that reaches back somewhat further than `span`.
    pub(super) fn reaching(span: Duration) -> Self {
        Self {
            passed: VecDeque::new(),
            width: span / 128,
        }
    }

    /// The primary was asked then, and was there.
    pub(super) fn push(&mut self, asked_at: Instant, lsn: Lsn) {
        if let Some((_, last)) = self.passed.back_mut() {
            if lsn <= *last {
                return;
            }
            let before = self.passed.len().checked_sub(2);
            let before = before.and_then(|before| self.passed.get(before));
            let crowded = before.is_some_and(|(time, _)| asked_at < *time + self.width);
            if crowded && let Some(last) = self.passed.back_mut() {
                *last = (asked_at, lsn);
                return;
            }
        }
        if self.passed.len() == KEPT {
            self.passed.pop_front();
        }
        self.passed.push_back((asked_at, lsn));
    }

    /// Another primary, whose positions have nothing to do with these.
    pub(super) fn clear(&mut self) {
        self.passed.clear();
    }

    /// How far a replica is behind that was there when it was asked.
    pub(super) fn lag(&self, shown: Lsn, asked_at: Instant) -> Option<Lag> {
        let (_, newest) = self.passed.back()?;
        let bytes = newest.0.saturating_sub(shown.0);
        let place = self.passed.partition_point(|(_, lsn)| *lsn <= shown);
        let beyond = self.passed.get(place).map(|(time, _)| *time);
        let time = beyond.map_or(Duration::ZERO, |beyond| {
            asked_at.saturating_duration_since(beyond)
        });
        Some(Lag { bytes, time })
    }
}
