use proptest::prelude::*;

use super::*;

fn tokens(sql: &str, quoting: Quoting) -> Vec<(Kind, &str)> {
    Lexer::new(sql.as_bytes(), quoting)
        .filter(Token::is_significant)
        .map(|token| (token.kind, str::from_utf8(token.text).unwrap()))
        .collect()
}

#[test]
fn tokens_are_cut_as_the_server_cuts_them() {
    use Kind::*;
    let rows: [(&str, &[(Kind, &str)]); 34] = [
        (
            "a$1 _b \u{e9}\u{b}c",
            &[(Word, "a$1"), (Word, "_b"), (Word, "\u{e9}"), (Word, "c")],
        ),
        ("'a''b' 'c'", &[(Text, "'a''b'"), (Text, "'c'")]),
        ("'a\\' b", &[(Text, "'a\\'"), (Word, "b")]),
        ("E'a\\'b' c", &[(Text, "E'a\\'b'"), (Word, "c")]),
        ("e'\\\\' c", &[(Text, "e'\\\\'"), (Word, "c")]),
        ("'a'\n'b'", &[(Text, "'a'\n'b'")]),
        (
            "'a' -- c\n -- d\r\n'b' c",
            &[(Text, "'a' -- c\n -- d\r\n'b'"), (Word, "c")],
        ),
        ("'a' /* c */\n'b'", &[(Text, "'a'"), (Text, "'b'")]),
        ("E'a'\n'\\'' c", &[(Text, "E'a'\n'\\''"), (Word, "c")]),
        (
            "B'1'\n'0' X'1F' n'x'",
            &[(Text, "B'1'\n'0'"), (Text, "X'1F'"), (Text, "n'x'")],
        ),
        ("b'1''0'", &[(Text, "b'1'"), (Text, "'0'")]),
        (
            "U&'d\\0061' u&\"x\"\"y\" U &",
            &[
                (Text, "U&'d\\0061'"),
                (Quoted, "u&\"x\"\"y\""),
                (Word, "U"),
                (Operator, "&"),
            ],
        ),
        ("xe'a'", &[(Word, "xe"), (Text, "'a'")]),
        (
            "$$a$b$$ $x$ $$ $y$ $x$",
            &[(Text, "$$a$b$$"), (Text, "$x$ $$ $y$ $x$")],
        ),
        ("$a$$b$a$", &[(Text, "$a$$b$a$")]),
        (
            "$1a $2$$x$$",
            &[(Param, "$1"), (Word, "a"), (Param, "$2"), (Text, "$$x$$")],
        ),
        ("a$b$c$b$", &[(Word, "a$b$c$b$")]),
        ("$a", &[(Broken, "$"), (Word, "a")]),
        (
            "1 1.5 .5 1. 1e5 1.e-5 1E+5",
            &[
                (Number, "1"),
                (Number, "1.5"),
                (Number, ".5"),
                (Number, "1."),
                (Number, "1e5"),
                (Number, "1.e-5"),
                (Number, "1E+5"),
            ],
        ),
        (
            "0x1F 0o17 0B101 1_000 0x_1 1_0.0_1e1_0",
            &[
                (Number, "0x1F"),
                (Number, "0o17"),
                (Number, "0B101"),
                (Number, "1_000"),
                (Number, "0x_1"),
                (Number, "1_0.0_1e1_0"),
            ],
        ),
        (
            "1..2 1.2.3",
            &[
                (Number, "1"),
                (Punctuation, ".."),
                (Number, "2"),
                (Number, "1.2"),
                (Number, ".3"),
            ],
        ),
        (
            "1a 1e 1e+ 0x 1_ 1__0",
            &[
                (Number, "1"),
                (Word, "a"),
                (Number, "1"),
                (Word, "e"),
                (Number, "1"),
                (Word, "e"),
                (Operator, "+"),
                (Number, "0"),
                (Word, "x"),
                (Number, "1"),
                (Word, "_"),
                (Number, "1"),
                (Word, "__0"),
            ],
        ),
        (
            "a.b::c[1:2]:=d",
            &[
                (Word, "a"),
                (Punctuation, "."),
                (Word, "b"),
                (Punctuation, "::"),
                (Word, "c"),
                (Punctuation, "["),
                (Number, "1"),
                (Punctuation, ":"),
                (Number, "2"),
                (Punctuation, "]"),
                (Punctuation, ":="),
                (Word, "d"),
            ],
        ),
        (
            "a=-1 @-1 +-",
            &[
                (Word, "a"),
                (Operator, "="),
                (Operator, "-"),
                (Number, "1"),
                (Operator, "@-"),
                (Number, "1"),
                (Operator, "+"),
                (Operator, "-"),
            ],
        ),
        ("=--c", &[(Operator, "=")]),
        (
            "->>'x' ?| <>",
            &[
                (Operator, "->>"),
                (Text, "'x'"),
                (Operator, "?|"),
                (Operator, "<>"),
            ],
        ),
        (
            "+/*c*/- *-*",
            &[(Operator, "+"), (Operator, "-"), (Operator, "*-*")],
        ),
        ("/*/**/*/a/**/", &[(Word, "a")]),
        ("/**//*/ */b", &[(Word, "b")]),
        ("/* /* */ a", &[(Broken, "/* /* */ a")]),
        ("'a", &[(Broken, "'a")]),
        ("a \"b", &[(Word, "a"), (Broken, "\"b")]),
        ("$x$ $X$", &[(Broken, "$x$ $X$")]),
        (
            "a\0\\{",
            &[(Word, "a"), (Broken, "\0"), (Broken, "\\"), (Broken, "{")],
        ),
    ];
    for (sql, expected) in rows {
        assert_eq!(tokens(sql, Quoting::Standard), expected, "{sql}");
    }
}

