//! Sessions with COPY.
#![allow(clippy::too_many_lines, reason = "scripts are tables")]

use super::script::{Script, script};
use crate::support::message::{
    bind, copy_data, copy_done, copy_fail, execute, flush, parse, query, sync,
};

const IN: &str = "copy copied from stdin";

pub fn scripts() -> Vec<Script> {
    let mut scripts = out();
    scripts.extend(simple_in());
    scripts.extend(broken_in());
    scripts.extend(extended());
    scripts
}

fn out() -> Vec<Script> {
    let texts = [
        "copy items to stdout",
        "copy (select * from items where false) to stdout",
        "copy (select * from items order by id) to stdout (format csv, header)",
        "copy (select id from items order by id) to stdout (format binary)",
        "copy (select 10 / (n - 500) from generate_series(1, 1000) n) to stdout",
        "copy nowhere to stdout",
        "copy items to stdout; select 1; copy parents to stdout",
        "copy (select repeat('x', 1500000)) to stdout",
    ];
    texts
        .iter()
        .map(|sql| {
            script(format!("out {sql:?}"))
                .query(sql)
                .query("select 'after'")
        })
        .collect()
}

/// All of these leave the table as it was.
fn simple_in() -> Vec<Script> {
    let row = || copy_data(b"1\tone\n");
    let in_block = |name: &str| script(format!("in: {name}")).query("begin");
    let ended = |script: Script| {
        script
            .query("select count(*) from copied")
            .query("rollback")
            .query("select 'after'")
    };
    let large = copy_data(format!("1\t{}\n", "x".repeat(1_000_000)).as_bytes());
    let copied = copy_data(b"2\ttwo\n3\tth");
    vec![
        ended(in_block("rows").send(&[query(IN)]).tag(b'G').say(&[
            row(),
            copied,
            copy_data(b"ree\n"),
            copy_done(),
        ])),
        ended(in_block("no rows").say(&[query(IN), copy_done()])),
        ended(in_block("all in one piece").say(&[query(IN), row(), row(), copy_done()])),
        ended(in_block("an empty piece").say(&[query(IN), copy_data(b""), row(), copy_done()])),
        ended(
            in_block("many rows")
                .send(&[query(IN)])
                .tag(b'G')
                .send(&vec![row(); 20_000])
                .say(&[copy_done()]),
        ),
        ended(in_block("large rows").say(&[query(IN), large.clone(), large, copy_done()])),
        ended(in_block("sync and flush are ignored").say(&[
            query(IN),
            row(),
            sync(),
            flush(),
            sync(),
            row(),
            copy_done(),
        ])),
        ended(
            in_block("two in one string")
                .send(&[query(&format!("{IN}; select 1; {IN}; select 2"))])
                .tag(b'G')
                .send(&[row(), copy_done()])
                .tag(b'G')
                .say(&[row(), copy_done()]),
        ),
        ended(
            in_block("queries behind it")
                .send(&[
                    query(IN),
                    row(),
                    copy_done(),
                    query("select 1"),
                    query("select 2"),
                ])
                .ready(3),
        ),
        script("in: outside of a block")
            .say(&[
                query("copy parents from stdin"),
                copy_data(b"1\n"),
                copy_done(),
            ])
            .query("select 'after'"),
    ]
}

fn broken_in() -> Vec<Script> {
    let bad = || copy_data(b"one\tbad\n");
    let good = || copy_data(b"1\tgood\n");
    vec![
        script("in: refused by the client")
            .say(&[query(IN), good(), copy_fail("changed my mind")])
            .query("select 'after'"),
        script("in: refused by the client at once")
            .send(&[query(IN)])
            .tag(b'G')
            .say(&[copy_fail("")])
            .query("select 'after'"),
        script("in: bad row")
            .send(&[query(IN)])
            .tag(b'G')
            .say(&[bad(), good(), copy_done()])
            .query("select 'after'"),
        script("in: bad row, and data that come late")
            .send(&[query(IN)])
            .tag(b'G')
            .say(&[bad()])
            .send(&[good(), good(), copy_done()])
            .query("select 'after'")
            .query("select 'later'"),
        script("in: bad row, end by failure that comes late")
            .send(&[query(IN)])
            .tag(b'G')
            .send(&[bad(), copy_done()])
            .ready(1)
            .send(&[good(), copy_fail("too late")])
            .query("select 'after'"),
        script("in: refused by a trigger before any row")
            .send(&[query("copy guarded from stdin")])
            .ready(1)
            .send(&[copy_data(b"1\n"), copy_data(b"2\n"), copy_done()])
            .query("select 'after'"),
        script("in: refused by a trigger, all in one piece")
            .send(&[
                query("copy guarded from stdin"),
                copy_data(b"1\n"),
                copy_done(),
            ])
            .send(&[query("select 'after'")])
            .ready(2),
        script("in: bad row in a block")
            .query("begin")
            .say(&[query(IN), bad(), good(), copy_done()])
            .query("select 1")
            .query("rollback"),
        script("in: no such table, and data all the same")
            .send(&[
                query("copy nowhere from stdin"),
                good(),
                copy_done(),
                query("select 1"),
            ])
            .ready(2),
        script("copy data without copy")
            .send(&[good(), copy_done(), copy_fail("")])
            .query("select 'after'"),
    ]
}

fn extended() -> Vec<Script> {
    let row = || copy_data(b"1\tone\n");
    let mut scripts = Vec::new();
    for name in ["", "s"] {
        let start = [parse(name, IN, &[]), bind("", name, &[]), execute("", 0)];
        let with = |more: &[Vec<u8>]| [&start[..], more].concat();
        let block = |what: &str| script(format!("extended in: {what}, {name:?}")).query("begin");
        let ended = |script: Script| script.query("rollback").query("select 'after'");
        scripts.extend([
            ended(block("waiting").send(&with(&[flush()])).tag(b'G').say(&[
                row(),
                copy_done(),
                sync(),
            ])),
            ended(block("in one piece").say(&with(&[row(), copy_done(), sync()]))),
            ended(
                block("sync before the data")
                    .send(&with(&[sync()]))
                    .tag(b'G')
                    .say(&[row(), copy_done(), sync()]),
            ),
            ended(block("refused by the client").say(&with(&[row(), copy_fail("no"), sync()]))),
            ended(
                block("bad row")
                    .send(&with(&[flush()]))
                    .tag(b'G')
                    .send(&[copy_data(b"bad\trow\n"), row(), copy_done()])
                    .say(&[sync()]),
            ),
            ended(block("bad row, more messages before the sync").say(&with(&[
                copy_data(b"bad\n"),
                copy_done(),
                execute("", 0),
                sync(),
            ]))),
            ended(block("a statement behind it").say(&with(&[
                row(),
                copy_done(),
                parse("", "select 1", &[]),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ]))),
            ended(block("refused by a trigger").say(&[
                parse(name, "copy guarded from stdin", &[]),
                bind("", name, &[]),
                execute("", 0),
                copy_data(b"1\n"),
                copy_done(),
                sync(),
            ])),
            script(format!("extended out {name:?}"))
                .say(&[
                    parse(name, "copy items to stdout", &[]),
                    bind("", name, &[]),
                    execute("", 0),
                    sync(),
                ])
                .query("select 'after'"),
            script(format!("extended out with an error {name:?}"))
                .say(&[
                    parse(
                        name,
                        "copy (select 1 / (n - 9) from generate_series(1, 20) n) to stdout",
                        &[],
                    ),
                    bind("", name, &[]),
                    execute("", 0),
                    execute("", 0),
                    sync(),
                ])
                .query("select 'after'"),
        ]);
    }
    scripts
}
