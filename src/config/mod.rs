//! Sans-IO. Configuration: `PgBouncer`'s ini files and the environment to one typed model.
//!
//! The way of a setting: `source` reads files and follows `%include`, `ini` cuts their text into
//! statements, `load` looks each name up in the one table (`settings`) and puts its value into a
//! [`Config`]; connect strings go through `connstr` and `entries`. `check` then looks at what does
//! not go together. Not here: reading `auth_file` (`auth`), anything that acts on a value.

mod change;
mod check;
pub mod choice;
mod cluster;
pub mod connstr;
pub mod diagnostic;
pub mod docs;
pub mod effective;
pub mod entries;
pub mod found;
pub mod ini;
pub mod kind;
mod load;
pub mod model;
mod nearest;
pub mod render;
pub mod replicas;
pub mod report;
pub mod setting;
pub mod settings;
mod show;
pub mod source;
pub mod value;

pub use change::{IgnoredChange, SetError};
pub use choice::{
    AuthType, ErrorCodes, FenceScope, LoadBalanceHosts, LogFormat, PoolMode, Role, RouteMode,
    SslMode, SyslogFacility, TlsProtocols,
};
pub use cluster::{Cluster, ClusterHost, DeclaredRole};
pub use diagnostic::{Diagnostic, Origin, Severity};
pub use effective::{Config, Registration, Resolved};
pub use load::{ENVIRONMENT_PREFIX, Loaded, load};
pub use model::{DatabaseSpec, Host, PeerSpec, Secret, StartupParameters, UserSpec};
pub use replicas::ReplicaSpec;
pub use settings::Settings;
pub use show::ConfigRow;
pub use source::FileSource;
pub use value::{CheckQuery, HttpAddress, SocketDir, Workers};
