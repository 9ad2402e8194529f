use super::*;
use crate::admin::command::Show;
use crate::admin::fixture::{FakeHost, read_replies};
use crate::admin::run::run;

type Frame = (u8, Vec<u8>);

/// A conversation with a host that does everything at once.
struct Talk {
    console: Console,
    host: FakeHost,
    last: Step,
}

impl Talk {
    fn new(role: Role) -> Self {
        let host = FakeHost::default();
        host.released.notify_one();
        Self {
            console: Console::new(role),
            host,
            last: Step::Continue,
        }
    }

    /// Feeds the frames and gives the replies.
    async fn say(&mut self, frames: &[Frame]) -> Vec<String> {
        let mut out = BytesMut::new();
        for (tag, body) in frames {
            let mut step = self.console.feed(*tag, body, &mut out);
            self.last = loop {
                step = match step {
                    Step::Run(command) => {
                        let outcome = run(&command, &self.host).await;
                        self.console.finish(outcome, &mut out)
                    }
                    Step::Rows => self.console.rows(&mut out),
                    last @ (Step::Continue | Step::Close) => break last,
                };
            };
        }
        read_replies(&out)
    }

    async fn query(&mut self, text: &str) -> Vec<String> {
        self.say(&[(b'Q', format!("{text}\0").into_bytes())]).await
    }
}

fn parse(name: &str, text: &str) -> Frame {
    (b'P', format!("{name}\0{text}\0\0\0").into_bytes())
}

fn bind(portal: &str, statement: &str, formats: &[u8]) -> Frame {
    let mut body = format!("{portal}\0{statement}\0\0\0\0\0").into_bytes();
    body.extend([0, u8::try_from(formats.len()).unwrap()]);
    body.extend(formats.iter().flat_map(|format| [0, *format]));
    (b'B', body)
}

fn describe(what: &str) -> Frame {
    (b'D', format!("{what}\0").into_bytes())
}

fn close(what: &str) -> Frame {
    (b'C', format!("{what}\0").into_bytes())
}

fn execute(portal: &str, rows: u8) -> Frame {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend([0, 0, 0, rows]);
    (b'E', body)
}

fn sync() -> Frame {
    (b'S', Vec::new())
}

#[tokio::test]
async fn simple_queries_are_answered_as_by_pgbouncer() {
    let mut talk = Talk::new(Role::Admin);
    for (text, expected) in [
        (
            "show state",
            &[
                "T key:text value:text",
                "D active|no",
                "D paused|yes",
                "C SHOW",
            ][..],
        ),
        (
            "show client_encoding",
            &["T client_encoding:text", "D UTF-8", "C SHOW"],
        ),
        ("SHOW TimeZone;", &["T timezone:text", "D GMT", "C SHOW"]),
        (
            "set extra_float_digits = 3",
            &["N NOTICE 00000 SET ignored", "C SET"],
        ),
        ("set verbose = '0'", &["C SET verbose=0"]),
        ("pause bench", &["C PAUSE"]),
        ("resume", &["C RESUME"]),
        ("disable bench", &["C DISABLE"]),
        ("enable bench", &["C ENABLE"]),
        ("reconnect", &["C RECONNECT"]),
        ("wait_close bench", &["C WAIT_CLOSE"]),
        ("kill bench", &["C KILL"]),
        ("kill_client 7", &["C KILL_CLIENT"]),
        ("shutdown wait_for_clients", &["C SHUTDOWN"]),
        ("kill nodb", &["E ERROR 08P01 no such database: nodb"]),
        (
            "reload",
            &["E ERROR F0000 RELOAD failed, see logs for additional details"],
        ),
        ("", &["E ERROR 08P01 invalid command '', use SHOW HELP;"]),
        (";", &["E ERROR 08P01 invalid command ';', use SHOW HELP;"]),
    ] {
        let mut replies = talk.query(text).await;
        assert_eq!(replies.pop().as_deref(), Some("Z I"), "{text}");
        assert_eq!(replies, expected, "{text}");
        assert_eq!(talk.last, Step::Continue);
    }
    let expected = [
        "set verbose to 0",
        "pause bench",
        "resume",
        "disable bench",
        "enable bench",
        "reconnect",
        "wait_close bench",
        "kill bench",
        "kill_client 7",
        "shutdown WaitForClients",
    ];
    assert_eq!(*talk.host.journal.borrow(), expected);
}

