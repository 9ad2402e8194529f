//! Sans-IO. The rows of `SHOW CONFIG`.

use super::effective::Config;
use super::setting::{Reload, Setting, Status};
use super::settings::SETTINGS;

/// One row of `SHOW CONFIG`. `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRow {
    /// The setting's name.
    pub key: &'static str,
    /// Its value; times are in seconds, without a unit.
    pub value: Option<String>,
    /// Its default, as `PgBouncer` writes it.
    pub default: Option<&'static str>,
    /// Whether `RELOAD` and `SET` change it.
    pub reload: Reload,
}

impl ConfigRow {
    /// The column `changeable`.
    pub fn changeable(&self) -> &'static str {
        match self.reload {
            Reload::Live => "yes",
            Reload::Restart => "no",
        }
    }
}

impl Config {
    /// All rows of `SHOW CONFIG`, in its order.
    pub fn show(&self) -> Vec<ConfigRow> {
        let shown = SETTINGS.iter().filter(|setting| match setting.status {
            Status::Built | Status::NotBuilt(_) => true,
            Status::Obsolete(_) => false,
        });
        let row = |setting: &Setting| ConfigRow {
            key: setting.name,
            value: self.shown(setting),
            default: setting.default,
            reload: setting.reload,
        };
        shown.map(row).collect()
    }

    /// A setting's value as `SHOW CONFIG` prints it.
    pub(super) fn shown(&self, setting: &Setting) -> Option<String> {
        match self.sources.settings.get(setting.name) {
            Some(assigned) => Some(setting.kind.show(&assigned.raw)),
            // PgBouncer keeps this default elsewhere and shows the number all the same.
            None if setting.name == "verbose" => Some(self.settings.verbose.to_string()),
            None => setting.default_shown(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::docs::OUR_OWN;

    /// `SHOW CONFIG` of `PgBouncer` 1.26.1: key, default and changeable.
    const PGBOUNCER: &str = include_str!("show/pgbouncer_1_26_1.txt");

    #[test]
    fn rows_are_those_of_pgbouncer_in_its_order() {
        let rows = Config::default().show();
        let rows = rows.iter().filter(|row| !OUR_OWN.contains(&row.key));
        let lines: Vec<String> = rows
            .map(|row| {
                let default = match row.key {
                    "auth_query" => "...",
                    _ => row.default.unwrap_or("NULL"),
                };
                format!("{}|{default}|{}", row.key, row.changeable())
            })
            .collect();
        assert_eq!(lines, PGBOUNCER.lines().collect::<Vec<_>>());
    }
}
