//! What may go to a server, and reads on trial: for every split of the replies.

use bytes::BytesMut;

use super::{Table, bind, close, done, error, execute, frame, parse, query, ready, sync};
use crate::session::client_state::Tracking;
use crate::session::from_client::FromClient;
use crate::session::routed::{MAX_HELD, Place, Routed, Until};

fn table(step: usize) -> Table {
    let mut table = Table::new(Tracking::On { limit: 10 }, step);
    table.client.routed = Some(Box::default());
    table
}

impl Table {
    fn routed(&mut self) -> &mut Routed {
        self.client.routed.as_deref_mut().expect("a routed client")
    }

    /// Puts `bytes` on trial and sends them.
    fn try_read(&mut self, bytes: &[u8]) {
        assert!(self.client.grant_on_trial(bytes, Until::Row));
        assert_eq!(self.ask(bytes), Ok(FromClient::Drained));
    }

    /// Prepares `select 1` under this name, with an answer, and begins the next link.
    fn prepare(&mut self, name: &str) {
        let prepare = [parse(name, "select 1"), sync()].concat();
        self.routed().grant(prepare.len());
        assert_eq!(self.ask(&prepare), Ok(FromClient::Drained));
        self.server(&[frame(b'1', b""), ready(b'I')].concat());
        self.routed().begin(Place::Replica);
    }

    /// What is in the input after taking back.
    fn taken_back(&mut self, behind: &[u8]) -> BytesMut {
        let mut input = BytesMut::from(behind);
        self.client.take_back(&mut input);
        input
    }
}

fn refusal(code: &str) -> Vec<u8> {
    frame(
        b'E',
        &[b"SERROR\0VERROR\0C", code.as_bytes(), b"\0Mno\0\0"].concat(),
    )
}

fn row() -> Vec<u8> {
    frame(b'D', b"\0\x01\0\0\0\x01x")
}

fn columns() -> Vec<u8> {
    frame(
        b'T',
        b"\0\x01x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
    )
}

const STEPS: [usize; 6] = [1, 2, 3, 7, 20, 1000];

#[test]
fn nothing_goes_before_it_is_granted_and_no_more_than_was() {
    let mut table = table(1000);
    let (first, second) = (query("select 1"), query("select 2"));
    assert_eq!(table.ask(&first), Ok(FromClient::Gate));
    assert!(table.sent.is_empty());
    table.routed().grant(first.len());
    assert!(table.routed().awaits_granted());
    assert_eq!(table.ask(&second), Ok(FromClient::Gate));
    assert!(!table.routed().awaits_granted());
    assert_eq!(&table.sent[..], &first[..]);
    table.routed().shut();
    assert_eq!(table.ask(b""), Ok(FromClient::Wait));
    assert_eq!(&table.client_input[..], &second[..]);
    table.routed().begin(Place::Replica);
    table.routed().await_more(second.len());
    assert_eq!(table.ask(b""), Ok(FromClient::Drained));
    assert_eq!(table.ask(b"X"), Ok(FromClient::Gate));
    // More has come, and it is still not enough.
    table.routed().await_more(second.len() + 1);
    assert_eq!(table.ask(b""), Ok(FromClient::Drained));
    assert_eq!(&table.sent[..], &first[..]);
}

#[test]
fn a_goodbye_needs_no_grant() {
    let mut table = table(1000);
    assert_eq!(table.ask(&frame(b'X', b"")), Ok(FromClient::Terminated));
}

#[test]
fn replies_are_held_until_the_first_row_and_leave_as_they_came() {
    for step in STEPS {
        let mut table = table(step);
        table.try_read(&query("select 1"));
        assert_eq!(table.server(&columns()), b"", "step {step}");
        assert!(table.routed().may_run_again());
        let mut told = table.server(&row());
        assert!(!table.routed().may_run_again());
        told.extend(table.server(&[row(), done("SELECT 2"), ready(b'I')].concat()));
        let all = [columns(), row(), row(), done("SELECT 2"), ready(b'I')].concat();
        assert_eq!(told, all, "step {step}");
        assert!(table.server.is_at_rest());
        assert!(!table.routed().is_on_trial());
    }
}

