//! Whose answer is whose, how long it took, and what is not counted: for every split.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    ON, STEPS, Table, bind, close, done, error, execute, frame, parse, query, ready, sync,
};
use crate::queries::{Books, Host, Sums};
use crate::session::calls::{CallTerms, Counting, LinkStart};
use crate::session::client_state::Tracking;

const MS: Duration = Duration::from_millis(1);

/// A table at which calls are counted.
struct Counted {
    table: Table,
    books: Books,
    now: Instant,
}

impl Counted {
    fn new(tracking: Tracking, step: usize) -> Self {
        let mut counted = Self {
            table: Table::new(tracking, step),
            books: Books::new(1, 7),
            now: tokio::time::Instant::now().into_std(),
        };
        counted.begin(0);
        counted
    }

    /// Another link begins, after such a wait.
    fn begin(&mut self, waited_us: u64) {
        let names: [Arc<str>; 2] = ["db".into(), "u".into()];
        let start = LinkStart {
            book: (self.books.of(0), self.books.seed),
            names: (&names[0], &names[1]),
            terms: CallTerms {
                counting: Counting::On,
                most: 100,
                slow_us: Some(50_000),
            },
            host: Host::Replica,
        };
        let Table { server, client, .. } = &mut self.table;
        server.waited_us = waited_us;
        server.begin_calls(&start, &client.params, self.now);
        self.table.link();
    }

    fn says(&mut self, bytes: &[&[u8]]) {
        self.table.server.tell_time(self.now);
        self.table.client(&bytes.concat());
    }

    fn hears(&mut self, bytes: &[&[u8]]) {
        for piece in bytes.concat().chunks(self.table.step) {
            self.table.server.heard(self.now, piece.len() as u64);
            self.table.try_server(piece).expect("in sync");
        }
    }

    fn sums(&self) -> BTreeMap<String, Sums> {
        let list = self.books.list();
        assert_eq!(list.rest.calls, 0);
        let queries = list.queries.into_iter();
        queries
            .map(|query| (query.text.to_string(), query.sums))
            .collect()
    }

    /// Text, calls, rows, errors.
    fn counts(&self) -> Vec<(String, [u64; 3])> {
        let sums = self.sums().into_iter();
        sums.map(|(text, sums)| (text, [sums.calls, sums.rows, sums.errors]))
            .collect()
    }
}

fn expected(rows: &[(&str, [u64; 3])]) -> Vec<(String, [u64; 3])> {
    rows.iter()
        .map(|(text, row)| ((*text).to_owned(), *row))
        .collect()
}

fn parsed() -> Vec<u8> {
    frame(b'1', b"")
}

fn bound() -> Vec<u8> {
    frame(b'2', b"")
}

/// `Bind` of a named portal, and its `Execute`.
fn bind_portal(portal: &str, name: &str) -> Vec<u8> {
    let names = [portal, "\0", name, "\0\0\0\0\0\0\0"].concat();
    frame(b'B', names.as_bytes())
}

fn execute_portal(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0\0\0\0\x05"].concat())
}

#[test]
fn each_answer_of_a_pipeline_belongs_to_its_own_statement() {
    for (step, tracking) in STEPS
        .iter()
        .flat_map(|step| [(*step, ON), (*step, Tracking::Off)])
    {
        let mut counted = Counted::new(tracking, step);
        counted.says(&[
            &parse("a", "select a from t where n = 1"),
            &parse("b", "select b"),
            &parse("", "select c"),
            &bind("a"),
            &bind_portal("p", "b"),
            &execute_portal("p"),
            &execute(),
            &execute_portal("p"),
            &bind(""),
            &execute(),
            &sync(),
            &query("select d; select 5"),
            &query(""),
        ]);
        counted.hears(&[
            &parsed(),
            &parsed(),
            &parsed(),
            &bound(),
            &bound(),
            &frame(b's', b""),
            &frame(b'D', b"\0\0"),
            &done("SELECT 3"),
            &done("INSERT 0 12"),
            &bound(),
            &frame(b'I', b""),
            &ready(b'I'),
            &done("SELECT 1"),
            &done("SELECT 2"),
            &ready(b'I'),
            &frame(b'I', b""),
            &ready(b'I'),
        ]);
        let rows = [
            ("", [1, 0, 0]),
            ("select a from t where n = $1", [1, 3, 0]),
            ("select b", [2, 12, 0]),
            ("select c", [1, 0, 0]),
            ("select d; select $1", [1, 3, 0]),
        ];
        assert_eq!(counted.counts(), expected(&rows), "{step}, {tracking:?}");
    }
}

