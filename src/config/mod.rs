//! Sans-IO. Configuration: `PgBouncer`'s ini files and the environment to one typed model.
//!
//! The way of a setting: `source` reads files and follows `%include`, `ini` cuts their text into
//! statements, `load` looks each name up in the one table (`settings`) and puts its value into a
//! [`Config`]; connect strings go through `connstr` and `entries`. `check` then looks at what does
//! not go together. Not here: reading `auth_file` (`auth`), anything that acts on a value.

pub mod choice;
pub mod connstr;
pub mod diagnostic;
pub mod ini;
pub mod kind;
pub mod nearest;
pub mod setting;
pub mod settings;
pub mod value;
