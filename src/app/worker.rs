//! A worker: one thread, one single-threaded runtime, the clients that were given to it.
//!
//! A client lives and dies on its worker, and takes servers of the same worker where it can.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::time::sleep;

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

/// How long the timer lasts that spares logins a wake-up of the event loop.
const EARLIER: Duration = Duration::from_secs(1);

/// The acceptor's end of a worker.
#[derive(Debug)]
pub struct Worker {
    queue: mpsc::Sender<Incoming>,
    runtime: Handle,
    service: Arc<Service>,
}

/// What every connection of a worker is served with.
#[derive(Debug)]
struct Service {
    pooler: Arc<Pooler>,
    consoles: Consoles,
    number: WorkerId,
    /// Connections that the worker has been given.
    load: Arc<AtomicUsize>,
    /// Whether a timer runs that ends before the time for a login that begins now.
    has_earlier_timer: Arc<AtomicBool>,
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
        let load = pooler.load(number);
        let service = Arc::new(Service {
            pooler,
            consoles,
            number,
            load,
            has_earlier_timer: Arc::default(),
        });
        let work = work(Arc::clone(&service), arrivals);
        thread::Builder::new()
            .name(format!("worker-{}", number.0))
            .spawn(move || runtime.block_on(work))?;
        Ok(Self {
            queue,
            runtime: handle,
            service,
        })
    }

    /// Its runtime, for work that belongs to no client.
    pub fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Connections that it serves.
    pub fn load(&self) -> usize {
        self.service.load.load(Ordering::Relaxed)
    }

    /// Gives it a connection; the connection comes back where the worker has too many new ones.
    pub fn give(&self, incoming: Incoming) -> Result<(), Incoming> {
        self.service.load.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(incoming).map_err(|refused| {
            self.service.load.fetch_sub(1, Ordering::Relaxed);
            refused.into_inner()
        })
    }

    /// Serves a connection that was accepted on the worker's own thread: it waits in no queue.
    pub fn keep(&self, incoming: Incoming) {
        self.service.load.fetch_add(1, Ordering::Relaxed);
        serve(&self.service, incoming);
    }
}

async fn work(service: Arc<Service>, mut arrivals: mpsc::Receiver<Incoming>) {
    tokio::spawn(watch(Arc::clone(&service.pooler), service.number));
    while let Some(incoming) = arrivals.recv().await {
        serve(&service, incoming);
    }
}

/// Starts the task of a connection, which has been counted.
fn serve(service: &Arc<Service>, incoming: Incoming) {
    if let Some(limit) = service.pooler.config().settings.client_login_timeout {
        set_earlier_timer(&service.has_earlier_timer, limit);
    }
    // Boxed, as what the way in needs is gone before the client's long life begins.
    let received = Box::pin(receive(Arc::clone(service), incoming));
    tokio::spawn(visit(received, Arc::clone(&service.load)));
}

/// Keeps one timer that ends before those of the logins that begin after it.
///
/// A timer that ends before all others wakes the event loop, by a system call, so that it waits for
/// less long. Without this one that would be the timer of nearly every login. It does not last for
/// as long as theirs: while there is a timer, the system sets one of its own each time that the event
/// loop waits, which is a twentieth of what a query of a lone client costs.
fn set_earlier_timer(is_running: &Arc<AtomicBool>, login_timeout: Duration) {
    if is_running.swap(true, Ordering::Relaxed) {
        return;
    }
    let is_running = Arc::clone(is_running);
    tokio::spawn(async move {
        sleep(login_timeout.min(EARLIER)).await;
        is_running.store(false, Ordering::Relaxed);
    });
}

/// One connection from its first byte to its last.
///
/// Every client has one of these for life. An `async fn` would hold what it is given twice.
fn visit(
    received: Pin<Box<impl Future<Output = Option<Box<Client>>> + Send>>,
    load: Arc<AtomicUsize>,
) -> impl Future<Output = ()> + Send {
    let load = Load(load);
    async move {
        if let Some(mut client) = received.await {
            client.live().await;
        }
        drop(load);
    }
}

/// Receives a connection. What is left to do is to serve the client, if it is one.
async fn receive(service: Arc<Service>, incoming: Incoming) -> Option<Box<Client>> {
    let (pooler, number) = (&service.pooler, service.number);
    match enter(pooler, incoming, number).await? {
        Entered::Client(guest) => {
            return Box::pin(welcome(Arc::clone(pooler), guest, number)).await;
        }
        Entered::Console(guest, rights) => {
            Box::pin(service.consoles.serve(pooler, guest, rights)).await;
        }
        Entered::Cancel(stream, key) => Box::pin(cancel(pooler, stream, &key)).await,
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earlier_timer_ends_before_a_login_may_and_after_a_second() {
        for (login_timeout, lasts) in [(60_000, 1_000), (300, 300)] {
            let is_running = Arc::new(AtomicBool::new(false));
            set_earlier_timer(&is_running, Duration::from_millis(login_timeout));
            sleep(Duration::from_millis(lasts - 1)).await;
            assert!(is_running.load(Ordering::Relaxed));
            sleep(Duration::from_millis(2)).await;
            assert!(!is_running.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn the_task_of_a_client_is_small() {
        let visit = visit(Box::pin(std::future::ready(None)), Arc::default());
        // Above 272 the runtime would round the task up by 128.
        let size = size_of_val(&visit);
        assert!(size <= 272, "{size} bytes");
    }
}
