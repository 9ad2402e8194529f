//! Sans-IO. Goes through the tokens of a statement, with a look ahead.

use std::borrow::Cow;

use super::body::Body;
use super::names;
use crate::sql::lexer::{Kind, Lexer, Quoting, Token};

/// The tokens of a statement that have not been read.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    lexer: Lexer<'a>,
}

impl<'a> Words<'a> {
    pub fn new(sql: &'a [u8], quoting: Quoting) -> Self {
        Self {
            lexer: Lexer::new(sql, quoting),
        }
    }

    /// The next token.
    pub fn take(&mut self) -> Option<Token<'a>> {
        self.lexer.next_significant()
    }

    /// The next token, which stays.
    pub fn peek(&self) -> Option<Token<'a>> {
        self.lexer.clone().next_significant()
    }

    /// Takes the next token if it is this keyword.
    pub fn eat(&mut self, word: &str) -> bool {
        self.eat_if(|token| token.is_word(word))
    }

    /// Takes the next token if it is one of these keywords.
    pub fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    /// Takes these keywords, all of them or none.
    pub fn eat_all(&mut self, words: &[&str]) -> bool {
        let mut ahead = self.clone();
        let all = words.iter().all(|word| ahead.eat(word));
        if all {
            *self = ahead;
        }
        all
    }

    /// Takes the next token if it is this symbol.
    pub fn eat_symbol(&mut self, symbol: &str) -> bool {
        self.eat_if(|token| token.is(symbol))
    }

    /// Takes the next token if it is a value of any kind.
    pub fn eat_value(&mut self) -> bool {
        self.eat_if(|token| matches!(token.kind, Kind::Text | Kind::Number | Kind::Param))
    }

    fn eat_if(&mut self, is_it: impl FnOnce(&Token<'a>) -> bool) -> bool {
        let mut ahead = self.lexer.clone();
        let found = ahead.next_significant().is_some_and(|token| is_it(&token));
        if found {
            self.lexer = ahead;
        }
        found
    }

    /// Takes a name.
    pub fn name(&mut self) -> Option<Cow<'a, [u8]>> {
        names::name(self.take()?)
    }

    /// Takes what is in the parentheses that were opened just now, and the one that closes them.
    pub fn take_closing(&mut self) -> Option<&'a [u8]> {
        let all = self.lexer.rest();
        let mut depth = 1_usize;
        while depth > 0 {
            let token = self.take()?;
            match token.text {
                b"(" => depth += 1,
                b")" => depth -= 1,
                _ => {}
            }
        }
        all.get(..all.len() - self.lexer.rest().len() - 1)
    }

    /// Whether nothing follows but semicolons.
    pub fn is_done(&self) -> bool {
        let mut ahead = self.clone();
        while ahead.eat_symbol(";") {}
        ahead.take().is_none()
    }

    /// What follows, from the next token on.
    pub fn rest(&self) -> Body<'a> {
        Body {
            sql: self.lexer.rest_significant(),
            quoting: self.lexer.quoting(),
        }
    }

    /// What was read since `before`, without the space and comments after it.
    pub fn since(&self, before: Body<'a>) -> &'a [u8] {
        let length = before.sql.len().saturating_sub(self.lexer.rest().len());
        before.sql.get(..length).unwrap_or_default()
    }
}
