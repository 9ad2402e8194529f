//! Sans-IO. Parameters that follow their client: what was set, and what to say to a server.
//!
//! A server reports every parameter that matters to a client (`GUC_REPORT`) by `ParameterStatus`.
//! Each client remembers the values it has seen; a server that differs is brought in line before the
//! client's first byte reaches it. Invariant: a set is never changed in place, so that two sides that
//! agree can share one allocation and compare by pointer.

use std::fmt::Write as _;
use std::sync::Arc;

/// Reported parameters that cannot be set, or that follow from another one.
const READ_ONLY: [&str; 5] = [
    "server_version",
    "server_encoding",
    "integer_datetimes",
    "is_superuser",
    "in_hot_standby",
];

/// One parameter: name as first seen, value as the server spells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry {
    name: Arc<str>,
    value: Arc<str>,
}

/// The values of all tracked parameters of one client or one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ParamSet {
    entries: Vec<Entry>, // sorted by lower-case name
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.bytes()
        .map(|c| c.to_ascii_lowercase())
        .cmp(b.bytes().map(|c| c.to_ascii_lowercase()))
}

/// Whether a reported parameter can follow a client at all.
pub fn is_settable(name: &str) -> bool {
    !READ_ONLY
        .iter()
        .any(|fixed| fixed.eq_ignore_ascii_case(name))
}

/// Parameters that follow a client although no server has been asked yet.
pub const TRACKED: [&str; 10] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "IntervalStyle",
    "scram_iterations",
    "search_path",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// Stands for the value of a parameter that a server does not report and that a client may have
/// changed: no value can have a zero byte, so it differs from every client's.
pub const UNKNOWN: &str = "\0";

/// Most parameters one set may hold; a server reports about fifteen.
pub const MAX_PARAMETERS: usize = 128;

impl ParamSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a parameter; names are compared without regard to case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.find(name)
            .ok()
            .and_then(|at| self.entries.get(at))
            .map(|entry| &*entry.value)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| order(&entry.name, name))
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|entry| (&*entry.name, &*entry.value))
    }

    /// Sets a value. A new name above [`MAX_PARAMETERS`] is not taken.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.find(name) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at)
                    && *entry.value != *value
                {
                    entry.value = value.into();
                }
            }
            Err(at) if self.entries.len() < MAX_PARAMETERS => {
                self.entries.insert(
                    at,
                    Entry {
                        name: name.into(),
                        value: value.into(),
                    },
                );
            }
            Err(_) => {}
        }
    }

    /// Forgets a parameter.
    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.find(name) {
            self.entries.remove(at);
        }
    }
}

/// `set` with one value changed; the same allocation where nothing changes.
pub fn with_value(set: &Arc<ParamSet>, name: &str, value: &str) -> Arc<ParamSet> {
    if set.value(name) == Some(value) {
        return Arc::clone(set);
    }
    let mut changed = ParamSet::clone(set);
    changed.set(name, value);
    Arc::new(changed)
}

/// SQL that brings a server from `server` to `client`; `None` when they agree.
///
/// A parameter that the client never had (it is tracked but not reported) goes back to its default.
/// `search_path` is a list and goes through `set_config`, so that its text is read as a list and can
/// never be read as SQL (CVE-2025-12819).
pub fn setup_sql(client: &ParamSet, server: &ParamSet) -> Option<String> {
    let mut sql = String::new();
    let differing = client
        .iter()
        .filter(|(name, value)| server.value(name) != Some(value));
    // The session's user comes first: changing it undoes what belongs to the user.
    let rank = |name: &str| !name.eq_ignore_ascii_case("session_authorization");
    let mut differing: Vec<_> = differing.collect();
    differing.sort_by_key(|(name, _)| rank(name));
    for (name, value) in differing {
        put_set(&mut sql, name, value);
    }
    for (name, _) in server
        .iter()
        .filter(|(name, _)| client.value(name).is_none())
    {
        sql.push_str("RESET ");
        put_identifier(&mut sql, name);
        sql.push(';');
    }
    (!sql.is_empty()).then_some(sql)
}

