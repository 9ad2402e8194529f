//! Sans-IO. The settings' closed sets of values, one enum each.
//!
//! Names are `PgBouncer`'s and are compared without regard to case, as it does.

use std::fmt;

macro_rules! choices {
    ($(
        $(#[doc = $about:literal])+
        $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $text:literal, )+
        }
    )+) => { $(
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $name {
            /// All names, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The name in the configuration.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            /// The value of that name, in any case.
            pub fn from_name(name: &str) -> Option<Self> {
                $( if name.eq_ignore_ascii_case($text) { return Some(Self::$variant); } )+
                None
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    )+ };
}

choices! {
    /// When a server connection goes back to its pool (`pool_mode`).
    PoolMode {
        /// When the client leaves.
        Session = "session",
        /// When the transaction ends.
        Transaction = "transaction",
        /// When the query ends; transactions of several statements are refused.
        Statement = "statement",
    }

    /// How clients prove who they are (`auth_type`). Holds what is built; `cert`, `hba`, `ldap`
    /// and `pam` are refused when the configuration is read.
    AuthType {
        /// Nobody has to: the user name is ignored and each database needs a forced user.
        Any = "any",
        /// No password, but the user must be known.
        Trust = "trust",
        /// The password in clear text.
        Plain = "plain",
        /// MD5, or SCRAM for a user whose secret is a SCRAM verifier.
        Md5 = "md5",
        /// SCRAM-SHA-256.
        ScramSha256 = "scram-sha-256",
    }

    /// How TLS is used on one side (`client_tls_sslmode`, `server_tls_sslmode`).
    SslMode {
        /// Never.
        Disable = "disable",
        /// When the other side asks; as server side: like `prefer`.
        Allow = "allow",
        /// When the other side can.
        Prefer = "prefer",
        /// Always, without looking at the certificate.
        Require = "require",
        /// Always, with a certificate that a known authority has signed.
        VerifyCa = "verify-ca",
        /// As `verify-ca`, and the certificate's name must match.
        VerifyFull = "verify-full",
    }

    /// Protocol versions of TLS that are offered (`client_tls_protocols`, `server_tls_protocols`).
    TlsProtocols {
        /// Versions 1.2 and 1.3.
        Both = "tlsv1.2,tlsv1.3",
        /// Version 1.2 only.
        Tls12 = "tlsv1.2",
        /// Version 1.3 only.
        Tls13 = "tlsv1.3",
    }

    /// How a host of a list is picked (`load_balance_hosts` of a database).
    LoadBalanceHosts {
        /// Each new connection goes to the next host.
        RoundRobin = "round-robin",
        /// All go to one host until a connection to it fails.
        Disable = "disable",
    }

    /// Where the clients of an entry with replicas go (`role` of a database).
    Role {
        /// Reads to replicas, all else to the primary.
        Auto = "auto",
        /// Everything to the primary.
        Primary = "primary",
        /// Everything to replicas.
        Replica = "replica",
    }

    /// Whether reads go to replicas (`route_mode`).
    RouteMode {
        /// No: everything goes to the primary, and nothing is looked at.
        Off = "off",
        /// No, but where each statement would have gone is counted.
        Observe = "observe",
        /// Yes.
        On = "on",
    }

    /// Whose writes a read must see (`fence_scope`).
    FenceScope {
        /// Those of its own client connection.
        Session = "session",
        /// Those of all clients with its user and database.
        User = "user",
        /// Those of all clients of its database.
        Database = "database",
        /// Nobody's.
        Off = "off",
    }

    /// How log lines look (`log_format`).
    LogFormat {
        /// As `PgBouncer` writes them.
        Pgbouncer = "pgbouncer",
        /// One JSON object a line.
        Json = "json",
    }

    /// Which SQLSTATE the pooler's own errors carry (`error_codes`).
    ErrorCodes {
        /// 08P01 for everything, as `PgBouncer`.
        Pgbouncer = "pgbouncer",
        /// The code that `PostgreSQL` has for the case.
        Postgres = "postgres",
    }

    /// Syslog's facilities (`syslog_facility`).
    SyslogFacility {
        /// Security and authorization.
        Auth = "auth",
        /// Security and authorization, private.
        Authpriv = "authpriv",
        /// System daemons.
        Daemon = "daemon",
        /// User-level messages.
        User = "user",
        /// For local use.
        Local0 = "local0",
        /// For local use.
        Local1 = "local1",
        /// For local use.
        Local2 = "local2",
        /// For local use.
        Local3 = "local3",
        /// For local use.
        Local4 = "local4",
        /// For local use.
        Local5 = "local5",
        /// For local use.
        Local6 = "local6",
        /// For local use.
        Local7 = "local7",
    }
}

/// Values of `auth_type` that `PgBouncer` has and this program has not.
///
/// They are errors, not warnings: a fallback would let in whom the operator wanted kept out.
pub const AUTH_TYPES_NOT_BUILT: [&str; 4] = ["cert", "hba", "ldap", "pam"];
