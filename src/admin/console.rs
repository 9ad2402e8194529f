//! Sans-IO. The conversation with one console client that has logged in.
//!
//! Fed with frames, it appends replies to a buffer and says what to do next. It knows both the
//! simple protocol, as `PgBouncer` has it, and the extended one, which `PgBouncer` refuses here and
//! many drivers insist on. Not here: doing a command (`run`), reading and writing (`serve`).
//!
//! ```text
//!           Query, Execute           finish             rows
//!   Ready ─────────────────► Running ──────► Sending ─────────► Ready
//!     │ ▲                       │
//!     │ │ Sync                  │ an Execute fails
//!     ▼ │                       ▼
//!   SkipToSync ◄────────────────┘            (an error in any message of the extended protocol)
//! ```
//!
//! Invariant: every query gets exactly one `ReadyForQuery`, and so does every `Sync`.

mod message;
mod prepared;

use bytes::BytesMut;

use super::answer::{self, Answer};
use super::command::{self, Command, Role};
use super::host::ConsoleError;
use super::table::{Format, Formats, Table, write_description};
use crate::protocol::reply::{self, Report};
use crate::protocol::{Severity, SqlState, TransactionStatus};
use message::{Message, MessageError, Target};
use prepared::{Portal, Prepared, PreparedError, Progress, Statement};

pub use prepared::{NAME_MAX, PORTALS_MAX, STATEMENTS_MAX};

/// Rows that are written before the buffer is handed out.
const BATCH: usize = 128;

/// What the caller does next. The buffer may be sent at any step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Feed the next frame.
    Continue,
    /// Run this command and report to [`Console::finish`].
    Run(Command),
    /// Call [`Console::rows`], best after the buffer has been sent.
    Rows,
    /// Send the buffer and close the connection.
    Close,
}

/// Who waits for the outcome of a command.
#[derive(Debug)]
enum Asker {
    /// A simple query.
    Query,
    /// `Execute` of the portal of this name, for at most this many rows.
    Portal { name: Vec<u8>, max_rows: usize },
}

/// Rows on their way out.
#[derive(Debug)]
struct Sending {
    asker: Asker,
    table: Box<dyn Table>,
    formats: Formats,
    next: usize,
    /// Rows that may still be sent, none for a limit that is never reached.
    left: Option<usize>,
}

#[derive(Debug)]
enum Activity {
    Ready,
    SkipToSync,
    Running { asker: Asker, tag: String },
    Sending(Sending),
}

/// One client's conversation.
#[derive(Debug)]
pub struct Console {
    role: Role,
    prepared: Prepared,
    activity: Activity,
    refusal: Option<String>,
}

impl Console {
    /// A conversation with a client that has been told `ReadyForQuery` for the first time.
    pub fn new(role: Role) -> Self {
        let prepared = Prepared::default();
        Self {
            role,
            prepared,
            activity: Activity::Ready,
            refusal: None,
        }
    }

    /// The text of the last error that was sent, once.
    pub fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    /// Takes one frame. Only to be called when the last step was [`Step::Continue`].
    pub fn feed(&mut self, tag: u8, body: &[u8], out: &mut BytesMut) -> Step {
        debug_assert!(matches!(
            self.activity,
            Activity::Ready | Activity::SkipToSync
        ));
        if matches!(self.activity, Activity::SkipToSync) && !matches!(tag, b'S' | b'X') {
            return Step::Continue;
        }
        match Message::read(tag, body) {
            Ok(message) => self.message(message, out),
            Err(error) => self.abandon(error, out),
        }
    }

