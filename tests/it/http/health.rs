//! `/healthz` and `/readyz`.

use nix::sys::signal::Signal;
use pgweir::demo::cluster::free_port;

use super::ask::get;
use super::start;
use crate::support::Setup;
use crate::support::wait::until;

#[test]
fn a_pooler_is_ready_while_it_serves_and_alive_to_the_end() {
    let (mut weir, port) = start(&Setup::new());
    let readyz = || {
        let answer = get(port, "/readyz");
        (answer.status, answer.body)
    };
    assert_eq!(readyz(), (200, "ready\n".to_owned()));
    let mut client = weir.app();
    client.run("begin");
    let mut console = weir.console();
    console.send(&crate::support::message::query("pause"));
    until("paused", || readyz() == (503, "paused\n".to_owned()));
    assert_eq!(get(port, "/healthz").status, 200);
    client.run("commit");
    console.until_ready(1);
    weir.console().run("resume");
    assert_eq!(readyz().0, 200);
    client.run("begin");
    weir.signal(Signal::SIGTERM);
    until("draining", || {
        readyz() == (503, "shutting down\n".to_owned())
    });
    assert_eq!(get(port, "/healthz").body, "ok\n");
    client.run("commit");
    drop((client, console));
    weir.until_ended();
}

#[test]
fn a_pooler_whose_server_cannot_be_reached_is_not_ready() {
    let nobody = free_port().unwrap();
    let setup = Setup::new().entry(&format!("it = host=127.0.0.1 port={nobody}"));
    let (weir, port) = start(&setup);
    let answer = get(port, "/readyz");
    assert_eq!(
        (answer.status, &*answer.body),
        (503, "no primary can be reached\n")
    );
    assert_eq!(get(port, "/healthz").status, 200);
    weir.rewrite(&Setup::new());
    weir.console().run("reload");
    until("ready", || get(port, "/readyz").status == 200);
}
