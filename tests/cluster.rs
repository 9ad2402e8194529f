//! The harness itself, on a real `PostgreSQL`: a primary, a replica, failover and clean-up.
#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use std::path::PathBuf;

use pgweir::demo::cluster::{Cluster, ClusterOptions, Installation, TlsFiles};

fn start(options: ClusterOptions) -> Cluster {
    let options = ClusterOptions {
        templates: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
        ..options
    };
    Cluster::start(&Installation::find().unwrap(), options).unwrap()
}

#[test]
fn a_replica_receives_rows_takes_over_and_nothing_is_left_behind() {
    let mut cluster = start(ClusterOptions::default());
    let dir = cluster.dir().to_owned();
    cluster.add_replica().unwrap();
    let primary = cluster.primary();
    primary
        .psql("postgres", "create table t as select 7 as n")
        .unwrap();
    cluster.wait_for_replicas().unwrap();

    let replica = &cluster.replicas()[0];
    assert_eq!(replica.psql("postgres", "select n from t").unwrap(), "7");
    let refused = replica
        .psql("postgres", "insert into t values (8)")
        .unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");

    cluster.primary_mut().kill_hard().unwrap();
    let replica = &mut cluster.replicas_mut()[0];
    replica.promote().unwrap();
    replica
        .psql("postgres", "insert into t values (8)")
        .unwrap();
    assert_eq!(
        replica.psql("postgres", "select sum(n) from t").unwrap(),
        "15"
    );

    cluster.stop().unwrap();
    drop(cluster);
    assert!(!dir.exists());
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_its_rows() {
    let mut cluster = start(ClusterOptions::default());
    let server = cluster.primary_mut();
    server
        .psql("postgres", "create table t as select 7 as n")
        .unwrap();
    let port = server.port();
    server.kill_hard().unwrap();
    assert!(server.psql("postgres", "select 1").is_err());
    server.start().unwrap();
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(server.psql("postgres", "select n from t").unwrap(), "7");
}

#[test]
fn settings_and_access_rules_take_effect() {
    let options = ClusterOptions {
        max_connections: 23,
        hba: vec!["host all all 127.0.0.1/32 reject".to_owned()],
        ..ClusterOptions::default()
    };
    let cluster = start(options.with_setting("cluster_name", "it's here"));
    let server = cluster.primary();
    assert_eq!(
        server.psql("postgres", "show cluster_name").unwrap(),
        "it's here"
    );
    assert_eq!(
        server.psql("postgres", "show max_connections").unwrap(),
        "23"
    );
    let installation = Installation::find().unwrap();
    let over_tcp = server.conninfo("postgres", "postgres");
    let refused = installation
        .psql(&over_tcp, "select 1", cluster.dir())
        .unwrap_err();
    assert!(
        refused.to_string().contains("pg_hba.conf rejects"),
        "{refused}"
    );
}

#[test]
fn servers_speak_tls_with_the_given_certificate() {
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = files.path().join("certificate.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let key = files.path().join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let cluster = start(ClusterOptions {
        hba: vec!["hostssl all all 127.0.0.1/32 trust".to_owned()],
        tls: Some(TlsFiles {
            certificate: certificate.clone(),
            key,
            client_authorities: Some(certificate),
        }),
        ..ClusterOptions::default()
    });
    let installation = Installation::find().unwrap();
    let conninfo = cluster.primary().conninfo("postgres", "postgres");
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let over_tls = format!("{conninfo} sslmode=require");
    assert_eq!(
        installation.psql(&over_tls, sql, cluster.dir()).unwrap(),
        "t"
    );
    let plain = format!("{conninfo} sslmode=disable");
    assert!(installation.psql(&plain, sql, cluster.dir()).is_err());
}

#[test]
fn a_wrong_setting_is_reported_in_the_server_s_words() {
    let options = ClusterOptions::default().with_setting("no_such_setting", "1");
    let options = ClusterOptions {
        templates: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
        ..options
    };
    let error = Cluster::start(&Installation::find().unwrap(), options).unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
