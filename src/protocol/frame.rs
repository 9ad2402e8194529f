//! Sans-IO. Cuts a byte stream into frames by their five-byte header.
//!
//! Not here: what a frame means (`session`), bodies (`reader`). Invariant: a header is accepted only
//! when its declared length is at least four and at most the limit, so that no later arithmetic on
//! it can overflow (CVE-2026-6664, CVE-2026-107348 of `PgBouncer`).

use super::reader::array_at;

/// Bytes of a typed frame's header: one for the type, four for the length.
pub const HEADER_LEN: usize = 5;

/// Largest declared length that is ever accepted (`PgBouncer` `max_packet_size` default).
pub const MAX_FRAME: usize = 0x7fff_ffff;

/// A frame's type byte and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub tag: u8,
    /// Bytes of the whole frame: type byte, length word and body. At least [`HEADER_LEN`].
    pub total: usize,
}

impl Header {
    /// Bytes of the body.
    pub fn body_len(self) -> usize {
        self.total - HEADER_LEN
    }
}

/// Why a header was refused. The peer that sent it is to blame; the stream cannot be used further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The declared length is below four.
    #[error("frame of type 0x{tag:02x} declares a length of {declared}, expected at least 4")]
    TooShort {
        /// The message type.
        tag: u8,
        /// The length word as sent.
        declared: u32,
    },
    /// The declared length is above the limit.
    #[error("frame of type 0x{tag:02x} declares {declared} bytes, the limit is {limit}")]
    TooLong {
        /// The message type.
        tag: u8,
        /// The length word as sent.
        declared: u32,
        /// Bytes that are allowed (`max_packet_size`).
        limit: usize,
    },
}

/// Reads the header at the start of `buf`; `None` when fewer than five bytes are there.
///
/// `limit` bounds the declared length in bytes; it is capped at [`MAX_FRAME`].
pub fn peek_header(buf: &[u8], limit: usize) -> Result<Option<Header>, FrameError> {
    let (Some(&tag), Some(word)) = (buf.first(), array_at::<4>(buf, 1)) else {
        return Ok(None);
    };
    let declared = u32::from_be_bytes(word);
    let limit = limit.min(MAX_FRAME);
    let Ok(length) = usize::try_from(declared) else {
        return Err(FrameError::TooLong {
            tag,
            declared,
            limit,
        });
    };
    if length < 4 {
        return Err(FrameError::TooShort { tag, declared });
    }
    if length > limit {
        return Err(FrameError::TooLong {
            tag,
            declared,
            limit,
        });
    }
    Ok(Some(Header {
        tag,
        total: length + 1,
    }))
}

/// The frames at the start of `buf` that are wholly there: type and body. Ends at the first that is
/// not, or that no peer may send.
pub fn whole_frames(buf: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = buf;
    std::iter::from_fn(move || {
        let header = peek_header(rest, MAX_FRAME).ok()??;
        let (frame, behind) = rest.split_at_checked(header.total)?;
        rest = behind;
        Some((header.tag, frame.split_at_checked(HEADER_LEN)?.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_end_where_a_frame_is_cut_or_broken() {
        let bytes = b"Q\0\0\0\x06a\0S\0\0\0\x04P\0\0\0\x09x";
        let found: Vec<_> = whole_frames(bytes).collect();
        assert_eq!(found, [(b'Q', &b"a\0"[..]), (b'S', &b""[..])]);
        assert_eq!(whole_frames(b"Q\0\0\0\x03").count(), 0);
        assert_eq!(whole_frames(b"").count(), 0);
    }

    fn frame(tag: u8, declared: u32) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&declared.to_be_bytes());
        bytes
    }

    #[test]
    fn a_header_needs_all_five_bytes() {
        let bytes = frame(b'Z', 5);
        for cut in 0..HEADER_LEN {
            assert_eq!(
                peek_header(&bytes[..cut], MAX_FRAME),
                Ok(None),
                "cut at {cut}"
            );
        }
        assert_eq!(
            peek_header(&bytes, MAX_FRAME),
            Ok(Some(Header {
                tag: b'Z',
                total: 6
            }))
        );
    }

    #[test]
    fn lengths_outside_the_limits_are_refused() {
        for declared in 0..4 {
            assert_eq!(
                peek_header(&frame(b'Q', declared), MAX_FRAME),
                Err(FrameError::TooShort {
                    tag: b'Q',
                    declared
                })
            );
        }
        for declared in [0x8000_0000, u32::MAX] {
            assert!(matches!(
                peek_header(&frame(b'Q', declared), usize::MAX),
                Err(FrameError::TooLong { .. })
            ));
        }
        assert!(peek_header(&frame(b'Q', 101), 100).is_err());
        assert!(peek_header(&frame(b'Q', 100), 100).is_ok());
    }
}
