//! Rules about single files: purity, size, leftovers, documentation, foreign crates, reachability.

use super::source::Source;

/// Lines of code that a file may have, without blank lines, comments and tests.
const CODE_LINES: usize = 400;
/// Lines of tests that a file may have at its end; more go to `tests.rs` of their own.
const TEST_LINES: usize = 300;
/// Width of code.
const COLUMNS: usize = 100;
/// Width of a line whose end is a comment or a text, which the formatter leaves alone.
const COLUMNS_OF_WORDS: usize = 120;

/// What a Sans-IO file may not name. Addresses (`std::net::IpAddr`) are data and fine.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "tracing",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "socket2",
    "nix",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "File::open",
    "Instant::now",
    "SystemTime::now",
    "SystemRandom",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
];

/// Foreign crates that are hidden behind one module of ours.
const ONE_USER: &[(&str, &str)] = &[
    ("pgwire", "src/protocol/"),
    ("tokio_rustls", "src/net/"),
    ("sqlparser", "src/sql/"),
    ("tracing", "src/telemetry/"),
    ("tracing_subscriber", "src/telemetry/"),
    ("sd_notify", "src/process/"),
];

/// Whether `code` has `word` and not only as part of a longer name.
fn names(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

fn code_lines(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Sans-IO files that do I/O, take the time or write to the log.
pub fn impure_files(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is_shipped_rust() && file.is_sans_io())
    {
        for word in IMPURE.iter().filter(|word| names(&file.shipped, word)) {
            complaints.push(format!("{}: a Sans-IO file names `{word}`", file.path));
        }
    }
    complaints
}

/// Files with too much code, or too many tests beside it.
pub fn large_files(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_shipped_rust()) {
        let code = code_lines(&file.shipped);
        let tests = code_lines(&file.code) - code;
        if code > CODE_LINES {
            complaints.push(format!(
                "{}: {code} lines of code, {CODE_LINES} allowed",
                file.path
            ));
        }
        if tests > TEST_LINES {
            complaints.push(format!(
                "{}: {tests} lines of tests: move them out",
                file.path
            ));
        }
    }
    complaints
}

/// Lines wider than the formatter would make them, or much wider with words in them.
pub fn wide_lines(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().zip(file.code.lines());
        for (number, (line, code)) in (1..).zip(lines) {
            // Blanked texts count as one column.
            let code = code.trim_end();
            let indent = code.len() - code.trim_start().len();
            let words = code.split_whitespace().collect::<Vec<_>>().join(" ");
            let too_wide =
                indent + words.chars().count() > COLUMNS || line.chars().count() > COLUMNS_OF_WORDS;
            if too_wide {
                complaints.push(format!("{}:{number}: too wide", file.path));
            }
        }
    }
    complaints
}

fn lines_with(files: &[Source], words: &[String], what: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in (1..).zip(file.text.lines()) {
            for word in words.iter().filter(|word| line.contains(*word)) {
                complaints.push(format!("{}:{number}: {what} `{word}`", file.path));
            }
        }
    }
    complaints
}

/// Notes to oneself. (The words are put together here so that this file does not have them.)
pub fn unfinished(files: &[Source]) -> Vec<String> {
    let words = [
        ["FIX", "ME"],
        ["TO", "DO"],
        ["dbg", "!("],
        ["unimplemented", "!("],
    ];
    lines_with(files, &words.map(|parts| parts.concat()), "unfinished:")
}

/// Folders that only exist on the machine of whoever wrote the line.
pub fn machine_paths(files: &[Source]) -> Vec<String> {
    let words = [
        ["/wo", "rk/"],
        ["/far", "m/"],
        ["/ro", "ot/"],
        ["/Use", "rs/"],
    ];
    lines_with(
        files,
        &words.map(|parts| parts.concat()),
        "a path of one machine:",
    )
}

/// Rust files without documentation of the module in their first line. Files of tests alone are
/// documented by the module they belong to.
pub fn undocumented_files(files: &[Source]) -> Vec<String> {
    let rust = files
        .iter()
        .filter(|file| file.is_rust() && !file.is_all_tests());
    let silent = rust.filter(|file| !file.text.starts_with("//! "));
    silent
        .map(|file| format!("{}: does not begin with `//! `", file.path))
        .collect()
}

/// Uses of a foreign crate outside of its module.
pub fn second_users(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_shipped_rust()) {
        for (foreign, home) in ONE_USER {
            if !file.path.starts_with(home) && names(&file.shipped, foreign) {
                complaints.push(format!("{}: only {home} uses `{foreign}`", file.path));
            }
        }
    }
    complaints
}

/// Files below `src` that no `mod` names.
pub fn unreachable_files(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files
        .iter()
        .filter(|f| f.path.starts_with("src/") && f.is_rust())
    {
        if matches!(file.path.as_str(), "src/lib.rs" | "src/main.rs") {
            continue;
        }
        let module = file.module();
        let Some((name, parent)) = module.split_last() else {
            continue;
        };
        let declares = |candidate: &Source| {
            let at_home = if parent.is_empty() {
                candidate.path == "src/lib.rs"
            } else {
                candidate.path.starts_with("src/") && candidate.module() == parent
            };
            at_home && names(&candidate.code, &format!("mod {name};"))
        };
        if !files.iter().any(declares) {
            complaints.push(format!("{}: no `mod {name};` leads here", file.path));
        }
    }
    complaints
}