#[tokio::test]
async fn help_is_a_notice() {
    let replies = Talk::new(Role::Stats).query("show help").await;
    assert!(replies[0].starts_with("N NOTICE 00000 Console usage \n\tSHOW HELP|CONFIG|"));
    assert!(replies[0].contains("\n\tWAIT_CLOSE [<db>]\n\tSHOW QUERIES "));
    assert!(replies[0].ends_with("\n\tRESET QUERIES"));
    assert_eq!(replies[1..], ["C SHOW", "Z I"]);
}

#[tokio::test]
async fn an_immediate_shutdown_says_nothing() {
    let mut talk = Talk::new(Role::Admin);
    assert_eq!(talk.query("shutdown").await, [""; 0]);
    assert_eq!(talk.last, Step::Close);
}

#[tokio::test]
async fn a_stats_user_is_refused_in_both_protocols() {
    let mut talk = Talk::new(Role::Stats);
    for text in [
        "kill_client 3",
        "reload",
        "pause nodb",
        "set verbose=1",
        "shutdown",
    ] {
        let refusal = "E ERROR 08P01 admin access needed";
        assert_eq!(talk.query(text).await, [refusal, "Z I"], "{text}");
        assert_eq!(
            talk.console.take_refusal().as_deref(),
            Some("admin access needed")
        );
        let frames = [parse("", text), bind("", "", &[]), execute("", 0), sync()];
        assert_eq!(talk.say(&frames).await, [refusal, "Z I"], "{text}");
    }
    assert!(talk.host.journal.borrow().is_empty());
    assert_eq!(talk.query("show state").await.len(), 5);
}

#[tokio::test]
async fn the_extended_protocol_describes_and_executes() {
    let mut talk = Talk::new(Role::Admin);
    let frames = [
        parse("s1", "SHOW peers"),
        describe("Ss1"),
        (b'H', Vec::new()),
        bind("", "s1", &[0, 1, 0, 1]),
        describe("P"),
        execute("", 0),
        sync(),
    ];
    let expected = [
        "1",
        r"t \x00\x00",
        "T peer_id:int4 host:text port:int4 pool_size:int4",
        "2",
        "T peer_id:int4 host:text:binary port:int4 pool_size:int4:binary",
        r"D 1|127.0.0.1|6432|\x00\x00\x00\x02",
        "C SHOW",
        "Z I",
    ];
    assert_eq!(talk.say(&frames).await, expected);
    // The statement lives on, and may be executed again with other formats.
    let frames = [
        bind("p", "s1", &[1]),
        execute("p", 0),
        close("Pp"),
        close("Ss1"),
        sync(),
    ];
    let row = r"D \x00\x00\x00\x01|127.0.0.1|\x00\x00\x19 |\x00\x00\x00\x02";
    assert_eq!(
        talk.say(&frames).await,
        ["2", row, "C SHOW", "3", "3", "Z I"]
    );
    let gone = r#"E ERROR 26000 prepared statement "s1" does not exist"#;
    assert_eq!(talk.say(&[describe("Ss1"), sync()]).await, [gone, "Z I"]);
}

#[tokio::test]
async fn commands_without_rows_have_no_description() {
    let mut talk = Talk::new(Role::Admin);
    for (text, tag) in [
        ("pause bench", "C PAUSE"),
        ("SET verbose = 1", "C SET verbose=1"),
        ("kill_client 5", "C KILL_CLIENT"),
    ] {
        let frames = [
            parse("", text),
            describe("S"),
            bind("", "", &[1]),
            describe("P"),
            execute("", 0),
            sync(),
        ];
        let replies = talk.say(&frames).await;
        assert_eq!(
            replies,
            ["1", r"t \x00\x00", "n", "2", "n", tag, "Z I"],
            "{text}"
        );
    }
    let frames = [
        parse("", "show help"),
        bind("", "", &[]),
        describe("P"),
        execute("", 0),
    ];
    let replies = talk.say(&frames).await;
    assert_eq!(replies[..3], ["1", "2", "n"]);
    assert_eq!(replies[4], "C SHOW");
}

#[tokio::test]
async fn an_empty_statement_is_a_ping() {
    let mut talk = Talk::new(Role::Stats);
    for text in ["", " ;\n"] {
        let frames = [
            parse("", text),
            bind("", "", &[]),
            describe("P"),
            execute("", 0),
            sync(),
        ];
        assert_eq!(talk.say(&frames).await, ["1", "2", "n", "I", "Z I"]);
    }
}

