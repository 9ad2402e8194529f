//! The proxy without its process: one worker, one pool, on the caller's runtime.

use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use pgweir::app::tls;
use pgweir::client::enter::{Entered, enter};
use pgweir::client::life::welcome;
use pgweir::config::load;
use pgweir::net::Incoming;
use pgweir::pool::{WorkerId, janitor};
use pgweir::pooler::watch::watch;
use pgweir::pooler::{Parts, Pooler};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Handle};

use crate::{now, server};

const WORKER: WorkerId = WorkerId(0);

/// A proxy and the servers behind it.
pub struct Proxy {
    pub pooler: Arc<Pooler>,
    /// Where the servers listen.
    _dir: TempDir,
}

impl Proxy {
    /// Starts both in the current runtime; the servers answer each query with these rows.
    pub fn start(pool_size: u32, rows: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        tokio::spawn(server::serve(listener, rows.to_vec()));
        // A machine that is busy with other things makes queries slow, and a slow one is logged.
        let text = format!(
            "[databases]\ndb = host={} port=5432 user=app\n[pgbouncer]\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {pool_size}\n\
             log_min_duration = 600000\n",
            dir.path().display()
        );
        let read = move |_: &str| Ok(text.clone().into_bytes());
        let config = load(&read, "x.ini", &[]).unwrap().config;
        let tls = tls::build(&config).unwrap();
        let pooler = Pooler::new(Parts {
            config,
            client_tls: tls.client,
            server_tls: tls.server,
            random: [7; 32],
            workers: 1,
            now: now(),
        });
        pooler.start_workers(vec![Handle::current()]);
        tokio::spawn(watch(Arc::clone(&pooler), WORKER));
        // As in the program, time passes on a thread of its own, which is not counted.
        let pools = pooler.pools.clone();
        std::thread::spawn(|| {
            let time = Builder::new_current_thread().enable_time().build();
            time.unwrap().block_on(janitor::run(pools))
        });
        Self { pooler, _dir: dir }
    }

    /// A new connection to it.
    pub fn enter(&self) -> UnixStream {
        let (ours, theirs) = StdStream::pair().unwrap();
        for end in [&ours, &theirs] {
            end.set_nonblocking(true).unwrap();
        }
        let pooler = Arc::clone(&self.pooler);
        tokio::spawn(async move {
            let entered = Box::pin(enter(&pooler, Incoming::from(theirs), WORKER)).await;
            if let Some(Entered::Client(guest)) = entered
                && let Some(mut client) = Box::pin(welcome(pooler, guest, WORKER)).await
            {
                client.live().await;
            }
        });
        UnixStream::from_std(ours).unwrap()
    }
}
