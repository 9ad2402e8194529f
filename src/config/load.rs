//! Sans-IO. Files and environment to one [`Config`]: all or nothing.
//!
//! Order: built-in defaults, the files line by line (the last of equal names wins), then the
//! environment (`PGWEIR_<SETTING>`). All errors are collected; one of them refuses the whole.

use std::sync::Arc;

use super::check;
use super::diagnostic::{Diagnostic, Origin, Severity};
use super::effective::{Assigned, Config};
use super::entries;
use super::ini::{Item, Statement};
use super::kind::{Kind, ValueError};
use super::model::CONSOLE_DATABASES;
use super::nearest;
use super::setting::Setting;
use super::settings::{self, SETTINGS};
use super::source::{self, FileSource};

/// What the names of our environment variables start with.
pub const ENVIRONMENT_PREFIX: &str = "PGWEIR_";

/// Longest value that is repeated in a diagnostic, in characters.
const SHOWN_MAX: usize = 60;

/// The sections that a file may have.
const SECTIONS: [&str; 4] = ["pgbouncer", "databases", "users", "peers"];

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What the operator should look at.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the configuration at `path` and lays the environment over it.
///
/// # Errors
/// Everything that was found, warnings too, when at least one of it is an error.
pub fn load(
    files: &dyn FileSource,
    path: &str,
    env: &[(String, String)],
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let statements = source::expand(files, path, &mut found);
    let mut reading = Reading {
        config: Config::default(),
        found,
        section: Section::None,
    };
    reading.setting("conffile", path, &Origin::CommandLine);
    for statement in &statements {
        reading.statement(statement);
    }
    for (name, value) in env {
        reading.variable(name, value);
    }
    let Reading {
        mut config,
        mut found,
        ..
    } = reading;
    config.derive_hosts(&mut found);
    // What is missing because its line was wrong must not be reported a second time.
    if !found.iter().any(is_error) {
        found.extend(check::cross_check(&config));
    }
    found.extend(check::not_built(&config));
    sort_by_line(&mut found);
    if found.iter().any(is_error) {
        Err(found)
    } else {
        Ok(Loaded {
            config,
            warnings: found,
        })
    }
}

/// Sorts findings by file, in the order in which the files are first named, and by line. What
/// stands on no line comes last.
fn sort_by_line(found: &mut [Diagnostic]) {
    let mut files: Vec<Arc<str>> = Vec::new();
    for diagnostic in found.iter() {
        if let Origin::Line { file, .. } = &diagnostic.origin
            && !files.contains(file)
        {
            files.push(Arc::clone(file));
        }
    }
    found.sort_by_key(|diagnostic| match &diagnostic.origin {
        Origin::Line { file, line } => (files.iter().position(|known| known == file), *line),
        Origin::Default
        | Origin::File(_)
        | Origin::Environment(_)
        | Origin::CommandLine
        | Origin::Console => (Some(files.len()), 0),
    });
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

/// Where the statement belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// In front of the first section.
    None,
    /// Below a section that is not known; reported once, at its line.
    Unknown,
    Settings,
    Databases,
    Users,
    Peers,
}

struct Reading {
    config: Config,
    found: Vec<Diagnostic>,
    section: Section,
}

impl Reading {
    fn statement(&mut self, statement: &Statement) {
        let origin = &statement.origin;
        match &statement.item {
            Item::Section(name) => self.open(name, origin),
            Item::Assign { name, value } => self.assign(name, value, origin),
            Item::Include(_) => {}
        }
    }

    fn open(&mut self, name: &str, origin: &Origin) {
        self.section = match name {
            "pgbouncer" => Section::Settings,
            "databases" => Section::Databases,
            "users" => Section::Users,
            "peers" => Section::Peers,
            _ => {
                let hint = nearest::hint(name.trim(), SECTIONS);
                let text = format!("unknown section \"{name}\"{hint}");
                self.found.push(Diagnostic::error(origin, text));
                Section::Unknown
            }
        };
    }

    fn assign(&mut self, name: &str, value: &str, origin: &Origin) {
        match self.section {
            Section::None => {
                let text = format!("\"{name}\" stands before the first section");
                self.found.push(Diagnostic::error(origin, text));
            }
            Section::Unknown => {}
            Section::Settings => self.setting(name, value, origin),
            Section::Databases => self.database(name, value, origin),
            Section::Users => self.user(name, value, origin),
            Section::Peers => self.peer(name, value, origin),
        }
    }

