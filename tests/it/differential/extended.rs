//! Sessions of the extended protocol.
#![allow(clippy::too_many_lines, reason = "scripts are tables")]

use super::script::{Script, script};
use crate::support::message::{
    bind, bind_formats, close, describe, execute, flush, parse, query, sync,
};

const INT4: u32 = 23;
const TEXT: u32 = 25;

pub fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    for name in ["", "s"] {
        scripts.extend(statements(name));
        scripts.extend(errors(name));
        scripts.extend(flushed(name));
    }
    scripts.extend(names());
    scripts.extend(portals());
    scripts.extend(forgotten_names());
    scripts.extend(values());
    scripts
}

/// `Parse`, `Bind`, `Describe`, `Execute`, `Sync` of one statement.
fn whole(name: &str, sql: &str, parameters: &[&str]) -> Vec<Vec<u8>> {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|text| Some(text.as_bytes()))
        .collect();
    vec![
        parse(name, sql, &[]),
        bind("", name, &parameters),
        describe('P', ""),
        execute("", 0),
        sync(),
    ]
}

fn statements(name: &str) -> Vec<Script> {
    let texts: [(&str, &[&str]); 9] = [
        ("select 1", &[]),
        ("", &[]),
        ("select $1::int + $2::int", &["20", "22"]),
        ("select * from items where id < $1 order by id", &["5"]),
        ("select * from items where id < $1 order by id", &["0"]),
        (
            "insert into parents select $1::int where false returning id",
            &["3"],
        ),
        ("select remark($1)", &["noticed"]),
        ("set timezone = 'Asia/Tokyo'", &[]),
        ("show timezone", &[]),
    ];
    let mut scripts: Vec<_> = texts
        .iter()
        .map(|(sql, parameters)| {
            let mut messages = whole(name, sql, parameters);
            messages.insert(1, describe('S', name));
            script(format!("extended {name:?} {sql:?}"))
                .say(&messages)
                .query("select 'after'")
        })
        .collect();
    scripts.push(
        script(format!("statement {name:?} in a block"))
            .say(&whole("", "begin", &[]))
            .say(&whole(name, "select $1::int", &["1"]))
            .say(&whole("", "select $1::int", &["bad"]))
            .say(&whole("", "select 1", &[]))
            .say(&whole("", "rollback", &[]))
            .query("select 2"),
    );
    scripts
}

/// One error in each message of the protocol.
fn errors(name: &str) -> Vec<Script> {
    let ok = |sql: &str| parse(name, sql, &[]);
    let bound = bind("", name, &[]);
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        (
            "syntax error in Parse",
            vec![ok("selec"), bound.clone(), execute("", 0)],
        ),
        (
            "missing table in Parse",
            vec![ok("select * from nowhere"), bound.clone(), execute("", 0)],
        ),
        (
            "two statements in Parse",
            vec![ok("select 1; select 2"), bound.clone()],
        ),
        (
            "too many parameters in Bind",
            vec![ok("select 1"), bind("", name, &[Some(b"1")])],
        ),
        (
            "too few parameters in Bind",
            vec![ok("select $1::int"), bound.clone()],
        ),
        (
            "bad value in Bind",
            vec![ok("select $1::int"), bind("", name, &[Some(b"x")])],
        ),
        (
            "bad binary value in Bind",
            vec![
                ok("select $1::int"),
                bind_formats("", name, &[Some(b"x")], &[1], &[]),
            ],
        ),
        (
            "bad number of formats in Bind",
            vec![
                ok("select $1::int"),
                bind_formats("", name, &[Some(b"1")], &[0, 0], &[]),
            ],
        ),
        (
            "unknown statement in Bind",
            vec![bind("", "nope", &[]), execute("", 0)],
        ),
        (
            "unknown statement in Describe",
            vec![describe('S', "nope"), execute("", 0)],
        ),
        (
            "unknown portal in Describe",
            vec![describe('P', "nope"), execute("", 0)],
        ),
        (
            "unknown portal in Execute",
            vec![execute("nope", 0), ok("select 1")],
        ),
        (
            "unknown names in Close",
            vec![close('S', "nope"), close('P', "nope")],
        ),
        (
            "error in Execute",
            vec![
                ok("select divided(1, $1)"),
                bind("", name, &[Some(b"0")]),
                execute("", 0),
            ],
        ),
        (
            "error after rows",
            vec![
                ok("select n / (n - 2000) from generate_series(1, 3000) n"),
                bound.clone(),
                execute("", 0),
                describe('P', ""),
            ],
        ),
        (
            "error at Sync",
            vec![
                ok("insert into children values (1, 999)"),
                bound.clone(),
                execute("", 0),
            ],
        ),
    ];
    let mut scripts = Vec::new();
    for (what, mut messages) in cases {
        messages.push(sync());
        let used_again = [bind("", name, &[]), execute("", 0), sync()];
        let failed = script(format!("{what}, statement {name:?}"))
            .say(&messages)
            .say(&used_again)
            .say(&[describe('S', name), sync()])
            .say(&[close('S', name), sync()])
            .say(&whole(name, "select $1::text", &["after"]));
        // The unnamed statement is the server connection's: after its transaction, the next client
        // of a transaction pool may have another one there.
        scripts.push(match name {
            "" => failed.session_only(),
            _ => failed,
        });
        scripts.push(
            script(format!("{what}, statement {name:?}, in a block"))
                .query("begin")
                .say(&messages)
                .say(&used_again)
                .query("rollback")
                .say(&[close('S', name), sync()])
                .say(&whole(name, "select $1::text", &["after"])),
        );
    }
    scripts
}

