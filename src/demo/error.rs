//! Why a demo ends early.

use std::io;

use super::account::AccountError;
use super::bench::BenchError;
use super::cluster::ClusterError;
use super::fetch::FetchError;
use super::pooler::PoolerError;

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The user pressed Ctrl-C before it was up. Everything has been cleaned up.
    #[error("interrupted by a signal")]
    Interrupted,
    /// Signals cannot be caught.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// Its own text cannot be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    /// Where this program lies is unknown.
    #[error("cannot find the program that is running: {0}")]
    Program(io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a password")]
    Random,
    /// The port asked for is in use.
    #[error("port {0} of 127.0.0.1 is in use, choose another one with --port")]
    PortTaken(u16),
    /// Nobody to run servers as.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The server programs asked for cannot be used.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Servers failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// pgweir failed.
    #[error(transparent)]
    Pooler(#[from] PoolerError),
    /// pgbench failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
}
