//! Reads frames of a console client, runs its commands and writes the replies.
//!
//! One command at a time, in the order they came. While a command waits (`PAUSE`, `WAIT_CLOSE`) the
//! socket is still read, up to the size of the buffer, so that a client that goes away is noticed.

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::answer::Answer;
use super::command::{Command, Role};
use super::console::{Console, Step};
use super::host::{ConsoleError, ConsoleEvent, ConsoleHost};
use super::run::{run, take_back};
use crate::protocol::reply::{self, Report};
use crate::protocol::{FrameError, HEADER_LEN, Header, Severity, SqlState, peek_header};

/// Bytes that a frame of a console client may declare. `PgBouncer` allows 4096.
pub const FRAME_MAX: usize = 64 * 1024;
/// Bytes of input that are kept: one frame and a bit.
const INPUT_MAX: usize = FRAME_MAX + 4096;
/// Bytes that are read at a time.
const READ_SIZE: usize = 4096;
/// Bytes of replies that are gathered before they are sent.
const OUTPUT_MAX: usize = 16 * 1024;

/// How a console conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client said `Terminate`.
    ByClient,
    /// The client's socket ended without it.
    Eof,
    /// The client broke the protocol and was told so.
    ProtocolError,
    /// `stop` became ready, or the program is shutting down at the client's own command.
    Stopped,
}

/// Time that a farewell may take. A client that does not read it must not hold up a shutdown.
const FAREWELL_WAIT: Duration = Duration::from_secs(1);

/// Bytes that the login has left: the end of its own answer, and what the client sent behind it.
#[derive(Debug, Default)]
pub struct Leftover {
    /// Read, and not looked at.
    pub input: BytesMut,
    /// To be sent before everything else.
    pub output: BytesMut,
}

/// Holds the conversation with a client that has logged in and been told `ReadyForQuery`, in
/// `leftover` or before.
///
/// `cancelled` is notified for each cancel request of this client, by `notify_waiters`, so that one
/// which finds nothing to cancel is forgotten. `stop` ends the conversation; the report it may give,
/// such as `admin forced disconnect`, is sent first. Errors are those of the socket. There is no
/// time limit: console clients may be idle for ever.
pub async fn serve<S, H, F>(
    (stream, leftover): (S, Leftover),
    host: &H,
    role: Role,
    cancelled: &Notify,
    stop: F,
) -> io::Result<Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: ConsoleHost,
    F: Future<Output = Option<Report>>,
{
    let Leftover { input, output } = leftover;
    let mut link = Link {
        stream,
        input,
        output,
    };
    let mut conversation = Conversation {
        console: Console::new(role),
        host,
        cancelled,
    };
    let farewell = tokio::select! {
        biased;
        farewell = stop => farewell,
        // Dropped when `stop` wins: what was not sent yet is still in `link.output`.
        ended = Box::pin(conversation.talk(&mut link)) => return ended,
    };
    if let Some(report) = farewell {
        reply::error(&mut link.output, &report);
    }
    match tokio::time::timeout(FAREWELL_WAIT, link.flush()).await {
        // The connection ends in any case, read or not.
        Ok(Ok(()) | Err(_)) | Err(_) => Ok(Ended::Stopped),
    }
}

/// The socket, with input that has not been looked at and output that has not been sent.
struct Link<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
}

/// What is at the start of the input.
enum Next {
    Frame(Header),
    Eof,
    Bad(FrameError),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Waits for a whole frame; before it waits it sends what is to be sent.
    async fn next_frame(&mut self) -> io::Result<Next> {
        loop {
            match peek_header(&self.input, FRAME_MAX) {
                Ok(Some(header)) if header.total <= self.input.len() => {
                    return Ok(Next::Frame(header));
                }
                Ok(_) => {}
                Err(error) => return Ok(Next::Bad(error)),
            }
            self.flush().await?;
            if self.read_more().await? == 0 {
                return Ok(Next::Eof);
            }
        }
    }

