//! Sans-IO. What a statement is but for its values: as a number, and as text to read.
//!
//! Both are made of the same `pieces`, so two texts have equal numbers when, and but for chance only
//! when, their texts are equal; and then the verdict on them is the same. Values are numbered `$1`, `$2`
//! as in `pg_stat_statements`, and not written `?`, which is an operator of `PostgreSQL`: so the text can
//! be looked up there, and given to `EXPLAIN (GENERIC_PLAN)`.

use std::ops::ControlFlow;

use super::eight;
use super::lexer::Quoting;
use super::pieces::{self, Piece};

mod render;

pub use render::normalize;

/// Stands for all texts that differ in values, case, space and comments only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// A number for this and another one together.
    pub fn mixed_with(self, other: u64) -> u64 {
        multiply(self.0 ^ other, 0x9e37_79b9_7f4a_7c15)
    }
}

/// The number of a text. Whoever does not know the seed cannot make two texts have the same.
pub fn fingerprint(sql: &[u8], quoting: Quoting, seed: u64) -> Fingerprint {
    let mut mixer = Mixer::new(seed);
    let _all = pieces::each(sql, quoting, &mut |piece| {
        mixer.add(piece);
        ControlFlow::Continue(())
    });
    Fingerprint(mixer.finish())
}

/// Marks of the kinds of pieces.
const WORD: u64 = 1 << 60;
const QUOTED: u64 = 2 << 60;
const SYMBOL: u64 = 3 << 60;
const VALUE: u64 = 4 << 60;
const BROKEN: u64 = 5 << 60;
const END: u64 = 6 << 60;
/// More of the same piece follows.
const MORE: u64 = 7 << 60;

/// Mixes numbers as foldhash does: multiplied by a secret one, both halves of the product together.
pub(super) struct Mixer {
    state: u64,
    key: u64,
}

impl Mixer {
    pub(super) fn new(seed: u64) -> Self {
        // Digits of pi, as good as any.
        let key = multiply(seed ^ 0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);
        Self {
            state: multiply(key ^ seed, 0xa409_3822_299f_31d0),
            key,
        }
    }

    fn add(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Word(text) => self.add_bytes(WORD, text, eight::lower),
            Piece::Quoted(text) => self.add_bytes(QUOTED, text, |bytes| bytes),
            Piece::Symbol(text) => self.add_bytes(SYMBOL, text, |bytes| bytes),
            Piece::Value => self.mix(0, VALUE),
            Piece::Telltale => self.mix(1, VALUE),
            Piece::Broken => self.mix(0, BROKEN),
        }
    }

    fn add_bytes(&mut self, mark: u64, text: &[u8], fold: impl Fn(u64) -> u64) {
        let mut rest = text;
        while let Some((part, more)) = rest
            .split_first_chunk()
            .filter(|(_, more)| !more.is_empty())
        {
            self.mix(fold(u64::from_le_bytes(*part)), MORE);
            rest = more;
        }
        self.mix(fold(eight::load(rest)), mark | rest.len() as u64);
    }

    pub(super) fn mix(&mut self, bytes: u64, mark: u64) {
        self.state = multiply(self.state ^ bytes, self.key ^ mark);
    }

    pub(super) fn finish(mut self) -> u64 {
        self.mix(0, END);
        self.state
    }
}

fn multiply(one: u64, other: u64) -> u64 {
    let product = (u128::from(one) * u128::from(other)).to_le_bytes();
    let (low, high) = product.split_at(8);
    eight::load(low) ^ eight::load(high)
}

#[cfg(test)]
mod tests;
