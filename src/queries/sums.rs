//! Sans-IO. What all calls of a statement come to.

use super::histogram::Histogram;

/// Where a call ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// On the primary, or where there is one server only.
    Primary,
    /// On a replica.
    Replica,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With its answer.
    Done,
    /// With an error, or without an answer.
    Failed,
}

/// One call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Rows that it returned or changed.
    pub rows: u64,
    /// Bytes of its answer.
    pub bytes: u64,
    /// Time of the server.
    pub server_us: u64,
    /// Time in which its client waited for a server.
    pub waited_us: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it ran.
    pub host: Host,
}

/// Sums over calls. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    /// How many calls.
    pub calls: u64,
    /// Of these, how many failed.
    pub errors: u64,
    /// Of these, how many ran on a replica.
    pub on_replicas: u64,
    /// Rows returned or changed.
    pub rows: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// Time of the servers.
    pub total_us: u64,
    /// The longest of these times.
    pub max_us: u64,
    /// Time in which clients waited for a server.
    pub wait_us: u64,
    /// How the times of the servers are spread.
    pub times: Histogram,
}

impl Sums {
    /// Counts one call.
    #[inline]
    pub fn add(&mut self, call: &Answered) {
        self.calls += 1;
        self.errors += u64::from(call.outcome == Outcome::Failed);
        self.on_replicas += u64::from(call.host == Host::Replica);
        self.rows = self.rows.saturating_add(call.rows);
        self.bytes = self.bytes.saturating_add(call.bytes);
        self.total_us = self.total_us.saturating_add(call.server_us);
        self.max_us = self.max_us.max(call.server_us);
        self.wait_us = self.wait_us.saturating_add(call.waited_us);
        self.times.add(call.server_us);
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.on_replicas += other.on_replicas;
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.total_us = self.total_us.saturating_add(other.total_us);
        self.max_us = self.max_us.max(other.max_us);
        self.wait_us = self.wait_us.saturating_add(other.wait_us);
        self.times.merge(&other.times);
    }

    /// Average time of the server.
    pub fn mean_us(&self) -> u64 {
        self.total_us.checked_div(self.calls).unwrap_or(0)
    }

    /// The time that so many per cent of the calls did not exceed.
    pub fn percentile_us(&self, percent: u32) -> u64 {
        self.times.percentile(percent).min(self.max_us)
    }

    /// Share of the calls that ran on replicas, in per cent.
    pub fn replica_percent(&self) -> u64 {
        let share = self.on_replicas.saturating_mul(100).checked_div(self.calls);
        share.unwrap_or(0)
    }
}
