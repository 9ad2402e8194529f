//! Sans-IO. Backend messages that pgweir authors, appended to an output buffer.
//!
//! Not here: anything a server said, which is forwarded as it came. Encoding is pgwire's.

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::data::{
    DataRow, FieldDescription, NoData, ParameterDescription, RowDescription,
};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery,
    TransactionStatus as PgwireStatus,
};
use pgwire::messages::startup::{NegotiateProtocolVersion, ParameterStatus};

use super::types::{Severity, SqlState, TransactionStatus};

/// Type object ids of the columns that the console shows (`pg_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`
    Text,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `numeric`
    Numeric,
    /// `bytea`
    Bytea,
}

impl ColumnType {
    /// Object id and size in bytes (-1: variable) as `pg_type` has them.
    fn oid_and_size(self) -> (u32, i16) {
        match self {
            Self::Text => (25, -1),
            Self::Int4 => (23, 4),
            Self::Int8 => (20, 8),
            Self::Numeric => (1700, -1),
            Self::Bytea => (17, -1),
        }
    }
}

fn put<M: Message>(out: &mut BytesMut, message: &M) {
    message.encode(out).expect("encoding to memory cannot fail");
}

/// Error or notice text in the fields that `PgBouncer` sends: S, C, M and nothing else, plus detail
/// and hint where given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Severity word.
    pub severity: Severity,
    /// SQLSTATE.
    pub code: SqlState,
    /// One line for the user, no secrets.
    pub message: String,
    /// `D` field.
    pub detail: Option<String>,
    /// `H` field: what to do.
    pub hint: Option<String>,
}

impl Report {
    /// A report with a message only.
    pub fn new(severity: Severity, code: SqlState, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    fn fields(&self) -> Vec<(u8, String)> {
        let mut fields = vec![
            (b'S', self.severity.as_str().to_owned()),
            (b'C', self.code.as_str().to_owned()),
            (b'M', self.message.clone()),
        ];
        fields.extend(self.detail.iter().map(|text| (b'D', text.clone())));
        fields.extend(self.hint.iter().map(|text| (b'H', text.clone())));
        fields
    }
}

/// `ErrorResponse`.
pub fn error(out: &mut BytesMut, report: &Report) {
    put(out, &ErrorResponse::new(report.fields()));
}

/// `NoticeResponse`.
pub fn notice(out: &mut BytesMut, report: &Report) {
    put(out, &NoticeResponse::new(report.fields()));
}

/// `ReadyForQuery`.
pub fn ready_for_query(out: &mut BytesMut, status: TransactionStatus) {
    let status = match status {
        TransactionStatus::Idle => PgwireStatus::Idle,
        TransactionStatus::InBlock => PgwireStatus::Transaction,
        TransactionStatus::Failed => PgwireStatus::Error,
    };
    put(out, &ReadyForQuery::new(status));
}

/// `ParseComplete`.
pub fn parse_complete(out: &mut BytesMut) {
    put(out, &ParseComplete::new());
}

/// `BindComplete`.
pub fn bind_complete(out: &mut BytesMut) {
    put(out, &BindComplete::new());
}

/// `CloseComplete`.
pub fn close_complete(out: &mut BytesMut) {
    put(out, &CloseComplete::new());
}

/// `PortalSuspended`.
pub fn portal_suspended(out: &mut BytesMut) {
    put(out, &PortalSuspended::new());
}

/// `NoData`.
pub fn no_data(out: &mut BytesMut) {
    put(out, &NoData::new());
}

/// `EmptyQueryResponse`.
pub fn empty_query(out: &mut BytesMut) {
    put(out, &EmptyQueryResponse::new());
}

/// `CommandComplete` with the given tag.
pub fn command_complete(out: &mut BytesMut, tag: &str) {
    put(out, &CommandComplete::new(tag.to_owned()));
}

/// `ParameterStatus`. The value's bytes go out as they are (any encoding).
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    put(
        out,
        &ParameterStatus::new(name.to_owned(), value.to_owned()),
    );
}

/// `ParameterDescription` for a statement with parameters of the given types.
pub fn parameter_description(out: &mut BytesMut, types: &[u32]) {
    put(out, &ParameterDescription::new(types.to_vec()));
}

/// `RowDescription`; every column in text format unless `binary`.
pub fn row_description(out: &mut BytesMut, columns: &[(&str, ColumnType)]) {
    let fields = columns
        .iter()
        .map(|(name, kind)| {
            let (oid, size) = kind.oid_and_size();
            FieldDescription::new((*name).to_owned(), 0, 0, oid, size, -1, 0)
        })
        .collect();
    put(out, &RowDescription::new(fields));
}

/// `DataRow` of text values; `None` is SQL NULL.
pub fn data_row<S: AsRef<str>>(out: &mut BytesMut, values: &[Option<S>]) {
    let mut data = BytesMut::new();
    for value in values {
        match value {
            None => data.put_i32(-1),
            Some(text) => {
                let text = text.as_ref().as_bytes();
                data.put_i32(i32::try_from(text.len()).expect("console values are short"));
                data.put_slice(text);
            }
        }
    }
    let count = i16::try_from(values.len()).expect("console rows have few columns");
    put(out, &DataRow::new(data, count));
}