fn put_set(sql: &mut String, name: &str, value: &str) {
    if name.eq_ignore_ascii_case("search_path") {
        sql.push_str("SELECT pg_catalog.set_config('search_path', ");
        put_literal(sql, value);
        sql.push_str(", false);");
        return;
    }
    sql.push_str("SET ");
    put_identifier(sql, name);
    sql.push('=');
    put_literal(sql, value);
    sql.push(';');
}

/// Parameter names may have a dot (`extension.setting`); each part is quoted unless it is plain.
fn put_identifier(sql: &mut String, name: &str) {
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            sql.push('.');
        }
        let plain = part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if plain && !part.is_empty() {
            sql.push_str(part);
        } else {
            write!(sql, "\"{}\"", part.replace('"', "\"\"")).expect("a string takes any text");
        }
    }
}

/// A literal that reads the same whatever `standard_conforming_strings` is.
fn put_literal(sql: &mut String, value: &str) {
    if value.contains('\\') {
        sql.push('E');
    }
    sql.push('\'');
    for c in value.chars() {
        if c == '\'' || c == '\\' {
            sql.push(c);
        }
        sql.push(c);
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> ParamSet {
        let mut set = ParamSet::new();
        for (name, value) in pairs {
            set.set(name, value);
        }
        set
    }

    #[test]
    fn equal_sets_need_no_setup_whatever_the_case_of_names() {
        let client = set(&[("TimeZone", "UTC"), ("application_name", "x")]);
        let server = set(&[("timezone", "UTC"), ("Application_Name", "x")]);
        assert_eq!(setup_sql(&client, &server), None);
    }

    #[test]
    fn differences_are_set_and_strangers_are_reset() {
        let client = set(&[("TimeZone", "UTC"), ("DateStyle", "ISO, MDY")]);
        let server = set(&[
            ("TimeZone", "GMT"),
            ("DateStyle", "ISO, MDY"),
            ("my.guc", "1"),
        ]);
        let sql = setup_sql(&client, &server).unwrap();
        assert_eq!(sql, "SET TimeZone='UTC';RESET my.guc;");
    }

    #[test]
    fn values_cannot_break_out_of_their_literal() {
        let client = set(&[("application_name", "a'; DROP TABLE t; --")]);
        let sql = setup_sql(&client, &ParamSet::new()).unwrap();
        assert_eq!(sql, "SET application_name='a''; DROP TABLE t; --';");
        let client = set(&[("application_name", r"a\' or")]);
        let sql = setup_sql(&client, &ParamSet::new()).unwrap();
        assert_eq!(sql, r"SET application_name=E'a\\'' or';");
        let client = set(&[("search_path", "public; DROP TABLE t")]);
        let sql = setup_sql(&client, &ParamSet::new()).unwrap();
        assert_eq!(
            sql,
            "SELECT pg_catalog.set_config('search_path', 'public; DROP TABLE t', false);"
        );
        let client = set(&[("a b\".c", "1")]);
        assert_eq!(
            setup_sql(&client, &ParamSet::new()).unwrap(),
            "SET \"a b\"\"\".c='1';"
        );
    }

    #[test]
    fn the_session_user_is_set_first() {
        let client = set(&[("DateStyle", "ISO"), ("session_authorization", "bob")]);
        let sql = setup_sql(&client, &ParamSet::new()).unwrap();
        assert_eq!(sql, "SET session_authorization='bob';SET DateStyle='ISO';");
    }

    #[test]
    fn an_unchanged_value_keeps_the_allocation() {
        let before = Arc::new(set(&[("TimeZone", "UTC")]));
        assert!(Arc::ptr_eq(
            &before,
            &with_value(&before, "timezone", "UTC")
        ));
        let after = with_value(&before, "timezone", "GMT");
        assert_eq!(after.value("TimeZone"), Some("GMT"));
        assert_eq!(before.value("TimeZone"), Some("UTC"));
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let mut all = ParamSet::new();
        for n in 0..(2 * MAX_PARAMETERS) {
            all.set(&format!("p{n}"), "v");
        }
        assert_eq!(all.iter().count(), MAX_PARAMETERS);
    }
}
