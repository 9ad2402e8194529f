use super::*;

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len() + 8)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn startup(parameters: &[(&str, &str)]) -> Result<StartupPacket, StartupError> {
    let mut body = Vec::new();
    for (name, value) in parameters {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    match FirstPacket::parse(&packet(0x0003_0000, &body))? {
        FirstPacket::Startup(packet) => Ok(packet),
        other => panic!("not a startup packet: {other:?}"),
    }
}

#[test]
fn requests_are_told_apart_by_their_code() {
    let cases = [
        (packet(SSL_CODE, b""), FirstPacket::SslRequest),
        (packet(GSS_CODE, b""), FirstPacket::GssEncRequest),
        (
            packet(CANCEL_CODE, b"12345678"),
            FirstPacket::Cancel {
                key: b"12345678".to_vec(),
            },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(packet_len(&bytes), Ok(Some(bytes.len())));
        assert_eq!(FirstPacket::parse(&bytes), Ok(expected));
    }
}

#[test]
fn headers_that_make_no_sense_are_refused_with_their_bytes() {
    let cases: [(Vec<u8>, &str); 9] = [
        (packet(SSL_CODE, b"x"), "0000000904d2162f"),
        (packet(GSS_CODE, b"x"), "0000000904d21630"),
        (packet(CANCEL_CODE, b"1234567"), "0000000f04d2162e"),
        (packet(CANCEL_CODE, &[1; 261]), "0000010d04d2162e"),
        (packet(0, b""), "0000000800000000"),
        (packet(0x0001_0000, b"\0"), "0000000900010000"),
        (packet(0x0004_0000, b"\0"), "0000000900040000"),
        (b"\0\0\0\x09\0\x03\0\0".to_vec(), "0000000900030000"),
        (b"\0\0\0\x08\0\x03".to_vec(), "000000080003"),
    ];
    for (bytes, hex) in cases {
        let error = FirstPacket::parse(&bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("bad packet header: '{hex}'"));
    }
}

#[test]
fn lengths_are_between_eight_and_ten_thousand() {
    for length in [0, 7, 10_001, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        assert!(matches!(
            packet_len(&length.to_be_bytes()),
            Err(StartupError::BadHeader(_))
        ));
    }
    assert_eq!(packet_len(&8u32.to_be_bytes()), Ok(Some(8)));
    assert_eq!(packet_len(&10_000u32.to_be_bytes()), Ok(Some(10_000)));
    assert_eq!(packet_len(&[0, 0, 0]), Ok(None));
    assert_eq!(
        packet_len(b"GET / HTTP/1.1\r\n").unwrap_err().to_string(),
        "bad packet header: '474554202f204854'"
    );
}

#[test]
fn protocol_two_is_named_in_the_refusal() {
    let error = FirstPacket::parse(&packet(0x0002_0000, &[0; 288])).unwrap_err();
    assert_eq!(error.to_string(), "old V2 protocol not supported");
}

#[test]
fn a_startup_packet_is_read_in_order() {
    let packet = startup(&[
        ("user", "alice"),
        ("database", "shop"),
        ("application_name", "psql"),
        ("client_encoding", "UTF8"),
        ("options", "-c a=b"),
        ("replication", "database"),
    ])
    .unwrap();
    assert_eq!(packet.user, "alice");
    assert_eq!(packet.database, "shop");
    assert_eq!(packet.application_name.as_deref(), Some("psql"));
    assert_eq!(packet.options.as_deref(), Some("-c a=b"));
    assert_eq!(packet.replication, Replication::Logical);
    assert_eq!(
        packet.parameters,
        [
            ("application_name".to_owned(), "psql".to_owned()),
            ("client_encoding".to_owned(), "UTF8".to_owned())
        ]
    );
    assert_eq!(packet.negotiation(), None);
}

#[test]
fn a_missing_or_empty_database_is_the_users_name() {
    assert_eq!(startup(&[("user", "bob")]).unwrap().database, "bob");
    let packet = startup(&[("user", "bob"), ("database", "")]).unwrap();
    assert_eq!(packet.database, "bob");
}

#[test]
fn of_a_repeated_name_the_last_counts() {
    let packet = startup(&[("user", "a"), ("user", "b"), ("database", "c")]).unwrap();
    assert_eq!(packet.user, "b");
}

#[test]
fn names_have_pgbouncers_limits() {
    let text = |length: usize| "x".repeat(length);
    assert_eq!(startup(&[]), Err(StartupError::NoUser));
    assert_eq!(startup(&[("user", "")]), Err(StartupError::NoUser));
    assert!(startup(&[("user", &text(127)), ("database", "d")]).is_ok());
    assert_eq!(
        startup(&[("user", &text(128))]),
        Err(StartupError::UserTooLong)
    );
    assert!(startup(&[("user", "u"), ("database", &text(63))]).is_ok());
    assert_eq!(
        startup(&[("user", "u"), ("database", &text(64))]),
        Err(StartupError::DatabaseTooLong)
    );
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    let body = b"user\0u\0database\0d\0\0";
    for cut in 0..body.len() {
        let error = FirstPacket::parse(&packet(0x0003_0000, &body[..cut])).unwrap_err();
        assert_eq!(error, StartupError::BadLayout, "cut at {cut}");
    }
    let whole = packet(0x0003_0000, body);
    for cut in 0..whole.len() {
        assert!(FirstPacket::parse(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [&body[..], b"x"].concat();
    assert_eq!(
        FirstPacket::parse(&packet(0x0003_0000, &longer)),
        Err(StartupError::BadLayout)
    );
}

#[test]
fn newer_minor_versions_and_protocol_options_need_a_negotiation() {
    let parse = |code, body: &[u8]| match FirstPacket::parse(&packet(code, body)) {
        Ok(FirstPacket::Startup(packet)) => packet.negotiation().map(<[String]>::to_vec),
        other => panic!("{other:?}"),
    };
    assert_eq!(parse(0x0003_0000, b"user\0u\0\0"), None);
    assert_eq!(parse(0x0003_0002, b"user\0u\0\0"), Some(vec![]));
    assert_eq!(parse(0x0003_270f, b"user\0u\0\0"), Some(vec![]));
    assert_eq!(
        parse(0x0003_0000, b"user\0u\0_pq_.x\x001\0\0"),
        Some(vec!["_pq_.x".to_owned()])
    );
}

#[test]
fn names_in_another_encoding_are_refused_and_application_names_escaped() {
    let parse = |body: &[u8]| FirstPacket::parse(&packet(0x0003_0000, body));
    assert_eq!(parse(b"user\0caf\xe9\0\0"), Err(StartupError::NotUtf8));
    assert_eq!(parse(b"user\0u\0\xff\0x\0\0"), Err(StartupError::NotUtf8));
    let Ok(FirstPacket::Startup(packet)) = parse(b"user\0u\0application_name\0caf\xe9!\0\0") else {
        panic!("refused");
    };
    assert_eq!(packet.application_name.as_deref(), Some("caf\\xe9!"));
}

#[test]
fn replication_takes_the_spellings_of_a_boolean() {
    let kind = |value| startup(&[("user", "u"), ("replication", value)]).map(|p| p.replication);
    for value in ["true", "ON", "yes", "1", "t"] {
        assert_eq!(kind(value), Ok(Replication::Physical), "{value}");
    }
    for value in ["false", "Off", "no", "0"] {
        assert_eq!(kind(value), Ok(Replication::None), "{value}");
    }
    assert_eq!(kind("database"), Ok(Replication::Logical));
    assert_eq!(
        kind("maybe").unwrap_err().to_string(),
        "invalid value for parameter \"replication\": \"maybe\""
    );
}

#[test]
fn options_have_three_forms_and_escapes() {
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("", &[]),
        ("   ", &[]),
        ("-c a=b", &[("a", "b")]),
        ("-ca=b", &[("a", "b")]),
        ("--a=b", &[("a", "b")]),
        (
            "  -c  a=b\t--c-d=e=f -cg=",
            &[("a", "b"), ("c_d", "e=f"), ("g", "")],
        ),
        (r"-c DateStyle=ISO,\ MDY", &[("DateStyle", "ISO, MDY")]),
        (r"-c a=\\b\", &[("a", r"\b")]),
        ("-c a=é", &[("a", "é")]),
    ];
    for (raw, expected) in cases {
        let found = parse_options(raw).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, expected, "{raw}");
    }
}

/// `options=-c=` sent `PgBouncer` into an endless loop (CVE-2026-107349).
#[test]
fn malformed_options_are_refused_and_never_loop() {
    for raw in [
        "-c=", "-c =", "-c", "-c ", "--", "--=", "-", "x", "-d a=b", "-c a", "--a", "-c -c", "\\",
        "-c a=b x",
    ] {
        assert_eq!(parse_options(raw), Err(StartupError::BadOptions), "{raw:?}");
    }
}

fn classify(
    parameters: &[(&str, &str)],
    ignored: &[&str],
) -> Result<Vec<(String, String)>, String> {
    let mut all = vec![("user", "u")];
    all.extend_from_slice(parameters);
    let tracked = |name: &str| ["application_name", "TimeZone"].contains(&name);
    classify_parameters(&mut startup(&all).unwrap(), &tracked, &|name| {
        ignored.contains(&name)
    })
    .map_err(|error| error.to_string())
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn only_tracked_parameters_come_through() {
    assert_eq!(
        classify(
            &[("application_name", "a"), ("options", "-c TimeZone=UTC")],
            &[]
        ),
        Ok(pairs(&[("TimeZone", "UTC"), ("application_name", "a")]))
    );
    assert_eq!(
        classify(&[("extra_float_digits", "2")], &[]),
        Err("unsupported startup parameter: extra_float_digits".to_owned())
    );
    assert_eq!(
        classify(&[("extra_float_digits", "2")], &["extra_float_digits"]),
        Ok(vec![])
    );
    assert_eq!(
        classify(&[("options", "-c work_mem=1")], &[]),
        Err("unsupported startup parameter in options: work_mem".to_owned())
    );
    assert_eq!(
        classify(&[("options", "garbage")], &[]),
        Err(StartupError::BadOptions.to_string())
    );
}

#[test]
fn ignoring_wins_over_tracking() {
    assert_eq!(
        classify(
            &[("TimeZone", "UTC"), ("options", "-c TimeZone=UTC")],
            &["TimeZone"]
        ),
        Ok(vec![])
    );
}

#[test]
fn ignored_options_still_set_what_is_tracked() {
    assert_eq!(
        classify(
            &[("options", "-c work_mem=1 -c TimeZone=UTC")],
            &["options"]
        ),
        Ok(pairs(&[("TimeZone", "UTC")]))
    );
    assert_eq!(
        classify(&[("options", "garbage")], &["options"]),
        Ok(vec![])
    );
}

#[test]
fn a_named_parameter_wins_over_the_same_one_in_options() {
    assert_eq!(
        classify(&[("TimeZone", "UTC"), ("options", "-c TimeZone=CET")], &[]),
        Ok(pairs(&[("TimeZone", "UTC")]))
    );
}

#[test]
fn options_of_replication_clients_are_left_alone() {
    assert_eq!(
        classify(
            &[("replication", "true"), ("options", "-c work_mem=1")],
            &[]
        ),
        Ok(vec![])
    );
}

#[test]
fn a_cancel_key_is_never_printed() {
    let packet = FirstPacket::parse(&packet(CANCEL_CODE, b"secret42")).unwrap();
    assert_eq!(format!("{packet:?}"), "Cancel(..)");
}
