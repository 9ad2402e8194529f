//! Sans-IO. What a statement is but for its values: as a number, as text to read, as text to parse.
//!
//! All three are made of the same `pieces`, so two texts have equal numbers when, and but for chance
//! only when, their texts are equal. Values are numbered `$1`, `$2`, as `pg_stat_statements` does and not
//! written `?`, which is an operator of `PostgreSQL`; so the text can be given to
//! `EXPLAIN (GENERIC_PLAN)` as it is.

use std::hash::{BuildHasher, Hasher};
use std::ops::ControlFlow;

use foldhash::fast::{FixedState, FoldHasher};

use super::lexer::Quoting;
use super::pieces::{self, Piece};

mod render;

pub use render::{normalize, skeleton};

/// Stands for all texts that differ in values, case, space and comments only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

/// The number of a text. Whoever does not know the seed cannot make two texts have the same.
pub fn fingerprint(sql: &[u8], quoting: Quoting, seed: u64) -> Fingerprint {
    let state = FixedState::with_seed(seed);
    let mut hasher = state.build_hasher();
    let _all = pieces::each(sql, quoting, &mut |piece| {
        add(&mut hasher, piece);
        ControlFlow::Continue(())
    });
    Fingerprint(hasher.finish())
}

/// Marks of the kinds of pieces, which the highest byte of a number begins with.
const WORD: u64 = 0x10 << 56;
const QUOTED: u64 = 0x20 << 56;
const SYMBOL: u64 = 0x30 << 56;
const VALUE: u64 = 0x40 << 56;
const BROKEN: u64 = 0x50 << 56;
/// More of the same piece follows.
const MORE: u64 = 0x80 << 56;

fn add(hasher: &mut FoldHasher<'_>, piece: Piece<'_>) {
    match piece {
        Piece::Word(text) => add_bytes(hasher, WORD, text, lower),
        Piece::Quoted(text) => add_bytes(hasher, QUOTED, text, |bytes| bytes),
        Piece::Symbol(text) => add_bytes(hasher, SYMBOL, text, |bytes| bytes),
        Piece::Value(_) => hasher.write_u64(VALUE),
        Piece::Broken => hasher.write_u64(BROKEN),
    }
}

/// Seven bytes at a time, so that the eighth can say what they are and how many.
fn add_bytes(hasher: &mut FoldHasher<'_>, mark: u64, text: &[u8], fold: impl Fn(u64) -> u64) {
    const STEP: usize = 7;
    let mut rest = text;
    while let Some((part, more)) = rest.split_first_chunk::<STEP>() {
        if more.is_empty() {
            break;
        }
        hasher.write_u64(fold(seven(*part)) | mark | MORE);
        rest = more;
    }
    let mut last = [0; STEP];
    let mut length = 0;
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
        length += 1;
    }
    hasher.write_u64(fold(seven(last)) | mark | (length << 56));
}

fn seven(bytes: [u8; 7]) -> u64 {
    let mut eight = [0; 8];
    for (to, from) in eight.iter_mut().zip(bytes) {
        *to = from;
    }
    u64::from_le_bytes(eight)
}

/// Makes the ASCII capitals among eight bytes small.
fn lower(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = bytes & (0x7f * EACH);
    let from_a = low + (0x80 - 0x41) * EACH;
    let after_z = low + (0x7f - 0x5a) * EACH;
    let capitals = (from_a ^ after_z) & !bytes & (0x80 * EACH);
    bytes | (capitals >> 2)
}

#[cfg(test)]
mod tests;
