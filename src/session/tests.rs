//! Conversations in both directions, each for every split of the input.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::client_state::{ClientError, ClientState, SimpleQuery, Tracking};
use super::from_client::{ClientBytes, FromClient, from_client};
use super::from_server::{Link, from_server, link, probe};
use super::owed::MAX_OWED;
use super::params::ParamSet;
use super::prepared::Registry;
use super::server_state::{OutOfSync, ServerState};

mod calls;
mod routed;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(
        b'P',
        &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat(),
    )
}

fn bind(name: &str) -> Vec<u8> {
    frame(b'B', &[b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat())
}

fn execute() -> Vec<u8> {
    frame(b'E', b"\0\0\0\0\0")
}

fn close(name: &str) -> Vec<u8> {
    frame(b'C', &[b"S", name.as_bytes(), b"\0"].concat())
}

fn describe(name: &str) -> Vec<u8> {
    frame(b'D', &[b"S", name.as_bytes(), b"\0"].concat())
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn ready(status: u8) -> Vec<u8> {
    frame(b'Z', &[status])
}

fn done(tag: &str) -> Vec<u8> {
    frame(b'C', &[tag.as_bytes(), b"\0"].concat())
}

fn error(text: &str) -> Vec<u8> {
    frame(
        b'E',
        &[b"SERROR\0C42P05\0M", text.as_bytes(), b"\0\0"].concat(),
    )
}

/// One client and one server with the bytes between them.
struct Table {
    client: ClientState,
    server: ServerState,
    linked: bool,
    step: usize,
    sent: BytesMut,
    told: BytesMut,
    client_input: BytesMut,
    server_input: BytesMut,
}

impl Table {
    fn new(tracking: Tracking, step: usize) -> Self {
        let registry = Arc::new(Registry::default());
        Self::with(registry, tracking, step)
    }

    fn with(registry: Arc<Registry>, tracking: Tracking, step: usize) -> Self {
        let params = Arc::new(ParamSet::new());
        Self {
            client: ClientState::new(
                Arc::clone(&params),
                registry,
                tracking,
                SimpleQuery::Allowed,
                1 << 20,
            ),
            server: ServerState::new(params),
            linked: true,
            step,
            sent: BytesMut::new(),
            told: BytesMut::new(),
            client_input: BytesMut::new(),
            server_input: BytesMut::new(),
        }
    }

    fn another_client(&mut self) {
        let registry = Arc::clone(&self.client.registry);
        let params = Arc::clone(&self.client.params);
        let tracking = self.client.tracking;
        self.client = ClientState::new(params, registry, tracking, SimpleQuery::Allowed, 1 << 20);
    }

    fn fresh_server(&mut self) {
        self.server = ServerState::new(Arc::clone(&self.client.params));
    }

    /// Feeds the client's bytes in pieces of `step`; returns what reaches the server.
    fn client(&mut self, bytes: &[u8]) -> Vec<u8> {
        for piece in bytes.chunks(self.step) {
            assert_eq!(self.ask(piece), Ok(FromClient::Drained));
        }
        if bytes.is_empty() {
            assert_eq!(self.ask(b""), Ok(FromClient::Drained));
        }
        self.sent.split().to_vec()
    }

    /// Feeds these bytes, and says what has come of them.
    fn ask(&mut self, bytes: &[u8]) -> Result<FromClient, ClientError> {
        self.client_input.put_slice(bytes);
        let server = self.linked.then_some(&mut self.server);
        from_client(
            &mut self.client,
            server,
            ClientBytes {
                input: &mut self.client_input,
                to_server: &mut self.sent,
                to_client: &mut self.told,
            },
        )
    }

    fn link(&mut self) {
        link(&mut self.client, &mut self.server, &mut self.sent);
    }

    /// What the client has been told so far.
    fn told(&mut self) -> Vec<u8> {
        self.told.split().to_vec()
    }

    /// Feeds the server's bytes in pieces of `step`; returns what reaches the client.
    fn server(&mut self, bytes: &[u8]) -> Vec<u8> {
        for piece in bytes.chunks(self.step) {
            self.try_server(piece).expect("in sync");
        }
        self.told()
    }

    fn try_server(&mut self, piece: &[u8]) -> Result<(), OutOfSync> {
        self.server_input.put_slice(piece);
        from_server(
            &mut self.client,
            &mut self.server,
            &mut self.server_input,
            &mut self.told,
        )
    }
}

const ON: Tracking = Tracking::On { limit: 2 };
const STEPS: [usize; 6] = [1, 2, 3, 5, 7, 4096];

#[test]
fn a_simple_query_passes_untouched_and_rests_at_ready() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        let asked = [query("select 1"), query("begin")].concat();
        assert_eq!(table.client(&asked), asked);
        assert!(!table.server.is_at_rest());
        let answer = [
            frame(b'T', b"\0\0"),
            frame(b'D', b"\0\0"),
            done("SELECT 1"),
            ready(b'I'),
        ]
        .concat();
        assert_eq!(table.server(&answer), answer);
        assert!(!table.server.is_at_rest(), "one more is owed");
        let second = [done("BEGIN"), ready(b'T')].concat();
        assert_eq!(table.server(&second), second);
        assert!(
            table.server.is_quiet() && !table.server.is_at_rest(),
            "in a transaction"
        );
        assert_eq!(table.client.tally.queries, 2);
        assert_eq!(table.client.tally.transactions, 1);
    }
}

