//! The HTTP side from the settings, on its own thread.

use std::io;
use std::path::PathBuf;
use std::thread;

use tokio::runtime::Builder;

use super::host::Host;
use crate::config::{Config, Secret};
use crate::http::{Credentials, Door, DoorError, DoorOptions, Guard, Served, router};
use crate::telemetry::events;

/// Threads that look up names for `/readyz`.
const BLOCKING_THREADS: usize = 2;

/// Listens where `http_listen` says; `None` where it says nothing.
pub fn open(config: &Config) -> Result<Option<Door>, DoorError> {
    let settings = &config.settings;
    let Some(address) = &settings.http_listen else {
        return Ok(None);
    };
    let certificate = settings.http_tls_cert_file.as_ref().map(PathBuf::from);
    let key = settings.http_tls_key_file.as_ref().map(PathBuf::from);
    let door = Door::open(&DoorOptions {
        host: address.host.clone(),
        port: address.port,
        identity: certificate.zip(key),
    })?;
    for url in door.urls() {
        events::listening(&url);
    }
    Ok(Some(door))
}

/// Serves for as long as the process runs. The thread is not one of the workers', so nothing that is
/// asked here can hold up a client.
pub fn start(door: Door, host: Host) -> io::Result<()> {
    let config = host.pooler().config();
    let guard = Guard::new(
        credentials(&config),
        config.settings.http_allowed_hosts.clone(),
        door.reach(),
    );
    let router = router(Served::new(host, guard, door.certificate_end()));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            let Err(error) = runtime.block_on(door.serve(router));
            events::internal_error("http", &error);
        })?;
    Ok(())
}

fn credentials(config: &Config) -> Credentials {
    let settings = &config.settings;
    let exposed =
        |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let user = settings.http_auth_user.clone();
    Credentials {
        token: exposed(&settings.http_auth_token),
        basic: user.zip(exposed(&settings.http_auth_password)),
    }
}
