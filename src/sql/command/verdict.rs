//! Sans-IO. What the leading keywords say about where a statement may run.

use super::{Body, Command, CopyPlace, CopySource, Ddl, Direction, Discard, Temporary, Value};
use crate::sql::lexer::{Kind, Lexer, Token};
use crate::sql::telltale::Statement;
use crate::sql::verdict::{Effect, Effects, Reason, Verdict};

/// Statements inside of statements are followed so deep: no grammar has more.
const DEPTH_MAX: usize = 4;

/// The verdict, where the keywords decide alone; `None` where the statement, or the one inside of it,
/// has to be parsed, and for `EXECUTE`, whose statement is known by name. The same for all texts that
/// have the same fingerprint.
pub fn verdict_of(command: &Command<'_>) -> Option<Verdict> {
    verdict(command, DEPTH_MAX)
}

fn verdict(command: &Command<'_>, depth: usize) -> Option<Verdict> {
    let inner = |body: &Body<'_>| match (body.command(), depth.checked_sub(1)) {
        // Without a statement inside it is none that a server runs.
        (Command::Empty, _) | (_, None) => Some(Verdict::primary(Reason::Unparsed)),
        (command, Some(depth)) => verdict(&command, depth),
    };
    let primary = Verdict::primary;
    let found = match command {
        Command::Empty => Verdict::READ,
        Command::Query(_) | Command::Execute { .. } => return None,
        Command::Write(body) => primary(Reason::Write).and(with_effects(body)),
        Command::Begin(_)
        | Command::SetTransaction(_)
        | Command::SetSnapshot
        | Command::Commit { .. }
        | Command::Rollback { .. }
        | Command::Savepoint
        | Command::Release
        | Command::RollbackTo
        | Command::PrepareTransaction
        | Command::CommitPrepared
        | Command::RollbackPrepared
        | Command::SetConstraints => primary(Reason::TransactionControl),
        Command::Set { value, .. } if names_temporary_schema(value) => {
            primary(Reason::Setting).with(Effect::Pins)
        }
        Command::Set { .. }
        | Command::SessionCharacteristics(_)
        | Command::Reset(_)
        | Command::Show(_) => primary(Reason::Setting),
        Command::Declare { hold: true, body } => primary(Reason::SessionState)
            .with(Effect::Pins)
            .and(with_effects(body)),
        Command::Explain { body, .. } | Command::Declare { body, .. } => return inner(body),
        Command::Fetch | Command::Discard(Discard::Plans) => primary(Reason::SessionState),
        // Whoever executes it has to be where it was prepared.
        Command::Prepare { .. } | Command::Listen => {
            primary(Reason::SessionState).with(Effect::Pins)
        }
        Command::Unlisten
        | Command::Deallocate(_)
        | Command::Close(_)
        | Command::Discard(Discard::All | Discard::Temp | Discard::Sequences) => {
            primary(Reason::SessionState).with(Effect::Unpins)
        }
        Command::Copy {
            direction,
            source,
            place,
        } => return copy(*direction, source, *place, inner),
        Command::Ddl(ddl) => schema(ddl),
        Command::Lock => primary(Reason::Locking),
        Command::Do(body) => code(body),
        Command::Call(body) => primary(Reason::Utility).and(with_effects(body)),
        Command::Notify | Command::Utility => primary(Reason::Utility),
        Command::Unknown => primary(Reason::Unparsed),
    };
    Some(found)
}

fn copy(
    direction: Direction,
    source: &CopySource<'_>,
    place: CopyPlace,
    inner: impl Fn(&Body<'_>) -> Option<Verdict>,
) -> Option<Verdict> {
    let primary = match (direction, place) {
        (Direction::From, _) => Verdict::primary(Reason::Write),
        (Direction::To, CopyPlace::File | CopyPlace::Program) => Verdict::primary(Reason::Utility),
        (Direction::To, CopyPlace::Client) => {
            return match source {
                CopySource::Table(_) => None,
                CopySource::Query(body) => inner(body),
            };
        }
    };
    Some(match source {
        CopySource::Table(_) => primary,
        CopySource::Query(body) => primary.and(with_effects(body)),
    })
}

fn schema(ddl: &Ddl<'_>) -> Verdict {
    let mut verdict = if ddl.stores {
        Verdict::primary(Reason::Into).and(with_effects(&ddl.body))
    } else {
        Verdict::primary(Reason::Ddl)
    };
    if ddl.changes_functions {
        verdict = verdict.with(Effect::ChangesFunctions);
    }
    if ddl.removes {
        verdict = verdict.with(Effect::Unpins);
    }
    // What goes with its transaction needs no pin: that has one server anyway.
    match ddl.temporary {
        Some(Temporary::Session) => verdict.with(Effect::Pins),
        Some(Temporary::Transaction) | None => verdict,
    }
}

/// Code in a string may do anything.
fn code(body: &Body<'_>) -> Verdict {
    let verdict = Verdict::primary(Reason::Utility).with(Effect::ChangesFunctions);
    let mut strings = Lexer::new(body.sql, body.quoting).filter(|token| token.kind == Kind::Text);
    if strings.any(|token| Statement::Code.tells(token.text)) {
        verdict.with(Effect::Pins)
    } else {
        verdict
    }
}

fn names_temporary_schema(value: &Value<'_>) -> bool {
    match value {
        Value::Default | Value::Current => false,
        Value::List(values) => values.iter().any(|value| Statement::Setting.tells(value)),
        Value::Other(body) => {
            let mut tokens = Lexer::new(body.sql, body.quoting).filter(Token::is_significant);
            let is_whole = |token: &Token<'_>| token.kind != Kind::Broken;
            tokens.any(|token| is_whole(&token) && Statement::Setting.tells(token.text))
        }
    }
}

fn with_effects(body: &Body<'_>) -> Verdict {
    Verdict {
        effects: effects_of(*body),
        ..Verdict::READ
    }
}

/// What the names in a statement say that it leaves in its session: advisory locks and temporary
/// tables. For statements that no parser has read: too long, not in its grammar, or no query.
pub fn effects_of(body: Body<'_>) -> Effects {
    let mut effects = Effects::NONE;
    let mut after_into = false;
    for token in Lexer::new(body.sql, body.quoting).filter(Token::is_significant) {
        let name = match (token.kind, token.text) {
            (Kind::Word, [b'p' | b'P', ..]) => token.text,
            (Kind::Quoted, [b'"', name @ .., b'"']) => name,
            // A name with escapes may be any.
            (Kind::Quoted, _) => {
                effects = effects.with(Effect::Pins);
                b""
            }
            _ => b"",
        };
        if let Some(effect) = advisory(name) {
            effects = effects.with(effect);
        }
        if after_into && (token.is_word("temp") || token.is_word("temporary")) {
            effects = effects.with(Effect::Pins);
        }
        after_into = token.is_word("into");
    }
    effects
}

/// What a function does about locks of the session; those of a transaction end with it.
fn advisory(name: &[u8]) -> Option<Effect> {
    let starts_with = |start: &[u8]| {
        let name = name.get(..start.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(start))
    };
    if starts_with(b"pg_advisory_lock") || starts_with(b"pg_try_advisory_lock") {
        Some(Effect::Pins)
    } else if starts_with(b"pg_advisory_unlock") {
        Some(Effect::Unpins)
    } else {
        None
    }
}
