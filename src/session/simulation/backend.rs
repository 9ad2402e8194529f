//! A model of one `PostgreSQL` backend: bytes in, bytes out, as its main loop and its copy loop do it.
//!
//! Its "SQL" is a few words (see [`Backend::run`]). Rows carry the text of their statement and the
//! session's parameters, so that a row that reaches the wrong client, or that was made under the wrong
//! parameters, is seen by comparing bytes.

use std::collections::BTreeMap;

/// One frame.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// Parameters that the model reports, as real servers report those of `GUC_REPORT`.
pub const REPORTED: [&str; 2] = ["application_name", "TimeZone"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    None,
    Open,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Simple,
    Extended,
}

#[derive(Debug)]
struct Copy {
    by: By,
    rows: usize,
    fails: Fails,
    /// What the simple query does behind the copy.
    rest: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Never,
    AtRow(usize),
    AtEnd,
}

#[derive(Debug)]
struct Portal {
    sql: String,
    left: usize,
}

/// An error: SQLSTATE and text.
type Refused = (&'static str, String);

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are PostgreSQL's own")]
pub struct Backend {
    input: Vec<u8>,
    buffered: Vec<u8>,
    /// What has been flushed.
    pub output: Vec<u8>,
    pub closed: bool,
    pub block: Option<Block>,
    implicit: bool,
    ignoring: bool,
    extended: bool,
    copy: Option<Copy>,
    pub named: BTreeMap<Vec<u8>, Vec<u8>>,
    unnamed: Option<Vec<u8>>,
    portals: BTreeMap<Vec<u8>, Portal>,
    defaults: BTreeMap<String, String>,
    pub params: BTreeMap<String, String>,
    before: Option<BTreeMap<String, String>>,
    told: BTreeMap<String, String>,
    deferred: bool,
}

impl Backend {
    pub fn new(params: &[(&str, &str)]) -> Self {
        let params: BTreeMap<_, _> = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            defaults: params.clone(),
            told: params.clone(),
            params,
            ..Self::default()
        }
    }

    fn block(&self) -> Block {
        self.block.unwrap_or(Block::None)
    }

    /// Nothing is open, nothing is half read, nothing is unsent: another client could come.
    pub fn is_clean(&self) -> bool {
        self.block() == Block::None
            && !self.implicit
            && !self.ignoring
            && self.copy.is_none()
            && self.portals.is_empty()
            && self.input.is_empty()
            && self.buffered.is_empty()
            && self.output.is_empty()
            && !self.closed
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while !self.closed && self.input.len() >= 5 {
            let tag = self.input[0];
            let length = u32::from_be_bytes(self.input[1..5].try_into().unwrap()) as usize;
            if !(4..1 << 24).contains(&length) {
                return self.fatal("invalid message length");
            }
            if self.input.len() < length + 1 {
                return;
            }
            let body = self.input[5..=length].to_vec();
            self.input.drain(..=length);
            if self.copy.is_some() {
                self.copy_frame(tag, &body);
            } else {
                self.command(tag, &body);
            }
        }
    }

    fn say(&mut self, tag: u8, body: &[u8]) {
        self.buffered.extend(frame(tag, body));
    }

    fn flush(&mut self) {
        self.output.append(&mut self.buffered);
    }

    fn report(&mut self, tag: u8, severity: &str, code: &str, text: &str) {
        let fields = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0");
        self.say(tag, fields.as_bytes());
        self.flush();
    }

    fn fatal(&mut self, text: &str) {
        self.report(b'E', "FATAL", "08P01", text);
        self.closed = true;
    }

    fn command(&mut self, tag: u8, body: &[u8]) {
        self.extended = matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
        if matches!(tag, b'S' | b'X') {
            self.ignoring = false;
        }
        if !b"QFPBDECHSXdcf".contains(&tag) {
            return self.fatal("invalid frontend message type");
        }
        if self.ignoring {
            return;
        }
        let outcome = match tag {
            b'Q' => return self.query(body),
            b'F' => return self.function(),
            b'S' => return self.sync(),
            b'X' => {
                self.closed = true;
                return;
            }
            b'H' => {
                self.flush();
                return;
            }
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body),
            b'C' => self.close(body),
            _ => return, // late copy data
        };
        if let Err(refused) = outcome {
            self.error(&refused);
        }
    }

    /// What the server does where an error is caught.
    fn error(&mut self, (code, text): &Refused) {
        self.report(b'E', "ERROR", code, text);
        self.copy = None;
        self.abort();
        if self.extended {
            self.ignoring = true;
        } else {
            self.ready();
        }
    }

    fn abort(&mut self) {
        self.portals.clear();
        self.implicit = false;
        self.deferred = false;
        if let Some(before) = self.before.take() {
            self.params = before;
        }
        if self.block() != Block::None {
            self.block = Some(Block::Failed);
        }
    }

    fn start(&mut self) {
        if self.block() == Block::None {
            self.implicit = true;
        }
        if self.before.is_none() {
            self.before = Some(self.params.clone());
        }
    }

    /// The end of an implicit transaction.
    fn finish(&mut self) -> Result<(), Refused> {
        if self.block() != Block::None {
            return Ok(());
        }
        if std::mem::take(&mut self.deferred) {
            return Err(("23503", "deferred constraint".into()));
        }
        self.portals.clear();
        self.implicit = false;
        self.before = None;
        Ok(())
    }

    fn ready(&mut self) {
        for name in REPORTED {
            let value = self.params.get(name).cloned().unwrap_or_default();
            if self.told.get(name) != Some(&value) {
                self.say(b'S', format!("{name}\0{value}\0").as_bytes());
                self.told.insert(name.to_owned(), value);
            }
        }
        let status = match self.block() {
            Block::None => b'I',
            Block::Open => b'T',
            Block::Failed => b'E',
        };
        self.say(b'Z', &[status]);
        self.flush();
    }

    fn sync(&mut self) {
        match self.finish() {
            Ok(()) => self.ready(),
            Err(refused) => self.error(&refused),
        }
    }

    fn function(&mut self) {
        if self.block() == Block::Failed {
            return self.error(&aborted());
        }
        self.say(b'V', b"\0\0\0\x01x");
        self.sync();
    }

    fn query(&mut self, body: &[u8]) {
        self.unnamed = None;
        let text = String::from_utf8_lossy(body.split_last().map_or(&[][..], |(_, sql)| sql));
        let commands: Vec<String> = text
            .split(';')
            .map(|one| one.trim().to_owned())
            .filter(|one| !one.is_empty())
            .collect();
        if commands.iter().any(|one| one == "bad") {
            return self.error(&syntax());
        }
        if commands.is_empty() {
            self.say(b'I', b"");
        }
        self.run_all(commands);
    }

    fn run_all(&mut self, commands: Vec<String>) {
        let alone = commands.len() == 1;
        let mut commands = commands.into_iter();
        while let Some(sql) = commands.next() {
            self.start();
            if !alone && sql.starts_with("discard") {
                let text = "DISCARD ALL cannot run inside a transaction block";
                return self.error(&("25001", text.into()));
            }
            let outcome = self.run(&sql, By::Simple, usize::MAX);
            if let Err(refused) = outcome.map(drop) {
                return self.error(&refused);
            }
            if let Some(copy) = self.copy.as_mut() {
                copy.rest = commands.collect();
                return;
            }
        }
        self.sync();
    }

    /// Runs one command. Says how many rows are left where a limit was reached.
    fn run(&mut self, sql: &str, by: By, limit: usize) -> Result<usize, Refused> {
        let (word, rest) = sql.split_once(' ').unwrap_or((sql, ""));
        if self.block() == Block::Failed && !is_exit(sql) {
            return Err(aborted());
        }
        let mut tag = word.to_ascii_uppercase();
        match word {
            "rows" => return Ok(self.rows(sql, rest, by, limit)),
            "fail" => return Err(("22012", "division by zero".into())),
            "defer" => self.deferred = true,
            "notice" => self.report(b'N', "NOTICE", "00000", "look"),
            "begin" => {
                self.block = Some(Block::Open);
                self.implicit = false;
            }
            "commit" | "rollback" => {
                if self.block() == Block::Failed || word == "rollback" {
                    self.abort();
                    tag = "ROLLBACK".into();
                }
                self.block = Some(Block::None);
                self.implicit = false;
                self.before = None;
                self.portals.clear();
                if std::mem::take(&mut self.deferred) {
                    return Err(("23503", "deferred constraint".into()));
                }
            }
            "SET" => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, "''"));
                if !REPORTED.contains(&name) && name != "extra.x" {
                    return Err(("42704", format!("unrecognized parameter {name}")));
                }
                let value = value.trim_matches('\'').to_ascii_uppercase();
                self.params.insert(name.to_owned(), value);
            }
            "RESET" => match self.defaults.get(rest) {
                Some(value) => drop(self.params.insert(rest.to_owned(), value.clone())),
                None => drop(self.params.remove(rest)),
            },
            "discard" | "deallocate" if rest == "all" => {
                if word == "discard" {
                    if self.block() != Block::None {
                        return Err(("25001", "DISCARD ALL cannot run inside".into()));
                    }
                    self.params = self.defaults.clone();
                    self.portals.clear();
                }
                self.named.clear();
                tag = sql.to_ascii_uppercase();
            }
            "copyout" => {
                self.say(b'H', b"\0\0\0");
                self.say(b'd', sql.as_bytes());
                self.say(b'c', b"");
                tag = "COPY 1".into();
            }
            "copyin" => return self.copy_in(rest, by),
            other => return Err(("42601", format!("no such command {other}"))),
        }
        self.say(b'C', format!("{tag}\0").as_bytes());
        Ok(0)
    }

    fn rows(&mut self, sql: &str, rest: &str, by: By, limit: usize) -> usize {
        let count: usize = rest
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(1);
        if by == By::Simple {
            self.say(b'T', b"\0\0");
        }
        for _ in 0..count.min(limit) {
            let row = format!("{sql} {:?}", self.params);
            self.say(b'D', row.as_bytes());
        }
        if count > limit {
            self.say(b's', b"");
            return count - limit;
        }
        self.say(b'C', format!("SELECT {count}\0").as_bytes());
        0
    }

    fn copy_in(&mut self, rest: &str, by: By) -> Result<usize, Refused> {
        self.say(b'G', b"\0\0\0");
        self.flush();
        let fails = match rest.split(' ').next() {
            Some("end") => Fails::AtEnd,
            Some("0") => return Err(("P0001", "before any row".into())),
            Some(row) => row.parse().map_or(Fails::Never, Fails::AtRow),
            None => Fails::Never,
        };
        self.copy = Some(Copy {
            by,
            rows: 0,
            fails,
            rest: Vec::new(),
        });
        Ok(0)
    }

    fn copy_frame(&mut self, tag: u8, body: &[u8]) {
        let Some(copy) = self.copy.as_mut() else {
            return;
        };
        match tag {
            b'd' => {
                copy.rows += 1;
                if copy.fails == Fails::AtRow(copy.rows) {
                    self.error(&("22P02", "bad row".into()));
                }
            }
            b'H' | b'S' => {}
            b'c' if copy.fails == Fails::AtEnd => self.error(&("23505", "duplicate".into())),
            b'c' => {
                let tag = format!("COPY {}\0", copy.rows);
                let (by, rest) = (copy.by, std::mem::take(&mut copy.rest));
                self.copy = None;
                self.say(b'C', tag.as_bytes());
                match by {
                    By::Simple => self.run_all(rest),
                    By::Extended => {}
                }
            }
            b'f' => {
                let why = String::from_utf8_lossy(body)
                    .trim_end_matches('\0')
                    .to_owned();
                self.error(&("57014", format!("COPY from stdin failed: {why}")));
            }
            _ => {
                self.report(
                    b'E',
                    "ERROR",
                    "08P01",
                    "unexpected message type during COPY",
                );
                self.fatal("terminating connection because protocol synchronization was lost");
            }
        }
    }

    fn parse(&mut self, body: &[u8]) -> Result<(), Refused> {
        let (name, rest) = cstr(body)?;
        let (sql, types) = cstr(rest)?;
        if types.len() != 2 {
            return Err(("08P01", "invalid message format".into()));
        }
        self.start();
        if name.is_empty() {
            self.unnamed = None;
        }
        // In an aborted transaction a real server looks for syntax errors first, and at names last.
        // A statement that must be prepared again there cannot be, so that this order is not kept.
        let fresh = !self.named.contains_key(name);
        if self.block() == Block::Failed && !(fresh && is_exit(&String::from_utf8_lossy(sql))) {
            return Err(aborted());
        }
        if sql == b"bad" {
            return Err(syntax());
        }
        if name.is_empty() {
            self.unnamed = Some(sql.to_vec());
        } else if self.named.contains_key(name) {
            let name = String::from_utf8_lossy(name);
            return Err((
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            ));
        } else {
            self.named.insert(name.to_vec(), sql.to_vec());
        }
        self.say(b'1', b"");
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> Result<String, Refused> {
        let found = match name {
            b"" => self.unnamed.as_ref(),
            _ => self.named.get(name),
        };
        match found {
            Some(sql) => Ok(String::from_utf8_lossy(sql).into_owned()),
            None if name.is_empty() => {
                Err(("26000", "unnamed prepared statement does not exist".into()))
            }
            None => {
                let name = String::from_utf8_lossy(name);
                Err((
                    "26000",
                    format!("prepared statement \"{name}\" does not exist"),
                ))
            }
        }
    }

    fn bind(&mut self, body: &[u8]) -> Result<(), Refused> {
        let (portal, rest) = cstr(body)?;
        let (name, rest) = cstr(rest)?;
        self.start();
        let sql = self.statement(name)?;
        if self.block() == Block::Failed && !is_exit(&sql) {
            return Err(aborted());
        }
        let given = rest.get(3).copied().unwrap_or_default();
        if given != 0 {
            let name = String::from_utf8_lossy(name);
            return Err((
                "08P01",
                format!(
                    "bind message supplies {given} parameters, but prepared statement \"{name}\" \
                     requires 0"
                ),
            ));
        }
        if !portal.is_empty() && self.portals.contains_key(portal) {
            return Err(("42P03", "cursor already exists".into()));
        }
        self.portals.insert(
            portal.to_vec(),
            Portal {
                sql,
                left: usize::MAX,
            },
        );
        self.say(b'2', b"");
        Ok(())
    }

    fn describe(&mut self, body: &[u8]) -> Result<(), Refused> {
        let (target, rest) = body.split_first().ok_or_else(|| ("08P01", String::new()))?;
        let (name, _) = cstr(rest)?;
        self.start();
        let sql = match target {
            b'S' => self.statement(name)?,
            b'P' => match self.portals.get(name) {
                Some(portal) => portal.sql.clone(),
                None => return Err(("34000", "portal does not exist".into())),
            },
            _ => return Err(("08P01", "invalid DESCRIBE message subtype".into())),
        };
        if self.block() == Block::Failed && !is_exit(&sql) {
            return Err(aborted());
        }
        if *target == b'S' {
            self.say(b't', b"\0\0");
        }
        let tag = if sql.starts_with("rows") { b'T' } else { b'n' };
        self.say(tag, b"");
        Ok(())
    }

    fn execute(&mut self, body: &[u8]) -> Result<(), Refused> {
        let (name, rest) = cstr(body)?;
        let limit = match rest.try_into().map(u32::from_be_bytes) {
            Ok(0) => usize::MAX,
            Ok(limit) => limit as usize,
            Err(_) => return Err(("08P01", "invalid message format".into())),
        };
        self.start();
        let Some(portal) = self.portals.get(name) else {
            return Err(("34000", "portal does not exist".into()));
        };
        let (sql, left) = (portal.sql.clone(), portal.left);
        if sql.is_empty() {
            self.say(b'I', b"");
            return Ok(());
        }
        let left = match left {
            usize::MAX => self.run(&sql, By::Extended, limit)?,
            left => self.run(&format!("rows {left} more"), By::Extended, limit)?,
        };
        if let Some(portal) = self.portals.get_mut(name) {
            portal.left = left;
        }
        Ok(())
    }

    fn close(&mut self, body: &[u8]) -> Result<(), Refused> {
        let (target, rest) = body.split_first().ok_or_else(|| ("08P01", String::new()))?;
        let (name, _) = cstr(rest)?;
        match target {
            b'S' if name.is_empty() => self.unnamed = None,
            b'S' => drop(self.named.remove(name)),
            b'P' => drop(self.portals.remove(name)),
            _ => return Err(("08P01", "invalid CLOSE message subtype".into())),
        }
        self.say(b'3', b"");
        Ok(())
    }
}

fn is_exit(sql: &str) -> bool {
    matches!(sql, "commit" | "rollback")
}

fn aborted() -> Refused {
    ("25P02", "current transaction is aborted".into())
}

fn syntax() -> Refused {
    ("42601", "syntax error".into())
}

fn cstr(body: &[u8]) -> Result<(&[u8], &[u8]), Refused> {
    let end = body.iter().position(|byte| *byte == 0);
    let end = end.ok_or_else(|| ("08P01", "invalid string in message".to_owned()))?;
    Ok((&body[..end], &body[end + 1..]))
}
