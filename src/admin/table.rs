//! Sans-IO. Tables of the console: columns that know their name, type and value, and their bytes on
//! the wire in text and binary format.
//!
//! Invariant: a column stands in one place only, so that its description, its order and its values
//! cannot disagree.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::protocol::reply::{self, ColumnType};

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number, of any of the number types.
    Number(i64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Counters above 2^63 show as 2^63 - 1.
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// 0 or 1, as `PgBouncer` shows its flags.
impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Name and type of a column.
pub type Heading = (&'static str, ColumnType);

/// A column of a table whose rows are `R`s.
pub struct Column<R> {
    /// Its name, which tools look up.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Its value in a row.
    pub value: for<'a> fn(&'a R) -> Value<'a>,
}

// Not derived, because that would demand the same of `R`.
impl<R> Clone for Column<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Column<R> {}

impl<R> fmt::Debug for Column<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name, self.kind)
    }
}

/// Names and types of `columns`, in order.
pub fn headings<R>(columns: &[Column<R>]) -> Vec<Heading> {
    columns
        .iter()
        .map(|column| (column.name, column.kind))
        .collect()
}

/// Format of a value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Format code 0.
    Text,
    /// Format code 1.
    Binary,
}

/// Formats of the columns of a portal, as `Bind` asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formats {
    /// The same for all.
    All(Format),
    /// One for each column.
    Each(Vec<Format>),
}

