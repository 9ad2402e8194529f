//! Messages as clients send them, and frames as they come back: written from the protocol's
//! description alone, so that a mistake of pgweir's own encoders cannot hide in here.

use std::fmt;
use std::fmt::Write as _;

/// One message from the server's side.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub tag: u8,
    pub body: Vec<u8>,
}

impl Frame {
    /// A field of an `ErrorResponse` or `NoticeResponse`.
    pub fn field(&self, code: char) -> Option<String> {
        let fields = self.body.split(|byte| *byte == 0);
        let mut found = fields.filter(|field| field.first().copied() == u8::try_from(code).ok());
        found.next().map(|field| text(&field[1..]))
    }

    /// SQLSTATE and text of an `ErrorResponse` or `NoticeResponse`, as `08P01 some text`.
    pub fn report(&self) -> String {
        let field = |code| self.field(code).unwrap_or_default();
        format!("{} {}", field('C'), field('M'))
    }

    /// The columns of a `DataRow`.
    pub fn columns(&self) -> Vec<Option<Vec<u8>>> {
        let mut columns = Vec::new();
        let mut at = 2;
        while at < self.body.len() {
            let length = i32::from_be_bytes(self.body[at..at + 4].try_into().unwrap());
            at += 4;
            columns.push(usize::try_from(length).ok().map(|length| {
                at += length;
                self.body[at - length..at].to_vec()
            }));
        }
        columns
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 300;
        write!(f, "{} ", char::from(self.tag))?;
        for byte in self.body.iter().take(SHOWN) {
            match byte {
                0x20..=0x7e => f.write_char(char::from(*byte))?,
                0 => f.write_str("·")?,
                other => write!(f, "\\{other:02x}")?,
            }
        }
        match self.body.len().checked_sub(SHOWN + 1) {
            Some(_) => write!(f, "... ({} bytes)", self.body.len()),
            None => Ok(()),
        }
    }
}

/// Bytes as text, for messages and comparisons.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A message with any tag and body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// The first 5 bytes of a message: a tag, and whatever length it claims.
pub fn header(tag: u8, length: u32) -> Vec<u8> {
    [&[tag], &length.to_be_bytes()[..]].concat()
}

/// Strings, each with its zero byte.
pub fn strings(strings: &[&str]) -> Vec<u8> {
    strings
        .iter()
        .flat_map(|string| [string.as_bytes(), &[0]].concat())
        .collect()
}

fn count(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

/// `Query`
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &strings(&[sql]))
}

/// `Parse`
pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = strings(&[name, sql]);
    body.extend(count(types.len()));
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    message(b'P', &body)
}

/// `Bind` with parameters and results in text.
pub fn bind(portal: &str, statement: &str, parameters: &[Option<&[u8]>]) -> Vec<u8> {
    bind_formats(portal, statement, parameters, &[], &[])
}

/// `Bind` with format codes for parameters and results.
pub fn bind_formats(
    portal: &str,
    statement: &str,
    parameters: &[Option<&[u8]>],
    formats: &[u16],
    results: &[u16],
) -> Vec<u8> {
    let codes = |codes: &[u16]| {
        let mut bytes = count(codes.len()).to_vec();
        bytes.extend(codes.iter().flat_map(|code| code.to_be_bytes()));
        bytes
    };
    let mut body = strings(&[portal, statement]);
    body.extend(codes(formats));
    body.extend(values(parameters));
    body.extend(codes(results));
    message(b'B', &body)
}

/// `Describe` of a statement (`'S'`) or a portal (`'P'`).
pub fn describe(what: char, name: &str) -> Vec<u8> {
    target(b'D', what, name)
}

/// `Close` of a statement (`'S'`) or a portal (`'P'`).
pub fn close(what: char, name: &str) -> Vec<u8> {
    target(b'C', what, name)
}

fn target(tag: u8, what: char, name: &str) -> Vec<u8> {
    let mut body = vec![u8::try_from(what).unwrap()];
    body.extend(strings(&[name]));
    message(tag, &body)
}

/// `Execute`; 0 for all rows.
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    let mut body = strings(&[portal]);
    body.extend(rows.to_be_bytes());
    message(b'E', &body)
}

/// One statement in the extended protocol, from `Parse` to `Sync`.
pub fn extended(sql: &str) -> Vec<u8> {
    let steps = [parse("", sql, &[]), bind("", "", &[]), describe('P', "")];
    [steps.concat(), execute("", 0), sync()].concat()
}

/// `Sync`
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// `Flush`
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// `Terminate`
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// `CopyData`
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    message(b'd', data)
}

/// `CopyDone`
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

/// `CopyFail`
pub fn copy_fail(why: &str) -> Vec<u8> {
    message(b'f', &strings(&[why]))
}

/// `FunctionCall` with arguments and result in text.
pub fn function_call(oid: u32, arguments: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend(count(0));
    body.extend(values(arguments));
    body.extend(count(0));
    message(b'F', &body)
}

fn values(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = count(values.len()).to_vec();
    for value in values {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
        bytes.extend(length.to_be_bytes());
        bytes.extend(value.unwrap_or_default());
    }
    bytes
}

/// A password, or a message of a SASL exchange.
pub fn password(body: &[u8]) -> Vec<u8> {
    message(b'p', body)
}

/// A packet of the start: a length and a body, without a tag.
pub fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&length[..], body].concat()
}

/// `StartupMessage` of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_version(0x0003_0000, parameters)
}

/// `StartupMessage` of any version.
pub fn startup_version(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(strings(&[name, value]));
    }
    body.push(0);
    packet(&body)
}

/// `SSLRequest`
pub fn ssl_request() -> Vec<u8> {
    packet(&80_877_103_u32.to_be_bytes())
}

/// `GSSENCRequest`
pub fn gss_request() -> Vec<u8> {
    packet(&80_877_104_u32.to_be_bytes())
}

/// `CancelRequest` for a `BackendKeyData`.
pub fn cancel_request(key: &[u8]) -> Vec<u8> {
    packet(&[&80_877_102_u32.to_be_bytes()[..], key].concat())
}