    fn message(&mut self, message: Message<'_>, out: &mut BytesMut) -> Step {
        let outcome = match message {
            Message::Query(text) => return self.query(text, out),
            Message::Parse {
                name,
                text,
                parameters,
            } => self
                .prepared
                .parse(name, text, parameters, self.role)
                .map(|()| reply::parse_complete(out)),
            Message::Bind {
                portal,
                statement,
                values,
                formats,
            } => self
                .prepared
                .bind(portal, statement, values, formats)
                .map(|()| reply::bind_complete(out)),
            Message::Describe { target, name } => self.describe(target, name, out),
            Message::Execute { portal, max_rows } => match self.execute(portal, max_rows, out) {
                Ok(step) => return step,
                Err(error) => Err(error),
            },
            Message::Close { target, name } => {
                self.prepared.close(target, name);
                reply::close_complete(out);
                Ok(())
            }
            Message::Sync => {
                self.prepared.end_transaction();
                self.ready(out);
                Ok(())
            }
            // Whatever is in the buffer is sent before the next frame is waited for.
            Message::Flush | Message::Copy => Ok(()),
            Message::FunctionCall => {
                let text = "unsupported packet type for admin console: 70";
                let report = Report::new(Severity::Error, SqlState::PROTOCOL_VIOLATION, text);
                return self.refuse(&Asker::Query, report, out);
            }
            Message::Terminate => return Step::Close,
        };
        if let Err(error) = outcome {
            let report = Report::new(Severity::Error, error.sqlstate(), error.to_string());
            self.refuse_extended(report, out);
        }
        Step::Continue
    }

    fn query(&mut self, text: &[u8], out: &mut BytesMut) -> Step {
        self.prepared.drop_unnamed();
        match command::parse(text, self.role) {
            Ok(command) => self.start(command, Asker::Query),
            Err(error) => {
                let code = SqlState::PROTOCOL_VIOLATION;
                let report = Report::new(Severity::Error, code, error.to_string());
                self.refuse(&Asker::Query, report, out)
            }
        }
    }

    fn describe(
        &mut self,
        target: Target,
        name: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), PreparedError> {
        let (columns, formats) = match target {
            Target::Statement => {
                let columns = self.prepared.statement(name)?.columns();
                reply::parameter_description(out, &[]);
                (columns, Formats::All(Format::Text))
            }
            Target::Portal => {
                let portal = self.prepared.portal(name)?;
                (portal.statement.columns(), portal.formats.clone())
            }
        };
        match columns {
            Some(columns) => write_description(&columns, &formats, out),
            None => reply::no_data(out),
        }
        Ok(())
    }

    fn execute(
        &mut self,
        name: &[u8],
        max_rows: usize,
        out: &mut BytesMut,
    ) -> Result<Step, PreparedError> {
        let portal = self.prepared.portal(name)?;
        let command = match &portal.statement {
            Statement::Empty => {
                reply::empty_query(out);
                return Ok(Step::Continue);
            }
            Statement::Command(command) => command.clone(),
        };
        let asker = Asker::Portal {
            name: name.to_vec(),
            max_rows,
        };
        match std::mem::replace(&mut portal.progress, Progress::Over) {
            Progress::Fresh => Ok(self.start(command, asker)),
            Progress::Suspended { table, next } => {
                let formats = portal.formats.clone();
                self.activity = Activity::Sending(Sending::new(asker, table, formats, next));
                Ok(Step::Rows)
            }
            // PostgreSQL gives no more rows of a table, and refuses to do anything else twice.
            Progress::Over => match answer::columns(&command) {
                Some(_) => {
                    reply::command_complete(out, &answer::tag(&command));
                    Ok(Step::Continue)
                }
                None => Err(PreparedError::PortalOver(prepared::lossy(name))),
            },
        }
    }

    fn start(&mut self, command: Command, asker: Asker) -> Step {
        self.activity = Activity::Running {
            asker,
            tag: answer::tag(&command),
        };
        Step::Run(command)
    }

    /// Takes the outcome of the command of [`Step::Run`].
    pub fn finish(&mut self, outcome: Result<Answer, ConsoleError>, out: &mut BytesMut) -> Step {
        let (asker, tag) = match std::mem::replace(&mut self.activity, Activity::Ready) {
            Activity::Running { asker, tag } => (asker, tag),
            other @ (Activity::Ready | Activity::SkipToSync | Activity::Sending(_)) => {
                debug_assert!(false, "finish without a running command: {other:?}");
                return Step::Close;
            }
        };
        match outcome {
            Ok(Answer::Rows(table)) => self.start_sending(asker, table, out),
            Ok(Answer::Notice(report)) => {
                reply::notice(out, &report);
                self.complete(&asker, &tag, out)
            }
            Ok(Answer::Done) => self.complete(&asker, &tag, out),
            Ok(Answer::Gone) => Step::Close,
            Err(error) => {
                let report = Report::new(Severity::Error, error.sqlstate(), error.to_string());
                self.refuse(&asker, report, out)
            }
        }
    }

