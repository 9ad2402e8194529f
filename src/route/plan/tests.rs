//! What goes where, by table.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::*;
use crate::cluster::HostId;
use crate::cluster::HostSpec;
use crate::cluster::observation::{Observation, Policy, Role as ServerRole};
use crate::cluster::state::Cluster;
use crate::route::cache::{Cache, Lesson};
use crate::route::dialect::Dialect;
use crate::session::client_state::{SimpleQuery, Tracking};
use crate::session::params::ParamSet;
use crate::session::prepared::Registry;
use crate::sql::Catalog;

const REPLICA: Target = Target::Replica(HostId(1));

struct Table {
    client: ClientState,
    session: Session,
    cache: Cache,
    catalog: Catalog,
    cluster: Cluster,
    rules: Rules,
    standing: Standing,
    attempt: Attempt,
    counting: Counting,
    now: Instant,
    out: BytesMut,
}

impl Table {
    /// A primary and a replica that has replayed all of it.
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        let hosts = ["a@p", "a@r"].map(HostSpec::named).to_vec();
        let mut cluster = Cluster::new(hosts, Policy::default());
        for (place, role) in [(0, ServerRole::Primary), (1, ServerRole::Replica)] {
            cluster.observed(HostId(place), seen(role, now));
        }
        let registry = Arc::new(Registry::default());
        let tracking = Tracking::On { limit: 10 };
        let simple = SimpleQuery::Allowed;
        let params = Arc::new(ParamSet::new());
        Self {
            client: ClientState::new(params, registry, tracking, simple, 1 << 24),
            session: Session::default(),
            cache: Cache::new(7),
            catalog: Catalog::builtin(),
            cluster,
            rules: Rules {
                mode: RouteMode::On,
                role: Role::Auto,
                hold: HoldBegin::Yes,
            },
            standing: Standing::Unlinked,
            attempt: Attempt::First,
            counting: Counting::Once,
            now: now + Duration::from_millis(1),
            out: BytesMut::new(),
        }
    }

    fn plan(&mut self, input: &[u8]) -> Plan {
        let view = self.cluster.view();
        let dialect = Dialect::of(&self.client.params);
        let mut reading = Reading {
            cache: &mut self.cache,
            catalog: &self.catalog,
            generation: 1,
            quoting: dialect.quoting,
            encoding: dialect.encoding,
        };
        let mut desk = Desk {
            session: &mut self.session,
            rules: self.rules,
            access: dialect.access,
            view: &view,
            scope: Scope::Session,
            standing: self.standing,
            alone: Alone::Allowed,
            counting: self.counting,
            attempt: self.attempt,
            now: self.now,
            chance: Chance::new(1),
        };
        plan(input, &self.client, &mut reading, &mut desk, &mut self.out)
    }

    /// Where a segment goes, and why.
    fn goes(&mut self, input: &[u8]) -> (Target, Why) {
        match self.plan(input) {
            Plan::Go(journey) => (journey.decision.target, journey.decision.why),
            other => panic!("{other:?}"),
        }
    }

    fn query(&mut self, sql: &str) -> (Target, Why) {
        self.goes(&query(sql))
    }

    fn answer(&mut self, sql: &str) -> Vec<u8> {
        let input = query(sql);
        self.out.clear();
        assert_eq!(self.plan(&input), Plan::Answered(input.len()), "{sql}");
        self.out.to_vec()
    }
}

fn seen(role: ServerRole, at: Instant) -> Observation {
    Observation {
        role,
        timeline: 1,
        system_id: 1,
        shown: Lsn(100),
        bound: Some(Lsn(100)),
        started_at: 1,
        connection: 1,
        asked_at: at,
        answered_at: at,
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.put_u32(u32::try_from(body.len() + 4).unwrap());
    out.extend_from_slice(body);
    out
}

fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    let body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"];
    frame(b'P', &body.concat())
}

