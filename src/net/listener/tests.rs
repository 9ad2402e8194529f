use super::unix::{UnixListenOptions, UnixPlace, bind_unix};
use super::*;
use std::os::unix::fs::PermissionsExt;

fn options(sharing: PortSharing) -> TcpListenOptions {
    TcpListenOptions {
        port: 0,
        backlog: 128,
        sharing,
        defer_accept: None,
    }
}

fn unix_options(dir: &str) -> UnixListenOptions {
    UnixListenOptions {
        dir: dir.to_owned(),
        port: 6432,
        mode: 0o770,
        group: None,
        backlog: 128,
    }
}

#[tokio::test]
async fn waiting_clients_are_accepted_in_one_call_up_to_the_limit() {
    let bound = bind_tcp("127.0.0.1", &options(PortSharing::Exclusive)).unwrap();
    let listener = bound
        .into_iter()
        .next()
        .unwrap()
        .register(&SocketOptions::default())
        .unwrap();
    let Listener::Tcp(inner) = &listener else {
        panic!("not TCP");
    };
    let address = inner.listener.local_addr().unwrap();
    let clients: Vec<_> = (0..5)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut batch = Vec::new();
    listener.accept(&mut batch, 3).await.unwrap();
    assert_eq!(batch.len(), 3);
    listener.accept(&mut batch, 3).await.unwrap();
    assert_eq!(batch.len(), 5);
    for (incoming, client) in batch.into_iter().zip(&clients) {
        let local = incoming.local_address();
        let stream = incoming.into_stream(&SocketOptions::default()).unwrap();
        let Stream::Tcp(tcp) = &stream else {
            panic!("not TCP");
        };
        assert_eq!(tcp.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(local, Some(tcp.local_addr().unwrap()));
        assert!(tcp.nodelay().unwrap());
    }
}

#[tokio::test]
async fn a_client_can_go_to_another_runtime() {
    use tokio::io::AsyncReadExt;
    let bound = bind_tcp("127.0.0.1", &options(PortSharing::Exclusive)).unwrap();
    let listener = bound.into_iter().next().unwrap();
    let mut client = TcpStream::connect(listener.address().unwrap()).unwrap();
    let listener = listener.register(&SocketOptions::default()).unwrap();
    let mut batch = Vec::new();
    listener.accept(&mut batch, 10).await.unwrap();
    let incoming = batch.pop().unwrap().loose().unwrap();
    let worker = std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(async {
            let mut stream = incoming.into_stream(&SocketOptions::default()).unwrap();
            let mut seen = [0; 2];
            stream.read_exact(&mut seen).await.unwrap();
            seen
        })
    });
    std::io::Write::write_all(&mut client, b"hi").unwrap();
    assert_eq!(worker.join().unwrap(), *b"hi");
}

#[test]
fn a_port_is_shared_only_on_request() {
    let bind = |port, sharing| {
        bind_tcp(
            "127.0.0.1",
            &TcpListenOptions {
                port,
                ..options(sharing)
            },
        )
    };
    let first = bind(0, PortSharing::Shared).unwrap();
    let port = first[0].address().unwrap().port();
    assert!(bind(port, PortSharing::Shared).is_ok());
    let error = bind(port, PortSharing::Exclusive).unwrap_err();
    assert!(
        matches!(error, ListenError::Tcp { step: "bind", .. }),
        "{error}"
    );
}

#[test]
fn listen_addr_is_a_list_of_addresses_names_and_a_star() {
    let bind = |list| bind_tcp(list, &options(PortSharing::Exclusive));
    assert!(bind("").unwrap().is_empty());
    let two = bind("127.0.0.1, 127.0.0.2").unwrap();
    assert_eq!(two.len(), 2);
    assert!(!bind("localhost").unwrap().is_empty());
    let all = bind("*").unwrap();
    assert!(all[0].address().unwrap().ip().is_unspecified());
    let error = bind("no such host.invalid").unwrap_err();
    assert!(matches!(error, ListenError::Resolve { .. }), "{error}");
}

#[test]
fn a_unix_socket_has_its_mode_and_is_removed_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (_bound, place) = bind_unix(&unix_options(dir.path().to_str().unwrap())).unwrap();
    let path = dir.path().join(".s.PGSQL.6432");
    assert_eq!(place, UnixPlace::File(path.clone()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o770);
    place.remove().unwrap();
    assert!(!path.exists());
    place.remove().unwrap();
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_respected() {
    let dir = tempfile::tempdir().unwrap();
    let options = unix_options(dir.path().to_str().unwrap());
    let (first, _) = bind_unix(&options).unwrap();
    let error = bind_unix(&options).unwrap_err();
    assert_eq!(error.to_string(), "unix socket is in use, cannot continue");
    drop(first);
    assert!(dir.path().join(".s.PGSQL.6432").exists());
    bind_unix(&options).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".s.PGSQL.6432");
    std::fs::write(&path, "precious").unwrap();
    let outcome = bind_unix(&unix_options(dir.path().to_str().unwrap()));
    assert!(matches!(outcome, Err(ListenError::NotASocket { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn mistakes_in_the_unix_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = unix_options(dir.path().to_str().unwrap());
    options.group = Some("no-such-group".to_owned());
    assert!(matches!(
        bind_unix(&options),
        Err(ListenError::UnknownGroup(_))
    ));
    let long = unix_options(&format!("/{}", "x".repeat(200)));
    assert!(matches!(
        bind_unix(&long),
        Err(ListenError::Unix { step: "bind", .. })
    ));
    let absent = unix_options("/nonexistent/directory");
    assert!(matches!(
        bind_unix(&absent),
        Err(ListenError::Unix { step: "bind", .. })
    ));
}

#[tokio::test]
async fn abstract_sockets_are_spelled_like_libpq_does() {
    let name = format!("@pgweir-test-{}", std::process::id());
    let (bound, place) = bind_unix(&unix_options(&name)).unwrap();
    assert_eq!(
        place.display().to_str().unwrap(),
        format!("{name}/.s.PGSQL.6432")
    );
    assert!(matches!(
        bind_unix(&unix_options(&name)),
        Err(ListenError::InUse)
    ));
    let listener = bound.register(&SocketOptions::default()).unwrap();
    let _client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)
        .and_then(|socket| socket.connect(&place.address()?).map(|()| socket))
        .unwrap();
    let mut batch = Vec::new();
    listener.accept(&mut batch, 10).await.unwrap();
    assert!(batch.iter().all(|it| it.address().is_none()));
    place.remove().unwrap();
}

#[test]
fn errors_of_accept_are_told_apart() {
    use nix::errno::Errno;
    let of = |errno: Errno| Trouble::of(&errno.into());
    assert_eq!(of(Errno::EMFILE), Trouble::Exhausted);
    assert_eq!(of(Errno::ENFILE), Trouble::Exhausted);
    assert_eq!(of(Errno::ECONNABORTED), Trouble::ThisClient);
    assert_eq!(of(Errno::EPROTO), Trouble::ThisClient);
    assert_eq!(of(Errno::EINVAL), Trouble::Listener);
}
