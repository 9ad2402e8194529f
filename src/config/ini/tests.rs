use super::*;
use proptest::prelude::*;

fn shown(text: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    let parsed = parse("t.ini", text);
    let statements = parsed
        .statements
        .iter()
        .map(|statement| match &statement.item {
            Item::Section(name) => format!("{} [{name}]", statement.origin),
            Item::Assign { name, value } => format!("{} <{name}> <{value}>", statement.origin),
            Item::Include(file) => format!("{} include <{file}>", statement.origin),
        });
    let found = parsed.diagnostics.iter().map(ToString::to_string);
    (statements.collect(), found.collect())
}

#[test]
fn statements_are_read_as_pgbouncer_reads_them() {
    for (text, expected) in [
        ("[databases]", "t.ini:1 [databases]"),
        ("  [databases]  ", "t.ini:1 [databases]"),
        ("[databases] ; why", "t.ini:1 [databases]"),
        ("\n\na=b", "t.ini:3 <a> <b>"),
        ("a = b", "t.ini:1 <a> <b>"),
        ("\ta\t=\tb c \t", "t.ini:1 <a> <b c>"),
        ("a=", "t.ini:1 <a> <>"),
        ("a = b ; no comment", "t.ini:1 <a> <b ; no comment>"),
        ("a = b # no comment", "t.ini:1 <a> <b # no comment>"),
        ("a = 'b'", "t.ini:1 <a> <'b'>"),
        ("a = b\r\n", "t.ini:1 <a> <b>"),
        ("a=b=c", "t.ini:1 <a> <b=c>"),
        ("*=host=h", "t.ini:1 <*> <host=h>"),
        ("a-b.c_d* = 1", "t.ini:1 <a-b.c_d*> <1>"),
        ("'my db' = host=h", "t.ini:1 <my db> <host=h>"),
        ("'it''s'=1", "t.ini:1 <it's> <1>"),
        ("\"my db\" = host=h", "t.ini:1 <my db> <host=h>"),
        ("\"a\"\"b\" = 1", "t.ini:1 <a\"b> <1>"),
        ("'=' = 1", "t.ini:1 <=> <1>"),
        ("%include a b.ini ", "t.ini:1 include <a b.ini>"),
        ("%include\tx", "t.ini:1 include <x>"),
        ("\u{feff}a=1", "t.ini:1 <a> <1>"),
    ] {
        assert_eq!(shown(text), (vec![expected.to_owned()], vec![]), "{text:?}");
    }
}

#[test]
fn comments_and_blank_lines_say_nothing() {
    for text in ["", "\n\n", ";a=1", "#a=1", "  ; x", "\t# x", " \t\r\n"] {
        assert_eq!(shown(text), (vec![], vec![]), "{text:?}");
    }
    assert_eq!(shown(b"; \xfcmlaut\n# \0"), (vec![], vec![]));
}

#[test]
fn a_setting_may_stand_behind_its_section() {
    let (statements, found) = shown("[a] b = 1\n[c] [d]");
    assert_eq!(
        statements,
        [
            "t.ini:1 [a]",
            "t.ini:1 <b> <1>",
            "t.ini:2 [c]",
            "t.ini:2 [d]"
        ]
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn broken_lines_are_reported_and_the_rest_is_read() {
    for (line, expected) in [
        ("[databases", "section has no closing \"]\""),
        ("hello", "expected \"name = value\", found no \"=\""),
        ("hello world", "expected \"name = value\", found no \"=\""),
        ("a b = 1", "expected \"=\" after the name"),
        ("= 1", "expected a name before \"=\""),
        ("'' = 1", "expected a name before \"=\""),
        ("'a = 1", "name has no closing quote"),
        ("'a' b = 1", "expected \"=\" after the name"),
        (
            "my@db = 1",
            "name contains a character that needs quotes: write 'name' = value",
        ),
        (
            "é = 1",
            "name contains a character that needs quotes: write 'name' = value",
        ),
        ("%include", "%include needs a file name"),
        ("%include ", "%include needs a file name"),
        ("%includex", "unknown directive, expected \"%include FILE\""),
        ("%import x", "unknown directive, expected \"%include FILE\""),
        ("a = b\0c", "line contains a zero byte"),
    ] {
        let (statements, found) = shown(format!("x=1\n{line}\ny=2"));
        assert_eq!(found, [format!("t.ini:2: {expected}")], "{line:?}");
        assert_eq!(
            statements,
            ["t.ini:1 <x> <1>", "t.ini:3 <y> <2>"],
            "{line:?}"
        );
    }
    let (_, found) = shown(b"a = \xff");
    assert_eq!(found, ["t.ini:1: line is not valid UTF-8"]);
}

#[test]
fn a_wrong_file_does_not_flood_the_log() {
    let (_, found) = shown("x\n".repeat(1000));
    assert_eq!(found.len(), MAX_ERRORS + 1);
    let last = "t.ini:101: too many errors, the rest of the file is not read";
    assert_eq!(found.last().map(String::as_str), Some(last));
}

proptest! {
    #[test]
    fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse("t", &text);
    }

    #[test]
    fn no_text_of_the_language_panics(text in concat!(
        "[\\[\\]%=;#'\"ab \t\r\n\0é]{0,60}|",
        "(%include|[a-b='\" \n]){0,12}",
    )) {
        parse("t", &text);
    }

    #[test]
    fn lines_are_read_one_by_one(
        lines in proptest::collection::vec("[\\[\\]%=;#'\"ab ]{0,12}", 0..8),
    ) {
        // Whole, or each line as a file of its own: the same statements and findings.
        let whole = parse("t", lines.join("\n"));
        let items = |parsed: &Parsed| -> Vec<Item> {
            parsed.statements.iter().map(|statement| statement.item.clone()).collect()
        };
        let texts = |parsed: &Parsed| -> Vec<String> {
            parsed.diagnostics.iter().map(|found| found.text.clone()).collect()
        };
        let parts: Vec<Parsed> = lines.iter().map(|line| parse("t", line)).collect();
        prop_assert_eq!(items(&whole), parts.iter().flat_map(items).collect::<Vec<_>>());
        prop_assert_eq!(texts(&whole), parts.iter().flat_map(texts).collect::<Vec<_>>());
    }

    #[test]
    fn a_quoted_name_reads_back(name in "[^\r\n\0]{1,12}") {
        let single = format!("'{}' = v", name.replace('\'', "''"));
        let double = format!("\"{}\" = v", name.replace('"', "\"\""));
        for line in [single, double] {
            let parsed = parse("t", &line);
            let expected = Item::Assign { name: name.clone(), value: "v".into() };
            prop_assert_eq!(&parsed.statements[0].item, &expected);
        }
    }
}