#[test]
fn a_refused_read_stands_in_the_input_again_and_the_client_has_heard_nothing() {
    for step in STEPS {
        let mut table = table(step);
        let read = [parse("s", "select f()"), bind("s"), execute(), sync()].concat();
        table.try_read(&read);
        let replies = [
            frame(b'1', b""),
            frame(b'2', b""),
            refusal("25006"),
            ready(b'I'),
        ];
        assert_eq!(table.server(&replies.concat()), b"", "step {step}");
        let code = table.routed().refused().map(|code| code.to_string());
        assert_eq!(code.as_deref(), Some("25006"));
        assert!(table.server.is_at_rest());
        let behind = query("select 2");
        assert_eq!(table.taken_back(&behind), [read, behind].concat());
        assert!(
            table.client.statements.find(b"s").is_none(),
            "its name is free"
        );
    }
}

#[test]
fn an_error_of_the_read_itself_is_the_answer() {
    for step in STEPS {
        let mut table = table(step);
        table.try_read(&query("select 1/0"));
        let replies = [refusal("22012"), ready(b'I')].concat();
        assert_eq!(table.server(&replies), replies, "step {step}");
        assert!(!table.routed().is_on_trial());
    }
}

#[test]
fn the_word_of_a_primary_is_the_last_one_unless_it_is_going_down() {
    for code in ["25006", "40001", "42P01"] {
        let mut table = table(1000);
        table.routed().begin(Place::Primary);
        table.try_read(&query("select 1"));
        let replies = [refusal(code), ready(b'I')].concat();
        assert_eq!(table.server(&replies), replies);
    }
    let mut table = table(1000);
    table.routed().begin(Place::Primary);
    table.try_read(&query("select 1"));
    assert_eq!(table.server(&refusal("57P01")), b"");
    assert!(table.routed().may_run_again());
}

#[test]
fn an_error_behind_a_row_is_the_answer_whatever_it_says() {
    for step in STEPS {
        let mut table = table(step);
        table.try_read(&query("select 1"));
        let replies = [columns(), row(), refusal("40001"), ready(b'I')].concat();
        assert_eq!(table.server(&replies), replies, "step {step}");
    }
}

#[test]
fn what_is_refused_behind_a_row_is_remembered() {
    for (code, expected) in [("25006", true), ("40001", false)] {
        let mut table = table(1000);
        let read = query("select f()");
        table.try_read(&read);
        table.server(&[columns(), row(), refusal(code), ready(b'I')].concat());
        let late = table.routed().take_refused_late();
        assert_eq!(late.as_deref(), expected.then_some(&read[..]), "{code}");
    }
}

#[test]
fn of_several_reads_only_those_run_again_that_have_no_answer() {
    for step in STEPS {
        let mut table = table(step);
        let (first, second) = (query("select 1"), query("select 2"));
        let third = query("select 3");
        for read in [&first, &second, &third] {
            table.try_read(read);
        }
        let answer = [columns(), row(), done("SELECT 1"), ready(b'I')].concat();
        let rest = [columns(), refusal("40001"), ready(b'I')].concat();
        let other = [columns(), row(), done("SELECT 1"), ready(b'I')].concat();
        let told = table.server(&[answer.clone(), rest, other].concat());
        assert_eq!(told, answer, "step {step}");
        assert_eq!(table.taken_back(b""), [second, third].concat());
    }
}