/// Folders whose files the documents may name.
const NAMED_FOLDERS: &[&str] = &["src/", "tests/", "fuzz/", "benches/"];

/// Files and folders that a document at the root names and that are not there.
pub fn lost_paths(files: &[Source]) -> Vec<String> {
    let exists = |path: &str| {
        let below = format!("{}/", path.trim_end_matches('/'));
        files
            .iter()
            .any(|file| file.path == path || file.path.starts_with(&below))
    };
    let is_document = |file: &&Source| {
        let markdown = file
            .path
            .rsplit_once('.')
            .is_some_and(|(_, ending)| ending == "md");
        markdown && !file.path.contains('/')
    };
    let mut complaints = Vec::new();
    for file in files.iter().filter(is_document) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for path in named_paths(line).filter(|path| !exists(path)) {
                complaints.push(format!("{}:{number}: there is no {path}", file.path));
            }
        }
    }
    complaints
}

/// Words of a line that are paths in one of our folders.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    let in_path = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let words = line.split(move |c| !in_path(c));
    words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| NAMED_FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> [Source; 1] {
        [Source::new(path, text)]
    }

    #[test]
    fn io_in_a_sans_io_file_is_found_and_in_words_or_tests_is_not() {
        for code in [
            "async fn f() {}",
            "x.await;",
            "use tokio::net;",
            "Instant::now();",
        ] {
            let file = one("src/session/a.rs", &format!("//! Sans-IO. x\n{code}"));
            assert_eq!(impure_files(&file).len(), 1, "{code}");
        }
        let fine = "//! Sans-IO. No tokio.\nfn awaited(asynchronous: IpAddr) {}\n\
                    #[cfg(test)]\nmod tests { use tokio::net; }";
        assert_eq!(
            impure_files(&one("src/session/a.rs", fine)),
            Vec::<String>::new()
        );
        let shell = "//! x\nuse tokio::net;";
        assert_eq!(
            impure_files(&one("src/net/a.rs", shell)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_large_file_is_found_and_comments_and_tests_do_not_count() {
        let code = |lines: usize| "let a = 1;\n".repeat(lines);
        assert_eq!(large_files(&one("src/a.rs", &code(400))).len(), 0);
        assert_eq!(large_files(&one("src/a.rs", &code(401))).len(), 1);
        let padded = format!("{}{}", code(400), "// words\n\n".repeat(50));
        assert_eq!(large_files(&one("src/a.rs", &padded)).len(), 0);
        let tests = |lines| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(lines));
        assert_eq!(large_files(&one("src/a.rs", &tests(200))).len(), 0);
        assert_eq!(large_files(&one("src/a.rs", &tests(301))).len(), 1);
    }

    #[test]
    fn wide_lines_leftovers_and_machine_paths_are_found_with_their_line() {
        let wide = one("src/a.rs", &format!("\nlet {}", "x".repeat(97)));
        assert_eq!(wide_lines(&wide), ["src/a.rs:2: too wide"]);
        assert_eq!(
            wide_lines(&one("src/a.rs", &format!("// {}", "x".repeat(117)))).len(),
            0
        );
        assert_eq!(
            wide_lines(&one("src/a.rs", &format!("// {}", "x".repeat(118)))).len(),
            1
        );
        for word in [["FIX", "ME"], ["TO", "DO"], ["dbg", "!(x)"]] {
            let file = one("src/a.rs", &format!("// {}", word.concat()));
            assert_eq!(unfinished(&file).len(), 1, "{word:?}");
        }
        let path = one("README.md", &["see /wo", "rk/x"].concat());
        assert_eq!(machine_paths(&path).len(), 1);
    }

    #[test]
    fn a_file_without_documentation_or_with_a_second_user_is_found() {
        assert_eq!(undocumented_files(&one("src/a.rs", "fn f() {}")).len(), 1);
        assert_eq!(
            undocumented_files(&one("src/a/tests.rs", "fn f() {}")).len(),
            0
        );
        let using = "use pgwire::messages;";
        assert_eq!(second_users(&one("src/net/a.rs", using)).len(), 1);
        assert_eq!(second_users(&one("src/protocol/a.rs", using)).len(), 0);
    }

    #[test]
    fn a_file_that_nobody_declares_is_found() {
        let files = [
            Source::new("src/lib.rs", "pub mod a;"),
            Source::new("src/a/mod.rs", "mod b;"),
            Source::new("src/a/b.rs", "#[cfg(test)]\nmod tests;"),
            Source::new("src/a/b/tests.rs", ""),
            Source::new("src/a/lost.rs", ""),
        ];
        assert_eq!(
            unreachable_files(&files),
            ["src/a/lost.rs: no `mod lost;` leads here"]
        );
    }

    #[test]
    fn a_document_that_names_a_lost_file_is_found() {
        let documents = |text: &str| {
            [
                Source::new("src/pool/slots.rs", ""),
                Source::new("tests/tidy/main.rs", ""),
                Source::new("ARCHITECTURE.md", text),
            ]
        };
        let fine = "`src/pool/slots.rs`, src/pool, src/pool/. See (tests/tidy), other/src/x.rs.";
        assert_eq!(lost_paths(&documents(fine)), Vec::<String>::new());
        for lost in ["src/pool/slot.rs", "src/po", "tests/x"] {
            assert_eq!(
                lost_paths(&documents(&format!("\nread `{lost}`."))),
                [format!("ARCHITECTURE.md:2: there is no {lost}")]
            );
        }
    }
}
