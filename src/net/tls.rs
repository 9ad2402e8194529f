//! TLS configurations from settings, and the two handshakes.
//!
//! A configuration is built whole from its files and then only shared; a reload builds another one
//! and the caller swaps them. Not here: the bytes that ask for TLS (`accept`, `server::connect`).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::stream::{Socket, Stream};

mod end;
mod files;
#[cfg(test)]
pub(crate) mod test_certificates;
#[cfg(test)]
mod tests;
mod verify;

use files::{read_certificates, read_key, read_roots, system_roots};
use verify::{Check, ServerVerifier};

/// Name of the protocol in the TLS handshake; direct TLS demands it (`PostgreSQL` 17).
pub const ALPN: &[u8] = b"postgresql";

/// Most bytes of a client's data in one TLS record, as `PostgreSQL` itself sends them.
///
/// libpq reads that much at a time. What is left of a longer record stays inside its TLS library,
/// and a program that waits for the socket to become readable (libpq's asynchronous calls: pgbench,
/// psycopg, ruby-pg) waits for ever for bytes that it already has.
const RECORD_MAX: usize = 8192;
/// What rustls counts besides in its limit: type, version and length of a record.
const RECORD_HEADER: usize = 5;

/// `client_tls_sslmode` and `server_tls_sslmode`, from the most lenient to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS when the peer wants it. Towards servers `PgBouncer` treats it as `prefer`.
    Allow,
    /// TLS when both sides can.
    Prefer,
    /// TLS or nothing, certificates are not verified.
    Require,
    /// TLS with a certificate that the CA file vouches for.
    VerifyCa,
    /// The same; towards servers the certificate must also name the host.
    VerifyFull,
}

impl SslMode {
    /// Whether a plain connection is refused.
    pub fn demands_tls(self) -> bool {
        self >= Self::Require
    }

    fn verifies(self) -> bool {
        self >= Self::VerifyCa
    }
}

/// The word is none of the six modes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown sslmode \"{0}\", expected disable, allow, prefer, require, verify-ca or verify-full"
)]
pub struct UnknownSslMode(String);

impl FromStr for SslMode {
    type Err = UnknownSslMode;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            other => return Err(UnknownSslMode(other.to_owned())),
        })
    }
}

/// The `client_tls_*` or the `server_tls_*` settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// `*_tls_sslmode`
    pub mode: SslMode,
    /// `*_tls_key_file`
    pub key_file: Option<PathBuf>,
    /// `*_tls_cert_file`
    pub cert_file: Option<PathBuf>,
    /// `*_tls_ca_file`
    pub ca_file: Option<PathBuf>,
    /// `*_tls_protocols`: `secure`, `all`, or a list of `tlsv1.2` and `tlsv1.3`.
    pub protocols: String,
}

impl TlsOptions {
    /// Options with a mode only.
    pub fn new(mode: SslMode) -> Self {
        Self {
            mode,
            key_file: None,
            cert_file: None,
            ca_file: None,
            protocols: "secure".to_owned(),
        }
    }
}

