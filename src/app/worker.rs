//! A worker: one thread, one single-threaded runtime, the clients that were given to it.
//!
//! A client lives and dies on its worker, and takes servers of the same worker where it can.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;

use super::console::Consoles;
use crate::client::cancel::cancel;
use crate::client::enter::{Entered, enter};
use crate::client::life::{Client, welcome};
use crate::net::Incoming;
use crate::pool::WorkerId;
use crate::pooler::Pooler;
use crate::pooler::watch::watch;

/// Accepted sockets that may wait for a worker to register them.
const QUEUE: usize = 1024;

/// Threads for key derivation and name look-ups, for each worker.
const BLOCKING_THREADS: usize = 8;

/// The acceptor's end of a worker.
#[derive(Debug)]
pub struct Worker {
    queue: mpsc::Sender<Incoming>,
    runtime: Handle,
    load: Arc<AtomicUsize>,
}

/// What every connection of a worker is served with.
#[derive(Debug, Clone)]
struct Service {
    pooler: Arc<Pooler>,
    consoles: Consoles,
    number: WorkerId,
}

/// Counts a connection to its worker.
struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    /// Starts a worker's thread.
    pub fn start(pooler: Arc<Pooler>, consoles: Consoles, number: WorkerId) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        let (queue, arrivals) = mpsc::channel(QUEUE);
        let load = Arc::new(AtomicUsize::new(0));
        let service = Service {
            pooler,
            consoles,
            number,
        };
        let counted = Arc::clone(&load);
        thread::Builder::new()
            .name(format!("worker-{}", number.0))
            .spawn(move || runtime.block_on(work(service, arrivals, counted)))?;
        Ok(Self {
            queue,
            runtime: handle,
            load,
        })
    }

    /// Its runtime, for work that belongs to no client.
    pub fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Connections that it serves.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives it a connection; the connection comes back where the worker has too many new ones.
    pub fn give(&self, incoming: Incoming) -> Result<(), Incoming> {
        self.load.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(incoming).map_err(|refused| {
            self.load.fetch_sub(1, Ordering::Relaxed);
            refused.into_inner()
        })
    }
}

async fn work(service: Service, mut arrivals: mpsc::Receiver<Incoming>, load: Arc<AtomicUsize>) {
    tokio::spawn(watch(Arc::clone(&service.pooler), service.number));
    while let Some(incoming) = arrivals.recv().await {
        let load = Load(Arc::clone(&load));
        // Boxed, as what the way in needs is gone before the client's long life begins.
        let received = Box::pin(receive(service.clone(), incoming));
        tokio::spawn(async move {
            if let Some(mut client) = received.await {
                client.live().await;
            }
            drop(load);
        });
    }
}

/// Receives a connection. What is left to do is to serve the client, if it is one.
async fn receive(service: Service, incoming: Incoming) -> Option<Box<Client>> {
    let Service {
        pooler,
        consoles,
        number,
    } = service;
    match enter(&pooler, incoming, number).await? {
        Entered::Client(guest) => return Box::pin(welcome(pooler, guest, number)).await,
        Entered::Console(guest, rights) => {
            Box::pin(consoles.serve(&pooler, guest, rights)).await;
        }
        Entered::Cancel(stream, key) => Box::pin(cancel(&pooler, stream, &key)).await,
    }
    None
}
