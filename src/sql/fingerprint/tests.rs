use proptest::prelude::*;

use super::*;
use crate::sql::lexer::tests::{any_quoting, any_sql, runs};

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
}
