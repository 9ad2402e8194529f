//! Pipelines of several statements with one error: each kind of error, in each position, with and
//! without names, with one `Sync` or several.

use super::script::{Script, script};
use crate::support::message::{bind, close, describe, execute, flush, parse, query, sync};

/// Statements of one pipeline.
const LENGTH: usize = 3;

/// How a statement fails.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Syntax,
    MissingTable,
    NameInUse,
    Count,
    Value,
    UnknownStatement,
    UnknownStatementDescribed,
    UnknownPortal,
    // By a function that the planner leaves alone: whether it finds a division of constants at `Bind`
    // depends on how often the statement has been used, which differs where clients share it.
    Division,
    DivisionInRows,
    Duplicate,
    Deferred,
    SimpleQuery,
    ClosedBefore,
}

const FAULTS: [Fault; 14] = [
    Fault::Syntax,
    Fault::MissingTable,
    Fault::NameInUse,
    Fault::Count,
    Fault::Value,
    Fault::UnknownStatement,
    Fault::UnknownStatementDescribed,
    Fault::UnknownPortal,
    Fault::Division,
    Fault::DivisionInRows,
    Fault::Duplicate,
    Fault::Deferred,
    Fault::SimpleQuery,
    Fault::ClosedBefore,
];

/// What stands between the statements.
#[derive(Debug, Clone, Copy)]
enum Between {
    /// A `Sync` after each.
    Syncs,
    /// One `Sync`, at the end.
    Nothing,
    /// A `Flush` after each, one `Sync` at the end.
    Flushes,
}

pub fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    for fault in FAULTS {
        for position in 0..LENGTH {
            for named in ["", "s"] {
                for between in [Between::Syncs, Between::Nothing, Between::Flushes] {
                    scripts.push(pipeline(fault, position, named, between));
                }
            }
        }
    }
    let cut = scripts.iter().step_by(5).map(|script| script.in_pieces(7));
    let cut: Vec<_> = cut.collect();
    scripts.extend(cut);
    scripts.push(long_pipeline());
    scripts
}

fn pipeline(fault: Fault, position: usize, named: &str, between: Between) -> Script {
    let mut messages = Vec::new();
    let mut ready = 0;
    for at in 0..LENGTH {
        let name = match named {
            "" => String::new(),
            prefix => format!("{prefix}{at}"),
        };
        if at == position {
            let (failing, own_ready) = failing(fault, &name);
            messages.extend(failing);
            ready += own_ready;
        } else {
            messages.extend(working(&name, at));
        }
        match between {
            Between::Syncs => {
                messages.push(sync());
                ready += 1;
            }
            Between::Flushes => messages.push(flush()),
            Between::Nothing => {}
        }
    }
    if !matches!(between, Between::Syncs) {
        messages.push(sync());
        ready += 1;
    }
    let mut played = script(format!(
        "pipeline {fault:?} at {position}, {named:?}, {between:?}"
    ));
    // What a skipped `Query` leaves unanswered depends on what came before it, so ask at the end for
    // an answer that only comes last, and read up to it.
    if matches!(fault, Fault::SimpleQuery) {
        ready = match between {
            Between::Syncs => LENGTH + 1,
            Between::Nothing | Between::Flushes => 2,
        };
    }
    played = played.send(&messages).ready(ready);
    // Which names are known now?
    for at in 0..LENGTH {
        let name = format!("s{at}");
        played = played
            .say(&[bind("", &name, &[Some(b"5")]), execute("", 0), sync()])
            .say(&[describe('S', &name), sync()]);
    }
    played.query("select 'after'")
}

fn working(name: &str, at: usize) -> Vec<Vec<u8>> {
    vec![
        parse(name, &format!("select $1::int + {at}"), &[]),
        bind("", name, &[Some(b"1")]),
        describe('P', ""),
        execute("", 0),
    ]
}

/// The messages of a failing statement, and how many `ReadyForQuery` they bring by themselves.
fn failing(fault: Fault, name: &str) -> (Vec<Vec<u8>>, usize) {
    let with = |sql: &str, parameters: &[Option<&[u8]>]| {
        vec![
            parse(name, sql, &[]),
            bind("", name, parameters),
            describe('P', ""),
            execute("", 0),
        ]
    };
    let messages = match fault {
        Fault::Syntax => with("selec 1", &[]),
        Fault::MissingTable => with("select * from nowhere", &[]),
        Fault::NameInUse => {
            let mut messages = vec![
                parse("twice", "select 1", &[]),
                parse("twice", "select 2", &[]),
            ];
            messages.extend(with("select 3", &[]));
            messages
        }
        Fault::Count => with("select $1::int, $2::int", &[Some(b"1")]),
        Fault::Value => with("select $1::int", &[Some(b"many")]),
        Fault::UnknownStatement => vec![bind("", "missing", &[]), execute("", 0)],
        Fault::UnknownStatementDescribed => vec![describe('S', "missing"), execute("", 0)],
        Fault::UnknownPortal => vec![parse(name, "select 1", &[]), execute("missing", 0)],
        Fault::Division => with("select divided(1, $1)", &[Some(b"0")]),
        Fault::DivisionInRows => with(
            "select 1 / (n - $1::int) from generate_series(1, 9) n",
            &[Some(b"5")],
        ),
        Fault::Duplicate => with("insert into items values ($1::int, '', 0)", &[Some(b"1")]),
        Fault::Deferred => with("insert into children values ($1::int, 999)", &[Some(b"1")]),
        Fault::SimpleQuery => return (vec![query("select 1 / 0")], 1),
        Fault::ClosedBefore => vec![
            parse("gone", "select 1", &[]),
            close('S', "gone"),
            bind("", "gone", &[]),
            execute("", 0),
        ],
    };
    (messages, 0)
}

/// Five hundred statements, every seventh of which fails.
fn long_pipeline() -> Script {
    const STATEMENTS: usize = 500;
    let mut messages = Vec::new();
    for n in 0..STATEMENTS {
        let name = format!("n{}", n % 20);
        if n < 20 {
            messages.push(parse(&name, &format!("select divided({n}, $1)"), &[]));
        }
        let value: &[u8] = if n % 7 == 3 { b"0" } else { b"1" };
        messages.push(bind("", &name, &[Some(value)]));
        messages.push(execute("", 0));
        messages.push(sync());
    }
    script("a long pipeline").send(&messages).ready(STATEMENTS)
}
