//! Sans-IO. Who may ask for what: the `Host` a browser names, and credentials.
//!
//! Invariants: credentials are compared in constant time and are in no `Debug`; what shows more than
//! numbers needs credentials, unless only this machine can ask.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Whether the process lives and is ready: a word, for whoever asks.
    Health,
    /// Numbers.
    Metrics,
    /// Tables, which name clients and settings.
    Tables,
    /// The table with the text of statements.
    Statements,
}

impl Area {
    /// What a path belongs to.
    pub fn of(path: &str) -> Self {
        match path {
            "/healthz" | "/readyz" => Self::Health,
            "/metrics" => Self::Metrics,
            "/api/v1/queries" => Self::Statements,
            _ => Self::Tables,
        }
    }
}

/// From where connections can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From this machine alone.
    Loopback,
    /// From others.
    Network,
}

/// What an asker must know; nothing, where both are `None`.
#[derive(Clone, Default)]
pub struct Credentials {
    /// `http_auth_token`
    pub token: Option<String>,
    /// `http_auth_user` and `http_auth_password`
    pub basic: Option<(String, String)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |is_known| if is_known { "***" } else { "none" };
        f.debug_struct("Credentials")
            .field("token", &known(self.token.is_some()))
            .field("basic", &known(self.basic.is_some()))
            .finish()
    }
}

impl Credentials {
    fn is_none(&self) -> bool {
        self.token.is_none() && self.basic.is_none()
    }

    /// Whether an `Authorization` header proves one of them.
    fn accept(&self, header: &str) -> bool {
        let Some((scheme, proof)) = header.trim().split_once(' ') else {
            return false;
        };
        let proof = proof.trim();
        let same = |known: &str, shown: &[u8]| bool::from(known.as_bytes().ct_eq(shown));
        if scheme.eq_ignore_ascii_case("bearer") {
            let token = self.token.as_deref();
            return token.is_some_and(|token| same(token, proof.as_bytes()));
        }
        let Some((user, password)) = &self.basic else {
            return false;
        };
        scheme.eq_ignore_ascii_case("basic")
            && STANDARD
                .decode(proof)
                .is_ok_and(|shown| same(&format!("{user}:{password}"), &shown))
    }
}

/// Why an asker gets nothing. `Display` is what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// HTTP/1.1 needs a `Host`.
    #[error("a request needs one Host header")]
    NoHost,
    /// A name that a page of somebody else may have sent a browser here by.
    #[error("this host name is not ours: use an address, or add the name to http_allowed_hosts")]
    ForeignHost,
    /// No credentials, or wrong ones.
    #[error("credentials are needed")]
    NoCredentials,
    /// There are no credentials to ask for, and the network can ask.
    #[error("tables are shown to other machines only with http_auth_token or http_auth_password")]
    Unprotected,
    /// There are no credentials to ask for, and statements are not for everybody on this machine.
    #[error("statements are shown only with http_auth_token or http_auth_password")]
    Secluded,
    /// A body, of which nothing is wanted.
    #[error("a request here has no body")]
    Body,
}

impl Denied {
    /// The status.
    pub fn status(self) -> u16 {
        match self {
            Self::NoHost => 400,
            Self::NoCredentials => 401,
            Self::Unprotected | Self::Secluded => 403,
            Self::Body => 413,
            Self::ForeignHost => 421,
        }
    }
}

/// What is looked at of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its `Host`; `None` where it has none, or several.
    pub host: Option<&'a str>,
    /// Its `Authorization`.
    pub authorization: Option<&'a str>,
}

/// The rules.
#[derive(Debug)]
pub struct Guard {
    credentials: Credentials,
    hosts: Vec<String>,
    reach: Reach,
}

impl Guard {
    /// With the names (`http_allowed_hosts`) under which browsers may ask.
    pub fn new(credentials: Credentials, hosts: Vec<String>, reach: Reach) -> Self {
        Self {
            credentials,
            hosts,
            reach,
        }
    }