#[test]
fn a_named_statement_gets_our_name_and_is_prepared_where_it_is_missing() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        let sent = table.client(&[parse("a", "select 1"), sync()].concat());
        assert_eq!(sent, [parse("PGWEIR_1", "select 1"), sync()].concat());
        let answer = [frame(b'1', b""), ready(b'I')].concat();
        assert_eq!(table.server(&answer), answer);
        assert!(table.server.is_at_rest());

        table.fresh_server();
        let sent = table.client(&[bind("a"), execute(), sync()].concat());
        let expected = [
            parse("PGWEIR_1", "select 1"),
            bind("PGWEIR_1"),
            execute(),
            sync(),
        ]
        .concat();
        assert_eq!(sent, expected);
        let rest = [frame(b'2', b""), done("SELECT 1"), ready(b'I')].concat();
        let answer = [frame(b'1', b""), rest.clone()].concat();
        assert_eq!(
            table.server(&answer),
            rest,
            "the reply to our own Parse is swallowed"
        );
        assert!(table.server.is_at_rest());
    }
}

#[test]
fn an_accepted_parse_is_answered_without_a_server() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        table.client(&[parse("a", "select 1"), sync()].concat());
        table.server(&[frame(b'1', b""), ready(b'I')].concat());
        table.another_client();
        table.linked = false;
        let sent = table.client(&[parse("b", "select 1"), sync()].concat());
        assert!(sent.is_empty());
        assert_eq!(table.told(), [frame(b'1', b""), ready(b'I')].concat());
        assert_eq!(
            table.client([close("b"), close("zz"), sync()].concat().as_slice()),
            b""
        );
        assert_eq!(
            table.told(),
            [frame(b'3', b""), frame(b'3', b""), ready(b'I')].concat()
        );
        assert!(table.client.statements.is_empty());
    }
}

#[test]
fn local_replies_keep_their_place_between_the_servers() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        table.client(&[parse("a", "select 1"), sync()].concat());
        table.server(&[frame(b'1', b""), ready(b'I')].concat());
        let sent = table.client(&[bind("a"), close("a"), execute(), sync()].concat());
        assert_eq!(sent, [bind("PGWEIR_1"), execute(), sync()].concat());
        let told = table.server(&[frame(b'2', b""), done("SELECT 1"), ready(b'I')].concat());
        let expected = [
            frame(b'2', b""),
            frame(b'3', b""),
            done("SELECT 1"),
            ready(b'I'),
        ]
        .concat();
        assert_eq!(told, expected);
    }
}

#[test]
fn an_error_takes_the_batch_with_it_and_undoes_what_it_prepared() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        table.client(&[parse("bad", "selec"), parse("b", "select 2"), sync()].concat());
        let answer = [error("syntax error"), ready(b'I')].concat();
        assert_eq!(table.server(&answer), answer);
        assert!(table.server.is_at_rest());
        assert!(table.client.statements.is_empty(), "neither was prepared");
        assert!(table.server.prepared.is_empty());
    }
}

#[test]
fn after_an_error_everything_up_to_sync_is_dropped() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        table.client(&[parse("", "selec"), frame(b'H', b"")].concat());
        assert_eq!(table.server(&error("syntax")), error("syntax"));
        assert!(!table.server.is_at_rest());
        let sent = table.client(&[bind(""), query("select 1"), execute(), sync()].concat());
        assert_eq!(sent, sync());
        assert_eq!(table.server(&ready(b'I')), ready(b'I'));
        assert!(table.server.is_at_rest());
    }
}

