use proptest::prelude::*;

use super::*;

/// The tokens of a text, each with a letter for its kind.
fn tokens(sql: &str, quoting: Quoting) -> String {
    let tokens = Lexer::new(sql.as_bytes(), quoting).filter(Token::is_significant);
    let shown = tokens.map(|token| {
        let kind = match token.kind {
            Kind::Space | Kind::Comment => "?",
            Kind::Word => "w",
            Kind::Quoted => "q",
            Kind::Text => "t",
            Kind::Number => "n",
            Kind::Param => "p",
            Kind::Operator => "o",
            Kind::Punctuation => "s",
            Kind::Broken => "!",
        };
        format!("{kind}<{}>", token.text.escape_ascii())
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn strings_are_cut_as_the_server_cuts_them() {
    for (sql, expected) in [
        ("'a''b' 'c'", r"t<\'a\'\'b\'> t<\'c\'>"),
        (r"'a\' b", r"t<\'a\\\'> w<b>"),
        (r"E'a\'b' c", r"t<E\'a\\\'b\'> w<c>"),
        (r"e'\\' c", r"t<e\'\\\\\'> w<c>"),
        ("'a'\n'b'", r"t<\'a\'\n\'b\'>"),
        (
            "'a' -- c\n -- d\r\n'b' c",
            r"t<\'a\' -- c\n -- d\r\n\'b\'> w<c>",
        ),
        ("'a' /* c */\n'b'", r"t<\'a\'> t<\'b\'>"),
        ("'a' -- 'b'", r"t<\'a\'>"),
        ("E'a'\n'\\'' c", r"t<E\'a\'\n\'\\\'\'> w<c>"),
        (
            "B'1'\n'0' X'1F' n'x'",
            r"t<B\'1\'\n\'0\'> t<X\'1F\'> t<n\'x\'>",
        ),
        ("b'1''0'", r"t<b\'1\'> t<\'0\'>"),
        (r"U&'d\0061' U &", r"t<U&\'d\\0061\'> w<U> o<&>"),
        ("u&\"x\"\"y\" \"'\"", r#"q<u&\"x\"\"y\"> q<\"\'\">"#),
        ("xe'a'", r"w<xe> t<\'a\'>"),
        ("$$a$b$$ $x$ $$ $y$ $x$", "t<$$a$b$$> t<$x$ $$ $y$ $x$>"),
        ("$a$$b$a$", "t<$a$$b$a$>"),
        ("a$b$c$b$", "w<a$b$c$b$>"),
        ("$2$$x$$", "p<$2> t<$$x$$>"),
        ("'a", r"!<\'a>"),
        ("a \"b", r#"w<a> !<\"b>"#),
        ("$x$ $X$", "!<$x$ $X$>"),
        ("$a", "!<$> w<a>"),
    ] {
        assert_eq!(tokens(sql, Quoting::Standard), expected, "{sql}");
    }
}

#[test]
fn numbers_names_and_symbols_are_cut_as_the_server_cuts_them() {
    for (sql, expected) in [
        ("a$1 _b é\u{b}c", r"w<a$1> w<_b> w<\xc3\xa9> w<c>"),
        ("1 1.5 .5 1. 1e5", "n<1> n<1.5> n<.5> n<1.> n<1e5>"),
        ("1.e-5 1E+5 0x1F 0o17", "n<1.e-5> n<1E+5> n<0x1F> n<0o17>"),
        (
            "0B101 1_000 0x_1 1_0.0_1e1_0",
            "n<0B101> n<1_000> n<0x_1> n<1_0.0_1e1_0>",
        ),
        ("1..2 1.2.3", "n<1> s<..> n<2> n<1.2> n<.3>"),
        (
            "1a 1e 1e+ 0x",
            "n<1> w<a> n<1> w<e> n<1> w<e> o<+> n<0> w<x>",
        ),
        ("1_ 1__0 $1a", "n<1> w<_> n<1> w<__0> p<$1> w<a>"),
        ("a.b::c", "w<a> s<.> w<b> s<::> w<c>"),
        ("[1:2]:=", "s<[> n<1> s<:> n<2> s<]> s<:=>"),
        ("a=-1", "w<a> o<=> o<-> n<1>"),
        ("@-1 +- *-*", "o<@-> n<1> o<+> o<-> o<*-*>"),
        ("=--c", "o<=>"),
        ("->>'x' ?| <>", r"o<->>> t<\'x\'> o<?|> o<<>>"),
        ("+/*c*/-", "o<+> o<->"),
        ("/*/**/*/a/**/", "w<a>"),
        ("/**//*/ */b", "w<b>"),
        ("/* /* */ a", "!</* /* */ a>"),
        ("a\0\\{", r"w<a> !<\x00> !<\\> !<{>"),
    ] {
        assert_eq!(tokens(sql, Quoting::Standard), expected, "{sql}");
    }
}

#[test]
fn backslashes_escape_in_plain_strings_where_the_setting_says_so() {
    for (sql, expected) in [
        (r"'a\'b' c", r"t<\'a\\\'b\'> w<c>"),
        (r"n'\'' c", r"t<n\'\\\'\'> w<c>"),
        (r"'\\' c", r"t<\'\\\\\'> w<c>"),
        (r"b'\' c", r"t<b\'\\\'> w<c>"),
        (r#""\" c"#, r#"q<\"\\\"> w<c>"#),
        ("U&'x' c", r"!<U&\'x\'> w<c>"),
    ] {
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
    #![proptest_config(runs(2000))]

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
