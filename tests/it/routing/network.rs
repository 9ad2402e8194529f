//! A network that loses everything on the way to a replica, and says nothing of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use pgweir::demo::cluster::Server;
use pgweir::demo::interrupt::Deadline;

use super::Stage;
use super::failover::{answered, ports};
use crate::support::Setup;
use crate::support::fixture::options;
use crate::support::wait::until;

/// What the cable does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cable {
    Whole,
    /// What is sent arrives nowhere, for as long as this lasts.
    Cut,
    /// The test is over.
    Gone,
}

/// A cable that connections to a server go through.
#[derive(Debug)]
struct Network {
    port: u16,
    cable: Arc<(Mutex<Cable>, Condvar)>,
}

impl Network {
    fn before(server: &Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, upstream) = (listener.local_addr().unwrap().port(), server.port());
        let cable = Arc::new((Mutex::new(Cable::Whole), Condvar::new()));
        let shared = Arc::clone(&cable);
        thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || join(&client.unwrap(), upstream, &shared));
            }
        });
        Self { port, cable }
    }

    fn is(&self, cable: Cable) {
        *self.cable.0.lock().unwrap() = cable;
        self.cable.1.notify_all();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.is(Cable::Gone);
    }
}

/// Waits until the cable is whole; false when it never will be.
fn passes((cable, changed): &(Mutex<Cable>, Condvar)) -> bool {
    let cable = cable.lock().unwrap();
    let cable = changed.wait_while(cable, |cable| *cable == Cable::Cut);
    *cable.unwrap() == Cable::Whole
}

fn join(client: &TcpStream, upstream: u16, cable: &Arc<(Mutex<Cable>, Condvar)>) {
    if !passes(cable) {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)) else {
        return;
    };
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let shared = Arc::clone(cable);
    let backwards = thread::spawn(move || pump(&back.0, &back.1, &shared));
    pump(client, &server, cable);
    backwards.join().unwrap();
}

/// Carries one way, until one of the two ends closes or the test is over.
fn pump(mut from: &TcpStream, mut to: &TcpStream, cable: &(Mutex<Cable>, Condvar)) {
    from.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut buffer = [0; 16 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        if !passes(cable) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other one may have done so already.
    to.shutdown(Shutdown::Both).ok();
}

#[test]
fn reads_leave_a_replica_behind_a_dead_network_and_come_back_to_it() {
    let stage = Stage::start(options());
    let [near, far] = stage.cluster.replicas() else {
        panic!("two replicas")
    };
    let network = Network::before(far);
    let entry = format!(
        "app = host=127.0.0.1 port={} replicas='127.0.0.1:{},127.0.0.1:{}'",
        stage.cluster.primary().port(),
        near.port(),
        network.port
    );
    let weir = Setup::new()
        .entry(&entry)
        .set("monitor_user", "monitor")
        .user("monitor", "")
        .set("replica_check_period", 0.05)
        .set("replica_check_timeout", 0.3)
        .set("replica_slow_start", 0)
        .set("server_login_retry", 0.1)
        .start();
    let all = || ports(&weir).contains(&far.port());
    until("both replicas answer", all);
    network.is(Cable::Cut);
    // A timeout of 0.3 s, and a second to move; the rest is for a busy machine.
    let deadline = Deadline::after(Duration::from_secs(8));
    until("reads have left it", || {
        (0..20).all(|_| answered(weir.port()))
    });
    assert!(!deadline.passed());
    network.is(Cable::Whole);
    until("both replicas answer again", all);
}