    fn start_sending(&mut self, asker: Asker, table: Box<dyn Table>, out: &mut BytesMut) -> Step {
        let formats = match &asker {
            Asker::Query => {
                let formats = Formats::All(Format::Text);
                write_description(&table.headings(), &formats, out);
                formats
            }
            Asker::Portal { name, .. } => match self.prepared.portal(name) {
                Ok(portal) => portal.formats.clone(),
                Err(_) => Formats::All(Format::Text),
            },
        };
        self.activity = Activity::Sending(Sending::new(asker, table, formats, 0));
        Step::Rows
    }

    /// Appends some of the rows that [`Step::Rows`] announced, and the end of the answer after the
    /// last one.
    pub fn rows(&mut self, out: &mut BytesMut) -> Step {
        let mut sending = match std::mem::replace(&mut self.activity, Activity::Ready) {
            Activity::Sending(sending) => sending,
            other @ (Activity::Ready | Activity::SkipToSync | Activity::Running { .. }) => {
                debug_assert!(false, "rows without a table: {other:?}");
                return Step::Close;
            }
        };
        if sending.write_batch(out) {
            self.activity = Activity::Sending(sending);
            return Step::Rows;
        }
        let Sending {
            asker,
            table,
            next,
            left,
            ..
        } = sending;
        match (&asker, left) {
            // The limit was reached; like PostgreSQL we do not look whether there is another row.
            (Asker::Portal { name, .. }, Some(0)) => {
                if let Ok(Portal { progress, .. }) = self.prepared.portal(name) {
                    *progress = Progress::Suspended { table, next };
                }
                reply::portal_suspended(out);
                Step::Continue
            }
            (Asker::Query | Asker::Portal { .. }, _) => self.complete(&asker, "SHOW", out),
        }
    }

    fn complete(&mut self, asker: &Asker, tag: &str, out: &mut BytesMut) -> Step {
        reply::command_complete(out, tag);
        match asker {
            Asker::Query => self.ready(out),
            Asker::Portal { .. } => self.activity = Activity::Ready,
        }
        Step::Continue
    }

    fn ready(&mut self, out: &mut BytesMut) {
        reply::ready_for_query(out, TransactionStatus::Idle);
        self.activity = Activity::Ready;
    }

    fn refuse(&mut self, asker: &Asker, report: Report, out: &mut BytesMut) -> Step {
        match asker {
            Asker::Query => {
                self.say(report, out);
                self.ready(out);
            }
            Asker::Portal { .. } => self.refuse_extended(report, out),
        }
        Step::Continue
    }

    fn refuse_extended(&mut self, report: Report, out: &mut BytesMut) {
        self.say(report, out);
        self.activity = Activity::SkipToSync;
    }

    fn abandon(&mut self, error: MessageError, out: &mut BytesMut) -> Step {
        let code = SqlState::PROTOCOL_VIOLATION;
        self.say(Report::new(Severity::Fatal, code, error.to_string()), out);
        Step::Close
    }

    fn say(&mut self, report: Report, out: &mut BytesMut) {
        reply::error(out, &report);
        self.refusal = Some(report.message);
    }
}

impl Sending {
    fn new(asker: Asker, table: Box<dyn Table>, formats: Formats, next: usize) -> Self {
        let left = match asker {
            Asker::Query | Asker::Portal { max_rows: 0, .. } => None,
            Asker::Portal { max_rows, .. } => Some(max_rows),
        };
        Self {
            asker,
            table,
            formats,
            next,
            left,
        }
    }

    /// Appends some rows; whether there are more to send.
    fn write_batch(&mut self, out: &mut BytesMut) -> bool {
        let remaining = self.table.len().saturating_sub(self.next);
        let allowed = self.left.map_or(remaining, |left| left.min(remaining));
        let count = allowed.min(BATCH);
        self.table.write_rows(self.next, count, &self.formats, out);
        self.next += count;
        self.left = self.left.map(|left| left - count);
        count < allowed
    }
}

#[cfg(test)]
mod tests;