#[tokio::test]
async fn rows_come_in_portions_when_asked_for() {
    let mut talk = Talk::new(Role::Admin);
    let frames = [
        parse("", "show lists"),
        bind("p", "", &[]),
        execute("p", 9),
        execute("p", 5),
    ];
    let replies = talk.say(&frames).await;
    assert_eq!(replies[2], "D databases|4");
    assert_eq!(replies[11], "s");
    assert_eq!(replies[12], "D used_servers|0");
    // All fourteen rows are out; like PostgreSQL, the portal notices with the next call.
    assert_eq!(replies[17..], ["s"]);
    let frames = [execute("p", 5), execute("p", 0), sync()];
    assert_eq!(talk.say(&frames).await, ["C SHOW", "C SHOW", "Z I"]);
    // Sync ends the transaction, and the portal with it.
    let gone = r#"E ERROR 34000 portal "p" does not exist"#;
    assert_eq!(talk.say(&[execute("p", 0), sync()]).await, [gone, "Z I"]);
}

#[tokio::test]
async fn an_action_runs_once_for_each_bind() {
    let mut talk = Talk::new(Role::Admin);
    let frames = [
        parse("", "reconnect"),
        bind("p", "", &[]),
        execute("p", 0),
        execute("p", 0),
        sync(),
    ];
    let refused = r#"E ERROR 55000 portal "p" cannot be run"#;
    assert_eq!(
        talk.say(&frames).await,
        ["1", "2", "C RECONNECT", refused, "Z I"]
    );
    assert_eq!(*talk.host.journal.borrow(), ["reconnect"]);
}

#[tokio::test]
async fn after_an_error_everything_is_skipped_until_sync() {
    let mut talk = Talk::new(Role::Admin);
    let unknown = "E ERROR 08P01 invalid command 'select 1', use SHOW HELP;";
    let frames = [
        parse("s", "select 1"),
        bind("", "s", &[]),
        (b'Q', b"reconnect\0".to_vec()),
        (b'z', Vec::new()),
        sync(),
        sync(),
    ];
    assert_eq!(talk.say(&frames).await, [unknown, "Z I", "Z I"]);
    assert!(talk.host.journal.borrow().is_empty());
    let frames = [
        parse("", "kill nodb"),
        bind("", "", &[]),
        execute("", 0),
        execute("", 0),
        sync(),
    ];
    let failed = "E ERROR 08P01 no such database: nodb";
    assert_eq!(talk.say(&frames).await, ["1", "2", failed, "Z I"]);
    let frames = [
        parse("", "kill nodb"),
        bind("", "", &[]),
        execute("", 0),
        (b'X', Vec::new()),
    ];
    assert_eq!(talk.say(&frames).await, ["1", "2", failed]);
    assert_eq!(talk.last, Step::Close);
}

