//! Configuration files, connect strings and the whole configuration from files in memory.
//!
//! Claims: lines are counted upwards and reports are bounded; pairs and entries that are written out
//! read back the same; no password of an entry is in a report.

use std::io;

use pgweir::config::render::{Secrets, database, name, peer, user};
use pgweir::config::{Config, Diagnostic, Origin, connstr, ini, load, report};

use crate::input::Input;

/// Stands between the files of one input, and before the environment.
const SEPARATOR: u8 = 0x1c;

/// Runs one input: `c` and a connect string, or else the files `a`, `b`, `c` and so on.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        b'c' => connect_string(&String::from_utf8_lossy(input.rest())),
        _ => {
            let text = input.rest();
            one_file(text);
            configuration(&text.split(|byte| *byte == SEPARATOR).collect::<Vec<_>>());
        }
    }
}

fn connect_string(text: &str) {
    let Ok(pairs) = connstr::pairs(text) else {
        return;
    };
    let rows = pairs
        .iter()
        .map(|pair| format!("{}={}", pair.key, connstr::quote(&pair.value)));
    let written = rows.collect::<Vec<_>>().join(" ");
    let again = connstr::pairs(&written).expect("what was written can be read");
    let plain = |pairs: &[connstr::Pair<'_>]| {
        let plain = pairs
            .iter()
            .map(|pair| (pair.key.to_owned(), pair.value.clone()));
        plain.collect::<Vec<_>>()
    };
    assert_eq!(plain(&pairs), plain(&again));
}

fn one_file(text: &[u8]) {
    let parsed = ini::parse("a", text);
    assert!(parsed.diagnostics.len() <= ini::MAX_ERRORS + 1);
    let mut last = 0;
    for statement in &parsed.statements {
        let Origin::Line { line, .. } = statement.origin else {
            panic!("a statement stands on a line");
        };
        assert!(line >= last, "line {line} after line {last}");
        last = line;
    }
}

fn configuration(files: &[&[u8]]) {
    let read = |path: &str| {
        let index = usize::from(path.bytes().next().unwrap_or_default().wrapping_sub(b'a'));
        let found = files.get(index).filter(|_| path.len() == 1);
        found
            .map(|text| text.to_vec())
            .ok_or(io::Error::from(io::ErrorKind::NotFound))
    };
    let variables = files
        .last()
        .map(|text| String::from_utf8_lossy(text))
        .unwrap_or_default();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let variables = variables.collect::<Vec<_>>();
    let loaded = load(&read, "a", &variables);
    assert!(!report::check("a", &loaded).is_empty());
    match loaded {
        Ok(loaded) => {
            no_passwords(&loaded.config, &loaded.warnings);
            entries(&loaded.config);
        }
        Err(found) => assert!(!found.is_empty()),
    }
}

fn no_passwords(config: &Config, warnings: &[Diagnostic]) {
    let passwords = config
        .databases
        .values()
        .filter_map(|entry| entry.password.as_ref());
    // A short one may be a part of any word.
    for password in passwords.filter(|password| password.expose().len() > 12) {
        for warning in warnings {
            assert!(!warning.text.contains(password.expose()), "{warning}");
        }
    }
}

/// Writes all entries to a file, reads that, and compares.
fn entries(config: &Config) {
    let mut text = "[databases]\n".to_owned();
    for (key, entry) in &config.databases {
        text += &format!("{} = {}\n", name(key), database(entry, Secrets::Shown));
    }
    if let Some(entry) = &config.autodb {
        text += &format!("* = {}\n", database(entry, Secrets::Shown));
    }
    text += "[users]\n";
    for (key, entry) in &config.users {
        text += &format!("{} = {}\n", name(key), user(entry));
    }
    text += "[peers]\n";
    for (key, entry) in &config.peers {
        text += &format!("{key} = {}\n", peer(entry));
    }
    let parsed = ini::parse("again", &text);
    assert_eq!(parsed.diagnostics, [], "{text}");
    let read = |_: &str| Ok(text.clone().into_bytes());
    if let Ok(again) = load(&read, "a", &[]) {
        assert_eq!(config.databases, again.config.databases);
        assert_eq!(config.autodb, again.config.autodb);
        assert_eq!(config.users, again.config.users);
        assert_eq!(config.peers, again.config.peers);
    }
}
