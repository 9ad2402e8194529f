//! Sans-IO. Follows `%include` through files that somebody else reads.
//!
//! A file's name is taken as it is, that is, relative to the working directory and not to the file
//! that includes it, as `PgBouncer` does. A section goes on inside an included file, and one that
//! an included file opens goes on behind it.

use std::io;

use super::diagnostic::{Diagnostic, Origin};
use super::ini::{self, Item, Statement};

/// Deepest nesting of `%include` (`PgBouncer`'s `MAX_INCLUDE`).
pub const INCLUDE_DEPTH_MAX: usize = 10;

/// Most files of one configuration, however they include each other.
pub const FILES_MAX: usize = 256;

/// Reads files. Implemented by every `Fn(&str) -> io::Result<Vec<u8>>`.
pub trait FileSource {
    /// The whole file of that name.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
}

impl<F: Fn(&str) -> io::Result<Vec<u8>>> FileSource for F {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self(path)
    }
}

/// The statements of `path` and of all that it includes, in order, without the includes.
pub fn expand(files: &dyn FileSource, path: &str, found: &mut Vec<Diagnostic>) -> Vec<Statement> {
    let mut walk = Walk {
        files,
        found,
        open: Vec::new(),
        count: 0,
        out: Vec::new(),
    };
    walk.file(path, &Origin::File(path.into()));
    walk.out
}

struct Walk<'a> {
    files: &'a dyn FileSource,
    found: &'a mut Vec<Diagnostic>,
    /// The files from the first down to the one being read.
    open: Vec<String>,
    count: usize,
    out: Vec<Statement>,
}

impl Walk<'_> {
    /// Reads `path`, which `from` asked for.
    fn file(&mut self, path: &str, from: &Origin) {
        let refusal = if self.open.iter().any(|open| open == path) {
            Some(format!("file \"{path}\" includes itself"))
        } else if self.open.len() > INCLUDE_DEPTH_MAX {
            Some(format!("more than {INCLUDE_DEPTH_MAX} levels of %include"))
        } else if self.count == FILES_MAX {
            Some(format!("more than {FILES_MAX} files"))
        } else {
            None
        };
        if let Some(text) = refusal {
            // One report is enough for the last case, which each further include would repeat.
            if self.count < FILES_MAX || !self.found.iter().any(|seen| seen.text == text) {
                self.found.push(Diagnostic::error(from, text));
            }
            return;
        }
        self.count += 1;
        match self.files.read(path) {
            Ok(text) => self.statements(path, &text),
            Err(error) => {
                let text = format!("cannot read file \"{path}\": {error}");
                self.found.push(Diagnostic::error(from, text));
            }
        }
    }

    fn statements(&mut self, path: &str, text: &[u8]) {
        let parsed = ini::parse(path, text);
        self.found.extend(parsed.diagnostics);
        self.open.push(path.to_owned());
        for statement in parsed.statements {
            match &statement.item {
                Item::Include(file) => self.file(file, &statement.origin),
                Item::Section(_) | Item::Assign { .. } => self.out.push(statement),
            }
        }
        self.open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn expanded(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let read = |path: &str| {
            let text = files.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(text.as_bytes().to_vec())
        };
        let mut found = Vec::new();
        let statements = expand(&read, "main", &mut found);
        let shown = statements.iter().map(|statement| match &statement.item {
            Item::Section(name) => format!("{} [{name}]", statement.origin),
            Item::Assign { name, value } => format!("{} {name}={value}", statement.origin),
            Item::Include(file) => format!("{} include {file}", statement.origin),
        });
        (
            shown.collect(),
            found.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn included_statements_stand_in_place_of_the_include() {
        let (statements, found) = expanded(&[
            ("main", "[pgbouncer]\na=1\n%include dir/sub\nd=4"),
            ("dir/sub", "b=2\n[users]\nc=3"),
        ]);
        assert_eq!(
            statements,
            [
                "main:1 [pgbouncer]",
                "main:2 a=1",
                "dir/sub:1 b=2",
                "dir/sub:2 [users]",
                "dir/sub:3 c=3",
                "main:4 d=4"
            ]
        );
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_missing_file_is_named_with_the_line_that_wants_it() {
        let (statements, found) = expanded(&[("main", "a=1\n%include gone\nb=2")]);
        assert_eq!(statements, ["main:1 a=1", "main:3 b=2"]);
        assert_eq!(
            found,
            ["main:2: cannot read file \"gone\": entity not found"]
        );
        let (_, found) = expanded(&[]);
        assert_eq!(found, ["main: cannot read file \"main\": entity not found"]);
    }

    #[test]
    fn loops_end_with_an_error() {
        let (_, found) = expanded(&[("main", "%include main")]);
        assert_eq!(found, ["main:1: file \"main\" includes itself"]);
        let (_, found) = expanded(&[("main", "%include b"), ("b", "\n%include main")]);
        assert_eq!(found, ["b:2: file \"main\" includes itself"]);
    }

    #[test]
    fn ten_levels_of_include_are_read_and_the_eleventh_is_not() {
        let texts: Vec<(String, String)> = (1..=11)
            .map(|level| {
                (
                    format!("f{level}"),
                    format!("l{level}=1\n%include f{}", level + 1),
                )
            })
            .collect();
        let mut files: Vec<(&str, &str)> = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        files.push(("main", "%include f1"));
        let (statements, found) = expanded(&files);
        assert_eq!(statements.len(), 10);
        assert_eq!(found, ["f10:2: more than 10 levels of %include"]);
    }

    #[test]
    fn many_includes_are_cut_off() {
        let wide = "%include b\n".repeat(100);
        let deep = "%include c\n".repeat(100);
        let (statements, found) = expanded(&[("main", &wide), ("b", &deep), ("c", "x=1")]);
        assert!(statements.len() < FILES_MAX);
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("more than 256 files"), "{}", found[0]);
    }
}