#[tokio::test]
async fn misuse_of_the_extended_protocol_is_an_error() {
    let bytes = |text: &str| text.as_bytes().to_vec();
    for (frames, expected) in [
        (
            vec![parse("s", "show state"), parse("s", "show state")],
            r#"42P05 prepared statement "s" already exists"#,
        ),
        (
            vec![
                parse("", "show state"),
                bind("p", "", &[]),
                bind("p", "", &[]),
            ],
            r#"42P03 cursor "p" already exists"#,
        ),
        (
            vec![bind("", "", &[])],
            r#"26000 prepared statement "" does not exist"#,
        ),
        (vec![describe("Px")], r#"34000 portal "x" does not exist"#),
        (
            vec![parse("", "show state"), bind("", "", &[0, 0, 0])],
            "08P01 bind message has 3 result formats but query has 2 columns",
        ),
        (
            vec![(b'P', bytes("\0show state\0\0\u{1}\0\0\0\u{17}"))],
            "0A000 the admin console takes no parameters, the statement declares 1",
        ),
        (
            vec![
                parse("", "show state"),
                (b'B', bytes("\0\0\0\0\0\u{1}\0\0\0\u{1}x\0\0")),
            ],
            "08P01 bind message supplies 1 parameters, but a statement of the console requires 0",
        ),
        (
            vec![parse(&"n".repeat(NAME_MAX + 1), "show state")],
            "54000 name of 256 bytes is too long, the limit is 255",
        ),
    ] {
        let replies = Talk::new(Role::Admin).say(&frames).await;
        assert_eq!(replies.last(), Some(&format!("E ERROR {expected}")));
    }
}

#[tokio::test]
async fn statements_and_portals_are_bounded() {
    let mut talk = Talk::new(Role::Admin);
    let many: Vec<_> = (0..=STATEMENTS_MAX)
        .map(|n| parse(&n.to_string(), "show state"))
        .collect();
    let replies = talk.say(&many).await;
    let limit = "E ERROR 54000 too many prepared statements, the limit is 256";
    assert_eq!(
        (replies.len(), replies.last().map(String::as_str)),
        (257, Some(limit))
    );
    talk.say(&[sync()]).await;
    let many: Vec<_> = (0..=PORTALS_MAX)
        .map(|n| bind(&n.to_string(), "0", &[]))
        .collect();
    let replies = talk.say(&many).await;
    let limit = "E ERROR 54000 too many portals, the limit is 16";
    assert_eq!(
        (replies.len(), replies.last().map(String::as_str)),
        (17, Some(limit))
    );
}

#[tokio::test]
async fn a_query_forgets_the_unnamed_statement() {
    let mut talk = Talk::new(Role::Admin);
    talk.say(&[parse("", "show state"), parse("named", "show state")])
        .await;
    talk.query("show state").await;
    let gone = r#"E ERROR 26000 prepared statement "" does not exist"#;
    assert_eq!(talk.say(&[bind("", "", &[]), sync()]).await, [gone, "Z I"]);
    assert_eq!(
        talk.say(&[bind("", "named", &[]), sync()]).await,
        ["2", "Z I"]
    );
}

#[tokio::test]
async fn frames_that_are_no_messages_end_the_conversation() {
    for (tag, body, expected) in [
        (b'Q', &b"show version"[..], "incomplete query"),
        (b'Q', b"", "incomplete query"),
        (b'B', b"", "failed to parse packet"),
        (b'D', b"", "failed to parse packet"),
        (b'E', b"\0", "failed to parse packet"),
        (b'S', b"x", "failed to parse packet"),
        (b'p', b"secret\0", "unknown pkt"),
        (b'z', b"", "unknown pkt"),
    ] {
        let mut talk = Talk::new(Role::Admin);
        let replies = talk.say(&[(tag, body.to_vec())]).await;
        assert_eq!(
            replies,
            [format!("E FATAL 08P01 {expected}")],
            "{}",
            char::from(tag)
        );
        assert_eq!(talk.last, Step::Close);
    }
}

#[tokio::test]
async fn stray_messages_are_taken_as_pgbouncer_takes_them() {
    let mut talk = Talk::new(Role::Admin);
    let strays = [
        (b'd', b"x".to_vec()),
        (b'c', Vec::new()),
        (b'f', b"x\0".to_vec()),
    ];
    assert_eq!(talk.say(&strays).await, [""; 0]);
    let function = "E ERROR 08P01 unsupported packet type for admin console: 70";
    assert_eq!(talk.say(&[(b'F', Vec::new())]).await, [function, "Z I"]);
    assert_eq!(talk.query("show version\0 and the rest").await.len(), 4);
}

#[test]
fn long_tables_come_in_batches() {
    let mut console = Console::new(Role::Stats);
    let mut out = BytesMut::new();
    let step = console.feed(b'Q', b"show lists\0", &mut out);
    assert_eq!(step, Step::Run(Command::Show(Show::Lists)));
    let rows = vec![("x", 1); 2 * BATCH + 1];
    let columns = crate::admin::rows::lists::LIST_COLUMNS;
    let table = Box::new(crate::admin::table::Sheet { columns, rows });
    assert_eq!(
        console.finish(Ok(Answer::Rows(table)), &mut out),
        Step::Rows
    );
    let mut batches = Vec::new();
    let mut step = Step::Rows;
    while step == Step::Rows {
        out.clear();
        step = console.rows(&mut out);
        batches.push(
            read_replies(&out)
                .iter()
                .filter(|line| line.starts_with('D'))
                .count(),
        );
    }
    assert_eq!(batches, [BATCH, BATCH, 1]);
}

proptest::proptest! {
    #[test]
    fn no_frames_make_the_console_panic(
        frames: Vec<(proptest::sample::Index, Vec<u8>)>,
    ) {
        let mut console = Console::new(Role::Admin);
        let mut out = BytesMut::new();
        for (tag, body) in frames {
            let tags = b"QPBDECHSXdcfFpz";
            let mut step = console.feed(tags[tag.index(tags.len())], &body, &mut out);
            while let Step::Run(_) = step {
                step = console.finish(Ok(Answer::Done), &mut out);
            }
            if step == Step::Close {
                break;
            }
        }
        read_replies(&out);
    }
}
