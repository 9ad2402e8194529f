//! Sans-IO. Reads ahead what a client has sent: the segment that comes next, and what it is.
//!
//! A segment is what one `ReadyForQuery` answers: a simple query, a function call, or messages of the
//! extended protocol up to their `Sync`. It runs as one implicit transaction, and so on one server.
//! Not here: which one (`decide`), moving the bytes (`session`).

use crate::protocol::{HEADER_LEN, Header, frontend, peek_header};
use crate::session::client_state::ClientState;
use crate::sql::command::{BeginOptions, Command, command};
use crate::sql::lexer::Quoting;
use crate::sql::{Class, Reason, Verdict};

/// Longest segment that is looked at as a whole, in bytes. A longer one goes to the primary.
pub const MAX_SEGMENT: usize = 64 << 10;

/// Says what a statement is.
pub trait Classes {
    /// The verdict on the text of one message, which may hold several statements.
    fn verdict(&mut self, sql: &[u8]) -> Verdict;

    /// How strings are written in it.
    fn quoting(&self) -> Quoting;
}

/// What stands at the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead<'a> {
    /// Nothing, or not enough to tell.
    More,
    /// So many bytes that belong to no segment of their own: copy data, a `Sync` or `Flush` alone.
    Loose(usize),
    /// Messages that pgweir may answer itself, or must refuse, without a server.
    Own,
    /// A segment.
    Segment(Segment<'a>),
}

/// What one `ReadyForQuery` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Bytes that it takes, or that may go without being looked at.
    pub bytes: usize,
    /// Whether all of it is there and has been looked at.
    pub extent: Extent,
    /// What all its statements are together.
    pub verdict: Verdict,
    /// Its first statement.
    pub first: Option<&'a [u8]>,
    /// The transaction that its first statement begins, in the extended protocol. The verdict is on the
    /// other statements then.
    pub begins: Option<BeginOptions>,
    /// By which protocol.
    pub protocol: Protocol,
    /// How many times something is executed in the extended protocol.
    pub executions: usize,
}

impl Segment<'_> {
    /// Whether it may have several statements. A semicolon may stand in a string.
    pub fn may_be_several(&self) -> bool {
        let inner = |sql: &[u8]| {
            let end = memchr::memchr(b';', sql);
            end.is_some_and(|end| !sql.split_at(end + 1).1.trim_ascii().is_empty())
        };
        match self.protocol {
            Protocol::Simple => self.first.is_some_and(inner),
            Protocol::Extended => self.executions > 1,
        }
    }
}

/// Whether messages that pgweir may answer itself are left to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// They are.
    Allowed,
    /// It has tried, or cannot now.
    NeedsServer,
}

/// How much of a segment has been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it, up to its end.
    Whole,
    /// A part: it is too long, or its client waits for an answer to that part (`Flush`).
    Part,
}

/// How a segment asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One `Query`.
    Simple,
    /// `Parse`, `Bind`, `Execute` and their kin.
    Extended,
}

/// What stands at the start of `input`, between two frames.
pub fn look_ahead<'a>(
    input: &'a [u8],
    client: &'a ClientState,
    alone: Alone,
    classes: &mut dyn Classes,
) -> Ahead<'a> {
    let Ok(header) = peek_header(input, client.frame_max()) else {
        return Ahead::Own; // the session has the words for it
    };
    let Some(header) = header else {
        return Ahead::More;
    };
    match header.tag {
        b'Q' => simple(input, header, classes),
        b'F' => part(header.total, Verdict::primary(Reason::VolatileFunction)),
        b'P' | b'B' | b'D' | b'E' | b'C' => Reader::new(input, client, alone, classes).read(),
        b'd' | b'c' | b'f' | b'H' | b'S' => Ahead::Loose(loose(input, client.frame_max())),
        _ => Ahead::Own,
    }
}

fn part<'a>(bytes: usize, verdict: Verdict) -> Ahead<'a> {
    Ahead::Segment(Segment {
        bytes,
        extent: Extent::Part,
        verdict,
        first: None,
        begins: None,
        protocol: Protocol::Extended,
        executions: 0,
    })
}

fn simple<'a>(input: &'a [u8], header: Header, classes: &mut dyn Classes) -> Ahead<'a> {
    if header.total > MAX_SEGMENT {
        return part(header.total, Verdict::primary(Reason::TooLong));
    }
    let Some(body) = input.get(HEADER_LEN..header.total) else {
        return Ahead::More;
    };
    let sql = text(body);
    Ahead::Segment(Segment {
        bytes: header.total,
        extent: Extent::Whole,
        verdict: classes.verdict(sql),
        first: Some(sql),
        begins: None,
        protocol: Protocol::Simple,
        executions: 0,
    })
}

/// The bytes before the first zero.
fn text(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    bytes.split_at(end).0
}

/// Bytes of the frames at the start that belong to no segment of their own, the last perhaps not
/// wholly there.
fn loose(input: &[u8], frame_max: usize) -> usize {
    let mut bytes = 0;
    while let Some(Ok(Some(header))) = input.get(bytes..).map(|rest| peek_header(rest, frame_max)) {
        if !matches!(header.tag, b'd' | b'c' | b'f' | b'H' | b'S') {
            break;
        }
        bytes += header.total;
    }
    bytes
}

