//! Sans-IO. Views into frontend messages, and the few that pgweir writes itself.
//!
//! A view names byte ranges of a frame, so that a statement can be renamed by copying the head and
//! the tail of the original bytes. Invariant: nothing here decodes text.

use bytes::{BufMut, BytesMut};

use super::reader::{ReadError, Reader};

/// What `Describe` and `Close` speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement (`S`).
    Statement,
    /// A portal (`P`).
    Portal,
}

/// `Describe` or `Close`: target and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Statement or portal.
    pub target: Target,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

/// Reads the body of `Describe` or `Close`.
pub fn named(body: &[u8]) -> Result<Option<Named<'_>>, ReadError> {
    let mut reader = Reader::new(body);
    let target = match reader.u8()? {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        _ => return Ok(None), // the server has the right words for this error
    };
    let name = reader.cstr()?;
    reader.finish()?;
    Ok(Some(Named { target, name }))
}

/// `Parse`: the name, and all that follows it (query text, parameter types) as one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Statement name; empty for the unnamed one.
    pub name: &'a [u8],
    /// The rest of the body: two `Parse` messages with the same rest mean the same statement.
    pub rest: &'a [u8],
}

/// Reads a whole `Parse` body and checks its shape.
pub fn parse(body: &[u8]) -> Result<Parse<'_>, ReadError> {
    let mut reader = Reader::new(body);
    let name = reader.cstr()?;
    let rest = reader.rest();
    reader.cstr()?;
    for _ in 0..reader.count()? {
        reader.u32()?;
    }
    reader.finish()?;
    Ok(Parse { name, rest })
}

/// The head of a `Bind`: names only, whatever follows may not have arrived yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindHead<'a> {
    /// Portal name.
    pub portal: &'a [u8],
    /// Statement name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Bytes of the body that the two names and their terminators take.
    pub length: usize,
}

/// Reads the two names at the start of a `Bind` body, of which only a part may be there.
pub fn bind_head(body: &[u8]) -> Result<BindHead<'_>, ReadError> {
    let mut reader = Reader::new(body);
    let portal = reader.cstr()?;
    let statement = reader.cstr()?;
    let length = portal.len() + statement.len() + 2;
    Ok(BindHead {
        portal,
        statement,
        length,
    })
}

fn put_header(out: &mut BytesMut, tag: u8, body: usize) {
    out.put_u8(tag);
    out.put_u32(u32::try_from(body + 4).expect("the frame was within the protocol's limit"));
}

/// Writes a frame with this body.
pub fn put_frame(out: &mut BytesMut, tag: u8, body: &[u8]) {
    put_header(out, tag, body.len());
    out.put_slice(body);
}

/// Writes a `Parse` with this name and an original rest.
pub fn put_parse(out: &mut BytesMut, name: &[u8], rest: &[u8]) {
    put_header(out, b'P', name.len() + 1 + rest.len());
    out.put_slice(name);
    out.put_u8(0);
    out.put_slice(rest);
}

/// Writes the head of a `Bind` whose whole body, with the old names, had `old_body` bytes.
pub fn put_bind_head(out: &mut BytesMut, head: BindHead<'_>, statement: &[u8], old_body: usize) {
    let body = old_body - head.statement.len() + statement.len();
    put_header(out, b'B', body);
    out.put_slice(head.portal);
    out.put_u8(0);
    out.put_slice(statement);
    out.put_u8(0);
}

/// Writes `Describe` of a prepared statement.
pub fn put_describe_statement(out: &mut BytesMut, name: &[u8]) {
    put_target(out, b'D', name);
}

/// Writes `Close` of a prepared statement.
pub fn put_close_statement(out: &mut BytesMut, name: &[u8]) {
    put_target(out, b'C', name);
}

fn put_target(out: &mut BytesMut, tag: u8, name: &[u8]) {
    put_header(out, tag, name.len() + 2);
    out.put_u8(b'S');
    out.put_slice(name);
    out.put_u8(0);
}

/// Writes a simple `Query`.
pub fn put_query(out: &mut BytesMut, sql: &str) {
    put_query_bytes(out, sql.as_bytes());
}

/// Writes a simple `Query` whose text is in whatever encoding its client uses.
pub fn put_query_bytes(out: &mut BytesMut, sql: &[u8]) {
    put_header(out, b'Q', sql.len() + 1);
    out.put_slice(sql);
    out.put_u8(0);
}

/// Writes a query with one text parameter on the unnamed statement and portal, up to `Sync`.
pub fn put_lookup(out: &mut BytesMut, sql: &str, parameter: &str) {
    put_header(out, b'P', sql.len() + 4);
    out.put_u8(0);
    out.put_slice(sql.as_bytes());
    out.put_slice(b"\0\0\0");
    put_header(out, b'B', parameter.len() + 12);
    out.put_slice(b"\0\0\0\0\0\x01");
    out.put_u32(u32::try_from(parameter.len()).expect("a user's name is short"));
    out.put_slice(parameter.as_bytes());
    out.put_slice(b"\0\0");
    put_header(out, b'E', 5);
    out.put_slice(b"\0\0\0\0\0");
    put_header(out, b'S', 0);
}

/// `Flush`, which changes nothing but makes the server send what it has to say.
pub const FLUSH: &[u8] = b"H\0\0\0\x04";

/// Writes `Sync`.
pub fn put_sync(out: &mut BytesMut) {
    put_header(out, b'S', 0);
}

/// Writes `Terminate`.
pub fn put_terminate(out: &mut BytesMut) {
    put_header(out, b'X', 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_bind_differs_only_in_name_and_length() {
        let body = b"port\0stmt\0\x00\x00\x00\x01\x00\x00\x00\x02hi\x00\x00";
        let head = bind_head(body).unwrap();
        assert_eq!((head.portal, head.statement), (&b"port"[..], &b"stmt"[..]));
        let mut out = BytesMut::new();
        put_bind_head(&mut out, head, b"PGWEIR_12", body.len());
        out.put_slice(&body[head.length..]);
        let declared = u32::from_be_bytes(out[1..5].try_into().unwrap());
        assert_eq!(usize::try_from(declared).unwrap(), out.len() - 1);
        assert_eq!(
            &out[5..],
            b"port\0PGWEIR_12\0\x00\x00\x00\x01\x00\x00\x00\x02hi\x00\x00"
        );
    }

    #[test]
    fn parse_splits_the_name_from_the_rest_and_checks_the_shape() {
        let body = b"a\0select $1\0\x00\x01\x00\x00\x00\x17";
        let view = parse(body).unwrap();
        assert_eq!(view.name, b"a");
        assert_eq!(view.rest, &body[2..]);
        for cut in 0..body.len() {
            assert!(parse(&body[..cut]).is_err(), "cut at {cut}");
        }
        assert!(
            parse(b"a\0q\0\x7f\xff").is_err(),
            "a count larger than the body"
        );
        assert!(
            parse(b"a\0q\0\x00\x00x").is_err(),
            "bytes behind the last field"
        );
    }

    #[test]
    fn names_of_describe_and_close_are_read_strictly() {
        assert_eq!(
            named(b"Sx\0"),
            Ok(Some(Named {
                target: Target::Statement,
                name: b"x"
            }))
        );
        assert_eq!(
            named(b"P\0"),
            Ok(Some(Named {
                target: Target::Portal,
                name: b""
            }))
        );
        assert_eq!(named(b"Qx\0"), Ok(None));
        assert!(named(b"").is_err());
        assert!(named(b"Sx").is_err());
        assert!(named(b"Sx\0y").is_err());
    }
}