/// Answers that a client waits for with `Flush`, before any `Sync`.
fn flushed(name: &str) -> Vec<Script> {
    vec![
        script(format!("flush after each message, statement {name:?}"))
            .send(&[parse(name, "select * from items order by id", &[]), flush()])
            .tag(b'1')
            .send(&[describe('S', name), flush()])
            .tag(b'T')
            .send(&[bind("", name, &[]), flush()])
            .tag(b'2')
            .send(&[describe('P', ""), flush()])
            .tag(b'T')
            .send(&[execute("", 3), flush()])
            .tag(b's')
            .send(&[execute("", 4), flush()])
            .tag(b's')
            .send(&[execute("", 0), flush()])
            .tag(b'C')
            .say(&[sync()]),
        script(format!("flush and an error, statement {name:?}"))
            .send(&[parse(name, "select divided(1, $1)", &[]), flush()])
            .tag(b'1')
            .send(&[bind("", name, &[Some(b"0")]), execute("", 0), flush()])
            .tag(b'E')
            .send(&[describe('P', ""), flush(), bind("", name, &[]), flush()])
            .say(&[sync()])
            .query("select 1"),
    ]
}

fn names() -> Vec<Script> {
    vec![
        script("a name that is in use")
            .say(&[parse("s", "select 1", &[]), sync()])
            .say(&[parse("s", "select 2", &[]), sync()])
            .say(&[bind("", "s", &[]), execute("", 0), sync()])
            .say(&[parse("s", "select 1", &[]), sync()])
            .say(&[bind("", "s", &[]), execute("", 0), sync()]),
        script("a name that is in use, in one piece")
            .say(&[
                parse("s", "select 1", &[]),
                parse("s", "select 1", &[]),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ])
            .say(&[bind("", "s", &[]), execute("", 0), sync()]),
        script("a name that is closed and used again")
            .say(&[parse("s", "select 1", &[]), sync()])
            .say(&[close('S', "s"), parse("s", "select 2", &[]), sync()])
            .say(&[bind("", "s", &[]), execute("", 0), sync()])
            .say(&[close('S', "s"), bind("", "s", &[]), execute("", 0), sync()])
            .say(&[bind("", "s", &[]), sync()]),
        script("a statement over many transactions")
            .say(&[parse("s", "select $1::int + 1", &[INT4]), sync()])
            .query("select 1")
            .say(&[bind("", "s", &[Some(b"1")]), execute("", 0), sync()])
            .query("begin")
            .say(&[bind("", "s", &[Some(b"2")]), execute("", 0), sync()])
            .query("commit")
            .say(&[describe('S', "s"), sync()])
            .say(&[bind("", "s", &[Some(b"3")]), execute("", 0), sync()])
            .say(&[bind("", "s", &[Some(b"4")]), execute("", 0), sync()]),
        script("many statements over many transactions")
            .send(&[])
            .many(12),
        script("the same text under two names")
            .say(&[
                parse("a", "select 1", &[]),
                parse("b", "select 1", &[]),
                sync(),
            ])
            .say(&[close('S', "a"), sync()])
            .say(&[bind("", "b", &[]), execute("", 0), sync()])
            .say(&[bind("", "a", &[]), execute("", 0), sync()]),
        script("the same text with other types")
            .say(&[
                parse("a", "select $1", &[INT4]),
                parse("b", "select $1", &[TEXT]),
                sync(),
            ])
            .say(&[describe('S', "a"), describe('S', "b"), sync()]),
        script("names that look like the pooler's own")
            .say(&[parse("PGBOUNCER_1", "select 7", &[]), sync()])
            .say(&[bind("", "PGBOUNCER_1", &[]), execute("", 0), sync()])
            .say(&[describe('S', "PGBOUNCER_2"), sync()]),
        script("a failed parse leaves the name free")
            .say(&[parse("s", "selec", &[]), sync()])
            .say(&[
                parse("s", "select 1", &[]),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ]),
        script("a parse in a failed block leaves the name free")
            .query("begin; select 1/0")
            .say(&[parse("s", "select 1", &[]), sync()])
            .query("rollback")
            .say(&[bind("", "s", &[]), sync()])
            .say(&[
                parse("s", "select 1", &[]),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ]),
        script("a parse outlives its rolled back block")
            .query("begin")
            .say(&[parse("s", "select 1", &[]), sync()])
            .query("rollback")
            .say(&[bind("", "s", &[]), execute("", 0), sync()]),
        script("a skipped parse leaves the name free")
            .say(&[parse("", "selec", &[]), parse("s", "select 1", &[]), sync()])
            .say(&[bind("", "s", &[]), sync()])
            .say(&[
                parse("s", "select 1", &[]),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ]),
        script("a skipped close leaves the name in use")
            .say(&[parse("s", "select 1", &[]), sync()])
            .say(&[parse("", "selec", &[]), close('S', "s"), sync()])
            .say(&[bind("", "s", &[]), execute("", 0), sync()]),
        script("a table that changes under a statement")
            .query("begin; create temp table changing (a int) on commit drop")
            .say(&[parse("s", "select * from changing", &[]), sync()])
            .query("alter table changing add b text")
            .say(&[bind("", "s", &[]), execute("", 0), sync()])
            .query("rollback"),
    ]
}