/// A segment of the extended protocol while it is read.
struct Reader<'a, 'c> {
    input: &'a [u8],
    client: &'a ClientState,
    classes: &'c mut dyn Classes,
    bytes: usize,
    verdict: Verdict,
    first: Option<&'a [u8]>,
    /// Statements that the segment itself prepares.
    prepared: Vec<&'a [u8]>,
    /// Of these, the one that it has bound last.
    bound: Option<&'a [u8]>,
    begins: Option<BeginOptions>,
    executions: usize,
    needs_server: bool,
    flushed: bool,
}

impl<'a, 'c> Reader<'a, 'c> {
    fn new(
        input: &'a [u8],
        client: &'a ClientState,
        alone: Alone,
        classes: &'c mut dyn Classes,
    ) -> Self {
        Self {
            input,
            client,
            classes,
            bytes: 0,
            verdict: Verdict::READ,
            first: None,
            prepared: Vec::new(),
            bound: None,
            begins: None,
            executions: 0,
            needs_server: alone == Alone::NeedsServer,
            flushed: false,
        }
    }

    fn read(mut self) -> Ahead<'a> {
        loop {
            let rest = self.input.split_at(self.bytes).1;
            let Ok(header) = peek_header(rest, self.client.frame_max()) else {
                return self.unfinished(0);
            };
            let Some(header) = header else {
                return self.cut();
            };
            if self.bytes + header.total > MAX_SEGMENT {
                return self.unfinished(header.total);
            }
            let Some(body) = rest.get(HEADER_LEN..header.total) else {
                return self.cut();
            };
            match header.tag {
                b'P' => self.parse(body),
                b'B' => self.bind(body),
                b'D' => self.needs_server = true,
                b'E' => {
                    self.needs_server = true;
                    self.executions += 1;
                }
                b'C' => {}
                b'H' => self.flushed = true,
                b'S' => {
                    self.bytes += header.total;
                    return self.whole();
                }
                b'Q' => {
                    let sql = text(body);
                    self.takes(sql);
                    self.needs_server = true;
                    self.bytes += header.total;
                    return self.whole();
                }
                // A goodbye, copy data, nonsense: whatever it is, it is not looked at here.
                _ => return self.unfinished(0),
            }
            self.bytes += header.total;
        }
    }

    fn takes(&mut self, sql: &'a [u8]) {
        let verdict = self.classes.verdict(sql);
        let is_first = self.first.is_none();
        self.first.get_or_insert(sql);
        if is_first
            && verdict.class == Class::Primary(Reason::TransactionControl)
            && let Command::Begin(options) = command(sql, self.classes.quoting())
        {
            self.begins = Some(options);
            return;
        }
        self.verdict = self.verdict.and(verdict);
    }

    fn parse(&mut self, body: &'a [u8]) {
        match frontend::parse(body) {
            Ok(parse) => {
                self.takes(text(parse.rest));
                self.prepared.push(parse.name);
                // An unnamed statement is not answered here.
                self.needs_server |= parse.name.is_empty();
            }
            Err(_) => self.is_unknown(),
        }
    }

    fn bind(&mut self, body: &'a [u8]) {
        self.needs_server = true;
        let Ok(head) = frontend::bind_head(body) else {
            return self.is_unknown();
        };
        if self.prepared.contains(&head.statement) {
            self.bound = Some(head.statement);
            return; // its verdict is in already
        }
        match self.client.statement_text(head.statement) {
            Some(sql) => self.takes(sql),
            None => self.is_unknown(),
        }
    }

    fn is_unknown(&mut self) {
        let unknown = Verdict::primary(Reason::UnknownStatement);
        self.verdict = self.verdict.and(unknown);
    }

    /// The input ends inside the segment.
    fn cut(self) -> Ahead<'a> {
        if self.flushed {
            return self.unfinished(0);
        }
        Ahead::More
    }

    /// The segment goes on, but what there is must go now; `more` bytes of it are not there yet.
    fn unfinished(self, more: usize) -> Ahead<'a> {
        if self.bytes + more == 0 {
            return Ahead::Own;
        }
        let verdict = self.verdict.and(Verdict::primary(Reason::TooLong));
        Ahead::Segment(Segment {
            bytes: self.bytes + more,
            extent: Extent::Part,
            verdict,
            first: self.first,
            begins: self.begins,
            protocol: Protocol::Extended,
            executions: self.executions,
        })
    }

    /// Statements that do not follow the client are bound later where they were prepared: nobody
    /// knows what they are by then, so that is the primary.
    fn leaves_statements(&self) -> bool {
        let stays = |name: &&[u8]| !name.is_empty() || self.bound != Some(*name);
        !self.client.statements_follow() && self.prepared.iter().any(stays)
    }

    fn whole(mut self) -> Ahead<'a> {
        if !self.needs_server {
            return Ahead::Own;
        }
        if self.leaves_statements() {
            self.is_unknown();
        }
        Ahead::Segment(Segment {
            bytes: self.bytes,
            extent: Extent::Whole,
            verdict: self.verdict,
            first: self.first,
            begins: self.begins,
            protocol: Protocol::Extended,
            executions: self.executions,
        })
    }
}