    fn setting(&mut self, name: &str, raw: &str, origin: &Origin) {
        let Some(setting) = settings::find(name) else {
            let known = SETTINGS.iter().map(|setting| setting.name);
            let hint = nearest::hint(name, known);
            let text = format!("unknown setting \"{name}\"{hint}");
            self.found.push(Diagnostic::error(origin, text));
            return;
        };
        let earlier = self.config.sources.settings.get(name);
        let warning = repeated(name, earlier.map(|earlier| &earlier.origin), origin);
        self.found.extend(warning);
        if let Err(error) = self.config.assign(setting, raw, origin.clone()) {
            let text = wrong_value(setting, raw, &error);
            self.found.push(Diagnostic::error(origin, text));
        }
    }

    fn database(&mut self, name: &str, value: &str, origin: &Origin) {
        self.found.extend(repeated(
            name,
            self.config.sources.databases.get(name),
            origin,
        ));
        self.config
            .sources
            .databases
            .insert(name.to_owned(), origin.clone());
        let Some(spec) = entries::database(name, value, origin, &mut self.found) else {
            return;
        };
        if name == "*" {
            self.config.autodb = Some(spec);
        } else {
            self.config.databases.insert(name.to_owned(), spec);
        }
    }

    fn user(&mut self, name: &str, value: &str, origin: &Origin) {
        self.found
            .extend(repeated(name, self.config.sources.users.get(name), origin));
        self.config
            .sources
            .users
            .insert(name.to_owned(), origin.clone());
        if let Some(spec) = entries::user(name, value, origin, &mut self.found) {
            self.config.users.insert(name.to_owned(), spec);
        }
    }

    fn peer(&mut self, name: &str, value: &str, origin: &Origin) {
        let Some((id, spec)) = entries::peer(name, value, origin, &mut self.found) else {
            return;
        };
        self.found
            .extend(repeated(name, self.config.sources.peers.get(&id), origin));
        self.config.sources.peers.insert(id, origin.clone());
        self.config.peers.insert(id, spec);
    }

    fn variable(&mut self, name: &str, value: &str) {
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            return;
        };
        let origin = Origin::Environment(name.to_owned());
        let key = key.to_ascii_lowercase();
        if settings::find(&key).is_some() {
            self.setting(&key, value.trim(), &origin);
            return;
        }
        // Container platforms put variables of their own under a service's name, so this is no
        // error.
        let known = SETTINGS.iter().map(|setting| setting.name);
        let hint = nearest::nearest(&key, known).map_or_else(String::new, |known| {
            let known = known.to_ascii_uppercase();
            format!(", did you mean \"{ENVIRONMENT_PREFIX}{known}\"?")
        });
        let text = format!("no setting has this name{hint}");
        self.found.push(Diagnostic::warning(&origin, text));
    }
}

/// Warns when a file sets the same name twice. From another file it may well be meant.
fn repeated(name: &str, earlier: Option<&Origin>, origin: &Origin) -> Option<Diagnostic> {
    let (Origin::Line { file: old, line }, Origin::Line { file, .. }) = (earlier?, origin) else {
        return None;
    };
    let text = format!("\"{name}\" was set before, at line {line}; this one counts");
    (old == file).then(|| Diagnostic::warning(origin, text))
}

/// The text for a value that is none. Values of settings that may hold secrets are not repeated.
pub(super) fn wrong_value(setting: &Setting, raw: &str, error: &ValueError) -> String {
    let name = setting.name;
    if let ValueError::AuthTypeNotBuilt(_) = error {
        return error.to_string();
    }
    if setting.kind == Kind::SecretText {
        return format!("invalid value for {name}: {error}");
    }
    let shown: String = raw.chars().take(SHOWN_MAX).collect();
    let more = if shown.len() < raw.len() { "..." } else { "" };
    format!("invalid value \"{shown}{more}\" for {name}: {error}")
}

impl Config {
    /// Sets one value from its text.
    ///
    /// # Errors
    /// When the text is no value of the setting.
    pub(super) fn assign(
        &mut self,
        setting: &'static Setting,
        raw: &str,
        origin: Origin,
    ) -> Result<(), ValueError> {
        if setting.name == "auth_dbname" && CONSOLE_DATABASES.contains(&raw) {
            return Err(ValueError::Console);
        }
        if let Some(outcome) = self.settings.assign(setting.name, raw) {
            outcome?;
        }
        let raw = raw.to_owned();
        self.sources
            .settings
            .insert(setting.name, Assigned { raw, origin });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