#[test]
fn flush_without_sync_never_rests() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "select 1"), bind(""), execute(), frame(b'H', b"")].concat());
    table.server(&[frame(b'1', b""), frame(b'2', b""), done("SELECT 1")].concat());
    assert!(table.server.owed().is_empty());
    assert!(
        !table.server.is_at_rest(),
        "the implicit transaction is still open"
    );
    table.client(&sync());
    table.server(&ready(b'I'));
    assert!(table.server.is_at_rest());
}

#[test]
fn a_second_parse_of_a_name_gets_the_servers_own_error_with_the_clients_name() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        table.client(&[parse("a", "select 1"), sync()].concat());
        table.server(&[frame(b'1', b""), ready(b'I')].concat());
        table.fresh_server();
        let sent = table.client(&[parse("a", "select 2"), sync()].concat());
        let expected = [
            parse("PGWEIR_1", "select 1"),
            parse("PGWEIR_1", "select 2"),
            sync(),
        ]
        .concat();
        assert_eq!(sent, expected);
        let told = table.server(
            &[
                frame(b'1', b""),
                error("prepared statement \"PGWEIR_1\" already exists"),
                ready(b'I'),
            ]
            .concat(),
        );
        let expected = [
            error("prepared statement \"a\" already exists"),
            ready(b'I'),
        ]
        .concat();
        assert_eq!(told, expected);
        assert_eq!(table.client.statements.len(), 1);
    }
}

#[test]
fn unknown_names_get_the_servers_error_and_guessed_names_reach_nobody() {
    let mut table = Table::new(ON, 4096);
    assert_eq!(
        table.client(&[bind("nope"), sync()].concat()),
        [bind("nope"), sync()].concat()
    );
    table.server(&[error("no"), ready(b'I')].concat());
    let sent = table.client(&[bind("PGWEIR_1"), describe("PGWEIR_77"), sync()].concat());
    assert_eq!(
        sent,
        [bind("PGWEIR_0"), describe("PGWEIR_0"), sync()].concat()
    );
}

#[test]
fn the_least_recently_used_statement_is_closed_on_the_server() {
    let mut table = Table::new(ON, 4096);
    for name in ["a", "b"] {
        table.client(&[parse(name, name), sync()].concat());
        table.server(&[frame(b'1', b""), ready(b'I')].concat());
    }
    let sent = table.client(&[parse("c", "c"), sync()].concat());
    assert_eq!(
        sent,
        [close("PGWEIR_1"), parse("PGWEIR_3", "c"), sync()].concat()
    );
    let told = table.server(&[frame(b'3', b""), frame(b'1', b""), ready(b'I')].concat());
    assert_eq!(told, [frame(b'1', b""), ready(b'I')].concat());
    assert_eq!(table.server.prepared.len(), 2);
}

#[test]
fn discard_all_forgets_every_statement_but_those_sent_behind_it() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("a", "a"), sync()].concat());
    table.server(&[frame(b'1', b""), ready(b'I')].concat());
    table.client(&[query("discard all"), parse("b", "b"), sync()].concat());
    table.server(&[done("DISCARD ALL"), ready(b'I')].concat());
    assert!(table.client.statements.find(b"a").is_none());
    assert!(table.client.statements.find(b"b").is_some());
    table.server(&[frame(b'1', b""), ready(b'I')].concat());
    assert_eq!(table.server.prepared.len(), 1);
}

#[test]
fn a_copy_in_ignores_every_sync_before_its_end() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        table.client(&[parse("", "copy"), bind(""), execute(), sync()].concat());
        table.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', b"\0\0\0")].concat());
        assert!(!table.server.is_at_rest());
        let asked = [frame(b'd', b"x\n"), sync(), frame(b'c', b""), sync()].concat();
        assert_eq!(table.client(&asked), asked);
        table.server(&[done("COPY 1"), ready(b'I')].concat());
        assert!(table.server.is_at_rest());
    }
}

#[test]
fn a_copy_sent_blindly_ends_where_its_end_was_sent() {
    let mut table = Table::new(ON, 4096);
    table.client(
        &[
            query("copy"),
            frame(b'd', b"x\n"),
            frame(b'c', b""),
            query("q"),
        ]
        .concat(),
    );
    table.server(&[frame(b'G', b"\0\0\0"), done("COPY 1"), ready(b'I')].concat());
    assert!(!table.server.is_at_rest());
    table.server(&[done("Q"), ready(b'I')].concat());
    assert!(table.server.is_at_rest());
}

