//! SQL as clients send it: tokens, statements, fingerprints, hints and leading keywords.
//!
//! Claims: tokens cover every byte once and in order; cutting into statements loses nothing; two
//! texts with equal fingerprints have equal texts without values, and the keywords say the same of
//! them; space, comments and other values change neither; only an empty text is a read by its keywords.

use pgweir::sql::command::{command, verdict_of};
use pgweir::sql::fingerprint::{fingerprint, normalize};
use pgweir::sql::lexer::{Kind, Lexer, Quoting, Token};
use pgweir::sql::statements::Statements;
use pgweir::sql::wish::wish;
use pgweir::sql::{Class, Verdict};

use crate::input::Input;

const SEED: u64 = 1;
const TEXT_MAX: usize = 1 << 20;

/// Runs one input: `s` or `b` for how strings are written, and a text.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let quoting = match input.choose(b"sb") {
        b's' => Quoting::Standard,
        _ => Quoting::Backslash,
    };
    let sql = input.rest();
    let tokens: Vec<_> = Lexer::new(sql, quoting).collect();
    assert_eq!(
        tokens
            .iter()
            .map(|token| token.text)
            .collect::<Vec<_>>()
            .concat(),
        sql
    );
    assert_eq!(
        Statements::new(sql, quoting)
            .flat_map(|part| words(part, quoting))
            .collect::<Vec<_>>(),
        words(sql, quoting)
    );
    wish(sql, quoting);
    let verdicts = verdicts(sql, quoting);
    let is_empty = words(sql, quoting).is_empty();
    let reads = |verdict: &Option<Verdict>| verdict.is_some_and(|one| one.class == Class::Read);
    assert!(is_empty || !verdicts.iter().any(reads));
    compare(sql, &rewritten(&tokens), quoting);
    compare(sql, sql.split_at(sql.len() / 2).0, quoting);
}

fn words(sql: &[u8], quoting: Quoting) -> Vec<&[u8]> {
    let tokens = Lexer::new(sql, quoting).filter(Token::is_significant);
    tokens
        .filter(|token| !token.is(";"))
        .map(|token| token.text)
        .collect()
}

fn verdicts(sql: &[u8], quoting: Quoting) -> Vec<Option<Verdict>> {
    let statements = Statements::new(sql, quoting);
    statements
        .map(|one| verdict_of(&command(one, quoting)))
        .collect()
}

/// The same with other space, other comments and other strings.
fn rewritten(tokens: &[Token<'_>]) -> Vec<u8> {
    let parts = tokens.iter().map(|token| match token.kind {
        Kind::Space | Kind::Comment => b" -- '\n ",
        Kind::Text => b" $$x$$ ",
        _ => token.text,
    });
    parts.collect::<Vec<_>>().concat()
}

fn compare(one: &[u8], other: &[u8], quoting: Quoting) {
    let texts = [one, other].map(|sql| normalize(sql, quoting, TEXT_MAX));
    let numbers = [one, other].map(|sql| fingerprint(sql, quoting, SEED));
    if numbers[0] == numbers[1] {
        assert_eq!(texts[0], texts[1]);
        assert_eq!(
            verdicts(one, quoting),
            verdicts(other, quoting),
            "{texts:?}"
        );
    } else if str::from_utf8(one).is_ok() && str::from_utf8(other).is_ok() {
        assert_ne!(texts[0], texts[1]);
    }
}
