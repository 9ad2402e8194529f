//! Sans-IO. The text that is made of pieces.

use std::ops::ControlFlow;

use crate::sql::lexer::Quoting;
use crate::sql::pieces::{self, Piece};

/// Stands at the end of a text that was cut.
const CUT: &str = "...";
/// Stands for what no server reads. Two pieces `<` and `broken` would have a space between.
const BROKEN: &[u8] = b"<broken>";
/// Stands after a value that speaks of the session.
const TELLTALE: &[u8] = b"/* session */";

/// The text to read, for lists and statistics: never a value in it, at most `limit` bytes long.
pub fn normalize(sql: &[u8], quoting: Quoting, limit: usize) -> String {
    let mut text = Text::new(limit);
    let shown = pieces::each(sql, quoting, &mut |piece| text.add(piece));
    let lossy = String::from_utf8_lossy(&text.bytes);
    if shown.is_continue() && lossy.len() <= limit {
        return lossy.into_owned();
    }
    let mut end = limit.saturating_sub(CUT.len()).min(lossy.len());
    while !lossy.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, _) = lossy.split_at(end);
    let cut = CUT.get(..limit.min(CUT.len())).unwrap_or_default();
    [kept, cut].concat()
}

/// What is wanted between two pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// A space, unless the next piece is against it.
    Space,
    /// The same, but a parenthesis, dot or cast belongs to the last piece.
    Call,
    /// None.
    Tight,
}

struct Text {
    bytes: Vec<u8>,
    limit: usize,
    values: usize,
    gap: Gap,
}

/// Keywords that a parenthesis does not belong to.
const KEYWORDS: [&[u8]; 24] = [
    b"all",
    b"and",
    b"any",
    b"array",
    b"as",
    b"by",
    b"else",
    b"except",
    b"exists",
    b"from",
    b"in",
    b"intersect",
    b"join",
    b"lateral",
    b"not",
    b"on",
    b"or",
    b"over",
    b"select",
    b"then",
    b"union",
    b"using",
    b"values",
    b"where",
];

impl Text {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            values: 0,
            gap: Gap::Tight,
        }
    }

    fn add(&mut self, piece: Piece<'_>) -> ControlFlow<()> {
        let after = match piece {
            Piece::Word(text) => {
                self.word(text);
                let is_keyword = KEYWORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
                if is_keyword { Gap::Space } else { Gap::Call }
            }
            Piece::Quoted(text) => {
                self.put(text);
                Gap::Call
            }
            Piece::Value => {
                self.values += 1;
                let number = self.values;
                self.put(format!("${number}").as_bytes());
                Gap::Call
            }
            Piece::Telltale => {
                self.put(TELLTALE);
                Gap::Space
            }
            Piece::Symbol(text) => self.symbol(text),
            Piece::Broken => {
                self.put(BROKEN);
                Gap::Space
            }
        };
        self.gap = after;
        if self.bytes.len() > self.limit {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn put(&mut self, text: &[u8]) {
        if self.gap != Gap::Tight {
            self.bytes.push(b' ');
        }
        self.copy(text);
    }

    /// One byte more than fits shows that it does not.
    fn copy(&mut self, text: &[u8]) {
        let room = (self.limit + 1).saturating_sub(self.bytes.len());
        let fitting = text.get(..room.min(text.len())).unwrap_or_default();
        self.bytes.extend_from_slice(fitting);
    }

    fn word(&mut self, text: &[u8]) {
        self.put(&[]);
        let start = self.bytes.len();
        self.copy(text);
        if let Some(word) = self.bytes.get_mut(start..) {
            word.make_ascii_lowercase();
        }
    }

    fn symbol(&mut self, text: &[u8]) -> Gap {
        // Dots and colons keep apart from each other, or two would look like another one.
        self.gap = match (text, self.gap) {
            (b"," | b";" | b")" | b"]", _) | (b"(" | b"[" | b"." | b"::", Gap::Call) => Gap::Tight,
            ([b'.' | b':', ..], _) => Gap::Space,
            (_, gap) => gap,
        };
        self.put(text);
        match text {
            b"(" | b"[" | b"." | b"::" => Gap::Tight,
            b")" | b"]" => Gap::Call,
            _ => Gap::Space,
        }
    }
}