#[test]
fn several_statements_run_again_although_one_of_them_had_rows() {
    for step in STEPS {
        let mut table = table(step);
        let both = query("select 1; select * from view_that_writes");
        assert!(table.client.grant_on_trial(&both, Until::End));
        assert_eq!(table.ask(&both), Ok(FromClient::Drained));
        let replies = [
            columns(),
            row(),
            done("SELECT 1"),
            refusal("25006"),
            ready(b'I'),
        ];
        assert_eq!(table.server(&replies.concat()), b"", "step {step}");
        assert_eq!(table.taken_back(b""), both);
        table.fresh_server();
        table.routed().begin(Place::Replica);
        assert!(table.client.grant_on_trial(&both, Until::End));
        assert_eq!(table.ask(&both), Ok(FromClient::Drained));
        let one = [columns(), row(), done("SELECT 1")].concat();
        let replies = [one.clone(), one, ready(b'I')].concat();
        assert_eq!(table.server(&replies), replies, "step {step}");
    }
}

#[test]
fn several_statements_with_much_to_say_are_not_held_to_their_end() {
    let mut table = table(1000);
    let both = query("select 1; select 2");
    assert!(table.client.grant_on_trial(&both, Until::End));
    assert_eq!(table.ask(&both), Ok(FromClient::Drained));
    let rows = [columns(), row().repeat(MAX_HELD / row().len() + 1)].concat();
    assert_eq!(table.server(&rows), rows);
    let rest = [refusal("25006"), ready(b'I')].concat();
    assert_eq!(table.server(&rest), rest);
}

#[test]
fn what_had_not_gone_when_a_read_was_refused_is_not_there_twice() {
    let mut table = table(1000);
    let (first, second) = (query("select 1"), query("select 2"));
    for read in [&first, &second] {
        assert!(table.client.grant_on_trial(read, Until::Row));
    }
    assert_eq!(table.ask(&first), Ok(FromClient::Drained));
    assert_eq!(table.server(&[refusal("25006"), ready(b'I')].concat()), b"");
    assert_eq!(table.taken_back(&second), [first, second].concat());
}

#[test]
fn our_own_replies_wait_with_the_others() {
    let mut table = table(1000);
    table.prepare("s");
    // The server has the text: the second name is answered here.
    let read = [parse("t", "select 1"), bind("t"), execute(), sync()].concat();
    table.try_read(&read);
    assert_eq!(table.told(), b"");
    let refused = [refusal("40001"), ready(b'I')].concat();
    assert_eq!(table.server(&refused), b"");
    assert_eq!(table.taken_back(b""), read);
}

#[test]
fn the_unnamed_statement_of_before_is_there_again() {
    let mut table = table(1000);
    table.prepare("");
    let before = table.client.unnamed.clone();
    assert!(before.is_some());
    table.try_read(&[bind(""), execute(), sync()].concat());
    assert_eq!(table.client.unnamed, None);
    table.taken_back(b"");
    assert_eq!(table.client.unnamed, before);
}

#[test]
fn the_unnamed_statement_of_a_read_that_has_been_answered_is_there_for_the_next_one() {
    for step in STEPS {
        let mut table = table(step);
        let prepare = [parse("", "select 1"), sync()].concat();
        let read = [bind(""), execute(), sync()].concat();
        table.try_read(&prepare);
        table.try_read(&read);
        let prepared = [frame(b'1', b""), ready(b'I')].concat();
        let refused = [frame(b'2', b""), refusal("40001"), ready(b'I')].concat();
        let told = table.server(&[prepared.clone(), refused].concat());
        assert_eq!(told, prepared, "step {step}");
        assert_eq!(table.taken_back(b""), read);
        assert!(table.client.unnamed.is_some(), "step {step}");
    }
}

#[test]
fn a_name_that_was_closed_behind_a_read_is_there_when_it_runs_again() {
    for step in STEPS {
        let mut table = table(step);
        table.prepare("s");
        let read = [bind("s"), execute(), sync()].concat();
        let close = [close("s"), sync()].concat();
        table.try_read(&read);
        table.try_read(&close);
        assert!(table.client.statements.find(b"s").is_none());
        let refused = [refusal("40001"), ready(b'I'), ready(b'I')].concat();
        assert_eq!(table.server(&refused), b"", "step {step}");
        assert_eq!(table.taken_back(b""), [read, close].concat());
        assert!(table.client.statements.find(b"s").is_some(), "step {step}");
    }
}

