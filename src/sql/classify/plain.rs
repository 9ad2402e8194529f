//! Sans-IO. Hands our tokens to the parser.
//!
//! The parser does not cut the text itself: where its rules for strings, comments and operators
//! differ from `PostgreSQL`'s, a write could hide in what it takes for a string. It does not see
//! values either, so that statements that differ in nothing else have the same verdict.
//! Invariant: what is left out is constants only; every name, keyword and operator is handed over.

use sqlparser::tokenizer::Token as Parsed;

use super::words::folded;
use crate::sql::lexer::{Kind, Token};

/// The tokens for the parser; `None` if one has no counterpart, or there are more than `limit`.
pub fn tokens<'a>(tokens: impl Iterator<Item = Token<'a>>, limit: usize) -> Option<Vec<Parsed>> {
    let mut all: Vec<Parsed> = Vec::new();
    for token in tokens {
        let parsed = match token.kind {
            Kind::Word => Parsed::make_word(std::str::from_utf8(token.text).ok()?, None),
            Kind::Quoted => Parsed::make_word(&folded(&token)?, Some('"')),
            Kind::Text => Parsed::SingleQuotedString(String::new()),
            Kind::Number => Parsed::Number("1".to_owned(), false),
            Kind::Param => Parsed::Placeholder("$1".to_owned()),
            Kind::Operator | Kind::Punctuation => symbol(std::str::from_utf8(token.text).ok()?),
            Kind::Space | Kind::Comment => continue,
            Kind::Broken => return None,
        };
        if continues_a_list(&all, &parsed) {
            all.pop();
            continue;
        }
        if all.len() >= limit {
            return None;
        }
        all.push(parsed);
    }
    Some(all)
}

/// Whether it is a constant after `(constant,`: long lists of them say no more than short ones.
fn continues_a_list(all: &[Parsed], next: &Parsed) -> bool {
    is_constant(next)
        && matches!(all, [.., Parsed::LParen, constant, Parsed::Comma] if is_constant(constant))
}

fn is_constant(token: &Parsed) -> bool {
    matches!(
        token,
        Parsed::SingleQuotedString(_) | Parsed::Number(..) | Parsed::Placeholder(_)
    )
}

/// The operators that have tokens of their own. All others are custom ones, between two operands.
fn symbol(text: &str) -> Parsed {
    match text {
        "(" => Parsed::LParen,
        ")" => Parsed::RParen,
        "[" => Parsed::LBracket,
        "]" => Parsed::RBracket,
        "," => Parsed::Comma,
        ";" => Parsed::SemiColon,
        "." => Parsed::Period,
        ":" => Parsed::Colon,
        "::" => Parsed::DoubleColon,
        ":=" => Parsed::Assignment,
        "=>" => Parsed::RArrow,
        "=" => Parsed::Eq,
        "<>" | "!=" => Parsed::Neq,
        "<" => Parsed::Lt,
        ">" => Parsed::Gt,
        "<=" => Parsed::LtEq,
        ">=" => Parsed::GtEq,
        "+" => Parsed::Plus,
        "-" => Parsed::Minus,
        "*" => Parsed::Mul,
        "/" => Parsed::Div,
        "%" => Parsed::Mod,
        "||" => Parsed::StringConcat,
        "~" => Parsed::Tilde,
        "@" => Parsed::AtSign,
        "|/" => Parsed::PGSquareRoot,
        "||/" => Parsed::PGCubeRoot,
        "!!" => Parsed::DoubleExclamationMark,
        "@-@" => Parsed::AtDashAt,
        "@@" => Parsed::AtAt,
        "#" => Parsed::Sharp,
        "##" => Parsed::DoubleSharp,
        "?-" => Parsed::QuestionMarkDash,
        "?|" => Parsed::QuestionPipe,
        "^" => Parsed::Caret,
        "&" => Parsed::Ampersand,
        "|" => Parsed::Pipe,
        other => Parsed::CustomBinaryOperator(other.to_owned()),
    }
}
