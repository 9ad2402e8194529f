use super::*;
use proptest::prelude::*;

const COUNT: Kind = Kind::Int { min: 0, max: 1000 };

#[test]
fn numbers_are_read_as_by_strtol() {
    for (raw, expected) in [
        ("0", Some(0)),
        ("10", Some(10)),
        ("+5", Some(5)),
        ("-3", Some(-3)),
        ("010", Some(8)),
        ("0777", Some(511)),
        ("0x1F", Some(31)),
        ("0Xff", Some(255)),
        ("-0x10", Some(-16)),
        ("", None),
        ("-", None),
        ("+-5", None),
        ("--5", None),
        ("0x", None),
        ("0x-5", None),
        ("08", None),
        ("5x", None),
        ("1.5", None),
        ("1 0", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(integer(raw).ok(), expected, "{raw:?}");
    }
}

#[test]
fn booleans_are_numbers_or_words() {
    for (raw, expected) in [
        ("0", Some(false)),
        ("1", Some(true)),
        ("5", Some(true)),
        ("on", Some(true)),
        ("Yes", Some(true)),
        ("TRUE", Some(true)),
        ("off", Some(false)),
        ("no", Some(false)),
        ("false", Some(false)),
        ("", None),
        ("maybe", None),
        ("'1'", None),
    ] {
        assert_eq!(bool::read(raw, &Kind::Bool).ok(), expected, "{raw:?}");
    }
}

#[test]
fn times_are_seconds_with_a_fraction() {
    for (raw, millis) in [
        ("0", Some(0)),
        ("15", Some(15_000)),
        ("0.5", Some(500)),
        ("1.25", Some(1250)),
        (".5", Some(500)),
        ("1e3", Some(1_000_000)),
        ("0x10", Some(16_000)),
        ("-0", Some(0)),
        (
            "100000000000000000000",
            Some(u128::from(LONGEST_SECONDS) * 1000),
        ),
        ("", None),
        ("-1", None),
        ("-0x1", None),
        ("5ms", None),
        ("5s", None),
        ("nan", None),
        ("inf", None),
        ("infinity", None),
    ] {
        let time = seconds(raw, 0).ok().map(|time| time.as_millis());
        assert_eq!(time, millis, "{raw:?}");
    }
}

#[test]
fn zero_switches_a_timeout_off_and_is_a_time_elsewhere() {
    let read = <Option<Duration> as Value>::read;
    assert_eq!(read("0.0", &Kind::Timeout), Ok(None));
    assert_eq!(read("2", &Kind::Timeout), Ok(Some(Duration::from_secs(2))));
    assert_eq!(
        read("250", &Kind::Milliseconds),
        Ok(Some(Duration::from_millis(250)))
    );
    assert_eq!(read("0", &Kind::Milliseconds), Ok(None));
    let least = |least| Duration::read("0", &Kind::Seconds { least });
    assert_eq!(least(0), Ok(Duration::ZERO));
    assert_eq!(least(1), Err(ValueError::NotSeconds(1)));
}

#[test]
fn an_interval_may_be_short_but_not_nothing() {
    let read = |raw| Duration::read(raw, &Kind::Interval { least_ms: 10 });
    assert_eq!(read("0.01"), Ok(Duration::from_millis(10)));
    assert_eq!(read("2"), Ok(Duration::from_secs(2)));
    for raw in ["0", "0.009", "-1", "x"] {
        let error = read(raw).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a number of seconds, 0.01 or more"
        );
    }
}

#[test]
fn numbers_outside_their_range_are_errors_and_do_not_wrap() {
    let out = Err(ValueError::OutOfRange { min: 0, max: 1000 });
    assert_eq!(usize::read("1000", &COUNT), Ok(1000));
    assert_eq!(usize::read("1001", &COUNT), out);
    assert_eq!(usize::read("-1", &COUNT), out);
    assert_eq!(usize::read("99999999999", &COUNT), out);
}

#[test]
fn a_limit_of_zero_or_less_is_none() {
    let read = <Option<usize> as Value>::read;
    assert_eq!(read("7", &Kind::Limit), Ok(Some(7)));
    assert_eq!(read("0", &Kind::Limit), Ok(None));
    assert_eq!(read("-1", &Kind::Limit), Ok(None));
}

#[test]
fn words_are_compared_without_case_and_misspelt_ones_get_a_hint() {
    let kind = Kind::Choice(PoolMode::NAMES);
    assert_eq!(
        PoolMode::read("Transaction", &kind),
        Ok(PoolMode::Transaction)
    );
    let error = PoolMode::read("transactoin", &kind)
        .unwrap_err()
        .to_string();
    let expected = "expected session, transaction, statement, did you mean \"transaction\"?";
    assert_eq!(error, expected);
    let error = PoolMode::read("", &kind).unwrap_err().to_string();
    assert_eq!(error, "expected session, transaction, statement");
}

#[test]
fn every_word_reads_back() {
    for name in SyslogFacility::NAMES.iter().copied() {
        assert_eq!(
            SyslogFacility::from_name(name).map(SyslogFacility::name),
            Some(name)
        );
    }
    for name in SslMode::NAMES.iter().copied() {
        assert_eq!(SslMode::from_name(name).map(SslMode::name), Some(name));
    }
}

#[test]
fn logins_that_are_not_built_are_errors_and_not_unknown_words() {
    let kind = Kind::Choice(AuthType::NAMES);
    for (raw, name) in [
        ("cert", "cert"),
        ("HBA", "hba"),
        ("ldap", "ldap"),
        ("pam", "pam"),
    ] {
        assert_eq!(
            AuthType::read(raw, &kind),
            Err(ValueError::AuthTypeNotBuilt(name))
        );
    }
    assert_eq!(
        AuthType::read("scram-sha-256", &kind),
        Ok(AuthType::ScramSha256)
    );
    let error = AuthType::read("scram-sha256", &kind)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("did you mean \"scram-sha-256\"?"),
        "{error}"
    );
}

