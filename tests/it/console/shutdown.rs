//! The ends of a process: by command and by signal.

use std::net::TcpStream;

use nix::sys::signal::Signal;

use super::run;
use crate::support::message::query;
use crate::support::wait::until;
use crate::support::{Setup, Weir};

fn assert_ends_well(weir: &mut Weir) {
    let status = weir.until_ended();
    assert!(status.success(), "{status}");
}

fn refuses_connections(weir: &Weir) -> bool {
    TcpStream::connect(("127.0.0.1", weir.port())).is_err()
}

#[test]
fn shutdown_ends_at_once() {
    let mut weir = Setup::new().start();
    let mut client = weir.app();
    client.run("begin");
    let mut console = weir.console();
    console.send(&query("shutdown"));
    console.until_closed();
    assert_ends_well(&mut weir);
}

#[test]
fn quit_ends_at_once() {
    let mut weir = Setup::new().start();
    let mut client = weir.app();
    client.run("begin");
    weir.signal(Signal::SIGQUIT);
    assert_ends_well(&mut weir);
}

/// What waits for clients: the command and its signal.
#[test]
fn waiting_for_clients_lets_them_finish_and_nobody_in() {
    for by_signal in [true, false] {
        let mut weir = Setup::new().start();
        let mut client = weir.app();
        client.run("begin");
        if by_signal {
            weir.signal(Signal::SIGTERM);
        } else {
            run(&mut weir.console(), "shutdown wait_for_clients", "SHUTDOWN");
        }
        until("nobody is let in", || refuses_connections(&weir));
        assert_eq!(client.value("select 1"), "1");
        client.run("commit");
        assert_eq!(client.value("select 2"), "2");
        assert!(weir.is_alive());
        drop(client);
        assert_ends_well(&mut weir);
    }
}

/// What waits for servers: the command and its signal.
#[test]
fn waiting_for_servers_lets_transactions_finish_and_starts_none() {
    for by_signal in [true, false] {
        let mut weir = Setup::new().start();
        let (mut busy, mut next) = (weir.app(), weir.app());
        busy.run("begin");
        if by_signal {
            weir.signal(Signal::SIGINT);
        } else {
            run(&mut weir.console(), "shutdown wait_for_servers", "SHUTDOWN");
        }
        until("nobody is let in", || refuses_connections(&weir));
        next.send(&query("select 1"));
        assert_eq!(next.farewell(), "08P01 server shutting down");
        assert_eq!(busy.value("select 2"), "2");
        busy.send(&query("commit"));
        assert_eq!(
            busy.until_tag(b'Z').last().map(|frame| frame.tag),
            Some(b'Z')
        );
        assert_ends_well(&mut weir);
    }
}

#[test]
fn a_second_signal_ends_the_wait() {
    for (first, second) in [
        (Signal::SIGTERM, Signal::SIGTERM),
        (Signal::SIGTERM, Signal::SIGINT),
        (Signal::SIGINT, Signal::SIGINT),
    ] {
        let mut weir = Setup::new().start();
        let mut client = weir.app();
        client.run("begin");
        weir.signal(first);
        until("nobody is let in", || refuses_connections(&weir));
        weir.signal(second);
        assert_ends_well(&mut weir);
    }
}

#[test]
fn the_pid_file_and_the_socket_go_with_the_process() {
    let mut weir = Setup::new()
        .set("pidfile", "{dir}/own.pid")
        .set("unix_socket_dir", "{dir}")
        .start();
    let pid_file = weir.dir().join("own.pid");
    let socket = weir.dir().join(format!(".s.PGSQL.{}", weir.port()));
    until("the pid file is there", || pid_file.exists());
    let written = std::fs::read_to_string(&pid_file).unwrap();
    assert_eq!(written.trim(), weir.pid().to_string());
    assert!(socket.exists());
    weir.signal(Signal::SIGTERM);
    assert_ends_well(&mut weir);
    assert!(!pid_file.exists());
    assert!(!socket.exists());
}