/// Protocol 3.0 as one number: the major version in the upper 16 bits.
const PROTOCOL_3_0: i32 = 3 << 16;

/// `NegotiateProtocolVersion`: we speak 3.0, and did not recognise these `_pq_.` options.
///
/// The message has the whole version and not only, as its description has it, the minor one: that
/// is what servers send and libpq expects.
pub fn negotiate_protocol(out: &mut BytesMut, unknown_options: Vec<String>) {
    put(
        out,
        &NegotiateProtocolVersion::new(PROTOCOL_3_0, unknown_options),
    );
}

/// `AuthenticationOk`.
pub fn auth_ok(out: &mut BytesMut) {
    auth(out, 0, &[]);
}

/// `AuthenticationCleartextPassword`.
pub fn auth_cleartext(out: &mut BytesMut) {
    auth(out, 3, &[]);
}

/// `AuthenticationMD5Password` with its salt.
pub fn auth_md5(out: &mut BytesMut, salt: [u8; 4]) {
    auth(out, 5, &salt);
}

/// `AuthenticationSASL` with the mechanisms on offer.
pub fn auth_sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    let mut list = Vec::new();
    for name in mechanisms {
        list.extend_from_slice(name.as_bytes());
        list.push(0);
    }
    list.push(0);
    auth(out, 10, &list);
}

/// `AuthenticationSASLContinue`.
pub fn auth_sasl_continue(out: &mut BytesMut, data: &[u8]) {
    auth(out, 11, data);
}

/// `AuthenticationSASLFinal`.
pub fn auth_sasl_final(out: &mut BytesMut, data: &[u8]) {
    auth(out, 12, data);
}

/// Authentication requests share one type byte and differ in a code.
fn auth(out: &mut BytesMut, code: i32, data: &[u8]) {
    out.put_u8(b'R');
    put_length(out, 4 + data.len());
    out.put_i32(code);
    out.put_slice(data);
}

/// `BackendKeyData` as protocol 3.0 has it: eight bytes, process id and secret.
pub fn backend_key(out: &mut BytesMut, key: [u8; 8]) {
    out.put_u8(b'K');
    put_length(out, key.len());
    out.put_slice(&key);
}

fn put_length(out: &mut BytesMut, body: usize) {
    out.put_u32(u32::try_from(body + 4).expect("authored messages are short"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out);
        out.to_vec()
    }

    #[test]
    fn an_error_has_the_three_fields_of_pgbouncer() {
        let report = Report::new(
            Severity::Fatal,
            SqlState::PROTOCOL_VIOLATION,
            "no such user",
        );
        assert_eq!(
            bytes(|out| error(out, &report)),
            b"E\x00\x00\x00\x21SFATAL\0C08P01\0Mno such user\0\0"
        );
    }

    #[test]
    fn a_newer_protocol_is_negotiated_down_by_the_whole_version() {
        assert_eq!(
            bytes(|out| negotiate_protocol(out, vec!["_pq_.x".to_owned()])),
            b"v\x00\x00\x00\x13\x00\x03\x00\x00\x00\x00\x00\x01_pq_.x\0"
        );
    }

    #[test]
    fn fixed_messages_have_their_documented_bytes() {
        assert_eq!(bytes(parse_complete), b"1\x00\x00\x00\x04");
        assert_eq!(bytes(bind_complete), b"2\x00\x00\x00\x04");
        assert_eq!(bytes(close_complete), b"3\x00\x00\x00\x04");
        assert_eq!(bytes(no_data), b"n\x00\x00\x00\x04");
        assert_eq!(bytes(empty_query), b"I\x00\x00\x00\x04");
        assert_eq!(
            bytes(|out| ready_for_query(out, TransactionStatus::Failed)),
            b"Z\x00\x00\x00\x05E"
        );
        assert_eq!(bytes(auth_ok), b"R\x00\x00\x00\x08\x00\x00\x00\x00");
        assert_eq!(
            bytes(|out| auth_sasl(out, &["SCRAM-SHA-256"])),
            b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\0\0"
        );
        assert_eq!(
            bytes(|out| backend_key(out, *b"12345678")),
            b"K\x00\x00\x00\x0c12345678"
        );
    }

    #[test]
    fn rows_carry_text_and_null() {
        assert_eq!(
            bytes(|out| data_row(out, &[Some("ab"), None])),
            b"D\x00\x00\x00\x10\x00\x02\x00\x00\x00\x02ab\xff\xff\xff\xff"
        );
        let described = bytes(|out| row_description(out, &[("n", ColumnType::Int4)]));
        assert_eq!(described[..7], *b"T\x00\x00\x00\x1a\x00\x01");
        assert_eq!(described[7..9], *b"n\0");
    }
}
