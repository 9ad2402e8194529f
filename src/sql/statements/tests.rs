use proptest::prelude::*;

use super::*;
use crate::sql::lexer::tests::{any_quoting, any_sql, runs};

fn cut(sql: &str) -> Vec<&str> {
    Statements::new(sql.as_bytes(), Quoting::Standard)
        .map(|statement| str::from_utf8(statement).unwrap())
        .collect()
}

#[test]
fn semicolons_end_statements() {
    for (sql, expected) in [
        ("", &[][..]),
        (" ; -- c\n; /* c */", &[]),
        ("select 1", &["select 1"]),
        ("select 1;", &["select 1"]),
        ("select 1; select 2", &["select 1", " select 2"]),
        ("select ';'; select \";\"", &["select ';'", " select \";\""]),
        ("select $$;$$ /* ; */ -- ;", &["select $$;$$ /* ; */ -- ;"]),
        (
            "create rule r as on insert to t do (delete from a; notify b); select 1",
            &[
                "create rule r as on insert to t do (delete from a; notify b)",
                " select 1",
            ],
        ),
        (
            "create function f() begin atomic select case 1 when 2 then 3 end; end; select 1",
            &[
                "create function f() begin atomic select case 1 when 2 then 3 end; end",
                " select 1",
            ],
        ),
        ("begin; select 1; end", &["begin", " select 1", " end"]),
        ("select (1; select 2", &["select (1; select 2"]),
        ("select 1); select 2", &["select 1)", " select 2"]),
    ] {
        assert_eq!(cut(sql), expected, "{sql}");
    }
}

proptest! {
    #![proptest_config(runs(1000))]

    #[test]
    fn any_text_is_cut_without_losing_any_of_it(sql in any_sql(), quoting in any_quoting()) {
        let significant = |sql: &[u8]| {
            let tokens = Lexer::new(sql, quoting).filter(Token::is_significant);
            let words = tokens.filter(|token| !token.is(";"));
            words.map(|token| token.text.to_vec()).collect::<Vec<_>>()
        };
        let parts: Vec<_> = Statements::new(&sql, quoting).flat_map(significant).collect();
        prop_assert_eq!(parts, significant(&sql));
    }
}