#[test]
fn a_failed_copy_leaves_a_sync_in_question_and_a_probe_answers_it() {
    for answered in [false, true] {
        let mut table = Table::new(ON, 4096);
        table.client(&[parse("", "copy"), bind(""), execute(), sync()].concat());
        table.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', b"\0\0\0")].concat());
        table.client(&[frame(b'd', b"x\n"), frame(b'c', b""), sync()].concat());
        table.server(&error("bad copy"));
        table.server(&ready(b'I'));
        assert!(
            !table.server.is_at_rest(),
            "one more ReadyForQuery may come"
        );
        assert!(table.server.needs_probe());
        probe(&mut table.server, &mut table.sent);
        assert_eq!(table.sent.split().to_vec(), query(""));
        if answered {
            assert_eq!(
                table.server(&ready(b'I')),
                ready(b'I'),
                "the client's, so it gets it"
            );
        }
        assert_eq!(table.server(&[frame(b'I', b""), ready(b'I')].concat()), b"");
        assert!(table.server.is_at_rest());
    }
}

#[test]
fn late_copy_data_without_a_server_is_dropped() {
    let mut table = Table::new(ON, 3);
    table.linked = false;
    assert!(
        table
            .client(&[frame(b'd', b"late\n"), frame(b'f', b"why\0")].concat())
            .is_empty()
    );
    assert!(table.client(&frame(b'H', b"")).is_empty());
    assert!(table.told().is_empty());
}

#[test]
fn a_goodbye_waits_for_the_replies_that_are_sure_to_come() {
    let bye = frame(b'X', b"");
    let outcome = |table: &mut Table, bytes: &[u8]| {
        table.client_input.put_slice(bytes);
        let bytes = ClientBytes {
            input: &mut table.client_input,
            to_server: &mut table.sent,
            to_client: &mut table.told,
        };
        from_client(&mut table.client, Some(&mut table.server), bytes).unwrap()
    };
    let mut table = Table::new(ON, 4096);
    let asked = [query("insert"), bye.clone()].concat();
    assert_eq!(outcome(&mut table, &asked), FromClient::Wait);
    assert_eq!(table.sent.split().to_vec(), query("insert"));
    table.server(&[done("INSERT 0 1"), ready(b'I')].concat());
    assert!(table.server.is_at_rest());
    assert_eq!(outcome(&mut table, b""), FromClient::Terminated);

    // Without Sync nothing may ever come, and a copy waits for the client.
    let mut table = Table::new(ON, 4096);
    let asked = [parse("", "x"), bye.clone()].concat();
    assert_eq!(outcome(&mut table, &asked), FromClient::Terminated);
    let mut table = Table::new(ON, 4096);
    table.client(&query("copy"));
    table.server(&frame(b'G', b"\0\0\0"));
    assert_eq!(outcome(&mut table, &bye), FromClient::Terminated);
}

#[test]
fn what_follows_a_failed_copy_in_the_same_flight_waits_until_its_syncs_are_settled() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("s0", "copy"), sync()].concat());
    table.server(&[frame(b'1', b""), ready(b'I')].concat());
    table.client(&[bind("s0"), execute(), sync()].concat());
    table.server(&[frame(b'2', b""), frame(b'G', b"\0\0\0")].concat());
    let fail = [frame(b'f', b"\0"), sync()].concat();
    table
        .client_input
        .put_slice(&[fail.clone(), close("s0"), sync()].concat());
    let pump = |table: &mut Table| {
        let bytes = ClientBytes {
            input: &mut table.client_input,
            to_server: &mut table.sent,
            to_client: &mut table.told,
        };
        from_client(&mut table.client, Some(&mut table.server), bytes).unwrap()
    };
    assert_eq!(pump(&mut table), FromClient::Wait);
    assert_eq!(table.sent.split().to_vec(), fail);
    table.server(&[error("copy failed"), ready(b'I')].concat());
    assert!(table.server.needs_probe());
    probe(&mut table.server, &mut table.sent);
    assert_eq!(table.sent.split().to_vec(), query(""));
    assert_eq!(table.server(&[frame(b'I', b""), ready(b'I')].concat()), b"");
    assert_eq!(pump(&mut table), FromClient::Drained);
    assert_eq!(table.told(), frame(b'3', b""));
    assert_eq!(table.sent.split().to_vec(), sync());
}

