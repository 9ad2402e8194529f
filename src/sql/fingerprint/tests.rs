use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::sql::lexer::tests::{any_quoting, any_sql, runs};
use crate::sql::lexer::{Kind, Lexer};

const SEED: u64 = 7;

fn number(sql: &str) -> Fingerprint {
    fingerprint(sql.as_bytes(), Quoting::Standard, SEED)
}

fn shown(sql: &str) -> String {
    normalize(sql.as_bytes(), Quoting::Standard, 1000)
}

#[test]
fn values_case_space_and_comments_do_not_matter() {
    for same in [
        &[
            "select 1",
            "SELECT 2",
            "select\n'x'",
            "select /* c */ $1",
            "select 1;",
            "select E'\\'' -- c",
            "select $$x$$",
        ][..],
        &[
            "select a from t where b = -1",
            "select a from t where b = 2",
            "SELECT A FROM T WHERE B = - 3",
        ],
        &[
            "select in (1, 2, 3)",
            "select in (1)",
            "select in ($1,$2)",
            "select in ('a', NULL, -1)",
        ],
        &[
            "insert into t values (1, 2)",
            "insert into t values (1, 'x'), (DEFAULT, -3), ($1, $2)",
        ],
        &["select array[1]", "select ARRAY[1, 2, 3]"],
    ] {
        for sql in same {
            assert_eq!(number(sql), number(same[0]), "{sql}");
            assert_eq!(shown(sql), shown(same[0]), "{sql}");
        }
    }
}

#[test]
fn everything_but_values_matters() {
    let texts = [
        "select a",
        "select b",
        "select \"a\"",
        "select \"A\"",
        "select a, a",
        "select a.a",
        "select a . a, a",
        "select f(1)",
        "select f(1, 2)",
        "select f($1, $2, $3)",
        "select (1, 2)",
        "select 1, 2",
        "select a in (1)",
        "select a.in (1, 2)",
        "select a in (1, b)",
        "select a in (select 1)",
        "values (1)",
        "values (1, 2)",
        "values (1), (2, 3)",
        "values (1, 2), (3, f(4))",
        "select array[1]",
        "select array[1, a]",
        "select array[]",
        "select a - 1",
        "select a -1 - 1",
        "select a ? 1",
        "select a ?| 1",
        "select a < 1",
        "select 1; select 1",
        "select é",
        "select É",
        "select interval '1'",
        "select 'a' 'b'",
        "set search_path = 'public'",
        "set search_path = 'pg_temp'",
        "do 'create temp table t ()'",
        "do 'x'",
        "select 'x",
        "",
    ];
    let numbers: BTreeSet<_> = texts.iter().map(|sql| number(sql)).collect();
    let shown: BTreeSet<_> = texts.iter().map(|sql| shown(sql)).collect();
    assert_eq!((numbers.len(), shown.len()), (texts.len(), texts.len()));
}

#[test]
fn the_text_is_easy_to_read_and_has_no_values() {
    for (sql, expected) in [
        ("SELECT  count( * )FROM T", "select count(*) from t"),
        (
            "select a . b::int [ 1 ], -5 from \"T\"",
            "select a.b::int[$1], $2 from \"T\"",
        ),
        (
            "INSERT INTO t(a,b) VALUES(1,'x'),(2,'y') ;",
            "insert into t(a, b) values ($1, $2)",
        ),
        (
            "select a from t where b in (1,2) and c->>'x'=E'\\'' limit 10",
            "select a from t where b in ($1) and c ->> $2 = $3 limit $4",
        ),
        ("select 'secret", "select <broken>"),
        ("set a = 'b'; do $$x$$;;", "set a = $1; do $2"),
        ("do $$listen$$", "do $1 /* session */"),
        ("select f($3, x'00')", "select f($1, $2)"),
    ] {
        assert_eq!(shown(sql), expected, "{sql}");
    }
}

#[test]
fn the_text_is_never_longer_than_its_limit() {
    let sql = "select é, \"a b\", 1 from t where a = 'x'".as_bytes();
    for limit in 0..60 {
        let text = normalize(sql, Quoting::Standard, limit);
        assert!(text.len() <= limit, "{limit}: {text}");
    }
    assert_eq!(normalize(sql, Quoting::Standard, 12), "select é...");
    let invalid = b"select \xff\xfe\xfd\xfc";
    assert_eq!(
        normalize(invalid, Quoting::Standard, 13),
        "select \u{fffd}..."
    );
    assert_eq!(
        normalize(invalid, Quoting::Standard, 19),
        "select \u{fffd}\u{fffd}\u{fffd}\u{fffd}"
    );
}

#[test]
fn the_seed_decides_which_number_a_text_has() {
    let numbers = [0, 1, u64::MAX].map(|seed| fingerprint(b"select 1", Quoting::Standard, seed));
    assert_eq!(BTreeSet::from(numbers).len(), 3);
}

#[test]
fn long_lists_are_read_in_a_time_that_grows_with_their_length_only() {
    const LENGTH: usize = 1 << 20;
    for (start, item) in [
        ("select a in (", "1,"),
        ("values ", "(1,2),"),
        ("values (1)", ",(1)"),
        ("values ", "(1,a),"),
        ("select ", "a in ("),
        ("select array[", "array[1,"),
        ("select ", "values(1,"),
        ("", ";"),
        ("select ", "- "),
    ] {
        let sql = [start, &item.repeat(LENGTH / item.len())].concat();
        number(&sql);
    }
}

proptest! {
    #![proptest_config(runs(3000))]

    #[test]
    fn equal_numbers_mean_equal_texts(a in any_sql(), b in any_sql(), quoting in any_quoting()) {
        // Random texts are rarely equal: the second one is also taken apart from the first.
        let cut = b.len().min(a.len());
        for (a, b) in [(&a[..], &b[..]), (&a[..], &a[..cut]), (&a[cut..], &a[..])] {
            if [a, b].iter().any(|sql| str::from_utf8(sql).is_err()) {
                continue;
            }
            let numbers = [a, b].map(|sql| fingerprint(sql, quoting, SEED));
            let texts = [a, b].map(|sql| normalize(sql, quoting, 10_000));
            prop_assert_eq!(numbers[0] == numbers[1], texts[0] == texts[1], "{:?}", texts);
        }
    }

    #[test]
    fn what_does_not_matter_can_be_put_anywhere(
        sql in any_sql(),
        gap in 0..3_usize,
        quoting in any_quoting(),
    ) {
        // Between two tokens: space and comments, in capitals or not, and another value.
        let gap = [&b" "[..], b" /* '\" */ ", b" -- ;\n\t"][gap];
        let mut other = Vec::new();
        let mut is_broken = false;
        for token in Lexer::new(&sql, quoting) {
            is_broken |= token.kind == Kind::Broken;
            match token.kind {
                Kind::Space | Kind::Comment => other.extend_from_slice(gap),
                Kind::Word => other.extend(token.text.to_ascii_uppercase()),
                Kind::Text | Kind::Number | Kind::Param => other.extend_from_slice(b" $$x$$ "),
                Kind::Quoted | Kind::Operator | Kind::Punctuation | Kind::Broken => {
                    other.extend_from_slice(token.text);
                }
            }
        }
        // A sign belongs to a number, and not to a string.
        let signed = sql.iter().any(|byte| matches!(byte, b'-' | b'+'));
        if !is_broken && !signed {
            let numbers = [&sql, &other].map(|sql| fingerprint(sql, quoting, SEED));
            prop_assert_eq!(numbers[0], numbers[1], "{:?}", String::from_utf8_lossy(&other));
        }
    }
}
