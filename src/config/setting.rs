//! Sans-IO. What is known of one setting, and the macro that turns the table into code.
//!
//! The table itself is `settings`. One row gives the typed field, the reader, `SHOW CONFIG`, the
//! sample file and the reference, so that they cannot disagree.

use super::kind::Kind;

/// Whether a change takes effect in a running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// By `RELOAD`, `SIGHUP` or `SET`.
    Live,
    /// Only by a restart.
    Restart,
}

/// Whether a setting does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Built,
    /// `PgBouncer` has it, this program has not: a value other than the default is warned about.
    NotBuilt(&'static str),
    /// It has lost its meaning: accepted, warned about, not shown.
    Obsolete(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name in the configuration.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// The default as `PgBouncer` writes it; `None` is SQL's NULL.
    pub default: Option<&'static str>,
    /// Whether a change takes effect at once.
    pub reload: Reload,
    /// Whether it does anything.
    pub status: Status,
    /// What it means, a line each.
    pub doc: &'static [&'static str],
}

impl Setting {
    /// The default as `SHOW CONFIG` prints a value; `None` is NULL.
    pub fn default_shown(&self) -> Option<String> {
        self.default.map(|raw| self.kind.show(raw))
    }

    /// Whether `raw` means the same as the default.
    pub fn is_default(&self, raw: &str) -> bool {
        self.kind.show(self.default.unwrap_or_default()) == self.kind.show(raw)
    }

    /// The meaning, lines trimmed.
    pub fn doc_lines(&self) -> impl Iterator<Item = &'static str> {
        self.doc.iter().map(|line| line.trim())
    }
}

/// Makes the struct of typed values, the table, and what goes from one to the other.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:expr, $kind:expr, $reload:expr, $status:expr;
    )+) => {
        /// The typed value of every setting, under the setting's own name.
        ///
        /// A time or count that can be switched off is an `Option`, and `None` is off (the text
        /// `0`). A plain `Duration` is a time whose zero has a meaning of its own.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings { $( $(#[doc = $doc])+ pub $name: $type, )+ }

        /// Every setting, in the order of `SHOW CONFIG`.
        pub static SETTINGS: &[Setting] = &[$(
            Setting {
                name: stringify!($name),
                kind: $kind,
                default: $default,
                reload: $reload,
                status: $status,
                doc: &[$($doc),+],
            },
        )+];

        impl Default for Settings {
            fn default() -> Self {
                let read = "a test reads each default";
                Self { $( $name: match $default {
                    Some(raw) => Value::read(raw, &$kind).expect(read),
                    None => Value::absent(&$kind).expect(read),
                }, )+ }
            }
        }

        impl Settings {
            /// Sets one value from its text; `None` when there is no such setting.
            pub(super) fn assign(
                &mut self,
                name: &str,
                raw: &str,
            ) -> Option<Result<(), ValueError>> {
                match name {
                    $( stringify!($name) => {
                        Some(Value::read(raw, &$kind).map(|value| self.$name = value))
                    } )+
                    _ => None,
                }
            }

            /// Takes one value over from `other`.
            pub(super) fn copy(&mut self, name: &str, other: &Self) {
                match name {
                    $( stringify!($name) => self.$name.clone_from(&other.$name), )+
                    _ => {}
                }
            }

            /// Whether one value is the same in both.
            pub(super) fn same(&self, name: &str, other: &Self) -> bool {
                match name {
                    $( stringify!($name) => self.$name == other.$name, )+
                    _ => true,
                }
            }
        }
    };
}
pub(super) use settings;