#[test]
fn setup_is_swallowed_and_the_servers_spelling_reaches_the_client() {
    for step in STEPS {
        let mut table = Table::new(ON, step);
        let mut params = ParamSet::new();
        params.set("DateStyle", "iso");
        table.client.params = Arc::new(params.clone());
        let mut sent = BytesMut::new();
        assert_eq!(
            link(&mut table.client, &mut table.server, &mut sent),
            Link::Setup
        );
        assert_eq!(sent.to_vec(), query("SET DateStyle='iso';"));
        assert!(table.server.is_in_setup());
        let reported = frame(b'S', b"DateStyle\0ISO, MDY\0");
        let told = table.server(
            &[
                done("SET"),
                reported.clone(),
                frame(b'N', b"\0"),
                ready(b'I'),
            ]
            .concat(),
        );
        assert_eq!(told, reported, "the client believed 'iso'");
        assert!(Arc::ptr_eq(&table.client.params, &table.server.params));
        let mut sent = BytesMut::new();
        assert_eq!(
            link(&mut table.client, &mut table.server, &mut sent),
            Link::Ready
        );
    }
}

#[test]
fn a_parameter_that_is_not_reported_is_set_once_and_reset_for_others() {
    let mut table = Table::new(ON, 4096);
    let plain = Arc::clone(&table.client.params);
    let mut params = ParamSet::new();
    params.set("work_mem", "1MB");
    table.client.params = Arc::new(params);
    let mut sent = BytesMut::new();
    link(&mut table.client, &mut table.server, &mut sent);
    table.server(&[done("SET"), ready(b'I')].concat());
    assert_eq!(
        link(&mut table.client, &mut table.server, &mut sent),
        Link::Ready
    );
    table.client(&query("discard all"));
    table.server(&[done("DISCARD ALL"), ready(b'I')].concat());
    let mut sent = BytesMut::new();
    assert_eq!(
        link(&mut table.client, &mut table.server, &mut sent),
        Link::Setup,
        "set again"
    );
    table.server(&[done("SET"), ready(b'I')].concat());
    table.client.params = plain;
    let mut sent = BytesMut::new();
    assert_eq!(
        link(&mut table.client, &mut table.server, &mut sent),
        Link::Setup
    );
    assert_eq!(sent.to_vec(), query("RESET work_mem;"));
    table.server(&[done("RESET"), ready(b'I')].concat());
    assert_eq!(table.server.params.value("work_mem"), None);
}

#[test]
fn a_refused_setup_is_an_error_and_not_the_clients_reply() {
    let mut table = Table::new(ON, 4096);
    let mut params = ParamSet::new();
    params.set("TimeZone", "nowhere");
    table.client.params = Arc::new(params);
    let mut sent = BytesMut::new();
    link(&mut table.client, &mut table.server, &mut sent);
    assert_eq!(
        table.try_server(&error("invalid value")),
        Err(OutOfSync::SetupRefused)
    );
    assert!(table.told().is_empty());
}

#[test]
fn a_changed_parameter_follows_both_sides() {
    let mut table = Table::new(ON, 4096);
    table.client(&query("set timezone = 'GMT'"));
    let answer = [done("SET"), frame(b'S', b"TimeZone\0GMT\0"), ready(b'I')].concat();
    assert_eq!(table.server(&answer), answer);
    assert_eq!(table.client.params.value("timezone"), Some("GMT"));
    assert!(Arc::ptr_eq(&table.client.params, &table.server.params));
}

#[test]
fn replies_that_nobody_asked_for_are_errors() {
    for tag in [
        b'1', b'2', b'3', b'T', b'D', b'C', b'Z', b'K', b'R', b'v', b'G', b'?',
    ] {
        let mut table = Table::new(ON, 4096);
        let body: &[u8] = if tag == b'Z' { b"I" } else { b"" };
        assert!(
            table.try_server(&frame(tag, body)).is_err(),
            "{}",
            char::from(tag)
        );
    }
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "x"), sync()].concat());
    assert!(
        table.try_server(&frame(b'2', b"")).is_err(),
        "a BindComplete for a Parse"
    );
}

#[test]
fn an_error_out_of_the_blue_reaches_the_client_and_the_server_is_not_used_again() {
    let mut table = Table::new(ON, 4096);
    let bye = error("terminating connection due to administrator command");
    assert_eq!(table.server(&bye), bye);
    assert!(!table.server.is_at_rest());
    assert!(table.server.doubt().is_some());
}

#[test]
fn malformed_frames_of_a_client_are_refused() {
    let long = [&[b'Q'][..], &u32::MAX.to_be_bytes()].concat();
    let short = [&[b'Q'][..], &3u32.to_be_bytes()].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("length over 2^31", long),
        ("length under 4", short),
        ("empty Parse", frame(b'P', b"")),
        ("empty Bind", frame(b'B', b"")),
        ("empty Describe", frame(b'D', b"")),
        ("empty Close", frame(b'C', b"")),
        ("Parse with a lying count", frame(b'P', b"a\0q\0\x7f\xff")),
        ("Bind without terminator", frame(b'B', b"abc")),
        ("a password", frame(b'p', b"x\0")),
    ];
    for (what, bytes) in cases {
        let mut table = Table::new(ON, 4096);
        table.client_input.put_slice(&bytes);
        let outcome = from_client(
            &mut table.client,
            Some(&mut table.server),
            ClientBytes {
                input: &mut table.client_input,
                to_server: &mut table.sent,
                to_client: &mut table.told,
            },
        );
        assert!(outcome.is_err(), "{what}: {outcome:?}");
    }
}

