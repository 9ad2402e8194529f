//! Who may import whom.

use std::collections::BTreeSet;

use super::source::Source;

/// Level of each top-level module; imports point to a lower one. `pool` has two: its Sans-IO files
/// are on level 2, the others on level 5.
const LEVELS: &[(&str, u8)] = &[
    ("ids", 0),
    ("lsn", 0),
    ("version", 0),
    ("protocol", 1),
    ("sql", 1),
    ("auth", 1),
    ("config", 1),
    ("session", 2),
    ("queries", 2),
    ("route", 2),
    ("cluster", 2),
    ("telemetry", 3),
    ("net", 3),
    ("server", 4),
    ("pooler", 6),
    ("client", 7),
    ("admin", 7),
    ("http", 7),
    ("app", 8),
    ("signals", 8),
    ("process", 8),
    ("cli", 8),
    ("demo", 8),
    ("main", 9),
];
const POOL_PURE: u8 = 2;
const POOL_SHELL: u8 = 5;

/// Levels whose files are all Sans-IO.
const PURE_BELOW: u8 = 3;

/// Levels whose modules know nothing of each other.
const STRANGERS: u8 = 1;

/// Imports that break the rule for a reason.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "auth",
        "protocol",
        "an authentication outcome carries the SQLSTATE that the client sees",
    ),
    (
        "config",
        "protocol",
        "settings name protocol limits and parameters",
    ),
];

fn is_allowed(from: &str, to: &str) -> bool {
    ALLOWED.iter().any(|(f, t, _)| (*f, *t) == (from, to))
}

/// The level of a module, given as its path's parts.
fn level(module: &[&str], files: &[Source]) -> Option<u8> {
    let (top, inner) = module.split_first()?;
    if *top != "pool" {
        return LEVELS
            .iter()
            .find(|(name, _)| name == top)
            .map(|(_, level)| *level);
    }
    // A name that is no file of its own is an item of `pool/mod.rs`.
    let file = (0..=inner.len()).rev().find_map(|length| {
        files
            .iter()
            .find(|file| file.path.starts_with("src/") && file.module() == module[..=length])
    });
    file.map(|file| {
        if file.is_sans_io() {
            POOL_PURE
        } else {
            POOL_SHELL
        }
    })
}

