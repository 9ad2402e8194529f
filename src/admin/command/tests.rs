use super::*;

fn admin(text: &str) -> Result<Command, String> {
    parse(text.as_bytes(), Role::Admin).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    admin(text).expect_err(text)
}

#[test]
fn every_command_is_understood() {
    let bench = || Scope::Database("bench".to_owned());
    let set = |key: &str, value: &str| Command::Set {
        key: key.into(),
        value: value.into(),
    };
    let version = Command::Show(Show::Version);
    for (text, expected) in [
        ("select version", version.clone()),
        ("SHOW \"version\"", version.clone()),
        ("\"SHOW\" VERSION", version.clone()),
        ("\r\n show\tversion \n;\n", version.clone()),
        ("show\rversion", version.clone()),
        ("show clients ;", Command::Show(Show::Clients)),
        ("show  HELP ;", Command::Show(Show::Help)),
        ("reset queries;", Command::ResetQueries),
        ("Show QUERIES;", Command::ShowQueries(QueryView::default())),
        ("reload", Command::Reload),
        ("pause", Command::Pause(Scope::All)),
        ("pause ;", Command::Pause(Scope::All)),
        ("pause; ", Command::Pause(Scope::All)),
        ("pause \"\"", Command::Pause(Scope::All)),
        ("pause \"bench\"", Command::Pause(bench())),
        (
            "pause \"a\"\"b c\"",
            Command::Pause(Scope::Database("a\"b c".to_owned())),
        ),
        ("RESUME bench", Command::Resume(bench())),
        ("disable bench", Command::Disable("bench".to_owned())),
        ("enable bench;", Command::Enable("bench".to_owned())),
        ("reconnect", Command::Reconnect(Scope::All)),
        ("Wait_Close bench", Command::WaitClose(bench())),
        ("kill", Command::Kill(Scope::All)),
        ("kill_client 07", Command::KillClient(ConnId(7))),
        ("kill_client \"99\"", Command::KillClient(ConnId(99))),
        (
            "kill_client 99999999999999999999",
            Command::KillClient(ConnId(u64::MAX)),
        ),
        ("shutdown", Command::Shutdown(ShutdownMode::Immediate)),
        (
            "SHUTDOWN wait_for_servers;",
            Command::Shutdown(ShutdownMode::WaitForServers),
        ),
        (
            "SHUTDOWN \"WAIT_FOR_CLIENTS\"",
            Command::Shutdown(ShutdownMode::WaitForClients),
        ),
        ("set verbose=1", set("verbose", "1")),
        ("SET verbose TO 0;", set("verbose", "0")),
        ("set verbose to'0'", set("verbose", "0")),
        ("set \"verbose\"=\"0\"", set("verbose", "0")),
        ("set verbose= '0' ;", set("verbose", "0")),
        ("set verbose = ''", set("verbose", "")),
        ("set verbose toabc", set("verbose", "abc")),
        ("set Pool_Mode = session", set("Pool_Mode", "session")),
        ("set q = 'select ''1'''", set("q", "select '1'")),
        ("set DateStyle = iso", Command::SetIgnored),
        ("set extra_float_digits to 3", Command::SetIgnored),
    ] {
        assert_eq!(admin(text), Ok(expected), "{text}");
    }
}

const MALFORMED: &[&str] = &[
    "",
    ";",
    ";;",
    " ",
    "foo",
    "show",
    "show foo",
    "SHOW foo bar",
    "show clients;;",
    "select 1",
    "SELECT 1;",
    "select version()",
    "show ver\"s\"ion",
    "show version version",
    "select clients; select clients",
    "-- c\nshow version",
    "/* x */ show version",
    "show fds",
    "suspend",
    "reload x",
    "kill_client -1",
    "set",
    "set x",
    "set x y",
    "set verbose =",
    "set verbose = 0 0",
    "set verbose 0",
    "set verbose = 0 ; ;",
    "set verbose = ;",
    "set verbose = -1",
    "set verbose = 1.5",
    "set verbose = '0",
    "set verbose = E'0'",
    "set verbose = 'a''",
    "\"set\" verbose = 0",
    "set\"verbose\"to\"0\"",
    "show server_version",
    "show transaction isolation level",
    "show max_client_conn",
    "set names utf8",
    "set datestyle to iso, mdy",
    "SET LOCAL x = 1",
    "begin",
    "shutdown foo",
    "shutdown wait_for_servers x",
    "shutdown \"\"x",
    "help",
    "discard all",
    "pause a b",
    "reset",
    "reset pools",
    "reset queries now",
    "show queries order",
    "show queries limit 5;;",
    "kill_client 1 2",
    "show \"pools",
    "show 'pools'",
    "show pools -- x",
    "pause bench-x",
    "pause bench.x",
    "pause b\u{e9}",
    "show pool$",
    "pause 'bench'",
    "\"",
    "pause\"bench\"",
    "show\u{b}version",
    "show \"ver\"\"sion\"",
    "show \"\"",
    "\"\" version",
];