#[test]
fn bytes_behind_a_frame_are_never_read_as_part_of_it() {
    // An over-long Execute that hides a Query: the frame's own length decides.
    let mut table = Table::new(Tracking::Off, 4096);
    let hidden = query("delete from t");
    let smuggle = frame(b'E', &[b"\0\0\0\0\0".as_slice(), &hidden].concat());
    assert_eq!(table.client(&smuggle), smuggle, "forwarded as one frame");
    assert_eq!(table.server.owed().len(), 1);
}

#[test]
fn a_ready_for_query_of_an_impossible_length_is_refused_by_its_header() {
    let mut table = Table::new(Tracking::Off, 4096);
    table.client(&query("x"));
    let header = [&[b'Z'][..], &0x7fff_0000_u32.to_be_bytes()].concat();
    assert_eq!(
        table.try_server(&header),
        Err(OutOfSync::Malformed { tag: b'Z' })
    );
}

#[test]
fn a_copy_whose_sync_was_ignored_leaves_its_transaction_open() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "copy"), bind(""), execute(), sync()].concat());
    table.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', b"\0\0\0")].concat());
    table.client(&[frame(b'd', b"x\n"), frame(b'c', b""), frame(b'H', b"")].concat());
    table.server(&done("COPY 1"));
    assert!(table.server.owed().is_empty());
    assert!(!table.server.is_at_rest(), "only a Sync commits it");
    table.client(&sync());
    table.server(&ready(b'I'));
    assert!(table.server.is_at_rest());
}

#[test]
fn a_client_that_leaves_inside_a_frame_leaves_no_server_at_rest() {
    for tag in [b'd', b'H'] {
        let mut table = Table::new(ON, 4096);
        let whole = frame(tag, b"0123456789");
        table.client(&whole[..8]);
        assert!(
            !table.server.is_at_rest(),
            "the next client's bytes would end that frame"
        );
        table.client(&whole[8..]);
        assert!(table.server.is_at_rest());
    }
}

#[test]
fn a_sync_inside_a_copy_that_has_failed_meanwhile_is_answered() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "copy"), bind(""), execute(), frame(b'H', b"")].concat());
    table.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', b"\0\0\0")].concat());
    let asked = [frame(b'd', b"bad\n"), sync()].concat();
    assert_eq!(
        table.client(&asked),
        asked,
        "the server may be waiting for it"
    );
    let answer = [error("bad row"), ready(b'I')].concat();
    assert_eq!(table.server(&answer), answer);
    assert!(table.server.is_at_rest());
}

/// A copy has failed that was sent with a `Sync`, and nobody knows yet who has read that.
fn failed_copy() -> Table {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "copy"), bind(""), execute(), sync()].concat());
    table.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', b"\0\0\0")].concat());
    table.server(&error("trigger says no"));
    assert!(table.server.needs_probe());
    table
}

#[test]
fn a_server_that_may_be_skipping_is_asked_and_the_client_waits() {
    for answered in [false, true] {
        let mut table = failed_copy();
        let waiting = parse("", "select 1");
        assert_eq!(table.ask(&waiting), Ok(FromClient::Wait));
        probe(&mut table.server, &mut table.sent);
        assert_eq!(table.sent.split().to_vec(), [sync(), query("")].concat());
        assert_eq!(table.ask(b""), Ok(FromClient::Wait));
        let told = table.server(&ready(b'I'));
        assert!(told.is_empty(), "it may be the answer to our Sync");
        if answered {
            assert_eq!(
                table.server(&ready(b'I')),
                ready(b'I'),
                "so one is the client's"
            );
        }
        assert!(
            table
                .server(&[frame(b'I', b""), ready(b'I')].concat())
                .is_empty()
        );
        let sent = table.client(&sync());
        if answered {
            assert_eq!(sent, [waiting, sync()].concat());
        } else {
            assert_eq!(
                sent,
                sync(),
                "what comes before the client's own Sync is ignored"
            );
        }
        let parsed: &[u8] = if answered { &frame(b'1', b"") } else { b"" };
        table.server(&[parsed, &ready(b'I')].concat());
        assert!(table.server.is_at_rest());
    }
}

