//! Sans-IO. `SHOW CONFIG`, `LISTS`, `MEM`, `DNS_HOSTS`, `DNS_ZONES`, `STATE` and `VERSION`.

use super::columns;
use crate::admin::table::{Column, Heading, Sheet, Table};
use crate::protocol::reply::ColumnType;

/// Whether a setting can change while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changeable {
    /// By `RELOAD` or `SET`.
    Live,
    /// Only by a restart.
    Restart,
}

impl Changeable {
    fn word(self) -> &'static str {
        match self {
            Self::Live => "yes",
            Self::Restart => "no",
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRow {
    /// Name.
    pub key: String,
    /// Value as it would stand in the file (times without unit); `None` when it has none.
    pub value: Option<String>,
    /// Value without a configuration file.
    pub default: Option<String>,
    /// Whether it can change now.
    pub changeable: Changeable,
}

/// Columns of `SHOW CONFIG`.
pub const CONFIG_COLUMNS: &[Column<ConfigRow>] = columns! {
    "key" Text |row| (&row.key).into();
    "value" Text |row| row.value.as_ref().into();
    "default" Text |row| row.default.as_ref().into();
    "changeable" Text |row| row.changeable.word().into();
};

/// Numbers of things, for `SHOW LISTS`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a row of the table under its own name")]
pub struct Lists {
    pub databases: u64,
    pub users: u64,
    pub peers: u64,
    pub pools: u64,
    pub peer_pools: u64,
    pub free_clients: u64,
    pub used_clients: u64,
    pub login_clients: u64,
    pub free_servers: u64,
    pub used_servers: u64,
    pub dns_names: u64,
    pub dns_zones: u64,
    pub dns_queries: u64,
    pub dns_pending: u64,
}

/// A name and a number.
pub type CountRow = (&'static str, u64);

impl Lists {
    /// The table, row by row.
    pub fn rows(&self) -> Vec<CountRow> {
        vec![
            ("databases", self.databases),
            ("users", self.users),
            ("peers", self.peers),
            ("pools", self.pools),
            ("peer_pools", self.peer_pools),
            ("free_clients", self.free_clients),
            ("used_clients", self.used_clients),
            ("login_clients", self.login_clients),
            ("free_servers", self.free_servers),
            ("used_servers", self.used_servers),
            ("dns_names", self.dns_names),
            ("dns_zones", self.dns_zones),
            ("dns_queries", self.dns_queries),
            ("dns_pending", self.dns_pending),
        ]
    }
}

/// Columns of `SHOW LISTS`.
pub const LIST_COLUMNS: &[Column<CountRow>] = columns! {
    "list" Text |row| row.0.into();
    "items" Int4 |row| row.1.into();
};

/// Memory of one kind of object, in bytes and numbers of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemRow {
    /// Kind of object.
    pub name: &'static str,
    /// Bytes of one.
    pub size: u64,
    /// How many are in use.
    pub used: u64,
    /// How many are kept for later use.
    pub free: u64,
    /// Bytes of all.
    pub memtotal: u64,
}

/// Columns of `SHOW MEM`.
pub const MEM_COLUMNS: &[Column<MemRow>] = columns! {
    "name" Text |row| row.name.into();
    "size" Int4 |row| row.size.into();
    "used" Int4 |row| row.used.into();
    "free" Int4 |row| row.free.into();
    "memtotal" Int4 |row| row.memtotal.into();
};

/// One cached host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsHostRow {
    /// Name.
    pub hostname: String,
    /// Seconds until it is looked up again.
    pub ttl_s: i64,
    /// Its addresses, separated by commas.
    pub addrs: String,
}

/// Columns of `SHOW DNS_HOSTS`.
pub const DNS_HOST_COLUMNS: &[Column<DnsHostRow>] = columns! {
    "hostname" Text |row| (&row.hostname).into();
    "ttl" Int8 |row| row.ttl_s.into();
    "addrs" Text |row| (&row.addrs).into();
};

/// One DNS zone whose serial number is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsZoneRow {
    /// Name.
    pub zonename: String,
    /// Its serial number.
    pub serial: u32,
    /// Host names in it.
    pub count: u32,
}

/// Columns of `SHOW DNS_ZONES`.
pub const DNS_ZONE_COLUMNS: &[Column<DnsZoneRow>] = columns! {
    "zonename" Text |row| (&row.zonename).into();
    "serial" Int8 |row| row.serial.into();
    "count" Int4 |row| row.count.into();
};

/// Whether the whole pooler is paused (`PAUSE` without a database, `SHUTDOWN WAIT_FOR_SERVERS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolerState {
    /// It is not.
    Active,
    /// It is.
    Paused,
}

/// A name and a word.
pub type StateRow = (&'static str, &'static str);

impl PoolerState {
    /// The table, row by row.
    pub fn rows(self) -> Vec<StateRow> {
        match self {
            Self::Active => vec![("active", "yes"), ("paused", "no")],
            Self::Paused => vec![("active", "no"), ("paused", "yes")],
        }
    }
}

/// Columns of `SHOW STATE`.
pub const STATE_COLUMNS: &[Column<StateRow>] = columns! {
    "key" Text |row| row.0.into();
    "value" Text |row| row.1.into();
};

/// The only row of a table with a single text column: `SHOW VERSION`, `SHOW client_encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRow {
    /// Name of the column.
    pub column: &'static str,
    /// The value.
    pub value: &'static str,
}

impl TextRow {
    /// The column.
    pub fn headings(column: &'static str) -> Vec<Heading> {
        vec![(column, ColumnType::Text)]
    }
}

/// The column has the row's own name, so this table is described by hand.
impl Table for TextRow {
    fn headings(&self) -> Vec<Heading> {
        Self::headings(self.column)
    }

    fn len(&self) -> usize {
        1
    }

    fn write_rows(
        &self,
        first: usize,
        count: usize,
        formats: &crate::admin::table::Formats,
        out: &mut bytes::BytesMut,
    ) {
        const COLUMNS: &[Column<TextRow>] = columns! { "" Text |row| row.value.into(); };
        Sheet {
            columns: COLUMNS,
            rows: vec![*self],
        }
        .write_rows(first, count, formats, out);
    }
}
