//! Sans-IO. Settings that change what rows a statement finds, and that do not follow their client.
//!
//! `PostgreSQL` does not report every setting, and what it does not report stays on the server where it
//! was set: the primary's. A client that has set one of these reads there too, as it would with a
//! pooler that knows no replicas; on a replica it would find other rows with no error.
//! Not here: what follows the client (`session::params`).

use crate::session::params::ParamSet;
use crate::sql::command::{Command, Discard, Value};

/// What a client has set and not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfollowed(u8);

/// The settings with a bit of their own. All with a dot in their name share one: policies for rows
/// ask for them.
const BY_NAME: [(&[u8], u8); 4] = [
    (b"search_path", 1),
    (b"role", 2),
    (b"session_authorization", 4),
    (b"row_security", 8),
];
const WITH_DOT: u8 = 16;

fn bit(name: &[u8]) -> u8 {
    let known = BY_NAME.iter().find(|(known, _)| *known == name);
    match known {
        Some((_, bit)) => *bit,
        None if name.starts_with(b"pgweir.") => 0,
        None if name.contains(&b'.') => WITH_DOT,
        None => 0,
    }
}

/// Whether it may set something by a function. What, only the server knows.
fn calls_set_config(sql: &[u8]) -> bool {
    let mut windows = sql.windows(b"set_config".len());
    windows.any(|window| window.eq_ignore_ascii_case(b"set_config"))
}

impl Unfollowed {
    /// Whether there is one.
    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    /// Learns from a statement that goes to a server. `params` are those that follow the client.
    pub fn note(&mut self, command: &Command<'_>, params: &ParamSet) {
        match command {
            Command::Set {
                name,
                value: Value::Default,
                local: false,
            }
            | Command::Reset(Some(name))
                if bit(name) != WITH_DOT =>
            {
                self.0 &= !bit(name);
            }
            Command::Set {
                name, local: false, ..
            } => {
                let follows = str::from_utf8(name).is_ok_and(|name| params.value(name).is_some());
                if !follows {
                    self.0 |= bit(name);
                }
            }
            Command::Reset(None) | Command::Discard(Discard::All) => self.0 = 0,
            Command::Query(body) if calls_set_config(body.sql) => self.0 |= WITH_DOT,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::command::command;
    use crate::sql::lexer::Quoting;

    fn after(statements: &[&str], params: &ParamSet) -> bool {
        let mut unfollowed = Unfollowed::default();
        for sql in statements {
            unfollowed.note(&command(sql.as_bytes(), Quoting::Standard), params);
        }
        unfollowed.is_any()
    }

    #[test]
    fn what_changes_the_rows_counts_until_it_is_taken_back() {
        let none = ParamSet::new();
        for (statements, expected) in [
            (&["set search_path = a, b"][..], true),
            (&["SET SESSION Search_Path TO a"], true),
            (&["set schema 'a'"], true),
            (&["set role reader"], true),
            (&["set app.tenant = '7'"], true),
            (
                &[
                    "set app.tenant = '7'",
                    "set app.user = '8'",
                    "reset app.user",
                ],
                true,
            ),
            (&["select Set_Config('app.tenant', '7', false)"], true),
            (&["select current_setting('app.tenant')"], false),
            (&["set local search_path = a"], false),
            (&["set work_mem = '5MB'"], false),
            (&["set pgweir.route = 'primary'"], false),
            (&["set role reader", "reset role"], false),
            (
                &["set role reader", "set search_path = a", "reset role"],
                true,
            ),
            (
                &["set search_path = a", "set search_path to default"],
                false,
            ),
            (&["set app.tenant = '7'", "reset all"], false),
            (&["set app.tenant = '7'", "discard all"], false),
        ] {
            assert_eq!(after(statements, &none), expected, "{statements:?}");
        }
    }

    #[test]
    fn what_follows_the_client_does_not_count() {
        let mut params = ParamSet::new();
        params.set("search_path", "public");
        assert!(!after(&["set search_path = a"], &params));
    }
}