#[test]
fn a_second_end_of_a_copy_does_not_keep_the_question_open() {
    let mut table = Table::new(ON, 4096);
    let ends = [frame(b'c', b""), frame(b'c', b"")].concat();
    table.client(&[query("copy"), sync(), ends].concat());
    table.server(&[frame(b'G', b"\0\0\0"), error("no"), ready(b'I')].concat());
    assert!(table.server.needs_probe());
    probe(&mut table.server, &mut table.sent);
    table.server(&[frame(b'I', b""), ready(b'I')].concat());
    assert!(table.server.is_at_rest());
}

#[test]
fn a_reply_of_ours_does_not_cut_a_frame_on_its_way_to_the_client() {
    let mut table = Table::new(ON, 4096);
    let notice = frame(b'N', b"SNOTICE\0Mhello\0\0");
    let mut told = table.server(&notice[..9]);
    table.client(&close("PGWEIR_9"));
    told.extend(table.told());
    told.extend(table.server(&notice[9..]));
    assert_eq!(told, [notice, frame(b'3', b"")].concat());
}

#[test]
fn a_name_of_a_failed_batch_means_nothing_in_the_next() {
    let mut table = Table::new(ON, 4096);
    let first = [bind("none"), parse("a", "select 1"), sync()].concat();
    table.client(&first);
    let second = [parse("a", "select 2"), bind("a"), sync()].concat();
    assert_eq!(
        table.ask(&second),
        Ok(FromClient::Wait),
        "which `a` will it be?"
    );
    table.server(&[error("no"), ready(b'I')].concat());
    let sent = table.client(b"");
    let expected = [parse("PGWEIR_2", "select 2"), bind("PGWEIR_2"), sync()].concat();
    assert_eq!(sent, expected);
}

#[test]
fn a_duplicate_is_sent_only_when_it_is_sure_to_be_one() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("a", "select 1"), sync()].concat());
    table.server(&[frame(b'1', b""), ready(b'I')].concat());
    table.client(&[query("deallocate all")].concat());
    assert_eq!(
        table.ask(&[parse("a", "select 2"), sync()].concat()),
        Ok(FromClient::Wait)
    );
    table.sent.clear();
    table.server(&[done("DEALLOCATE ALL"), ready(b'I')].concat());
    let sent = table.client(b"");
    assert_eq!(sent, [parse("PGWEIR_2", "select 2"), sync()].concat());
}

#[test]
fn a_duplicate_inside_a_batch_makes_the_server_answer_what_is_before_it() {
    let mut table = Table::new(ON, 4096);
    table.client(&parse("a", "select 1"));
    let outcome = table.ask(&parse("a", "select 2"));
    assert_eq!(outcome, Ok(FromClient::Wait));
    assert_eq!(table.sent.split().to_vec(), frame(b'H', b""));
    assert_eq!(table.ask(b""), Ok(FromClient::Wait));
    assert!(table.sent.is_empty(), "one Flush is enough");
    table.server(&frame(b'1', b""));
    assert_eq!(table.client(b""), parse("PGWEIR_1", "select 2"));
}

#[test]
fn what_deallocate_all_has_taken_is_not_given_back_by_an_error_behind_it() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("a", "select 1"), sync()].concat());
    table.server(&[frame(b'1', b""), ready(b'I')].concat());
    let batch = [
        parse("", "deallocate all"),
        bind(""),
        execute(),
        close("a"),
        bind("no"),
        sync(),
    ];
    table.client(&batch.concat());
    table.server(&[frame(b'1', b""), frame(b'2', b""), done("DEALLOCATE ALL")].concat());
    table.server(&[error("no such statement"), ready(b'I')].concat());
    assert!(table.client.statements.is_empty());
    assert!(table.server.prepared.is_empty());
}

#[test]
fn an_error_names_the_statement_as_the_client_did() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("one", "select 1"), parse("two", "select 1"), sync()].concat());
    table.server(
        &[
            frame(b'1', b""),
            frame(b'3', b""),
            frame(b'1', b""),
            ready(b'I'),
        ]
        .concat(),
    );
    for name in ["one", "two", "PGWEIR_77"] {
        let sent = table.client(&[bind(name), sync()].concat());
        let ours = if name == "PGWEIR_77" {
            "PGWEIR_0"
        } else {
            "PGWEIR_1"
        };
        assert_eq!(sent, [bind(ours), sync()].concat());
        let text = |name: &str| error(&format!("statement \"{name}\" of \"PGWEIR_12\" requires 1"));
        let told = table.server(&[text(ours), ready(b'I')].concat());
        assert_eq!(told, [text(name), ready(b'I')].concat());
    }
}