impl Script {
    /// Prepares `count` statements, then uses them in an order that no cache likes.
    fn many(mut self, count: usize) -> Self {
        let name = |n: usize| format!("statement {n}");
        for n in 0..count {
            let sql = format!("select {n}, $1::text");
            self = self.say(&[parse(&name(n), &sql, &[]), sync()]);
        }
        for step in [1, 5, 7] {
            for n in 0..count {
                let which = name(n * step % count);
                let value = format!("{step} {n}");
                let bound = bind("", &which, &[Some(value.as_bytes())]);
                self = self.say(&[bound, execute("", 0), sync()]);
            }
        }
        self
    }
}

fn portals() -> Vec<Script> {
    let all = "select * from items order by id";
    vec![
        script("rows in portions")
            .say(&[
                parse("", all, &[]),
                bind("", "", &[]),
                execute("", 10),
                execute("", 10),
                execute("", 30),
                execute("", 1),
                execute("", 0),
                sync(),
            ])
            .query("select 1"),
        script("a portal over several syncs of a block")
            .query("begin")
            .say(&[
                parse("", all, &[]),
                bind("p", "", &[]),
                execute("p", 10),
                sync(),
            ])
            .say(&[execute("p", 10), sync()])
            .say(&[describe('P', "p"), execute("p", 0), sync()])
            .say(&[close('P', "p"), execute("p", 0), sync()])
            .query("rollback"),
        script("two portals in turn")
            .query("begin")
            .say(&[
                parse("s", all, &[]),
                bind("a", "s", &[]),
                bind("b", "s", &[]),
                execute("a", 2),
                execute("b", 3),
                execute("a", 1),
                sync(),
            ])
            .say(&[execute("b", 1), close('P', "a"), execute("b", 1), sync()])
            .say(&[bind("b", "s", &[]), sync()])
            .query("rollback"),
        script("a portal ends with its transaction")
            .say(&[
                parse("", all, &[]),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
            ])
            .say(&[execute("p", 2), sync()]),
        script("a cursor of SQL as a portal")
            .query("begin; declare c cursor for select * from items order by id")
            .say(&[describe('P', "c"), execute("c", 2), sync()])
            .query("fetch 1 from c")
            .query("commit"),
        script("parse alone, bind alone, execute alone")
            .say(&[parse("", "select 1", &[]), sync()])
            .query("begin")
            .say(&[parse("", "select 1", &[]), sync()])
            .say(&[bind("", "", &[]), sync()])
            .say(&[execute("", 0), sync()])
            .query("commit"),
        script("syncs alone")
            .send(&[sync(), sync(), sync()])
            .ready(3),
        script("a block within one pipeline")
            .say(&[
                parse("", "begin", &[]),
                bind("", "", &[]),
                execute("", 0),
                parse("", all, &[]),
                bind("", "", &[]),
                execute("", 5),
                parse("", "commit", &[]),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ])
            .query("select 1"),
    ]
}