    fn has_room(&self) -> bool {
        self.input.len() < INPUT_MAX
    }

    /// Reads once; 0 at the end of the stream. May be dropped without losing bytes.
    async fn read_more(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_SIZE);
        self.stream
            .read_buf(&mut (&mut self.input).limit(READ_SIZE))
            .await
    }

    /// Sends all output. May be dropped: what has been sent is not in `output` any more.
    async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            if self.stream.write_buf(&mut self.output).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush().await
    }
}

struct Conversation<'a, H> {
    console: Console,
    host: &'a H,
    cancelled: &'a Notify,
}

impl<H: ConsoleHost> Conversation<'_, H> {
    async fn talk<S>(&mut self, link: &mut Link<S>) -> io::Result<Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let header = match link.next_frame().await? {
                Next::Frame(header) => header,
                Next::Eof => return Ok(Ended::Eof),
                Next::Bad(error) => {
                    let report = bad_frame(error, &link.input);
                    self.host.note(ConsoleEvent::Refused(&report.message));
                    reply::error(&mut link.output, &report);
                    link.flush().await?;
                    return Ok(Ended::ProtocolError);
                }
            };
            let mut frame = link.input.split_to(header.total);
            frame.advance(HEADER_LEN);
            let step = self.console.feed(header.tag, &frame, &mut link.output);
            if let Some(ended) = self.follow(step, link).await? {
                return Ok(match header.tag {
                    b'X' => Ended::ByClient,
                    _ => ended,
                });
            }
        }
    }

    /// Does what the console says until it wants another frame, or the conversation ends.
    async fn follow<S>(&mut self, first: Step, link: &mut Link<S>) -> io::Result<Option<Ended>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut step = first;
        loop {
            let refusal = self.console.take_refusal();
            if let Some(text) = &refusal {
                self.host.note(ConsoleEvent::Refused(text));
            }
            if link.output.len() >= OUTPUT_MAX {
                link.flush().await?;
            }
            step = match step {
                Step::Continue => return Ok(None),
                Step::Run(command) => {
                    self.host.note(ConsoleEvent::Command(&command));
                    match self.wait(&command, link).await? {
                        Some(outcome) => self.console.finish(outcome, &mut link.output),
                        None => return Ok(Some(Ended::Eof)),
                    }
                }
                Step::Rows => self.console.rows(&mut link.output),
                Step::Close => {
                    link.flush().await?;
                    return Ok(Some(match refusal {
                        Some(_) => Ended::ProtocolError,
                        None => Ended::Stopped,
                    }));
                }
            };
        }
    }

    /// Runs a command; `None` when the client goes away meanwhile.
    async fn wait<S>(
        &self,
        command: &Command,
        link: &mut Link<S>,
    ) -> io::Result<Option<Result<Answer, ConsoleError>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        {
            let mut cancelled = pin!(self.cancelled.notified());
            cancelled.as_mut().enable();
            let mut running = pin!(run(command, self.host));
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut running => return Ok(Some(outcome)),
                    () = &mut cancelled => break,
                    // Cancel-safe: bytes that were read are in `link.input`.
                    read = link.read_more(), if link.has_room() => {
                        if read? == 0 {
                            return Ok(None);
                        }
                    }
                }
            }
        }
        take_back(command, self.host).await;
        Ok(Some(Err(ConsoleError::Canceled)))
    }
}

fn bad_frame(error: FrameError, input: &[u8]) -> Report {
    let text = match error {
        FrameError::TooShort { .. } => {
            let mut text = "bad packet header: '".to_owned();
            for byte in input.iter().take(HEADER_LEN) {
                write!(text, "{byte:02x}").expect("memory takes every byte");
            }
            text + "'"
        }
        FrameError::TooLong { .. } => error.to_string(),
    };
    Report::new(Severity::Fatal, SqlState::PROTOCOL_VIOLATION, text)
}

#[cfg(test)]
mod tests;
