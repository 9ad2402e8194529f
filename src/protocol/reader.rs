//! Sans-IO. A bounds-checked reader over the body of one frame.
//!
//! Invariant: it never reads outside the slice it was made from, whatever a peer wrote there.

/// Why a body could not be read. The peer that sent it is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The body ends inside a field.
    #[error("message body ends too early: {wanted} more bytes expected, {left} left")]
    Truncated {
        /// Bytes that the field needs.
        wanted: usize,
        /// Bytes that the body still has.
        left: usize,
    },
    /// A string has no terminating zero byte.
    #[error("message body has a string without its terminating zero byte")]
    Unterminated,
    /// Bytes are left after the last field.
    #[error("message body has {0} bytes too many")]
    Trailing(usize),
    /// A count or length is negative or larger than the body can hold.
    #[error("message body declares an impossible count of {0}")]
    BadCount(i64),
}

/// The `N` bytes at `offset`, when the slice has them.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    let end = offset.checked_add(N)?;
    bytes.get(offset..end)?.try_into().ok()
}

/// Reads fields one after the other from a frame's body.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `body`, which must be exactly one frame's body.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let left = self.rest.len();
        let truncated = ReadError::Truncated {
            wanted: count,
            left,
        };
        let (head, tail) = self.rest.split_at_checked(count).ok_or(truncated)?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let left = self.rest.len();
        let truncated = ReadError::Truncated { wanted: N, left };
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A big-endian 16-bit integer.
    pub fn i16(&mut self) -> Result<i16, ReadError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A big-endian 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, ReadError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A big-endian unsigned 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 16-bit count that must not be negative.
    pub fn count(&mut self) -> Result<usize, ReadError> {
        let count = self.i16()?;
        usize::try_from(count).map_err(|_| ReadError::BadCount(count.into()))
    }

    /// A string up to its zero byte, without it. The bytes are whatever the peer sent, any encoding.
    pub fn cstr(&mut self) -> Result<&'a [u8], ReadError> {
        let end = zero_at(self.rest).ok_or(ReadError::Unterminated)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    /// A value behind its 32-bit length; `None` for a length of -1 (SQL NULL).
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, ReadError> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| ReadError::BadCount(length.into()))?;
        self.bytes(length).map(Some)
    }

    /// Demands that everything has been read.
    pub fn finish(self) -> Result<(), ReadError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(ReadError::Trailing(left)),
        }
    }
}

/// Bytes that are looked at one by one before a search begins that is made for long texts: most strings
/// of the protocol are names, and most of these are shorter.
const SHORT: usize = 8;

/// Where the first zero byte is.
#[inline]
pub fn zero_at(bytes: &[u8]) -> Option<usize> {
    let (short, long) = bytes.split_at(bytes.len().min(SHORT));
    let near = short.iter().position(|byte| *byte == 0);
    near.or_else(|| Some(short.len() + memchr::memchr(0, long)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_nothing_is_left() {
        let mut reader = Reader::new(b"\x07\x00\x02\xff\xff\xff\xffab\0\x00\x00\x00\x01x");
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.count(), Ok(2));
        assert_eq!(reader.value(), Ok(None));
        assert_eq!(reader.cstr(), Ok(&b"ab"[..]));
        assert_eq!(reader.value(), Ok(Some(&b"x"[..])));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        let whole = b"\x00\x01\x00\x00\x00\x03abcname\0";
        for cut in 0..whole.len() {
            let mut reader = Reader::new(&whole[..cut]);
            let outcome = reader
                .count()
                .and_then(|_| reader.value())
                .and_then(|_| reader.cstr());
            assert!(outcome.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_first_zero_is_found_near_and_far() {
        for at in 0..40 {
            let text = [&vec![b'a'; at][..], b"\0b\0"].concat();
            assert_eq!(zero_at(&text), Some(at));
            assert_eq!(zero_at(&text[..at]), None, "{at} bytes without one");
        }
    }

    #[test]
    fn negative_counts_are_refused() {
        assert_eq!(
            Reader::new(b"\xff\xff").count(),
            Err(ReadError::BadCount(-1))
        );
        assert_eq!(
            Reader::new(b"\xff\xff\xff\xfe").value(),
            Err(ReadError::BadCount(-2))
        );
        assert!(matches!(
            Reader::new(b"\x7f\xff\xff\xff").value(),
            Err(ReadError::Truncated { .. })
        ));
    }
}