fn forgotten_names() -> Vec<Script> {
    let mut scripts = Vec::new();
    for sql in ["deallocate all", "discard all"] {
        scripts.push(
            script(format!("{sql} between uses"))
                .say(&[parse("s", "select 1", &[]), sync()])
                .say(&[bind("", "s", &[]), execute("", 0), sync()])
                .query(sql)
                .say(&[bind("", "s", &[]), execute("", 0), sync()])
                .say(&[parse("s", "select 2", &[]), sync()])
                .say(&[bind("", "s", &[]), execute("", 0), sync()]),
        );
        scripts.push(
            script(format!("{sql} by the extended protocol"))
                .say(&[parse("s", "select 1", &[]), sync()])
                .say(&whole("", sql, &[]))
                .say(&[bind("", "s", &[]), execute("", 0), sync()])
                .say(&[
                    parse("s", "select 2", &[]),
                    bind("", "s", &[]),
                    execute("", 0),
                    sync(),
                ]),
        );
    }
    scripts.push(
        script("discard all by a named statement")
            .say(&whole("d", "discard all", &[]))
            .say(&whole("d", "select 1", &[])),
    );
    scripts.push(
        script("discard all is refused in a block")
            .say(&[parse("s", "select 1", &[]), sync()])
            .query("begin; discard all")
            .query("rollback")
            .say(&[bind("", "s", &[]), execute("", 0), sync()]),
    );
    scripts.push(
        script("deallocate of a name")
            .say(&[parse("s", "select 1", &[]), sync()])
            .query("deallocate s")
            .say(&[bind("", "s", &[]), execute("", 0), sync()])
            .session_only(),
    );
    scripts.push(
        script("execute of a name")
            .say(&[parse("s", "select 1", &[]), sync()])
            .query("execute s")
            .session_only(),
    );
    scripts
}

fn values() -> Vec<Script> {
    let large = vec![b'v'; 2_000_000];
    let large_sql = format!("select {}1", "1 + ".repeat(1500));
    let long_sql = format!("select 1 /* {} */", "long ".repeat(200_000));
    let thousand: Vec<Option<&[u8]>> = vec![Some(b"1"); 1000];
    let sum: Vec<_> = (1..=1000).map(|n| format!("${n}::int")).collect();
    vec![
        script("binary values").say(&[
            parse("", "select $1::int4 + 1, $2::text", &[]),
            bind_formats(
                "",
                "",
                &[Some(&[0, 0, 0, 41]), Some(b"text")],
                &[1, 0],
                &[1, 0],
            ),
            describe('P', ""),
            execute("", 0),
            sync(),
        ]),
        script("null and empty values").say(&[
            parse("", "select $1::text is null, $2::text = ''", &[]),
            bind("", "", &[None, Some(b"")]),
            execute("", 0),
            sync(),
        ]),
        script("a thousand parameters").say(&[
            parse("s", &format!("select {}", sum.join(" + ")), &[]),
            describe('S', "s"),
            bind("", "s", &thousand),
            execute("", 0),
            sync(),
        ]),
        script("a large parameter").say(&[
            parse("", "select length($1), $1", &[TEXT]),
            bind("", "", &[Some(&large)]),
            execute("", 0),
            sync(),
        ]),
        script("a large parameter of a named statement")
            .say(&[parse("s", "select length($1), $1", &[TEXT]), sync()])
            .say(&[bind("", "s", &[Some(&large)]), execute("", 0), sync()])
            .query("select 1"),
        script("a large value that is refused")
            .say(&[parse("s", "select $1::int", &[]), sync()])
            .say(&[bind("", "s", &[Some(&large)]), execute("", 0), sync()])
            .query("select 1"),
        script("large texts of statements")
            .say(&[
                parse("s", &large_sql, &[]),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ])
            .say(&[
                parse("", &large_sql, &[]),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ])
            .say(&[
                parse("l", &long_sql, &[]),
                bind("", "l", &[]),
                execute("", 0),
                sync(),
            ]),
        script("simple and extended in one piece")
            .send(&[
                query("select 1"),
                parse("s", "select 2", &[]),
                bind("", "s", &[]),
                execute("", 0),
                query("select 3"),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ])
            .ready(3),
    ]
}
