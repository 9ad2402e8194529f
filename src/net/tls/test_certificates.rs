//! Certificates for tests, made anew in a directory that goes away with them.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::{SslMode, TlsOptions};

/// A certificate authority and its directory.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Files of one certificate and its key.
#[derive(Clone)]
pub(crate) struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

fn authority_params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(authority_params(name, &[]), key).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// A certificate for one name or address.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        self.write(name, &cert.pem(), &key)
    }

    /// What `openssl req -x509` makes: self-signed, and a CA by its own word.
    pub(crate) fn self_signed(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let cert = authority_params(name, &[name]).self_signed(&key).unwrap();
        self.write("self", &cert.pem(), &key)
    }

    fn write(&self, name: &str, cert: &str, key: &KeyPair) -> Identity {
        let identity = Identity {
            cert: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
        };
        std::fs::write(&identity.cert, cert).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }

    /// Options with this authority's CA file and, perhaps, a certificate to show.
    pub(crate) fn options(&self, mode: SslMode, identity: Option<&Identity>) -> TlsOptions {
        TlsOptions {
            cert_file: identity.map(|files| files.cert.clone()),
            key_file: identity.map(|files| files.key.clone()),
            ca_file: Some(self.path("ca.crt")),
            ..TlsOptions::new(mode)
        }
    }
}