/// Modules that a file names, as paths from the root of the crate.
pub fn imports(file: &Source) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let code = &file.shipped;
    for (at, word) in words(code) {
        let own = matches!(word, "crate" | "pgweir");
        let supers = if word == "super" {
            leading_supers(&code[at..])
        } else {
            0
        };
        let before = code[..at].trim_end();
        let visibility = before.ends_with("(in"); // `pub(in crate::pool)` imports nothing
        let names_crate = own || (supers > 0 && supers == file.module().len());
        if visibility || before.ends_with("::") || !names_crate {
            continue;
        }
        let skip = if own {
            word.len()
        } else {
            supers * "super::".len() - "::".len()
        };
        if let Some(path) = code[at + skip..].strip_prefix("::") {
            expand(path, &mut Vec::new(), &mut found);
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

fn leading_supers(mut code: &str) -> usize {
    let mut count = 0;
    while let Some(tail) = code.strip_prefix("super::") {
        (count, code) = (count + 1, tail);
    }
    count
}

/// Reads `a::{b, c::d}` into `a::b` and `a::c::d`. Returns what follows.
fn expand<'a>(path: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    if let Some(mut list) = path.strip_prefix('{') {
        loop {
            list = list.trim_start_matches([' ', '\n', ',']);
            if list.is_empty() || list.starts_with('}') {
                return list.strip_prefix('}').unwrap_or(list);
            }
            let before = list.len();
            list = expand(list, prefix, found);
            if list.len() == before {
                return list;
            }
        }
    }
    let end = path
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(path.len());
    let (name, tail) = path.split_at(end);
    if name.is_empty() {
        found.push(prefix.clone());
        return tail.strip_prefix('*').unwrap_or(tail);
    }
    prefix.push(name.to_owned());
    let tail = if let Some(inner) = tail.strip_prefix("::") {
        expand(inner, prefix, found)
    } else {
        found.push(prefix.clone());
        let renamed = tail.strip_prefix(" as ").unwrap_or(tail);
        renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
    };
    prefix.pop();
    tail
}

/// Imports that point up, sideways between strangers, or both ways.
pub fn upward_imports(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut sideways = BTreeSet::new();
    for file in files
        .iter()
        .filter(|file| file.is_shipped_rust() && file.path != "src/lib.rs")
    {
        let module = file.module();
        let Some(from) = level(&module, files) else {
            complaints.push(format!("{}: `{}` has no level", file.path, module[0]));
            continue;
        };
        for import in imports(file) {
            let import = import.iter().map(String::as_str).collect::<Vec<_>>();
            let Some(&target) = import.first() else {
                continue;
            };
            let Some(to) = level(&import, files) else {
                continue;
            };
            if target == module[0] && (target != "pool" || to <= from) {
                continue;
            }
            if to == from && from != STRANGERS {
                sideways.insert((module[0].to_owned(), target.to_owned()));
            } else if to >= from && !is_allowed(module[0], target) {
                let path = import.join("::");
                complaints.push(format!(
                    "{}: imports {path} ({to} from level {from})",
                    file.path
                ));
            }
        }
    }
    for (from, to) in &sideways {
        if from < to && sideways.contains(&(to.clone(), from.clone())) {
            complaints.push(format!("{from} and {to} import each other"));
        }
    }
    complaints
}

/// Files on the lower levels that are not Sans-IO.
pub fn impure_levels(files: &[Source]) -> Vec<String> {
    let low = |file: &&Source| {
        let module = file.module();
        module[0] != "pool" && level(&module, files).is_some_and(|level| level < PURE_BELOW)
    };
    let shipped = files.iter().filter(|file| file.is_shipped_rust());
    let impure = shipped.filter(low).filter(|file| !file.is_sans_io());
    impure
        .map(|file| format!("{}: does not begin with `//! Sans-IO.`", file.path))
        .collect()
}

/// Modules that `ARCHITECTURE.md` does not name in the row of their level.
pub fn undocumented_levels(files: &[Source]) -> Vec<String> {
    let page = files.iter().find(|file| file.path == "ARCHITECTURE.md");
    let text = page.map_or("", |page| &page.text);
    let section = text.split("\n## The layers").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let documented = |name: &str, level: u8| {
        let row = section.lines().find(|line| {
            let number = line.trim_start_matches(['|', ' ']);
            let number = number.split(|c: char| !c.is_ascii_digit()).next();
            number.and_then(|number| number.parse().ok()) == Some(level)
        });
        row.is_some_and(|row| row.contains(&format!("`{name}`")))
    };
    let exists = |name: &str| {
        let mut sources = files.iter().filter(|file| file.path.starts_with("src/"));
        sources.any(|file| file.module().first() == Some(&name))
    };
    let modules = LEVELS.iter().filter(|(name, _)| exists(name));
    let silent = modules.filter(|(name, level)| !documented(name, *level));
    silent
        .map(|(name, level)| {
            format!("ARCHITECTURE.md: `{name}` is not in the row of level {level}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let files = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect::<Vec<_>>();
        upward_imports(&files)
    }

    #[test]
    fn an_import_upwards_is_found_in_every_spelling() {
        let spellings = [
            "use crate::net::Listener;",
            "use crate::{ids::ConnId, net::{self, Listener}};",
            "fn f() { crate::net::listen(); }",
            "use super::super::net;",
        ];
        for text in spellings {
            let found = complaints(&[("src/session/rule.rs", text)]);
            assert!(
                found.iter().any(|line| line.contains("imports net")),
                "{text}: {found:?}"
            );
        }
        assert_eq!(
            complaints(&[("src/session.rs", "use super::net;")]).len(),
            1
        );
    }

    #[test]
    fn imports_downwards_within_a_module_and_in_tests_are_fine() {
        let fine = [
            (
                "src/net/a.rs",
                "use crate::{ids::ConnId, protocol::Reader, net::b};",
            ),
            (
                "src/session/a.rs",
                "use super::b; // crate::net\nconst T: &str = \"crate::net\";",
            ),
            (
                "src/session/b.rs",
                "#[cfg(test)]\nmod tests { use crate::net::x; }",
            ),
            ("src/main.rs", "use pgweir::app::run;"),
            (
                "src/pool/a/b.rs",
                "//! Sans-IO. x\npub(in crate::pool) fn f() {}",
            ),
        ];
        assert_eq!(complaints(&fine), Vec::<String>::new());
    }

    #[test]
    fn strangers_import_nothing_of_each_other_but_what_is_allowed() {
        assert_eq!(
            complaints(&[("src/sql/a.rs", "use crate::config::X;")]).len(),
            1
        );
        assert_eq!(
            complaints(&[("src/auth/a.rs", "use crate::protocol::X;")]).len(),
            0
        );
    }

    #[test]
    fn neighbours_may_import_one_way_and_not_both() {
        let one_way = ("src/client/a.rs", "use crate::admin::X;");
        let back = ("src/admin/a.rs", "use crate::client::Y;");
        assert_eq!(complaints(&[one_way]).len(), 0);
        assert_eq!(
            complaints(&[one_way, back]),
            ["admin and client import each other"]
        );
    }

    #[test]
    fn the_two_halves_of_the_pool_are_told_apart() {
        let pure = ("src/pool/slots.rs", "//! Sans-IO. x");
        let shell = (
            "src/pool/lease.rs",
            "//! x\nuse super::slots; use crate::server::S;",
        );
        let low_user = ("src/net/a.rs", "use crate::pool::slots::Slots;");
        let high_user = ("src/net/b.rs", "use crate::pool::lease::Lease;");
        assert_eq!(complaints(&[pure, shell, low_user]).len(), 0);
        assert_eq!(complaints(&[pure, shell, high_user]).len(), 1);
        let traitor = (
            "src/pool/limits.rs",
            "//! Sans-IO. x\nuse crate::pool::lease::Lease;",
        );
        assert_eq!(complaints(&[pure, shell, traitor]).len(), 1);
    }

    #[test]
    fn a_module_without_a_level_is_named() {
        assert_eq!(
            complaints(&[("src/utils.rs", "")]),
            ["src/utils.rs: `utils` has no level"]
        );
    }

    #[test]
    fn a_shell_file_on_a_low_level_is_found() {
        let files = [
            Source::new("src/auth/a.rs", "//! Sans-IO. x"),
            Source::new("src/auth/b.rs", "//! x"),
            Source::new("src/net/c.rs", "//! x"),
        ];
        assert_eq!(impure_levels(&files).len(), 1);
    }

    #[test]
    fn a_module_that_the_map_has_on_no_or_another_level_is_found() {
        let files = [
            Source::new("src/net/a.rs", ""),
            Source::new("src/server/a.rs", ""),
            Source::new(
                "ARCHITECTURE.md",
                "| 4 | `server` |\n## The layers\n| 3, shell | `net` `server` |\n\
                 | 4 | x |\n## Next\n",
            ),
        ];
        assert_eq!(
            undocumented_levels(&files),
            ["ARCHITECTURE.md: `server` is not in the row of level 4"]
        );
    }
}
