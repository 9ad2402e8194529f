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

/// Appends the error frame with `from` replaced by `to` in its message text, or says that there is
/// nothing to replace.
pub fn put_error_with_name(out: &mut BytesMut, tag: u8, body: &[u8], from: &[u8], to: &[u8]) {
    let mut patched = BytesMut::with_capacity(body.len() + to.len());
    let mut rest = body;
    while let Some(at) = memmem::find(rest, from) {
        let (head, tail) = rest.split_at(at);
        patched.put_slice(head);
        patched.put_slice(to);
        rest = tail.split_at(from.len()).1;
    }
    patched.put_slice(rest);
    out.put_u8(tag);
    out.put_u32(u32::try_from(patched.len() + 4).expect("an error frame is far below the limit"));
    out.put_slice(&patched);
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
        put_error_with_name(
            &mut out,
            b'E',
            b"Mno \"AA\" here\0\0",
            b"\"AA\"",
            b"\"longer\"",
        );
        assert_eq!(&out[5..], b"Mno \"longer\" here\0\0");
        assert_eq!(u32::from_be_bytes(out[1..5].try_into().unwrap()), 4 + 19);
    }
}