#[test]
fn an_unnamed_statement_of_another_client_is_never_used() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "select secret"), sync()].concat());
    table.server(&[frame(b'1', b""), ready(b'I')].concat());
    table.another_client();
    table.link();
    let sent = table.client(&[bind(""), sync()].concat());
    assert_eq!(sent, [close(""), bind(""), sync()].concat());
    let refused = [
        error("unnamed prepared statement does not exist"),
        ready(b'I'),
    ]
    .concat();
    let told = table.server(&[frame(b'3', b""), refused.clone()].concat());
    assert_eq!(told, refused);
}

#[test]
fn an_unnamed_statement_follows_its_client_until_it_is_bound() {
    let mut table = Table::new(ON, 4096);
    table.client(&[parse("", "select 1"), describe(""), sync()].concat());
    let described = [frame(b't', b"\0\0"), frame(b'n', b""), ready(b'I')].concat();
    table.server(&[frame(b'1', b""), described].concat());
    table.fresh_server();
    table.link();
    let sent = table.client(&[bind(""), execute(), sync()].concat());
    assert_eq!(
        sent,
        [parse("", "select 1"), bind(""), execute(), sync()].concat()
    );
    let answer = [frame(b'2', b""), done("SELECT 1"), ready(b'I')].concat();
    assert_eq!(
        table.server(&[frame(b'1', b""), answer.clone()].concat()),
        answer
    );
    assert!(table.server.is_at_rest());
}

/// A client with one parameter that servers do not report is lent the server.
fn lend_with(table: &mut Table, value: Option<&str>) -> Vec<u8> {
    let mut params = ParamSet::new();
    if let Some(value) = value {
        params.set("search_path", value);
    }
    table.another_client();
    table.client.params = Arc::new(params);
    table.link();
    let sent = table.sent.split().to_vec();
    if !sent.is_empty() {
        table.server(&[done("SET"), ready(b'I')].concat());
    }
    sent
}

#[test]
fn an_unreported_parameter_of_one_client_never_becomes_anothers() {
    let mut table = Table::new(ON, 4096);
    lend_with(&mut table, Some("a"));
    let sent = lend_with(&mut table, Some("b"));
    assert!(String::from_utf8_lossy(&sent).contains("'b'"));
    assert_eq!(table.client.params.value("search_path"), Some("b"));
    assert_eq!(table.server.params.value("search_path"), Some("b"));
    let sent = lend_with(&mut table, None);
    assert_eq!(sent, query("RESET search_path;"));
}

#[test]
fn a_parameter_that_may_have_been_changed_is_set_or_reset_for_whoever_comes() {
    for tag in ["RESET", "SET", "DISCARD ALL"] {
        for next in [Some("a"), None] {
            let mut table = Table::new(ON, 4096);
            lend_with(&mut table, Some("a"));
            table.client(&query("some setting"));
            table.server(&[done(tag), ready(b'I')].concat());
            assert_eq!(table.client.params.value("search_path"), Some("a"));
            assert!(!lend_with(&mut table, next).is_empty(), "{tag} {next:?}");
            assert_eq!(table.client.params.value("search_path"), next);
        }
    }
}

#[test]
fn a_parameter_that_is_not_text_keeps_the_server_with_its_client() {
    let mut table = Table::new(ON, 4096);
    table.client(&query("set search_path"));
    let answer = [
        done("SET"),
        frame(b'S', b"search_path\0caf\xe9\0"),
        ready(b'I'),
    ]
    .concat();
    assert_eq!(table.server(&answer), answer);
    assert!(!table.server.is_at_rest());
}

#[test]
fn a_query_is_not_over_before_it_has_been_answered() {
    let mut table = Table::new(ON, 4096);
    table.client(&query("select 1"));
    assert!(
        table.try_server(&ready(b'I')).is_err(),
        "whose ReadyForQuery was it?"
    );
}

#[test]
fn a_client_that_does_not_wait_for_a_busy_server_is_held_back() {
    let mut table = Table::new(ON, 1 << 20);
    table.client(&query("select pg_sleep(60)"));
    let flood = close("PGWEIR_1").repeat(2 * MAX_OWED);
    assert_eq!(table.ask(&flood), Ok(FromClient::Wait));
    assert_eq!(table.server.owed().len(), MAX_OWED);
    table.server(&[done("SELECT 1"), ready(b'I')].concat());
    assert_eq!(table.ask(b""), Ok(FromClient::Drained));
}