fn bind(name: &str) -> Vec<u8> {
    frame(b'B', &[b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat())
}

fn run(sql: &str) -> Vec<u8> {
    [parse("", sql), bind(""), frame(b'E', b"\0\0\0\0\0")].concat()
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn told(tag: &str, status: u8) -> Vec<u8> {
    let complete = frame(b'C', &[tag.as_bytes(), b"\0"].concat());
    [complete, frame(b'Z', &[status])].concat()
}

#[test]
fn reads_go_to_the_replica_and_all_else_to_the_primary() {
    let mut table = Table::new();
    assert_eq!(
        table.query("select a from t where id = 1"),
        (REPLICA, Why::Read)
    );
    for (sql, reason) in [
        ("insert into t values (1)", Reason::Write),
        ("select a from t for update", Reason::Locking),
        ("select nextval('s')", Reason::VolatileFunction),
        ("select f()", Reason::UnknownFunction),
        ("no sql at all", Reason::Unparsed),
    ] {
        assert_eq!(
            table.query(sql),
            (Target::Primary, Why::Class(reason)),
            "{sql}"
        );
    }
}

#[test]
fn a_segment_is_decided_by_all_of_it() {
    let mut table = Table::new();
    let (read, write) = ("select a from t", "delete from t");
    assert_eq!(
        table.goes(&[run(read), run(read), sync()].concat()),
        (REPLICA, Why::Read)
    );
    let mixed = [run(read), run(write), sync()].concat();
    assert_eq!(table.goes(&mixed).0, Target::Primary);
    for cut in 0..mixed.len() {
        assert_eq!(table.plan(&mixed[..cut]), Plan::More, "cut at {cut}");
    }
    let flushed = [run(read), frame(b'H', b"")].concat();
    assert_eq!(
        table.goes(&flushed).0,
        Target::Primary,
        "a write may follow"
    );
}

#[test]
fn a_statement_prepared_before_is_known_by_its_name() {
    let mut table = Table::new();
    for (name, sql, target) in [
        ("r", "select a from t", REPLICA),
        ("w", "delete from t", Target::Primary),
    ] {
        let rest = [sql.as_bytes(), b"\0\0\0"].concat();
        let statement = table.client.registry().intern(&rest);
        let segment = [bind(name), sync()].concat();
        let name: Box<[u8]> = name.as_bytes().into();
        let binding = crate::session::prepared::Binding { name, statement };
        table.client.statements.insert(Arc::new(binding));
        assert_eq!(table.goes(&segment).0, target, "{sql}");
    }
    let unknown = (Target::Primary, Why::Class(Reason::UnknownStatement));
    assert_eq!(table.goes(&[bind("x"), sync()].concat()), unknown);
}

#[test]
fn statements_that_do_not_follow_their_client_are_prepared_on_the_primary() {
    let mut table = Table::new();
    let params = Arc::clone(&table.client.params);
    let registry = Arc::new(Registry::default());
    table.client = ClientState::new(
        params,
        registry,
        Tracking::Off,
        SimpleQuery::Allowed,
        1 << 24,
    );
    let read = "select a from t";
    let unknown = (Target::Primary, Why::Class(Reason::UnknownStatement));
    assert_eq!(table.goes(&[parse("", read), sync()].concat()), unknown);
    assert_eq!(
        table.goes(&[run(read), sync()].concat()),
        (REPLICA, Why::Read)
    );
    let again = [run(read), parse("", read), sync()].concat();
    assert_eq!(table.goes(&again).0, REPLICA);
    let named = [parse("s", read), bind("s"), sync()].concat();
    assert_eq!(table.goes(&named), unknown, "it may be bound again");
}

#[test]
fn a_client_that_has_set_what_no_other_server_knows_reads_on_the_primary() {
    let mut table = Table::new();
    let read = "select a from t";
    table.query("set search_path = other");
    let bound = (Target::Primary, Why::Class(Reason::Setting));
    assert_eq!(table.query(read), bound);
    assert_eq!(
        table.query(&format!("/* pgweir: replica */ {read}")),
        (REPLICA, Why::Wish)
    );
    table.query("discard all");
    assert_eq!(table.query(read), (REPLICA, Why::Read));
    table.answer("set pgweir.route = 'primary'");
    assert_eq!(table.query(read).1, Why::Wish);
    table.query("reset all");
    assert_eq!(table.query(read), (REPLICA, Why::Read));
}

#[test]
fn what_the_client_asks_for_wins() {
    let mut table = Table::new();
    let wish = |target| (target, Why::Wish);
    assert_eq!(
        table.query("/* pgweir: primary */ select 1"),
        wish(Target::Primary)
    );
    assert_eq!(
        table.query("/* pgweir: replica */ select f()"),
        wish(REPLICA)
    );
    assert_eq!(
        table.answer("set pgweir.route = 'primary'"),
        told("SET", b'I')
    );
    assert_eq!(table.query("select a from t"), wish(Target::Primary));
    assert_eq!(
        table.query("/* pgweir: replica */ select a from t"),
        wish(REPLICA)
    );
    assert_eq!(table.answer("set pgweir.route to auto"), told("SET", b'I'));
    assert_eq!(table.query("select a from t"), (REPLICA, Why::Read));
    table.rules.role = Role::Replica;
    assert_eq!(table.query("select f()"), (REPLICA, Why::Role));
    let trial = |plan| match plan {
        Plan::Go(journey) => journey.trial,
        other => panic!("{other:?}"),
    };
    assert_eq!(trial(table.plan(&query("delete from t"))), Trial::No);
    assert_eq!(
        trial(table.plan(&query("select a from t"))),
        Trial::Yes(Until::Row)
    );
    table.rules.role = Role::Primary;
    assert_eq!(table.query("select a from t"), (Target::Primary, Why::Role));
}

#[test]
fn a_wrong_wish_is_refused_with_what_would_be_right() {
    let mut table = Table::new();
    let text = table.answer("set pgweir.route = 'elsewhere'");
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        text.contains("22023") && text.contains("auto, primary, replica"),
        "{text}"
    );
    let text = table.answer("set pgweir.min_lsn = 'late'");
    assert!(String::from_utf8_lossy(&text).contains("22023"));
}

#[test]
fn a_begin_is_answered_and_waits_for_its_first_statement() {
    let mut table = Table::new();
    assert_eq!(table.answer("begin"), told("BEGIN", b'T'));
    assert_eq!(
        table.query("select a from t"),
        (Target::Primary, Why::Transaction)
    );
    assert_eq!(table.session.take_begun().as_deref(), Some(&b"begin"[..]));

    assert_eq!(
        table.answer("START TRANSACTION READ ONLY"),
        told("START TRANSACTION", b'T')
    );
    assert_eq!(table.query("select a from t"), (REPLICA, Why::Read));
    assert_eq!(table.query("select f()").0, Target::Primary);
    assert_eq!(table.query("savepoint a").0, REPLICA);
    assert_eq!(table.query("savepoint a; select f()").0, Target::Primary);
    table.session.take_begun();

    assert_eq!(table.answer("begin"), told("BEGIN", b'T'));
    assert_eq!(table.answer("set transaction read only"), told("SET", b'T'));
    assert_eq!(table.query("select a from t"), (REPLICA, Why::Read));
    let sent = table.session.take_begun();
    assert_eq!(
        sent.as_deref(),
        Some(&b"begin;\nset transaction read only"[..])
    );

    table.answer("begin isolation level serializable read only");
    assert_eq!(table.query("select a from t").0, Target::Primary);
}

#[test]
fn a_transaction_without_statements_needs_no_server() {
    let mut table = Table::new();
    for (end, tag) in [
        ("commit", "COMMIT"),
        ("rollback", "ROLLBACK"),
        ("end;", "COMMIT"),
    ] {
        table.answer("begin");
        assert_eq!(table.answer(end), told(tag, b'I'));
        assert!(!table.session.has_begun());
    }
    table.answer("begin");
    assert_eq!(table.query("commit and chain").0, Target::Primary);
}

#[test]
fn behind_a_begin_even_a_sync_goes_to_a_server() {
    let mut table = Table::new();
    table.answer("begin");
    assert_eq!(table.goes(&sync()).0, Target::Primary);
}

#[test]
fn inside_a_transaction_all_goes_where_it_is() {
    let mut table = Table::new();
    for target in [Target::Primary, REPLICA] {
        table.standing = Standing::InTransaction(target);
        assert_eq!(table.query("select a from t"), (target, Why::Transaction));
        assert_eq!(table.query("delete from t"), (target, Why::Transaction));
        table.standing = Standing::Pinned(target);
        assert_eq!(table.query("select a from t"), (target, Why::Pinned));
    }
}

#[test]
fn only_reads_outside_of_transactions_are_on_trial() {
    let mut table = Table::new();
    let trial = |table: &mut Table, sql: &str| match table.plan(&query(sql)) {
        Plan::Go(journey) => journey.trial,
        other => panic!("{other:?}"),
    };
    let yes = Trial::Yes(Until::Row);
    assert_eq!(trial(&mut table, "select a from t"), yes);
    assert_eq!(trial(&mut table, "select a from t; "), yes);
    let several = Trial::Yes(Until::End);
    assert_eq!(
        trial(&mut table, "select a from t; select b from t"),
        several
    );
    assert_eq!(trial(&mut table, "delete from t"), Trial::No);
    table.answer("begin read only");
    assert_eq!(trial(&mut table, "select a from t"), Trial::No);
    table.session.take_begun();
    table.standing = Standing::InTransaction(REPLICA);
    assert_eq!(trial(&mut table, "select a from t"), Trial::No);
}

#[test]
fn a_statement_that_a_replica_refused_goes_to_the_primary_for_long() {
    let mut table = Table::new();
    assert_eq!(table.query("select v from view_that_writes").0, REPLICA);
    table.cache.came_back(Lesson::IsNoRead);
    let learned = (Target::Primary, Why::Class(Reason::Learned));
    for _ in 0..256 {
        assert_eq!(table.query("select v from view_that_writes"), learned);
    }
    assert_eq!(table.query("select v from another_view").0, REPLICA);
    assert_eq!(table.query("select v from view_that_writes").0, REPLICA);
    table.cache.came_back(Lesson::IsNoRead);
    assert_eq!(table.query("select v from view_that_writes"), learned);
    table.attempt = Attempt::Again;
    assert_eq!(
        table.query("select v from another_view"),
        (Target::Primary, Why::Again)
    );
}

#[test]
fn a_session_that_has_written_reads_on_the_primary_until_a_replica_shows_it() {
    let mut table = Table::new();
    let wrote_at = table.now;
    table
        .session
        .position
        .touched(HostId(0), table.cluster.view().hosts[0].epoch, wrote_at);
    let read = "select a from t";
    assert_eq!(table.query(read), (Target::Primary, Why::PositionUnknown));
    let mut primary = seen(ServerRole::Primary, wrote_at + Duration::from_millis(1));
    primary.shown = Lsn(150);
    primary.bound = Some(Lsn(150));
    table.cluster.observed(HostId(0), primary);
    assert_eq!(table.query(read), (Target::Primary, Why::Behind));
    let mut replica = seen(ServerRole::Replica, wrote_at + Duration::from_millis(2));
    replica.shown = Lsn(150);
    replica.bound = Some(Lsn(150));
    table.cluster.observed(HostId(1), replica);
    assert_eq!(table.query(read), (REPLICA, Why::Read));
    let lsn = table.answer("show pgweir.lsn");
    assert!(String::from_utf8_lossy(&lsn).contains("0/96"), "{lsn:?}");
}

#[test]
fn observing_counts_what_would_be_and_sends_all_to_the_primary() {
    let mut table = Table::new();
    table.rules.mode = RouteMode::Observe;
    table.rules.hold = HoldBegin::No;
    assert_eq!(table.query("select a from t"), (Target::Primary, Why::Read));
    let (_, known) = table.cache.known().next().unwrap();
    assert_eq!((known.counts.replica, known.counts.primary), (1, 0));
    assert_eq!(&*known.text, "select a from t");
    assert_eq!(table.query("begin").0, Target::Primary);
}

#[test]
fn nothing_is_read_in_an_encoding_that_hides_quotes() {
    let mut table = Table::new();
    let mut params = ParamSet::new();
    params.set("client_encoding", "SJIS");
    table.client.params = Arc::new(params);
    let expected = (Target::Primary, Why::Class(Reason::Unparsed));
    assert_eq!(table.query("select a from t"), expected);
}

#[test]
fn a_transaction_begun_in_the_extended_protocol_is_read_only_if_it_says_so() {
    let mut table = Table::new();
    let (read, write) = (run("select a from t"), run("delete from t"));
    for (begin, then, target) in [
        ("begin read only", &read, REPLICA),
        ("begin", &read, Target::Primary),
        ("begin read only", &write, Target::Primary),
    ] {
        let input = [run(begin), then.clone(), sync()].concat();
        assert_eq!(table.goes(&input).0, target, "{begin}");
    }
}

#[test]
fn what_is_too_long_to_be_looked_at_goes_to_the_primary_at_once() {
    let mut table = Table::new();
    let long = format!("select '{}'", "x".repeat(100_000));
    let head = &query(&long)[..100];
    let expected = (Target::Primary, Why::Class(Reason::TooLong));
    assert_eq!(table.goes(head), expected);
}

#[test]
fn a_segment_that_is_looked_at_again_is_counted_once() {
    let mut table = Table::new();
    let input = query("select 1");
    let Plan::Go(first) = table.plan(&input) else {
        panic!("it is a read")
    };
    let counts = |table: &Table| {
        let known: Vec<_> = table.cache.known().map(|(_, known)| known.counts).collect();
        let counted = &table.cache.counted;
        let decisions = counted.decisions.iter().sum::<u64>() - counted.reconsidered;
        (known[0].primary, known[0].replica, decisions)
    };
    assert_eq!(counts(&table), (0, 1, 1));
    for (counting, expected) in [
        (Counting::Not, (0, 1, 1)),
        (Counting::Instead(first.decision), (0, 1, 1)),
        (Counting::Once, (0, 2, 2)),
    ] {
        table.counting = counting;
        table.plan(&input);
        assert_eq!(counts(&table), expected, "{counting:?}");
    }
    // A wait that has shown that the replica will not do after all.
    table.counting = Counting::Instead(first.decision);
    table.attempt = Attempt::Again;
    table.plan(&input);
    assert_eq!(counts(&table), (1, 1, 2));
}