#[test]
fn backslashes_escape_in_plain_strings_where_the_setting_says_so() {
    use Kind::*;
    let rows: [(&str, &[(Kind, &str)]); 6] = [
        ("'a\\'b' c", &[(Text, "'a\\'b'"), (Word, "c")]),
        ("n'\\'' c", &[(Text, "n'\\''"), (Word, "c")]),
        ("'\\\\' c", &[(Text, "'\\\\'"), (Word, "c")]),
        ("b'\\' c", &[(Text, "b'\\'"), (Word, "c")]),
        ("\"\\\" c", &[(Quoted, "\"\\\""), (Word, "c")]),
        ("U&'x' c", &[(Broken, "U&'x'"), (Word, "c")]),
    ];
    for (sql, expected) in rows {
        assert_eq!(tokens(sql, Quoting::Backslash), expected, "{sql}");
    }
}

#[test]
fn hostile_texts_take_a_time_that_grows_with_their_length_only() {
    const LENGTH: usize = 1 << 20;
    let repeat = |text: &str| text.repeat(LENGTH / text.len()).into_bytes();
    let too_long = repeat("<");
    let operator = Lexer::new(&too_long, Quoting::Standard).next();
    assert_eq!(operator.map(|token| token.kind), Some(Kind::Broken));
    for text in [
        "(", "+-", "+", "/*", "*/", "$", "$a", "$a$b", "'", "'\n", "' --\n", "\"", "E'\\", "1e",
        "1_", ".", "\0", "a", " ",
    ] {
        let (sql, mut length) = (repeat(text), 0);
        for token in Lexer::new(&sql, Quoting::Standard) {
            length += token.text.len();
        }
        assert_eq!(length, sql.len(), "{text}");
    }
}

/// Pieces that texts are made of in the tests: each kind, and the starts and ends of them.
pub const FRAGMENTS: [&str; 56] = [
    " ", "\n", "\r", "\t", "\u{b}", "--", "-- c\n", "/*", "*/", "/* c */", "'", "''", "'a'", "E'",
    "e'\\'", "\\", "b'1'", "X'", "N'", "U&'", "U&\"", "\"", "\"a\"", "$", "$$", "$a$", "$1", "1",
    "0x", "1_0", "1e", "1.", "..", ".", "e5", "_", "+", "-", "*", "/", "<", "=", "!", "@", "?",
    "::", ":", ":=", "(", ")", ",", ";", "a", "select", "é", "\0",
];

pub fn any_sql() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        9 => prop::sample::select(&FRAGMENTS[..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(fragment, 0..40).prop_map(|parts| parts.concat())
}

/// Random runs that leave no files.
pub fn runs(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

pub fn any_quoting() -> impl Strategy<Value = Quoting> {
    prop_oneof![Just(Quoting::Standard), Just(Quoting::Backslash)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens_cover_every_byte_once_and_in_order(sql in any_sql(), quoting in any_quoting()) {
        let mut whole = Vec::new();
        for token in Lexer::new(&sql, quoting) {
            prop_assert!(!token.text.is_empty());
            whole.extend_from_slice(token.text);
        }
        prop_assert_eq!(whole, sql);
    }

    #[test]
    fn a_token_does_not_depend_on_what_was_before(sql in any_sql(), quoting in any_quoting()) {
        // Operators do: `+` in `=+` is one by itself, and the memory of that must not show elsewhere.
        let mut lexer = Lexer::new(&sql, quoting);
        while !lexer.rest().is_empty() {
            let afresh = Lexer::new(lexer.rest(), quoting).next();
            prop_assert_eq!(lexer.next(), afresh);
        }
    }
}