#[test]
fn anything_else_is_repeated_in_the_error() {
    for text in MALFORMED {
        assert_eq!(
            refusal(text),
            format!("invalid command '{text}', use SHOW HELP;")
        );
    }
}

#[test]
fn arguments_are_checked_last() {
    for (text, expected) in [
        ("disable", "a database is required"),
        ("enable \"\"", "a database is required"),
        ("kill_client", "invalid client pointer supplied"),
        ("kill_client abc", "invalid client pointer supplied"),
        ("kill_client \"\"", "invalid client pointer supplied"),
        ("kill_client _9", "invalid client pointer supplied"),
        ("set \"\" = 0", "bad arguments"),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
        if text != "set \"\" = 0" {
            assert_eq!(
                parse(text.as_bytes(), Role::Stats),
                Err(CommandError::AdminNeeded)
            );
        }
    }
}

#[test]
fn words_are_limited_as_typed() {
    let word = |length: usize| "a".repeat(length);
    for (text, fits) in [
        (word(COMMAND_MAX), true),
        (word(COMMAND_MAX + 1), false),
        (format!("\"{}\" x", word(COMMAND_MAX - 2)), true),
        (format!("\"{}\" x", word(COMMAND_MAX - 1)), false),
        (format!("pause {}", word(ARGUMENT_MAX)), true),
        (format!("pause {}", word(ARGUMENT_MAX + 1)), false),
        (format!("pause \"{}\"", word(ARGUMENT_MAX - 1)), false),
        (format!("show {}", word(70)), false),
        (format!("set {} = 1", word(ARGUMENT_MAX)), true),
        (format!("set {} = 1", word(ARGUMENT_MAX + 1)), false),
        (format!("set x = '{}'", word(VALUE_MAX - 2)), true),
        (format!("set x = '{}'", word(VALUE_MAX - 1)), false),
    ] {
        let is_refused = admin(&text) == Err("bad arguments".to_owned());
        assert_eq!(is_refused, !fits, "{text}");
    }
}

#[test]
fn a_stats_user_may_only_look() {
    for text in [
        "reload",
        "pause",
        "pause nodb",
        "resume",
        "disable x",
        "enable x",
        "reconnect",
        "wait_close",
        "kill nodb",
        "kill_client 3",
        "shutdown",
        "shutdown wait_for_clients",
        "set verbose=1",
        "reset queries",
    ] {
        assert_eq!(
            parse(text.as_bytes(), Role::Stats),
            Err(CommandError::AdminNeeded),
            "{text}"
        );
    }
    for (word, show) in Show::ALL {
        let text = format!("show {word}");
        assert_eq!(parse(text.as_bytes(), Role::Stats), Ok(Command::Show(show)));
    }
    for text in ["set client_encoding=x", "show timezone", "show queries"] {
        assert!(parse(text.as_bytes(), Role::Stats).is_ok(), "{text}");
    }
    for text in ["foo", "reload x", "shutdown foo", "suspend"] {
        let outcome = parse(text.as_bytes(), Role::Stats);
        assert!(matches!(outcome, Err(CommandError::Invalid(_))), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_survived() {
    let text = b"pause \"\xff\"";
    let expected = Scope::Database("\u{fffd}".to_owned());
    assert_eq!(parse(text, Role::Admin), Ok(Command::Pause(expected)));
    assert!(matches!(
        parse(b"\xff", Role::Admin),
        Err(CommandError::Invalid(_))
    ));
}

#[test]
fn a_long_text_is_not_repeated_in_full() {
    let message = refusal(&"foo-".repeat(10_000));
    assert!(message.len() < 2 * ECHO_MAX, "{} bytes", message.len());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text: Vec<u8>) {
        let _ignored = parse(&text, Role::Admin);
    }

    #[test]
    fn no_likely_text_makes_the_parser_panic(text in "(set|pause|show)?[ \"'=;a-z_]{0,40}") {
        let _ignored = parse(text.as_bytes(), Role::Admin);
    }
}
