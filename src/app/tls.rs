//! TLS configurations from the settings: both sides, all or nothing.

use std::path::PathBuf;

use crate::config::{Config, SslMode, TlsProtocols};
use crate::net::{self, ClientTls, ServerTls, TlsError, TlsOptions};

/// TLS of both sides, built and ready to be used.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Towards clients.
    pub client: ClientTls,
    /// Towards servers.
    pub server: ServerTls,
}

/// Which side's settings are wrong. The operator is to blame.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// `client_tls_*`.
    #[error("client_tls: {0}")]
    Client(#[source] TlsError),
    /// `server_tls_*`.
    #[error("server_tls: {0}")]
    Server(#[source] TlsError),
}

/// Reads all files that the settings name. Blocks for as long as the disk takes.
pub fn build(config: &Config) -> Result<Tls, TlsSetupError> {
    let client = ClientTls::build(&client_options(config)).map_err(TlsSetupError::Client)?;
    let server = ServerTls::build(&server_options(config)).map_err(TlsSetupError::Server)?;
    Ok(Tls { client, server })
}

/// The `client_tls_*` settings as `net` takes them.
pub fn client_options(config: &Config) -> TlsOptions {
    let settings = &config.settings;
    TlsOptions {
        mode: mode(settings.client_tls_sslmode),
        key_file: path(settings.client_tls_key_file.as_deref()),
        cert_file: path(settings.client_tls_cert_file.as_deref()),
        ca_file: path(settings.client_tls_ca_file.as_deref()),
        protocols: protocols(settings.client_tls_protocols),
    }
}

/// The `server_tls_*` settings as `net` takes them. A key without a certificate, or the other way
/// round, is left out: the configuration has warned about it.
pub fn server_options(config: &Config) -> TlsOptions {
    let settings = &config.settings;
    let (key_file, cert_file) = path(settings.server_tls_key_file.as_deref())
        .zip(path(settings.server_tls_cert_file.as_deref()))
        .unzip();
    TlsOptions {
        mode: mode(settings.server_tls_sslmode),
        key_file,
        cert_file,
        ca_file: path(settings.server_tls_ca_file.as_deref()),
        protocols: protocols(settings.server_tls_protocols),
    }
}

fn path(setting: Option<&str>) -> Option<PathBuf> {
    setting.map(PathBuf::from)
}

/// The list that `net` reads has spaces or commas; the setting's name has commas.
fn protocols(setting: TlsProtocols) -> String {
    setting.name().to_owned()
}

fn mode(setting: SslMode) -> net::SslMode {
    match setting {
        SslMode::Disable => net::SslMode::Disable,
        SslMode::Allow => net::SslMode::Allow,
        SslMode::Prefer => net::SslMode::Prefer,
        SslMode::Require => net::SslMode::Require,
        SslMode::VerifyCa => net::SslMode::VerifyCa,
        SslMode::VerifyFull => net::SslMode::VerifyFull,
    }
}
