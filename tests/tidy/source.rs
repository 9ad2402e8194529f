//! A file of the repository, and its code without comments, texts and tests.

use std::fs;
use std::path::Path;

/// How far below a folder files are collected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Whole,
    FilesOnly,
}

/// One file.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Rust only: comments and the inside of string literals blanked, line by line.
    pub code: String,
    /// The same without `#[cfg(test)]` items; empty for a file that is all tests.
    pub shipped: String,
    /// Nothing in it is part of the program.
    all_tests: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = if is_rust(path) {
            blank_comments_and_texts(text)
        } else {
            String::new()
        };
        let ships_nothing = !path.starts_with("src/") || path.ends_with("/tests.rs");
        let shipped = if ships_nothing {
            String::new()
        } else {
            without_tests(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            shipped,
            all_tests: path.ends_with("/tests.rs"),
        }
    }

    pub fn is_shipped_rust(&self) -> bool {
        self.path.starts_with("src/") && self.is_rust() && !self.is_all_tests()
    }

    pub fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    pub fn is_all_tests(&self) -> bool {
        self.all_tests
    }

    pub fn is_sans_io(&self) -> bool {
        self.text.starts_with("//! Sans-IO.")
    }

    /// `src/pool/slots.rs` is `["pool", "slots"]`, `src/pool/mod.rs` is `["pool"]`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut parts = path.split('/').collect::<Vec<_>>();
        if parts.last() == Some(&"mod") {
            parts.pop();
        }
        parts
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Reads text files below `root`/`dir`, in a fixed order.
pub fn collect(root: &Path, dir: &Path, depth: Depth, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(root.join(dir)) else {
        return;
    };
    let mut names = entries
        .map(|entry| {
            entry
                .expect("a folder that was opened is readable")
                .file_name()
        })
        .collect::<Vec<_>>();
    names.sort();
    // In a linked worktree `.git` is a file; it is not ours.
    for name in names.into_iter().filter(|name| name != ".git") {
        let path = dir.join(&name);
        let on_disk = root.join(&path);
        if on_disk.is_dir() {
            if depth == Depth::Whole && name != "target" {
                collect(root, &path, depth, found);
            }
        } else if let Ok(text) = fs::read_to_string(on_disk) {
            found.push(Source::new(
                path.to_str().expect("our file names are UTF-8"),
                &text,
            ));
        }
    }
}

/// Finds the files that only a `#[cfg(test)] mod name;` leads to, and those below them.
pub fn mark_tests(files: &mut [Source]) {
    while mark_one_level(files) {}
}

/// True where a file was found.
fn mark_one_level(files: &mut [Source]) -> bool {
    let declares = |parent: &Source, name: &str| {
        let declaration = format!("mod {name};");
        let shipped = !parent.all_tests && parent.shipped.contains(&declaration);
        parent.code.contains(&declaration) && !shipped
    };
    let is_test = |file: &Source, files: &[Source]| {
        let module = file.module();
        let Some((name, parent)) = module.split_last() else {
            return false;
        };
        let in_src = |file: &&Source| file.path.starts_with("src/") && file.is_rust();
        let mut parents = files
            .iter()
            .filter(in_src)
            .filter(|other| other.module() == parent);
        parents.any(|parent| declares(parent, name))
    };
    let found = files
        .iter()
        .map(|file| is_test(file, files))
        .collect::<Vec<_>>();
    let mut news = false;
    for (file, found) in files.iter_mut().zip(found) {
        news |= found && !file.all_tests;
        file.all_tests |= found;
    }
    news
}

/// Replaces comments and the inside of literals by blanks; newlines stay.
fn blank_comments_and_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, keep) = next_token(rest);
        let (token, tail) = rest.split_at(length);
        match keep {
            Keep::Yes => out.push_str(token),
            Keep::Blank => out.extend(token.chars().map(|c| if c == '\n' { c } else { ' ' })),
        }
        rest = tail;
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    Blank,
}

/// Length of the next comment, literal, word or character, and whether it is code.
fn next_token(rest: &str) -> (usize, Keep) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Keep::Blank);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Keep::Blank);
    }
    if let Some(length) = raw_string(rest) {
        return (length, Keep::Blank);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"').unwrap_or(rest.len()), Keep::Blank);
    }
    if rest.starts_with('\'') {
        return char_literal(rest).map_or((1, Keep::Yes), |length| (length, Keep::Blank));
    }
    let word = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    let single = rest.chars().next().map_or(1, char::len_utf8);
    (word.max(single), Keep::Yes)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br#"…"#` and `b"…"`.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["br", "r", "b", "c", "cr"].into_iter().find(|prefix| {
        let tail = rest.strip_prefix(prefix).unwrap_or_default();
        tail.starts_with('"')
            || (prefix.ends_with('r') && tail.starts_with("#\""))
            || (prefix.ends_with('r') && tail.starts_with("##"))
    })?;
    let tail = &rest[prefix.len()..];
    if !prefix.ends_with('r') {
        return quoted(tail, '"').map(|length| prefix.len() + length);
    }
    let hashes = tail.find('"')?;
    let end = format!("\"{}", &tail[..hashes]);
    let close = tail[hashes + 1..].find(&end)?;
    Some(prefix.len() + hashes + 1 + close + end.len())
}

fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

/// Length of a character literal; `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return quoted(rest, '\'');
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

/// Cuts out each item behind `#[cfg(test)]`. Expects blanked code, so braces are braces.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::new();
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        out.push_str(&rest[..start]);
        let item = &rest[start + MARK.len()..];
        rest = &item[item_length(item)..];
    }
    out.push_str(rest);
    out
}

/// Up to the end of the first block, or to a semicolon before it.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    item.len()
}

#[test]
fn comments_and_texts_are_blanked_and_code_stays() {
    let text = "let a = \"tokio \\\" b\"; // tokio\n\
                let c = 'x'; /* tokio /* x */ */ fn f<'a>() {}\n\
                let r = r#\"tokio \" x\"#; let b = b\"tokio\"; let q = '\\''; let number = 1;";
    let code = Source::new("src/a.rs", text).code;
    assert!(!code.contains("tokio"), "{code}");
    for kept in [
        "let a =",
        "fn f<'a>() {}",
        "let r =",
        "let q =",
        "let number = 1;",
    ] {
        assert!(code.contains(kept), "{kept}: {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn tests_are_cut_out_wherever_they_stand() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn t() { if x { } } }\nfn b() {}\n\
                #[cfg(test)]\nmod more;\nfn c() {}";
    let shipped = Source::new("src/a.rs", text).shipped;
    for kept in ["fn a()", "fn b()", "fn c()"] {
        assert!(shipped.contains(kept), "{shipped}");
    }
    assert!(
        !shipped.contains("fn t()") && !shipped.contains("more"),
        "{shipped}"
    );
}

#[test]
fn a_file_that_is_declared_for_tests_only_is_no_part_of_the_program() {
    let mut files = [
        Source::new("src/a/mod.rs", "mod b;\n#[cfg(test)]\nmod model;"),
        Source::new("src/a/b.rs", ""),
        Source::new("src/a/model.rs", ""),
    ];
    mark_tests(&mut files);
    let shipped = files
        .iter()
        .map(Source::is_shipped_rust)
        .collect::<Vec<_>>();
    assert_eq!(shipped, [true, true, false]);
}
