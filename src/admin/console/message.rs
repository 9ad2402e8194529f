//! Sans-IO. What a console client may say: the frontend messages, read from a frame's body.

use crate::admin::table::Format;
use crate::protocol::{ReadError, Reader};

/// A statement or a portal, in `Describe` and `Close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `S`
    Statement,
    /// `P`
    Portal,
}

/// A frontend message, in the words of the protocol's documentation. Names and texts are bytes
/// without their zero byte.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Query(&'a [u8]),
    Parse {
        name: &'a [u8],
        text: &'a [u8],
        parameters: usize,
    },
    Bind {
        portal: &'a [u8],
        statement: &'a [u8],
        values: usize,
        formats: Vec<Format>,
    },
    Describe {
        target: Target,
        name: &'a [u8],
    },
    /// `max_rows` of zero means all.
    Execute {
        portal: &'a [u8],
        max_rows: usize,
    },
    Close {
        target: Target,
        name: &'a [u8],
    },
    Flush,
    Sync,
    Terminate,
    /// `CopyData`, `CopyDone` and `CopyFail`, which a client may send after an error.
    Copy,
    FunctionCall,
}

/// Why a frame is no message. The client is to blame, and its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// `Query` without its terminating zero byte.
    #[error("incomplete query")]
    IncompleteQuery,
    /// Another message with a malformed body.
    #[error("failed to parse packet")]
    Malformed(#[from] ReadError),
    /// `Describe` or `Close` of something else than a statement or portal.
    #[error("failed to parse packet")]
    UnknownTarget(u8),
    /// A format code that is neither 0 nor 1.
    #[error("failed to parse packet")]
    UnknownFormat(i16),
    /// A message type that has no business here.
    #[error("unknown pkt")]
    UnknownType(u8),
}

impl<'a> Message<'a> {
    /// Reads the message of type `tag` whose body is `body`.
    pub fn read(tag: u8, body: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let message = match tag {
            // As PgBouncer has it, the text ends at the first zero byte and the rest is ignored.
            b'Q' => {
                return reader
                    .cstr()
                    .map(Self::Query)
                    .or(Err(MessageError::IncompleteQuery));
            }
            b'P' => parse(&mut reader)?,
            b'B' => bind(&mut reader)?,
            b'D' => Self::Describe {
                target: target(&mut reader)?,
                name: reader.cstr()?,
            },
            b'C' => Self::Close {
                target: target(&mut reader)?,
                name: reader.cstr()?,
            },
            b'E' => {
                let portal = reader.cstr()?;
                // A negative number means all rows, as it does to PostgreSQL.
                Self::Execute {
                    portal,
                    max_rows: usize::try_from(reader.i32()?).unwrap_or(0),
                }
            }
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => return Ok(Self::Terminate),
            b'd' | b'c' | b'f' => return Ok(Self::Copy),
            b'F' => return Ok(Self::FunctionCall),
            other => return Err(MessageError::UnknownType(other)),
        };
        reader.finish()?;
        Ok(message)
    }
}

fn parse<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, MessageError> {
    let (name, text, parameters) = (reader.cstr()?, reader.cstr()?, reader.count()?);
    for _ in 0..parameters {
        reader.u32()?;
    }
    Ok(Message::Parse {
        name,
        text,
        parameters,
    })
}

fn bind<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, MessageError> {
    let (portal, statement) = (reader.cstr()?, reader.cstr()?);
    formats(reader)?;
    let values = reader.count()?;
    for _ in 0..values {
        reader.value()?;
    }
    Ok(Message::Bind {
        portal,
        statement,
        values,
        formats: formats(reader)?,
    })
}

fn formats(reader: &mut Reader<'_>) -> Result<Vec<Format>, MessageError> {
    let count = reader.count()?;
    let mut formats = Vec::new();
    for _ in 0..count {
        formats.push(match reader.i16()? {
            0 => Format::Text,
            1 => Format::Binary,
            other => return Err(MessageError::UnknownFormat(other)),
        });
    }
    Ok(formats)
}

fn target(reader: &mut Reader<'_>) -> Result<Target, MessageError> {
    match reader.u8()? {
        b'S' => Ok(Target::Statement),
        b'P' => Ok(Target::Portal),
        other => Err(MessageError::UnknownTarget(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(u8, &[u8]); 6] = [
        (b'Q', b"show version\0"),
        (b'P', b"name\0show version\0\0\x02\0\0\0\x17\0\0\0\x19"),
        (
            b'B',
            b"portal\0name\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x02\0\0\0\x01",
        ),
        (b'D', b"Sname\0"),
        (b'E', b"portal\0\0\0\0\x05"),
        (b'C', b"Pportal\0"),
    ];

    #[test]
    fn messages_are_read() {
        let expected = [
            Message::Query(b"show version"),
            Message::Parse {
                name: b"name",
                text: b"show version",
                parameters: 2,
            },
            Message::Bind {
                portal: b"portal",
                statement: b"name",
                values: 2,
                formats: vec![Format::Text, Format::Binary],
            },
            Message::Describe {
                target: Target::Statement,
                name: b"name",
            },
            Message::Execute {
                portal: b"portal",
                max_rows: 5,
            },
            Message::Close {
                target: Target::Portal,
                name: b"portal",
            },
        ];
        for ((tag, body), expected) in WHOLE.into_iter().zip(expected) {
            assert_eq!(Message::read(tag, body), Ok(expected));
        }
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        for (tag, body) in WHOLE {
            for cut in 0..body.len() {
                assert!(
                    Message::read(tag, &body[..cut]).is_err(),
                    "{} cut at {cut}",
                    tag as char
                );
            }
            let longer = [body, b"x"].concat();
            assert_eq!(
                Message::read(tag, &longer).is_ok(),
                tag == b'Q',
                "{}",
                tag as char
            );
        }
    }

    #[test]
    fn lying_counts_and_codes_are_refused() {
        for (tag, body) in [
            (b'P', &b"\0x\0\xff\xff"[..]),
            (b'P', b"\0x\0\x7f\xff"),
            (b'B', b"\0\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
            (b'B', b"\0\0\0\0\0\0\0\x01\0\x02"),
            (b'D', b"Xname\0"),
            (b'p', b"secret\0"),
            (b'z', b""),
            (0, b""),
        ] {
            assert!(
                Message::read(tag, body).is_err(),
                "{} {body:?}",
                tag as char
            );
        }
    }
}