    /// Whether a request is answered.
    pub fn admit(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        let host = asked.host.ok_or(Denied::NoHost)?;
        if !self.is_ours(host) {
            return Err(Denied::ForeignHost);
        }
        match (Area::of(asked.path), self.reach) {
            (Area::Health, _) => Ok(()),
            (Area::Tables, Reach::Network) if self.credentials.is_none() => {
                Err(Denied::Unprotected)
            }
            (Area::Statements, _) if self.credentials.is_none() => Err(Denied::Secluded),
            (Area::Metrics | Area::Tables, _) if self.credentials.is_none() => Ok(()),
            (Area::Metrics | Area::Tables | Area::Statements, _) => {
                let proven = asked
                    .authorization
                    .is_some_and(|header| self.credentials.accept(header));
                proven.then_some(()).ok_or(Denied::NoCredentials)
            }
        }
    }

    /// `WWW-Authenticate` of a refusal.
    pub fn challenge(&self) -> &'static str {
        match self.credentials.basic {
            Some(_) => "Basic realm=\"pgweir\"",
            None => "Bearer",
        }
    }

    /// An address, this machine, or a name that was allowed: a page from elsewhere can have none of
    /// these as its own name, so its requests are not answered.
    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        bare.unwrap_or(name).parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|ours| name.eq_ignore_ascii_case(ours))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            name
        }
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(guard: &Guard, path: &str, host: &str, authorization: Option<&str>) -> u16 {
        let asked = Asked {
            path,
            host: Some(host),
            authorization,
        };
        guard.admit(&asked).map_or_else(Denied::status, |()| 200)
    }

    fn open(reach: Reach) -> Guard {
        Guard::new(Credentials::default(), vec!["weir.example".into()], reach)
    }

    #[test]
    fn only_addresses_localhost_and_allowed_names_are_hosts() {
        let guard = open(Reach::Loopback);
        for (host, status) in [
            ("127.0.0.1:9127", 200),
            ("10.0.0.7", 200),
            ("[::1]:9127", 200),
            ("[::1]", 200),
            ("localhost:1", 200),
            ("LOCALHOST", 200),
            ("Weir.Example:9127", 200),
            ("weir.example.", 200),
            ("evil.example:9127", 421),
            ("weir.example.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("localhost.evil.example", 421),
            ("", 421),
            ("[::1", 421),
        ] {
            assert_eq!(ask(&guard, "/metrics", host, None), status, "{host}");
        }
        let none = Asked {
            path: "/metrics",
            host: None,
            authorization: None,
        };
        assert_eq!(guard.admit(&none), Err(Denied::NoHost));
    }

    #[test]
    fn tables_need_credentials_where_the_network_can_ask() {
        let guard = open(Reach::Network);
        assert_eq!(ask(&guard, "/api/v1/clients", "10.0.0.7", None), 403);
        assert_eq!(ask(&guard, "/metrics", "10.0.0.7", None), 200);
        assert_eq!(ask(&guard, "/readyz", "10.0.0.7", None), 200);
        let local = open(Reach::Loopback);
        assert_eq!(ask(&local, "/api/v1/clients", "[::1]", None), 200);
        assert_eq!(ask(&local, "/api/v1/queries", "[::1]", None), 403);
    }

    #[test]
    fn either_credential_opens_all_and_health_needs_none() {
        let credentials = Credentials {
            token: Some("a token".into()),
            basic: Some(("prom".into(), "pass:word".into())),
        };
        let guard = Guard::new(credentials, Vec::new(), Reach::Network);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (authorization, status) in [
            (None, 401),
            (Some("Bearer a token".to_owned()), 200),
            (Some("bearer  a token ".to_owned()), 200),
            (Some("Bearer a toke".to_owned()), 401),
            (Some("Bearer".to_owned()), 401),
            (Some("Bearer ".to_owned()), 401),
            (Some(basic("prom:pass:word")), 200),
            (Some(basic("prom:pass")), 401),
            (Some(basic(":")), 401),
            (Some("Basic ***".to_owned()), 401),
            (Some("Digest a token".to_owned()), 401),
        ] {
            for path in ["/metrics", "/api/v1/pools", "/nowhere"] {
                let found = ask(&guard, path, "10.0.0.7", authorization.as_deref());
                assert_eq!(found, status, "{authorization:?} {path}");
            }
            assert_eq!(
                ask(&guard, "/healthz", "10.0.0.7", authorization.as_deref()),
                200
            );
        }
        let shown = format!("{guard:?}");
        assert!(
            !shown.contains("token\": \"a") && !shown.contains("pass:word"),
            "{shown}"
        );
    }
}
