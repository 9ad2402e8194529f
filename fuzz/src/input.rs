//! Reads choices and pieces off a fuzzer's bytes. What is missing reads as zero or empty.

/// The bytes that have not been read.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    /// One of the choices: the one that is the byte itself, or else any.
    pub fn choose(&mut self, choices: &[u8]) -> u8 {
        let byte = self.byte();
        if choices.contains(&byte) {
            byte
        } else {
            choices[usize::from(byte) % choices.len()]
        }
    }

    /// A length in one byte, and so many bytes.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        piece
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// Cuts `bytes` into pieces of one to sixteen bytes, always the same for one seed.
pub fn cut(bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed) + 1;
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let (piece, tail) = rest.split_at((state as usize % 16 + 1).min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