#[test]
fn a_name_that_was_closed_before_a_read_that_runs_again_stays_closed() {
    let mut table = table(1000);
    table.prepare("s");
    table.try_read(&[close("s"), sync()].concat());
    table.try_read(&query("select 1"));
    let told = table.server(&[ready(b'I'), refusal("40001"), ready(b'I')].concat());
    assert_eq!(told, [frame(b'3', b""), ready(b'I')].concat());
    table.taken_back(b"");
    assert!(table.client.statements.find(b"s").is_none());
}

#[test]
fn a_name_in_use_that_a_read_prepares_again_still_means_what_it_did() {
    let mut table = table(1000);
    table.prepare("s");
    let again = [parse("s", "select 2"), bind("s"), execute(), sync()].concat();
    table.try_read(&again);
    assert!(table.routed().may_run_again());
    assert_eq!(table.taken_back(b""), again, "the server is lost");
    assert_eq!(table.client.statement_text(b"s"), Some(&b"select 1"[..]));
}

#[test]
fn a_grant_behind_a_trial_ends_it() {
    let mut table = table(1000);
    table.try_read(&query("select 1"));
    let held = columns();
    assert_eq!(table.server(&held), b"");
    let write = query("insert into t values (1)");
    table.routed().grant(write.len());
    assert_eq!(table.ask(&write), Ok(FromClient::Drained));
    let rest = [refusal("25006"), ready(b'I')].concat();
    assert_eq!(table.server(&rest), [held, rest].concat());
}

#[test]
fn more_than_can_be_held_is_passed_on() {
    let mut table = table(1000);
    table.try_read(&query("select 1"));
    let wide = frame(b'T', &vec![0; 20_000]);
    assert_eq!(table.server(&wide), wide);
    let failed = [error("late"), ready(b'I')].concat();
    assert_eq!(table.server(&failed), failed);
}

#[test]
fn a_read_that_runs_again_is_counted_where_it_is_answered() {
    use crate::queries::{Books, Host};
    use crate::session::calls::{CallTerms, Counting, LinkStart};
    for step in STEPS {
        let mut table = table(step);
        let books = Books::new(1, 7);
        let names: [std::sync::Arc<str>; 2] = ["db".into(), "u".into()];
        let now = tokio::time::Instant::now().into_std();
        let (read, next) = (query("select 1 as a"), query("select 1 as b"));
        for replies in [
            vec![done("SELECT 1"), ready(b'I'), refusal("25006"), ready(b'I')],
            vec![row(), done("SELECT 1"), ready(b'I')],
        ] {
            let start = LinkStart {
                book: (books.of(0), books.seed),
                names: (&names[0], &names[1]),
                terms: CallTerms {
                    counting: Counting::On,
                    most: 10,
                    slow_us: None,
                },
                host: Host::Replica,
            };
            table.fresh_server();
            table.server.begin_calls(&start, &table.client.params, now);
            table.routed().begin(Place::Replica);
            if replies.len() == 4 {
                table.try_read(&read);
            }
            table.try_read(&next);
            for piece in replies.concat().chunks(step) {
                table.try_server(piece).expect("in sync");
            }
            if table.routed().refused().is_some() {
                table.server.take_calls_back();
                assert_eq!(&table.taken_back(b"")[..], next);
            }
            table.server.end_calls(now);
        }
        let mut counted: Vec<_> = books.list().queries.into_iter().collect();
        counted.sort_by(|one, other| one.text.cmp(&other.text));
        let counted = counted.iter();
        let counted: Vec<_> = counted
            .map(|query| (&*query.text, query.sums.calls, query.sums.errors))
            .collect();
        let expected = [("select $1 as a", 1, 0), ("select $1 as b", 1, 0)];
        assert_eq!(counted, expected, "{step}");
    }
}
