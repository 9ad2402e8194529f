//! Sans-IO. The first look at a statement: its tokens alone, without a grammar.
//!
//! Every write in `PostgreSQL`'s grammar needs a word (`INSERT`, `INTO`, `FOR UPDATE`), and every
//! call of a function by name is `name (` or, in attribute notation, `row . name`. So this look
//! finds what is known to be no read wherever it stands, also in statements that the parser does not
//! know or reads wrongly, and it finds the effects. What it cannot find is a function that nobody
//! knows, since `name (` is also the head of a list of columns: that needs the parser (`tree`).
//! Invariant: a word that is in doubt counts against the statement.

use std::borrow::Cow;

use crate::sql::catalog::Catalog;
use crate::sql::lexer::{Kind, Token};
use crate::sql::verdict::{Effect, Reason, Verdict};

/// What the tokens of a statement say of it, without space and comments. A read only as long as
/// the parser agrees.
pub fn look<'a>(tokens: impl Iterator<Item = Token<'a>>, catalog: &Catalog) -> Verdict {
    let mut look = Look {
        catalog,
        before: [None, None],
        verdict: Verdict::READ,
    };
    let mut tokens = tokens.peekable();
    while let Some(token) = tokens.next() {
        look.see(token, tokens.peek());
        look.before = [look.before[1], Some(token)];
    }
    look.verdict
}

/// A name as the server stores it; `None` if it cannot be told.
pub fn folded<'a>(token: &Token<'a>) -> Option<Cow<'a, str>> {
    let text = std::str::from_utf8(token.text).ok()?;
    match token.kind {
        Kind::Word if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some(text.to_ascii_lowercase().into())
        }
        Kind::Word => Some(text.into()),
        // A name with escapes (`U&"..."`) is not read.
        Kind::Quoted => {
            let inside = text.strip_prefix('"')?.strip_suffix('"')?;
            if inside.contains('"') {
                Some(inside.replace("\"\"", "\"").into())
            } else {
                Some(inside.into())
            }
        }
        Kind::Space
        | Kind::Comment
        | Kind::Text
        | Kind::Number
        | Kind::Param
        | Kind::Operator
        | Kind::Punctuation
        | Kind::Broken => None,
    }
}

struct Look<'a, 'c> {
    catalog: &'c Catalog,
    /// The two tokens before this one, the nearer one last.
    before: [Option<Token<'a>>; 2],
    verdict: Verdict,
}

impl<'a> Look<'a, '_> {
    fn see(&mut self, token: Token<'a>, next: Option<&Token<'a>>) {
        match token.kind {
            Kind::Word => {
                self.keyword(&token, next);
                self.name(&token, next);
            }
            Kind::Quoted => self.name(&token, next),
            Kind::Operator => {
                // Named arguments, and what the server stores under another name.
                let symbol = match std::str::from_utf8(token.text) {
                    Ok("=>") => return,
                    Ok("!=") => "<>",
                    Ok(symbol) => symbol,
                    Err(_) => return self.find(Verdict::primary(Reason::Unparsed)),
                };
                self.find(self.catalog.operator(symbol));
            }
            Kind::Broken => self.find(Verdict::primary(Reason::Unparsed)),
            Kind::Text
            | Kind::Number
            | Kind::Param
            | Kind::Punctuation
            | Kind::Space
            | Kind::Comment => {}
        }
    }

    fn find(&mut self, verdict: Verdict) {
        self.verdict = self.verdict.and(verdict);
    }

    /// Words without which no statement changes or locks anything.
    fn keyword(&mut self, token: &Token<'a>, next: Option<&Token<'a>>) {
        let is_attribute = self.before[1].is_some_and(|before| before.is("."));
        if is_attribute && !token.is_word("last_value") {
            return;
        }
        let follows =
            |words: &[&str]| next.is_some_and(|next| words.iter().any(|w| next.is_word(w)));
        let is_one_of = |words: &[&str]| words.iter().any(|word| token.is_word(word));
        if is_one_of(&["insert", "update", "delete", "merge"]) {
            self.find(Verdict::primary(Reason::Write));
        } else if token.is_word("into") {
            let verdict = Verdict::primary(Reason::Into);
            self.find(if follows(&["temp", "temporary"]) {
                verdict.with(Effect::Pins)
            } else {
                verdict
            });
        } else if is_one_of(&["last_value", "log_cnt", "is_called"])
            && !next.is_some_and(|next| next.is("("))
        {
            // Columns of a sequence, which is ahead on a standby.
            self.find(Verdict::primary(Reason::NodeDependent));
        } else if token.is_word("for") && follows(&["update", "share", "no", "key"]) {
            self.find(Verdict::primary(Reason::Locking));
        }
    }

    /// A call, if it is one, of a function that is known.
    fn name(&mut self, token: &Token<'a>, next: Option<&Token<'a>>) {
        let is_call = next.is_some_and(|next| next.is("("));
        let is_attribute = self.before[1].is_some_and(|before| before.is("."));
        if !is_call && !is_attribute {
            return;
        }
        let Some(name) = folded(token) else {
            return self.find(Verdict::primary(Reason::Unparsed));
        };
        let known = match (is_call, self.before[0].map(|of| of.kind)) {
            (true, _) => self.catalog.known_call(&name),
            (false, Some(Kind::Word | Kind::Quoted)) => self.catalog.attribute_of_row(&name),
            (false, _) => self.catalog.attribute(&name),
        };
        self.find(known.unwrap_or(Verdict::READ));
    }
}