/// Why a configuration could not be built. The administrator is to blame.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A setting that others need is empty.
    #[error("{setting} must be set when {because}")]
    Missing {
        /// The setting, or settings.
        setting: &'static str,
        /// What needs it.
        because: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read \"{}\": {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("\"{}\" holds no usable {what}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// A CA file has a certificate that cannot be a root.
    #[error("\"{}\" holds a certificate that cannot be used as a root: {source}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// Certificate and key do not fit together, or are of a kind we cannot use.
    #[error("certificate \"{}\" and its key cannot be used: {source}", cert.display())]
    Identity {
        /// The certificate's file.
        cert: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The machine has no root certificates, and no CA file is set.
    #[error("this machine has no root certificates; set server_tls_ca_file")]
    NoSystemRoots,
    /// Client certificates cannot be verified with this CA file.
    #[error("client certificates cannot be verified: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The protocol list is wrong or leaves nothing.
    #[error("TLS protocols \"{0}\" leave nothing that is supported, which is tlsv1.2 and tlsv1.3")]
    Protocols(String),
    /// A protocol's name is unknown.
    #[error("unknown TLS protocol \"{0}\"")]
    UnknownProtocol(String),
    /// rustls refuses the combination.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// TLS towards clients.
#[derive(Clone)]
pub struct ClientTls {
    mode: SslMode,
    acceptor: Option<TlsAcceptor>,
    ends: Option<u64>,
}

/// TLS towards servers.
#[derive(Clone)]
pub struct ServerTls {
    mode: SslMode,
    connector: Option<TlsConnector>,
    ends: Option<u64>,
}

/// When the first of them ends, in seconds since 1970.
fn first_end(certificates: &[CertificateDer<'_>]) -> Option<u64> {
    let ends = certificates.iter().filter_map(|known| end::end_of(known));
    ends.min()
}

impl ClientTls {
    /// No TLS.
    pub fn disabled() -> Self {
        Self {
            mode: SslMode::Disable,
            acceptor: None,
            ends: None,
        }
    }

    /// Reads the files. Every mode but `disable` needs a key and a certificate, the verifying ones
    /// a CA file: a client without a certificate that it vouches for fails in the handshake.
    pub fn build(options: &TlsOptions) -> Result<Self, TlsError> {
        Self::speaking(ALPN, options)
    }

    /// The same for another protocol inside TLS, by its name in the handshake.
    pub fn speaking(protocol: &[u8], options: &TlsOptions) -> Result<Self, TlsError> {
        if options.mode == SslMode::Disable {
            return Ok(Self::disabled());
        }
        let Some((cert_file, key_file)) = options.cert_file.as_ref().zip(options.key_file.as_ref())
        else {
            return Err(TlsError::Missing {
                setting: "client_tls_key_file and client_tls_cert_file",
                because: "client_tls_sslmode allows TLS",
            });
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(&options.protocols)?)
            .map_err(TlsError::Setup)?;
        let builder = if options.mode.verifies() {
            let ca_file = options.ca_file.as_ref().ok_or(TlsError::Missing {
                setting: "client_tls_ca_file",
                because: "client_tls_sslmode verifies certificates",
            })?;
            let (roots, _) = read_roots(ca_file)?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let certificates = read_certificates(cert_file)?;
        let ends = first_end(&certificates);
        let mut config = builder
            .with_single_cert(certificates, read_key(key_file)?)
            .map_err(|source| TlsError::Identity {
                cert: cert_file.clone(),
                source,
            })?;
        config.alpn_protocols = vec![protocol.to_vec()];
        config.max_fragment_size = Some(RECORD_MAX + RECORD_HEADER);
        Ok(Self {
            mode: options.mode,
            acceptor: Some(TlsAcceptor::from(Arc::new(config))),
            ends,
        })
    }

    /// The mode it was built for.
    pub fn mode(&self) -> SslMode {
        self.mode
    }

    /// When the first of the certificates ends that are shown, in seconds since 1970.
    pub fn ends(&self) -> Option<u64> {
        self.ends
    }

    /// Whether a client that asks for TLS gets it.
    pub fn offered(&self) -> bool {
        self.acceptor.is_some()
    }

    /// The handshake with a client. The caller bounds its time.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let acceptor = self.acceptor.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let tls = acceptor.accept(Socket::new(stream)).await?;
        Ok(Stream::TlsAccepted(Box::new(tls)))
    }
}

impl ServerTls {
    /// No TLS.
    pub fn disabled() -> Self {
        Self {
            mode: SslMode::Disable,
            connector: None,
            ends: None,
        }
    }

    /// Reads the files. The verifying modes take the machine's root certificates when there is no CA
    /// file. Certificate and key are for servers that want to see one, and come together.
    pub fn build(options: &TlsOptions) -> Result<Self, TlsError> {
        let check = match options.mode {
            SslMode::Disable => return Ok(Self::disabled()),
            SslMode::Allow | SslMode::Prefer | SslMode::Require => Check::Nothing,
            SslMode::VerifyCa => Check::Chain,
            SslMode::VerifyFull => Check::ChainAndName,
        };
        let (roots, pinned) = match (&options.ca_file, check) {
            (_, Check::Nothing) => (RootCertStore::empty(), Vec::new()),
            (Some(path), Check::Chain | Check::ChainAndName) => read_roots(path)?,
            (None, Check::Chain | Check::ChainAndName) => (system_roots()?, Vec::new()),
        };
        let provider = provider();
        let verifier = ServerVerifier::new(check, roots, pinned, &provider);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(&options.protocols)?)
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let (mut config, ends) = match (&options.cert_file, &options.key_file) {
            (None, None) => (builder.with_no_client_auth(), None),
            (Some(cert), Some(key)) => {
                let certificates = read_certificates(cert)?;
                let ends = first_end(&certificates);
                let config = builder
                    .with_client_auth_cert(certificates, read_key(key)?)
                    .map_err(|source| TlsError::Identity {
                        cert: cert.clone(),
                        source,
                    })?;
                (config, ends)
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(TlsError::Missing {
                    setting: "server_tls_key_file and server_tls_cert_file",
                    because: "one of them is set",
                });
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            mode: options.mode,
            connector: Some(TlsConnector::from(Arc::new(config))),
            ends,
        })
    }

    /// The mode it was built for.
    pub fn mode(&self) -> SslMode {
        self.mode
    }

    /// When the first of the certificates ends that servers may ask for, in seconds since 1970.
    pub fn ends(&self) -> Option<u64> {
        self.ends
    }

    /// The handshake with a server that was found under the name `host` at `address`. The caller
    /// bounds its time.
    pub async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        address: IpAddr,
    ) -> io::Result<Stream> {
        let connector = self.connector.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name) => name,
            Err(error) if self.mode == SslMode::VerifyFull => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
            }
            // The name is not looked at: any will do.
            Err(_) => ServerName::IpAddress(address.into()),
        };
        let tls = connector.connect(name, Socket::new(stream)).await?;
        Ok(Stream::TlsConnected(Box::new(tls)))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientTls({:?})", self.mode)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerTls({:?})", self.mode)
    }
}

/// Named explicitly, as a process-wide default would be a global.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The versions of a protocol list. Names are separated by commas or colons; `!` takes one away.
/// Versions before 1.2 are known by name but never used.
fn versions(list: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let mut chosen: Vec<&'static SupportedProtocolVersion> = Vec::new();
    for word in list.split([',', ':']).map(str::trim) {
        let lower = word.to_ascii_lowercase();
        let (name, negated) = match lower.strip_prefix('!') {
            Some(name) => (name, true),
            None => (lower.as_str(), false),
        };
        let named: &[&'static SupportedProtocolVersion] = match name {
            "" | "all" | "legacy" | "secure" | "default" | "tlsv1" => &[&TLS12, &TLS13],
            "tlsv1.2" => &[&TLS12],
            "tlsv1.3" => &[&TLS13],
            "tlsv1.0" | "tlsv1.1" => &[],
            _ => return Err(TlsError::UnknownProtocol(word.to_owned())),
        };
        chosen.retain(|version| !named.contains(version));
        if !negated {
            chosen.extend_from_slice(named);
        }
    }
    if chosen.is_empty() {
        return Err(TlsError::Protocols(list.to_owned()));
    }
    Ok(chosen)
}