#[test]
fn an_error_counts_for_the_first_call_and_those_behind_it_never_ran() {
    for step in STEPS {
        let mut counted = Counted::new(ON, step);
        counted.says(&[
            &parse("", "select a"),
            &bind(""),
            &execute(),
            &parse("", "select wrong"),
            &bind(""),
            &execute(),
            &parse("", "select behind"),
            &bind(""),
            &execute(),
            &sync(),
            &query("select fails"),
            &query("select next"),
        ]);
        counted.hears(&[
            &parsed(),
            &bound(),
            &done("SELECT 1"),
            &error("no such thing"),
            &ready(b'I'),
            &done("SELECT 1"),
            &error("failed"),
            &ready(b'I'),
            &done("SELECT 4"),
            &ready(b'I'),
        ]);
        let rows = [
            ("select a", [1, 1, 0]),
            ("select fails", [1, 1, 1]),
            ("select next", [1, 4, 0]),
            ("select wrong", [1, 0, 1]),
        ];
        assert_eq!(counted.counts(), expected(&rows), "{step}");
    }
}

#[test]
fn a_copy_in_that_is_sent_at_once_is_one_call() {
    for step in STEPS {
        let mut counted = Counted::new(ON, step);
        counted.says(&[
            &query("copy t from stdin"),
            &frame(b'd', b"1\n"),
            &frame(b'c', b""),
            &query("select a"),
        ]);
        counted.hears(&[
            &frame(b'G', b"\0\0\0"),
            &done("COPY 1"),
            &ready(b'I'),
            &done("SELECT 0"),
            &ready(b'I'),
        ]);
        let rows = [("copy t from stdin", [1, 1, 0]), ("select a", [1, 0, 0])];
        assert_eq!(counted.counts(), expected(&rows), "{step}");
    }
}

#[test]
fn time_is_the_servers_and_the_wait_belongs_to_the_first_call() {
    let mut counted = Counted::new(ON, 4096);
    counted.begin(70);
    counted.says(&[&query("select a"), &query("select b")]);
    counted.now += 10 * MS;
    counted.hears(&[&done("SELECT 1"), &ready(b'T')]);
    counted.now += 5 * MS;
    counted.hears(&[&done("SELECT 1"), &ready(b'T')]);
    counted.now += 1000 * MS; // the client thinks
    counted.says(&[&query("select c")]);
    counted.now += 2 * MS;
    counted.hears(&[&done("SELECT 1"), &ready(b'I')]);
    let sums = counted.sums();
    let times = |text: &str| (sums[text].total_us, sums[text].wait_us);
    assert_eq!(times("select a"), (10_000, 70));
    assert_eq!(
        times("select b"),
        (5_000, 0),
        "not the time of the one before"
    );
    assert_eq!(times("select c"), (2_000, 0));
    assert!(sums.values().all(|sums| sums.on_replicas == 1));
    assert!(!counted.table.server.has_slow_calls());
}

