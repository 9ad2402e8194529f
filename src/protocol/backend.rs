//! Sans-IO. Views into backend messages that the proxy must understand.

use bytes::{BufMut, BytesMut};
use memchr::memmem;

use super::reader::{ReadError, Reader};
use super::types::SqlState;

/// `ParameterStatus`: a name and its value, in whatever encoding the server uses.
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), ReadError> {
    let mut reader = Reader::new(body);
    let name = reader.cstr()?;
    let value = reader.cstr()?;
    reader.finish()?;
    Ok((name, value))
}

/// The fields of `ErrorResponse` or `NoticeResponse` that pgweir looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Problem<'a> {
    /// `V` (or `S` where the server is older): the severity word.
    pub severity: &'a [u8],
    /// `C`: SQLSTATE, absent where the server left it out or wrote nonsense (CVE-2026-6666).
    pub code: Option<SqlState>,
    /// `M`: the primary message.
    pub message: &'a [u8],
}

/// Reads an error's or notice's fields; a missing one stays empty.
pub fn problem(body: &[u8]) -> Result<Problem<'_>, ReadError> {
    let mut reader = Reader::new(body);
    let mut found = Problem::default();
    loop {
        let field = reader.u8()?;
        if field == 0 {
            return Ok(found);
        }
        let text = reader.cstr()?;
        match field {
            b'V' => found.severity = text,
            b'S' if found.severity.is_empty() => found.severity = text,
            b'C' => found.code = SqlState::from_bytes(text),
            b'M' => found.message = text,
            _ => {}
        }
    }
}

/// Appends the error frame with the word `from` replaced by `to` in its primary message. False, and
/// nothing appended, where the message does not have that word.
pub fn put_error_with_name(
    out: &mut BytesMut,
    tag: u8,
    body: &[u8],
    from: &[u8],
    to: &[u8],
) -> Renamed {
    let Some(at) = problem(body).ok().and_then(|problem| {
        let message = problem.message;
        let at = memmem::find_iter(message, from).find(|at| {
            let next = message.get(at + from.len());
            !next.is_some_and(u8::is_ascii_alphanumeric) // `x_1` is not part of `x_12`
        })?;
        // Both slices are of one body, so this is the place of the message in it.
        Some(message.as_ptr().addr() - body.as_ptr().addr() + at)
    }) else {
        return Renamed::No;
    };
    let (head, tail) = body.split_at(at);
    let tail = tail.split_at(from.len()).1;
    let length = head.len() + to.len() + tail.len() + 4;
    out.put_u8(tag);
    out.put_u32(u32::try_from(length).expect("an error frame is far below the limit"));
    for part in [head, to, tail] {
        out.put_slice(part);
    }
    Renamed::Yes
}

/// Whether an error named the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// The changed frame has been appended.
    Yes,
    /// There was nothing to change.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_without_sqlstate_is_no_problem() {
        let found = problem(b"SFATAL\0Mgone\0\0").unwrap();
        assert_eq!(found.severity, b"FATAL");
        assert_eq!(found.code, None);
        assert_eq!(found.message, b"gone");
        assert!(problem(b"SFATAL\0Mgone\0").is_err());
        assert!(problem(b"SFATAL").is_err());
        assert!(problem(b"").is_err());
    }

    #[test]
    fn the_name_in_an_error_is_replaced_and_the_length_follows() {
        let mut out = BytesMut::new();
        let body = b"HAA_1\0Mno \"AA_12\" but \"AA_1\" here\0\0";
        let outcome = put_error_with_name(&mut out, b'E', body, b"AA_1", b"longer");
        assert_eq!(outcome, Renamed::Yes);
        assert_eq!(&out[5..], b"HAA_1\0Mno \"AA_12\" but \"longer\" here\0\0");
        let declared = u32::from_be_bytes(out[1..5].try_into().unwrap());
        assert_eq!(usize::try_from(declared).unwrap(), out.len() - 1);
        let mut out = BytesMut::new();
        let outcome = put_error_with_name(&mut out, b'E', b"DAA_1\0Mno\0\0", b"AA_1", b"x");
        assert_eq!((outcome, out.len()), (Renamed::No, 0));
    }
}