#[test]
fn tls_versions_are_read_as_by_libtls() {
    use TlsProtocols::{Both, Tls12, Tls13};
    for (raw, expected) in [
        ("secure", Ok(Both)),
        ("all", Ok(Both)),
        ("legacy", Ok(Both)),
        ("tlsv1", Ok(Both)),
        ("tlsv1.2", Ok(Tls12)),
        ("TLSv1.3", Ok(Tls13)),
        ("tlsv1.2,tlsv1.3", Ok(Both)),
        ("tlsv1.2 : tlsv1.3", Ok(Both)),
        ("tlsv1.1,tlsv1.2", Ok(Tls12)),
        ("all:!tlsv1.2", Ok(Tls13)),
        ("!tlsv1.3", Ok(Tls12)),
        ("tlsv1.0", Err(ValueError::NoTlsProtocol)),
        ("all,!all", Err(ValueError::NoTlsProtocol)),
        ("", Err(ValueError::NotTlsProtocols)),
        ("sslv3", Err(ValueError::NotTlsProtocols)),
    ] {
        assert_eq!(
            TlsProtocols::read(raw, &Kind::TlsProtocols),
            expected,
            "{raw:?}"
        );
    }
}

#[test]
fn file_modes_are_octal_and_a_forgotten_zero_is_noticed() {
    assert_eq!(u32::read("0700", &Kind::Mode), Ok(0o700));
    assert_eq!(u32::read("0x1ff", &Kind::Mode), Ok(0o777));
    assert!(u32::read("777", &Kind::Mode).is_err());
    assert!(u32::read("01777", &Kind::Mode).is_err());
}

#[test]
fn special_types_read_their_special_words() {
    let count = |count| Ok(Workers::Count(NonZeroUsize::new(count).unwrap()));
    assert_eq!(Workers::read("Auto", &Kind::Workers), Ok(Workers::Auto));
    assert_eq!(Workers::read("4", &Kind::Workers), count(4));
    for raw in ["0", "-1", "1025", "x", ""] {
        assert_eq!(
            Workers::read(raw, &Kind::Workers),
            Err(ValueError::NotWorkers),
            "{raw}"
        );
    }
    assert_eq!(CheckQuery::read("", &Kind::Sql), Ok(CheckQuery::Off));
    assert_eq!(
        CheckQuery::read("<empty>", &Kind::Sql),
        Ok(CheckQuery::Empty)
    );
    assert_eq!(
        CheckQuery::read("select 1", &Kind::Sql),
        Ok(CheckQuery::Sql("select 1".into()))
    );
    let dir = <Option<SocketDir> as Value>::read;
    assert_eq!(dir("", &Kind::Path), Ok(None));
    assert_eq!(
        dir("/run", &Kind::Path),
        Ok(Some(SocketDir::Path("/run".into())))
    );
    assert_eq!(
        dir("@x", &Kind::Path),
        Ok(Some(SocketDir::Abstract("x".into())))
    );
}

#[test]
fn lists_lose_blanks_and_empty_parts() {
    assert_eq!(list(" a, b ,,c,"), ["a", "b", "c"]);
    assert_eq!(list(" , "), [""; 0]);
}

#[test]
fn text_with_a_zero_byte_cannot_reach_a_message() {
    for raw in ["a\0b", "a\nb", "a\rb"] {
        assert_eq!(String::read(raw, &Kind::Text), Err(ValueError::NotOneLine));
        assert!(CheckQuery::read(raw, &Kind::Sql).is_err());
        assert!(Vec::<String>::read(raw, &Kind::List).is_err());
        assert!(<Option<SocketDir> as Value>::read(raw, &Kind::Path).is_err());
    }
}

#[test]
fn values_are_shown_as_pgbouncer_shows_them() {
    for (kind, raw, expected) in [
        (Kind::Bool, "yes", "1"),
        (Kind::Bool, "0x0", "0"),
        (COUNT, "0x10", "16"),
        (Kind::Mode, "0777", "511"),
        (Kind::Timeout, "1.50", "1.5"),
        (Kind::Timeout, "1e3", "1000"),
        (Kind::Seconds { least: 0 }, "3600.0", "3600"),
        (Kind::Choice(PoolMode::NAMES), "SESSION", "session"),
        (Kind::Text, "AsIs", "AsIs"),
        (Kind::List, "a , b", "a , b"),
        (Kind::TlsProtocols, "secure", "secure"),
        (Kind::SecretText, "ldapbindpasswd=x", "***"),
        (Kind::SecretText, "", ""),
    ] {
        assert_eq!(kind.show(raw), expected, "{kind:?} {raw:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_a_reader(raw in "\\PC{0,20}|[-+0-9a-fxXe.!,:tlsv]{0,24}") {
        for setting in crate::config::settings::SETTINGS {
            let mut settings = crate::config::Settings::default();
            let read = settings.assign(setting.name, &raw).unwrap();
            let shown = setting.kind.show(&raw);
            // What is shown means the same when it is read again.
            if read.is_ok() && setting.kind != Kind::SecretText && setting.kind != Kind::Mode {
                let mut again = crate::config::Settings::default();
                let name = setting.name;
                prop_assert_eq!(again.assign(name, &shown), Some(Ok(())), "{} {}", name, shown);
                prop_assert!(again.same(name, &settings), "{} {:?} {:?}", name, raw, shown);
            }
        }
    }
}