#[test]
fn answers_that_come_in_one_piece_share_its_time_and_have_their_own_bytes() {
    let mut counted = Counted::new(ON, 4096);
    counted.says(&[&query("select a"), &query("select b")]);
    counted.now += 90 * MS;
    counted.says(&[&query("select c")]);
    counted.now += 30 * MS;
    let wide = frame(b'D', &[b'x'; 100]);
    counted.hears(&[
        &done("SELECT 1"),
        &ready(b'I'),
        &wide,
        &done("SELECT 1"),
        &ready(b'I'),
        &done("SELECT 1"),
        &ready(b'I'),
    ]);
    let sums = counted.sums();
    let short = (done("SELECT 1").len() + ready(b'I').len()) as u64;
    for (text, us, bytes) in [
        ("select a", 40_000, short),
        ("select b", 40_000, short + wide.len() as u64),
        ("select c", 30_000, short), // it was not sent before
    ] {
        assert_eq!(
            (sums[text].total_us, sums[text].bytes),
            (us, bytes),
            "{text}"
        );
    }
}

#[test]
fn slow_calls_are_remembered_with_both_times_until_they_are_taken() {
    let mut counted = Counted::new(ON, 4096);
    counted.begin(30_000);
    counted.says(&[&query("select a from t where b = 'secret'")]);
    counted.now += 20 * MS;
    counted.hears(&[&done("SELECT 1"), &ready(b'I')]);
    let slow = counted.table.server.take_slow_calls();
    assert_eq!((slow[0].waited_us, slow[0].server_us), (30_000, 20_000));
    let text = slow[0].words.as_ref().map(|(_, text)| &**text);
    assert_eq!(text, Some("select a from t where b = $1"));
    assert!(!counted.table.server.has_slow_calls());
}

#[test]
fn a_call_that_is_never_answered_has_failed_unless_it_runs_again_elsewhere() {
    let mut counted = Counted::new(ON, 4096);
    counted.says(&[&query("select a"), &query("select behind")]);
    counted.now += 60 * MS;
    counted.table.server.end_calls(counted.now);
    assert_eq!(counted.counts(), expected(&[("select a", [1, 0, 1])]));
    assert_eq!(counted.table.server.take_slow_calls().len(), 1);
    let mut counted = Counted::new(ON, 4096);
    counted.says(&[&query("select a")]);
    counted.table.server.take_calls_back();
    counted.table.server.end_calls(counted.now);
    assert_eq!(counted.counts(), []);
}

#[test]
fn the_unnamed_statement_is_known_on_the_server_that_it_has_to_be_prepared_on_again() {
    let mut counted = Counted::new(ON, 4096);
    counted.says(&[&parse("", "select a"), &sync()]);
    counted.hears(&[&parsed(), &ready(b'I')]);
    counted.table.fresh_server();
    counted.begin(0);
    counted.says(&[&bind(""), &execute(), &sync()]);
    counted.hears(&[&parsed(), &bound(), &done("SELECT 1"), &ready(b'I')]);
    assert_eq!(counted.counts(), expected(&[("select a", [1, 1, 0])]));
}

#[test]
fn what_cannot_be_read_is_counted_in_the_rest() {
    for step in [1, 4096] {
        let mut counted = Counted::new(ON, step);
        let long = format!("select '{}'", "x".repeat(20_000));
        counted.says(&[
            &query(&long),
            &parse("", &long),
            &bind(""),
            &execute(),
            &close(""),
            &sync(),
        ]);
        counted.hears(&[
            &done("SELECT 1"),
            &ready(b'I'),
            &parsed(),
            &bound(),
            &done("SELECT 1"),
            &frame(b'3', b""),
            &ready(b'I'),
        ]);
        let list = counted.books.list();
        assert_eq!(
            (list.queries.len(), list.rest.calls, list.rest.rows),
            (0, 2, 2)
        );
    }
}

#[test]
fn where_nobody_asks_nothing_is_held_up_or_counted() {
    let mut counted = Counted::new(ON, 4096);
    counted.table.server.ignore_calls();
    let text = query("select a");
    let (first, rest) = text.split_at(7);
    assert_eq!(counted.table.client(first), first, "half a frame goes on");
    assert_eq!(counted.table.client(rest), rest);
    counted.hears(&[&done("SELECT 1"), &ready(b'I')]);
    assert_eq!(counted.counts(), []);
}
