//! Queries of our own on a server connection without a client: connect, check and reset queries, and
//! the lookup of a user.
//!
//! The caller applies the time limit. On any error the connection must be closed.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::conn::ServerConn;
use crate::protocol::{
    FrameError, HEADER_LEN, Header, ReadError, Reader, TransactionStatus, backend, frontend,
    peek_header,
};

/// Longest reply to an errand, in bytes of one frame.
const FRAME_MAX: usize = 1 << 20;

/// Why an errand failed.
#[derive(Debug, thiserror::Error)]
pub enum ErrandError {
    /// The server answered with an error; its message.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(#[from] io::Error),
    /// A frame's header is impossible.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame's body cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The server left a transaction open.
    #[error("query left a transaction open")]
    NotIdle,
    /// The row has not the two columns that `auth_query` must give.
    #[error("auth_query must return two columns, got {0}")]
    Columns(usize),
    /// The answer is not one row with the columns that were asked for.
    #[error("expected one row with {0} columns")]
    NotOneRow(usize),
}

/// Runs one simple query and drops its result.
pub async fn run(conn: &mut ServerConn, sql: &str) -> Result<(), ErrandError> {
    let mut request = BytesMut::new();
    frontend::put_query(&mut request, sql);
    converse(conn, &request, |_, _| Ok(())).await
}

/// A row: texts, or NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// Runs one simple query whose result is one row of so many columns.
pub async fn one_row(conn: &mut ServerConn, sql: &str, columns: usize) -> Result<Row, ErrandError> {
    let mut only = None;
    let each = |row: Row| match only.replace(row) {
        None => Ok(()),
        Some(_) => Err(ErrandError::NotOneRow(columns)),
    };
    select(conn, sql, columns, each).await?;
    only.ok_or(ErrandError::NotOneRow(columns))
}

/// Runs one simple query whose result has rows of so many columns, and gives them out one by one.
pub async fn select(
    conn: &mut ServerConn,
    sql: &str,
    columns: usize,
    mut each: impl FnMut(Row) -> Result<(), ErrandError>,
) -> Result<(), ErrandError> {
    let mut request = BytesMut::new();
    frontend::put_query(&mut request, sql);
    converse(conn, &request, |tag, body| {
        if tag != b'D' {
            return Ok(());
        }
        let mut reader = Reader::new(body);
        if reader.count()? != columns {
            return Err(ErrandError::NotOneRow(columns));
        }
        let mut values = (0..columns).map(|_| Ok(reader.value()?.map(<[u8]>::to_vec)));
        each(values.by_ref().collect::<Result<Row, ErrandError>>()?)
    })
    .await
}

/// Asks a question whose answer is one boolean; anything else is no. Notifications that come meanwhile
/// are the client's, and go to `aside`.
pub async fn ask(
    conn: &mut ServerConn,
    sql: &str,
    aside: &mut BytesMut,
) -> Result<bool, ErrandError> {
    let mut request = BytesMut::new();
    frontend::put_query(&mut request, sql);
    let mut answer = false;
    converse(conn, &request, |tag, body| {
        if tag == b'A' {
            frontend::put_frame(aside, tag, body);
        }
        if tag == b'D' {
            let mut reader = Reader::new(body);
            answer = reader.count()? == 1 && reader.value()? == Some(&b"t"[..]);
        }
        Ok(())
    })
    .await?;
    Ok(answer)
}

/// What `auth_query` found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// No row, or one without a user's name.
    Nobody,
    /// A user; `None` is a NULL password, with which nobody can log in.
    User(Option<Vec<u8>>),
}

/// Asks for a user's secret: `sql` with the name as `$1`, which comes back as name and secret.
pub async fn look_up(conn: &mut ServerConn, sql: &str, user: &str) -> Result<Found, ErrandError> {
    let mut request = BytesMut::new();
    frontend::put_lookup(&mut request, sql, user);
    let mut found = Found::Nobody;
    converse(conn, &request, |tag, body| {
        if tag == b'D' {
            found = row(body)?;
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

fn row(body: &[u8]) -> Result<Found, ErrandError> {
    let mut reader = Reader::new(body);
    let columns = reader.count()?;
    if columns != 2 {
        return Err(ErrandError::Columns(columns));
    }
    let name = reader.value()?;
    let secret = reader.value()?.map(<[u8]>::to_vec);
    Ok(if name.is_some() {
        Found::User(secret)
    } else {
        Found::Nobody
    })
}

/// Sends the request and reads up to `ReadyForQuery`.
async fn converse(
    conn: &mut ServerConn,
    request: &[u8],
    mut each: impl FnMut(u8, &[u8]) -> Result<(), ErrandError>,
) -> Result<(), ErrandError> {
    conn.stream.write_all(request).await?;
    conn.stream.flush().await?;
    let mut refused = None;
    loop {
        let (header, frame) = next_frame(conn).await?;
        let body = frame.get(HEADER_LEN..).unwrap_or_default();
        match header.tag {
            b'E' => {
                let problem = backend::problem(body)?;
                refused = Some(String::from_utf8_lossy(problem.message).into_owned());
            }
            b'S' => conn.take_in(body)?,
            b'Z' => {
                let status = body.first().copied().and_then(TransactionStatus::from_byte);
                return match (refused, status) {
                    (Some(message), _) => Err(ErrandError::Refused(message)),
                    (None, Some(TransactionStatus::Idle)) => Ok(()),
                    (None, _) => Err(ErrandError::NotIdle),
                };
            }
            tag => each(tag, body)?,
        }
    }
}

async fn next_frame(conn: &mut ServerConn) -> Result<(Header, BytesMut), ErrandError> {
    loop {
        if let Some(header) = peek_header(&conn.input, FRAME_MAX)?
            && conn.input.len() >= header.total
        {
            let frame = conn.input.split_to(header.total);
            if !conn.input.has_remaining() {
                conn.input = BytesMut::new();
            }
            return Ok((header, frame));
        }
        if conn.stream.read_buf(&mut conn.input).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}
