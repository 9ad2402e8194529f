//! Random statements through a database whose reads go to replicas, and the same ones straight to the
//! primary: the same answers, the same errors, the same rows afterwards.
//!
//! So no write is refused or done twice, and no read is stale. More of them, or others:
//! `PGWEIR_RANDOM_STATEMENTS=20000 PGWEIR_RANDOM_SEED=7 cargo test --test it routing::random`.

use super::{Protocol, Stage};
use crate::support::Wire;
use crate::support::dice::Dice;
use crate::support::fixture::options;
use crate::support::message::{bind, execute, extended, message, parse, query, sync, text};
use crate::support::wait::until;

/// How deep expressions and queries are nested.
const DEPTH: usize = 3;

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// Writes random SQL over the tables of the tests.
impl Dice {
    /// An expression of a number, about the row `t`.
    fn value(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .pick(&["t.id", "7", "-1", "length(t.name)", "t.id % 5"])
                .into();
        }
        let [one, other] = [self.value(depth - 1), self.value(depth - 1)];
        match self.roll(18) {
            0 => format!("({one} + {other})"),
            1 => format!("steady({one})"),
            2 => format!("public.\"fixed\"({one})"),
            3 => format!("coalesce({one}, {other})"),
            4 => format!("abs({one})"),
            5 => format!("greatest({one}, {other})"),
            6 => {
                let condition = self.condition(depth - 1);
                format!("case when {condition} then {one} else {other} end")
            }
            7 => format!("(select max(t.id) from {})", self.source(depth - 1)),
            8 => format!("({one})::int8::int4"),
            9 => format!("cast({one} as int)"),
            10 => format!("({one} / (t.id - 3))"),
            11 => "calm.weather()".into(),
            12 => self.volatile().into(),
            13 => format!("(array[{one}, {other}])[1]"),
            14 => format!("count(*) filter (where {one} > 0) over ()"),
            _ => one,
        }
    }

    /// Something with a side effect, whatever it looks like.
    fn volatile(&mut self) -> &'static str {
        match self.roll(9) {
            0 => "bump('w')",
            1 => "\"bump\"('w')",
            2 => "nextval('numbers')::int",
            3 => "liar()",
            4 => "liar_too()",
            5 => "(select one from bumping)",
            6 => "wild.weather()",
            7 => "(select pg_advisory_xact_lock(5)::text = 'x')::int",
            _ => "harmless()",
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .pick(&[
                    "t.id < 9",
                    "t.name like 'item%'",
                    "t.id between 2 and 6",
                    "true",
                ])
                .into();
        }
        match self.roll(6) {
            0 => format!("not ({})", self.condition(depth - 1)),
            1 => {
                let [one, other] = [self.condition(depth - 1), self.condition(depth - 1)];
                format!("({one} and {other})")
            }
            2 => format!("{} > {}", self.value(depth - 1), self.value(0)),
            3 => format!("t.id in ({})", self.query_of_ids(depth - 1)),
            4 => format!("exists ({})", self.query_of_ids(depth - 1)),
            _ => self.condition(0),
        }
    }

    /// Something to select from, called `t`, with the columns `id` and `name`.
    fn source(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .pick(&["items t", "only items t", "quiet t", "target t"])
                .into();
        }
        match self.roll(7) {
            0 => "(values (1, 'a'), (4, 'item_b')) t (id, name)".into(),
            1 => "(select id, what as name from noted) t".into(),
            2 => format!("(select t.id, t.name from {}) t", self.source(depth - 1)),
            3 => format!(
                "items t join ({}) u (n) on u.n = t.id",
                self.query_of_ids(depth - 1)
            ),
            4 => "(select n as id, 'g' as name from generate_series(1, 4) n) t".into(),
            _ => self.source(0),
        }
    }

    fn query_of_ids(&mut self, depth: usize) -> String {
        let source = self.source(depth);
        let condition = self.condition(depth);
        format!("select t.id from {source} where {condition}")
    }

    /// A query of numbers and texts, perhaps with a write hidden in it.
    fn query(&mut self, depth: usize) -> String {
        let (value, source, condition) =
            (self.value(depth), self.source(depth), self.condition(depth));
        let plain = format!("select {value}, t.name from {source} where {condition}");
        match self.roll(14) {
            0 => format!("{plain} order by 1, 2"),
            1 => format!("{plain} union all select 1, 'u'"),
            2 => format!("({plain}) except (select 1, 'u')"),
            3 => format!("with w as ({plain}) select * from w"),
            4 => format!("with w as materialized ({plain}) select count(*) from w"),
            5 => format!(
                "with w as (select 1), x as ({}) select 2, 'x'",
                self.write(1)
            ),
            6 => format!("with w as ({} returning 3) select * from w", self.write(1)),
            7 => "values (1, 'v'), (2, 'w')".into(),
            8 => "table items".into(),
            9 => {
                let lock = self.pick(&["update", "share", "no key update", "key share"]);
                format!("select t.id, t.name from items t where {condition} for {lock}")
            }
            _ => plain,
        }
    }

    /// A statement that changes rows, and can be followed by `returning`.
    fn write(&mut self, depth: usize) -> String {
        let (value, condition) = (self.value(depth), self.condition(depth));
        match self.roll(4) {
            0 => format!(
                "insert into noted (what) select ({value})::text from items t where t.id < 4"
            ),
            1 => format!("update target t set name = 'u' where {condition}"),
            2 => format!("delete from target t where {condition} and t.id % 3 = 1"),
            _ => "insert into target select t.id, t.name from items t on conflict (id) do nothing"
                .into(),
        }
    }

    fn statement(&mut self) -> String {
        let query = self.query(DEPTH);
        let sql = match self.roll(24) {
            0..=3 => self.write(DEPTH),
            4 => format!("copy ({query}) to stdout"),
            5 => format!(
                "explain (analyze, costs off, timing off, summary off) {}",
                self.write(0)
            ),
            6 => "merge into target t using items i on t.id = i.id when matched then update set \
                  name = 'm' when not matched then insert values (i.id, i.name)"
                .into(),
            7 => "select count(*), 'n' from noted".into(),
            8 => "frobnicate".into(),
            _ => query,
        };
        self.disguise(&sql)
    }

    /// The same in other clothes: no blank and no word stands inside of quotes here, but for those
    /// that have one in them.
    fn disguise(&mut self, sql: &str) -> String {
        let mut out = String::new();
        for word in sql.split(' ') {
            if !out.is_empty() {
                let blank = self.roll(12);
                out.push_str(match blank {
                    0 => "\n\t",
                    1 => " /* insert /* into */ x */ ",
                    2 => " -- delete from items;\n",
                    _ => " ",
                });
            }
            if word.contains(['\'', '"']) || !self.one_in(8) {
                out.push_str(word);
            } else {
                out.push_str(&word.to_uppercase());
            }
        }
        out
    }

    /// What is sent before a client waits for the answers: messages, and how many `ReadyForQuery`.
    fn flight(&mut self) -> Flight {
        let protocol = Protocol::ALL[self.roll(2)];
        let begin = [
            "begin",
            "begin read only",
            "start transaction isolation level repeatable read",
        ];
        let end = ["commit", "rollback", "end"];
        let mut steps = vec![self.statement()];
        match self.roll(10) {
            0 | 1 => {
                for _ in 0..self.roll(3) {
                    steps.push(self.statement());
                }
                steps.insert(0, self.pick(&begin).into());
                steps.push(self.pick(&end).into());
                Flight::each(protocol, steps)
            }
            2 => {
                steps.push(self.statement());
                Flight::each(Protocol::Simple, vec![steps.join("; ")])
            }
            3 => {
                steps.push(self.statement());
                Flight::batch(steps)
            }
            _ => Flight::each(protocol, steps),
        }
    }
}

