//! Sans-IO. Changes to a running configuration: `SET` on the console, and `RELOAD`.
//!
//! Invariant: a setting that takes effect only by a restart keeps the value it had at the start,
//! whatever `SET` and `RELOAD` say.

use super::check;
use super::diagnostic::{Diagnostic, Origin, Severity};
use super::effective::Config;
use super::kind::ValueError;
use super::load;
use super::nearest;
use super::setting::Reload;
use super::settings::{self, SETTINGS};

/// Why a single setting was not changed. The operator is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no such setting.
    #[error("unknown setting \"{name}\"{hint}")]
    Unknown {
        /// The name as given.
        name: String,
        /// `, did you mean ...?` or nothing.
        hint: String,
    },
    /// The text is no value of the setting.
    #[error("{text}")]
    Value {
        /// The whole finding, without the secrets a value may hold.
        text: String,
        /// What was expected.
        cause: ValueError,
    },
    /// The value does not go together with another.
    #[error("{0}")]
    Conflict(Diagnostic),
}

/// A change that needs a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredChange {
    /// The setting.
    pub name: &'static str,
    /// What it stays at; `None` is NULL.
    pub running: Option<String>,
    /// What the new configuration has; `None` is NULL.
    pub wanted: Option<String>,
}

impl Config {
    /// What `SET key = value` on the console makes of this configuration.
    ///
    /// For a setting that needs a restart nothing changes and nothing is checked, and that is a
    /// success, as in `PgBouncer`.
    ///
    /// # Errors
    /// When there is no such setting or it cannot have that value.
    pub fn with_setting(&self, key: &str, value: &str) -> Result<Self, SetError> {
        let setting = settings::find(key).ok_or_else(|| unknown(key))?;
        match setting.reload {
            Reload::Restart => Ok(self.clone()),
            Reload::Live => self.with_value(key, value, Origin::Console),
        }
    }

    /// Lays one option of the command line over the configuration; any setting can be set so.
    ///
    /// # Errors
    /// When there is no such setting or it cannot have that value.
    pub fn with_option(&self, key: &str, value: &str) -> Result<Self, SetError> {
        self.with_value(key, value, Origin::CommandLine)
    }

    fn with_value(&self, key: &str, value: &str, origin: Origin) -> Result<Self, SetError> {
        let setting = settings::find(key).ok_or_else(|| unknown(key))?;
        let value = value.trim();
        let mut config = self.clone();
        config
            .assign(setting, value, origin)
            .map_err(|cause| SetError::Value {
                text: load::wrong_value(setting, value, &cause),
                cause,
            })?;
        // Only what this change breaks: the rest was accepted before.
        let before = check::cross_check(self);
        let conflict = check::cross_check(&config)
            .into_iter()
            .find(|found| found.severity == Severity::Error && !before.contains(found));
        match conflict {
            Some(conflict) => Err(SetError::Conflict(conflict)),
            None => Ok(config),
        }
    }

    /// What a reload makes of the running configuration `self` when `new` has been read whole:
    /// everything of `new`, except for the settings that need a restart.
    pub fn reloaded(&self, new: Self) -> (Self, Vec<IgnoredChange>) {
        let mut merged = new;
        let mut ignored = Vec::new();
        for setting in SETTINGS {
            match setting.reload {
                Reload::Live => continue,
                Reload::Restart if self.settings.same(setting.name, &merged.settings) => continue,
                Reload::Restart => {}
            }
            ignored.push(IgnoredChange {
                name: setting.name,
                running: self.shown(setting),
                wanted: merged.shown(setting),
            });
            merged.settings.copy(setting.name, &self.settings);
            let sources = &mut merged.sources.settings;
            match self.sources.settings.get(setting.name) {
                Some(assigned) => sources.insert(setting.name, assigned.clone()),
                None => sources.remove(setting.name),
            };
        }
        merged.adopt_found(self);
        (merged, ignored)
    }
}

fn unknown(name: &str) -> SetError {
    let known = SETTINGS.iter().map(|setting| setting.name);
    SetError::Unknown {
        name: name.to_owned(),
        hint: nearest::hint(name, known),
    }
}

#[cfg(test)]
mod tests;