impl Formats {
    fn of(&self, column: usize) -> Format {
        match self {
            Self::All(format) => *format,
            Self::Each(formats) => formats.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

/// A result set, its row type forgotten.
pub trait Table: fmt::Debug + Send + Sync {
    /// Names and types of the columns.
    fn headings(&self) -> Vec<Heading>;

    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `DataRow` messages for `count` rows from `first` on, or as many as there are.
    fn write_rows(&self, first: usize, count: usize, formats: &Formats, out: &mut BytesMut);
}

/// Rows with their columns.
#[derive(Debug)]
pub struct Sheet<R: 'static> {
    /// The columns.
    pub columns: &'static [Column<R>],
    /// The rows.
    pub rows: Vec<R>,
}

impl<R: fmt::Debug + Send + Sync> Table for Sheet<R> {
    fn headings(&self) -> Vec<Heading> {
        headings(self.columns)
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn write_rows(&self, first: usize, count: usize, formats: &Formats, out: &mut BytesMut) {
        for row in self.rows.iter().skip(first).take(count) {
            let values = self
                .columns
                .iter()
                .map(|column| ((column.value)(row), column.kind));
            write_row(values, formats, out);
        }
    }
}

/// Bytes of a `RowDescription` in front of its fields: type, length, number of fields.
const DESCRIPTION_HEAD: usize = 7;
/// Bytes of a field behind its name: zero byte, table, number, type, size, modifier and format.
const FIELD_TAIL: usize = 1 + 4 + 2 + 4 + 2 + 4 + 2;

/// `RowDescription` with the formats in which rows will come.
pub fn write_description(headings: &[Heading], formats: &Formats, out: &mut BytesMut) {
    let mut field_end = out.len() + DESCRIPTION_HEAD;
    reply::row_description(out, headings);
    for (column, (name, _)) in headings.iter().enumerate() {
        field_end += name.len() + FIELD_TAIL;
        // `reply` describes everything as text: format code 0, whose low byte ends the field.
        if formats.of(column) == Format::Binary {
            out[field_end - 1] = 1;
        }
    }
}

fn write_row<'a>(
    values: impl ExactSizeIterator<Item = (Value<'a>, ColumnType)>,
    formats: &Formats,
    out: &mut BytesMut,
) {
    out.put_u8(b'D');
    let length_at = reserve_length(out);
    out.put_i16(i16::try_from(values.len()).expect("console tables have few columns"));
    for (column, (value, kind)) in values.enumerate() {
        if value == Value::Null {
            out.put_i32(-1);
            continue;
        }
        let value_at = reserve_length(out);
        match formats.of(column) {
            Format::Text => put_text(&value, out),
            Format::Binary => put_binary(&value, kind, out),
        }
        fill_length(out, value_at, 0);
    }
    fill_length(out, length_at, 4);
}

fn reserve_length(out: &mut BytesMut) -> usize {
    out.put_i32(0);
    out.len()
}

/// Writes the number of bytes behind `from` and `extra` into the four bytes in front of it.
fn fill_length(out: &mut BytesMut, from: usize, extra: usize) {
    let length = u32::try_from(out.len() - from + extra).expect("console rows are short");
    out[from - 4..from].copy_from_slice(&length.to_be_bytes());
}

fn put_text(value: &Value<'_>, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Text(text) => out.put_slice(text.as_bytes()),
        Value::Number(number) => {
            fmt::Write::write_fmt(out, format_args!("{number}")).expect("memory takes every byte");
        }
    }
}

fn put_binary(value: &Value<'_>, kind: ColumnType, out: &mut BytesMut) {
    match (value, kind) {
        (Value::Number(number), ColumnType::Int4) => {
            let nearest = if *number < 0 { i32::MIN } else { i32::MAX };
            out.put_i32(i32::try_from(*number).unwrap_or(nearest));
        }
        (Value::Number(number), ColumnType::Int8) => out.put_i64(*number),
        (Value::Number(number), ColumnType::Numeric) => put_numeric(*number, out),
        // Text and bytea look the same in both formats.
        (Value::Null | Value::Text(_) | Value::Number(_), _) => put_text(value, out),
    }
}

/// The binary form of `numeric`: number of digits, weight of the first, sign, scale, and digits to
/// the base of ten thousand without zeros at either end.
fn put_numeric(number: i64, out: &mut BytesMut) {
    const BASE: u64 = 10_000;
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    let mut weight = -1_i16;
    while rest > 0 {
        let digit = u16::try_from(rest % BASE).expect("smaller than the base");
        if digit != 0 || !digits.is_empty() {
            digits.push(digit);
        }
        weight += 1;
        rest /= BASE;
    }
    out.put_i16(i16::try_from(digits.len()).expect("an i64 has at most five digits"));
    out.put_i16(weight.max(0));
    out.put_u16(if number < 0 { 0x4000 } else { 0 });
    out.put_i16(0);
    for digit in digits.iter().rev() {
        out.put_u16(*digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Pair(i64, Option<&'static str>);

    const COLUMNS: &[Column<Pair>] = &[
        Column {
            name: "n",
            kind: ColumnType::Int4,
            value: |row| row.0.into(),
        },
        Column {
            name: "text",
            kind: ColumnType::Text,
            value: |row| row.1.into(),
        },
    ];

    fn binary(number: i64, kind: ColumnType) -> Vec<u8> {
        let mut out = BytesMut::new();
        put_binary(&Value::Number(number), kind, &mut out);
        out.to_vec()
    }

    #[test]
    fn rows_come_in_the_format_asked_for() {
        let sheet = Sheet {
            columns: COLUMNS,
            rows: vec![Pair(12, Some("ab")), Pair(-1, None)],
        };
        let mut out = BytesMut::new();
        sheet.write_rows(0, 1, &Formats::All(Format::Text), &mut out);
        assert_eq!(out[..], b"D\0\0\0\x12\0\x02\0\0\0\x0212\0\0\0\x02ab"[..]);
        out.clear();
        let formats = Formats::Each(vec![Format::Binary, Format::Text]);
        sheet.write_rows(1, 9, &formats, &mut out);
        assert_eq!(
            out[..],
            b"D\0\0\0\x12\0\x02\0\0\0\x04\xff\xff\xff\xff\xff\xff\xff\xff"[..]
        );
    }

    #[test]
    fn a_description_names_the_formats() {
        let mut text = BytesMut::from(&b"before"[..]);
        write_description(&headings(COLUMNS), &Formats::All(Format::Text), &mut text);
        let mut mixed = BytesMut::from(&b"before"[..]);
        let formats = Formats::Each(vec![Format::Text, Format::Binary]);
        write_description(&headings(COLUMNS), &formats, &mut mixed);
        let differing: Vec<_> = (0..text.len())
            .filter(|&at| text[at] != mixed[at])
            .collect();
        assert_eq!(differing, [text.len() - 1], "only the last format code");
        assert_eq!(mixed.last(), Some(&1));
    }

    #[test]
    fn numbers_have_their_binary_forms() {
        assert_eq!(
            binary(5_000_000_000, ColumnType::Int4),
            i32::MAX.to_be_bytes()
        );
        assert_eq!(binary(-2, ColumnType::Int8), (-2_i64).to_be_bytes());
        // Digits, weight, sign, scale, as PostgreSQL's numeric_send writes them.
        for (number, words) in [
            (0, &[0, 0, 0, 0][..]),
            (7, &[1, 0, 0, 0, 7]),
            (10_000, &[1, 1, 0, 0, 1]),
            (123_456_789, &[3, 2, 0, 0, 1, 2345, 6789]),
            (-120_000_000, &[2, 2, 0x4000, 0, 1, 2000]),
            (i64::MAX, &[5, 4, 0, 0, 922, 3372, 368, 5477, 5807]),
        ] {
            let expected: Vec<u8> = words
                .iter()
                .flat_map(|word: &u16| word.to_be_bytes())
                .collect();
            assert_eq!(binary(number, ColumnType::Numeric), expected, "{number}");
        }
    }
}