/// Messages of which each waits for the answers to the one before.
struct Flight {
    messages: Vec<Vec<u8>>,
    sql: Vec<String>,
}

impl Flight {
    fn each(protocol: Protocol, sql: Vec<String>) -> Self {
        let message = |sql: &String| match protocol {
            Protocol::Simple => query(sql),
            Protocol::Extended => extended(sql),
        };
        let messages = sql.iter().map(message).collect();
        Self { messages, sql }
    }

    /// One transaction of several statements in the extended protocol.
    fn batch(sql: Vec<String>) -> Self {
        let part = |sql: &String| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
        let mut bytes: Vec<u8> = sql.iter().flat_map(part).collect();
        bytes.extend(sync());
        let messages = vec![bytes];
        Self { messages, sql }
    }
}

/// What a client gets, without the order of rows, and without plans: those tell of dead rows, which
/// two databases do not have alike.
fn answers(client: &mut Wire, flight: &Flight) -> Vec<Vec<String>> {
    let mut sql = flight.sql.iter();
    let explains = sql.any(|sql| sql.to_lowercase().contains("explain"));
    let answer = |bytes: &Vec<u8>| {
        client.send(bytes);
        let frames = client.until_ready(1);
        let shown = frames.iter().filter_map(|frame| match frame.tag {
            b'E' => Some(format!("E {}", frame.field('C').unwrap_or_default())),
            b'D' | b'C' if explains => None,
            b'D' | b'd' | b'C' | b'Z' => {
                let tag = char::from(frame.tag);
                Some(format!("{tag} {}", text(&frame.body)))
            }
            _ => None,
        });
        let mut shown: Vec<String> = shown.collect();
        // How many rows come before an error depends on their order too.
        if shown.iter().any(|frame| frame.starts_with("E ")) {
            shown.retain(|frame| !frame.starts_with("D "));
        }
        shown.sort();
        shown
    };
    flight.messages.iter().map(answer).collect()
}

#[test]
fn random_statements_do_the_same_as_on_the_primary_alone() {
    let options = options().with_setting("autovacuum", "off");
    let stage = Stage::with_databases(options, &["app", "alone"]);
    let weir = stage.setup().start();
    let primary = stage.cluster.primary().port();
    let on_replica = |client: &mut Wire| client.value("select my_port()") != primary.to_string();
    until("reads go to replicas", || {
        on_replica(&mut weir.client("app", "app"))
    });
    let seed = number("PGWEIR_RANDOM_SEED", 1);
    let mut dice = Dice(seed);
    let mut routed = weir.client("app", "app");
    let mut alone = Wire::login(primary, "alone", "app");
    let mut on_replicas = 0;
    for n in 0..number("PGWEIR_RANDOM_STATEMENTS", 1500) {
        let flight = dice.flight();
        let (got, expected) = (answers(&mut routed, &flight), answers(&mut alone, &flight));
        assert_eq!(got, expected, "seed {seed}, {n}: {:#?}", flight.sql);
        if n % 10 == 0 && on_replica(&mut routed) {
            on_replicas += 1;
        }
        if n % 200 == 0 {
            routed.send(&message(b'X', &[]));
            routed = weir.client("app", "app");
        }
    }
    assert!(on_replicas > 0, "replicas have answered something");
    for sql in [
        "select id, what from noted order by id",
        "select id, name from target order by id",
        "select last_value from numbers",
    ] {
        let [got, expected] = ["app", "alone"].map(|database| {
            let server = stage.cluster.primary();
            server.psql(database, sql).unwrap()
        });
        assert_eq!(got, expected, "seed {seed}: {sql}");
    }
}
