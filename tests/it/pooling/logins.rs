//! Who is let in: every kind of proof against every kind of secret, and what others are told.

use crate::support::fixture::PASSWORD;
use crate::support::message::Frame;
use crate::support::{Fixture, Setup, Weir, Wire};

const WRONG: &str = "08P01 password authentication failed";
const WRONG_SASL: &str = "08P01 SASL authentication failed";

/// "ok", or what was said.
fn outcome(login: Result<Wire, Frame>) -> String {
    match login {
        Ok(mut wire) => {
            assert_eq!(wire.value("select 1"), "1");
            "ok".to_owned()
        }
        Err(error) => error.report(),
    }
}

fn secret_of(role: &str) -> String {
    let sql = format!("select secret from secrets where name = '{role}'");
    Fixture::get().superuser("it").value(&sql)
}

/// Users with each kind of secret, whose proofs matter to pgweir only: the server trusts `app`.
fn with_secrets(auth_type: &str) -> Weir {
    Setup::new()
        .forced("app", "")
        .set("auth_type", auth_type)
        .user("plain", PASSWORD)
        .user("md5ed", &secret_of("md5ed"))
        .user("scrammed", &secret_of("scrammed"))
        .user("empty", "")
        .start()
}

fn try_login(weir: &Weir, user: &str, password: &str) -> String {
    outcome(weir.login("it", user).password(password).connect())
}

#[test]
fn trust_lets_in_whom_it_knows() {
    let weir = with_secrets("trust");
    for user in ["plain", "md5ed", "scrammed", "empty"] {
        assert_eq!(try_login(&weir, user, ""), "ok", "{user}");
    }
    assert_eq!(
        try_login(&weir, "unknown", ""),
        "08P01 \"trust\" authentication failed"
    );
}

#[test]
fn any_lets_in_everybody_where_the_server_s_user_is_fixed() {
    let weir = Setup::new()
        .forced("app", "")
        .set("auth_type", "any")
        .start();
    assert_eq!(try_login(&weir, "unheard_of", ""), "ok");
    let free = Setup::new().set("auth_type", "any").start();
    assert_eq!(try_login(&free, "app", ""), "08P01 bouncer config error");
}

#[test]
fn passwords_in_the_clear_are_checked_against_every_kind_of_secret() {
    let weir = with_secrets("plain");
    for user in ["plain", "md5ed", "scrammed"] {
        assert_eq!(try_login(&weir, user, PASSWORD), "ok", "{user}");
        assert_eq!(try_login(&weir, user, "wrong"), WRONG, "{user}");
        let empty = "08P01 empty password returned by client";
        assert_eq!(try_login(&weir, user, ""), empty, "{user}");
    }
    assert_eq!(try_login(&weir, "empty", "x"), WRONG);
    assert_eq!(try_login(&weir, "unknown", PASSWORD), WRONG);
}

#[test]
fn md5_asks_for_scram_where_the_secret_is_one() {
    let weir = with_secrets("md5");
    for user in ["plain", "md5ed", "scrammed"] {
        assert_eq!(try_login(&weir, user, PASSWORD), "ok", "{user}");
    }
    assert_eq!(try_login(&weir, "plain", "wrong"), WRONG);
    assert_eq!(try_login(&weir, "md5ed", "wrong"), WRONG);
    assert_eq!(try_login(&weir, "scrammed", "wrong"), WRONG_SASL);
    assert_eq!(try_login(&weir, "unknown", PASSWORD), WRONG);
    assert_eq!(try_login(&weir, "empty", ""), WRONG);
}

#[test]
fn scram_needs_a_plain_or_a_scram_secret() {
    let weir = with_secrets("scram-sha-256");
    assert_eq!(try_login(&weir, "plain", PASSWORD), "ok");
    assert_eq!(try_login(&weir, "scrammed", PASSWORD), "ok");
    for (user, password) in [
        ("plain", "wrong"),
        ("scrammed", "wrong"),
        ("md5ed", PASSWORD),
        ("empty", ""),
        ("unknown", PASSWORD),
    ] {
        assert_eq!(try_login(&weir, user, password), WRONG_SASL, "{user}");
    }
}

#[test]
fn names_of_databases_are_told_only_to_those_who_got_in() {
    let weir = with_secrets("plain");
    let login = |password| outcome(weir.login("nowhere", "plain").password(password).connect());
    assert_eq!(login("wrong"), WRONG);
    assert_eq!(login(PASSWORD), "08P01 no such database: nowhere");
}

#[test]
fn a_login_with_scram_is_passed_through_to_the_server() {
    let weir = Setup::new()
        .set("auth_type", "scram-sha-256")
        .user("scrammed", &secret_of("scrammed"))
        .start();
    let mut client = weir
        .login("it", "scrammed")
        .password(PASSWORD)
        .connect()
        .unwrap();
    assert_eq!(client.value("select current_user"), "scrammed");
}

#[test]
fn a_plain_password_opens_servers_that_want_scram_or_md5() {
    let weir = Setup::new()
        .set("auth_type", "md5")
        .user("scrammed", PASSWORD)
        .user("md5ed", PASSWORD)
        .start();
    for user in ["scrammed", "md5ed"] {
        let mut client = weir.login("it", user).password(PASSWORD).connect().unwrap();
        assert_eq!(client.value("select current_user"), user);
    }
}

#[test]
fn a_wrong_password_for_the_server_is_told_in_the_server_s_words() {
    let weir = Setup::new()
        .user("scrammed", "not the server's")
        .set("query_wait_timeout", 3)
        .start();
    let error = weir.login("it", "scrammed").connect().unwrap_err();
    assert_eq!(
        error.report(),
        "28P01 password authentication failed for user \"scrammed\""
    );
}

fn asking(query: &str) -> Weir {
    Setup::new()
        .set("auth_type", "scram-sha-256")
        .set("auth_user", "asker")
        .set("auth_query", query)
        .user("asker", "")
        .without_user("app")
        .start()
}

#[test]
fn auth_query_finds_secrets_and_they_are_passed_through() {
    let weir = asking("select name, secret from secrets where name = $1");
    let login = |user, password| outcome(weir.login("it", user).password(password).connect());
    assert_eq!(login("looked_up", PASSWORD), "ok");
    assert_eq!(login("looked_up", "wrong"), WRONG_SASL);
    assert_eq!(login("nobody_else", PASSWORD), WRONG_SASL);
    assert_eq!(login("missing", PASSWORD), "08P01 no such user");
    let mut client = weir
        .login("it", "looked_up")
        .password(PASSWORD)
        .connect()
        .unwrap();
    assert_eq!(client.value("select current_user"), "looked_up");
}

#[test]
fn the_default_auth_query_keeps_expired_roles_out() {
    let weir = Setup::new()
        .set("auth_type", "scram-sha-256")
        .set("auth_user", "asker")
        .user("asker", "")
        .forced("app", "")
        .start();
    assert_eq!(try_login(&weir, "looked_up", PASSWORD), "ok");
    assert_eq!(try_login(&weir, "expired", PASSWORD), WRONG_SASL);
}

#[test]
fn a_broken_auth_query_is_an_error_of_the_configuration() {
    let weir = asking("select no_such_column from secrets where name = $1");
    let error = weir.login("it", "looked_up").password(PASSWORD).connect();
    assert_eq!(outcome(error), "08P01 bouncer config error");
    let weir = Setup::new().start();
    assert_eq!(outcome(weir.login("it", "app").connect()), "ok");
}

#[test]
fn psql_logs_in_with_every_kind_of_proof() {
    let weir = with_secrets("md5");
    let password = PASSWORD.replace('\'', "\\'");
    for user in ["plain", "md5ed", "scrammed"] {
        let conninfo = format!(
            "host=127.0.0.1 port={} dbname=it user={user} password='{password}'",
            weir.port()
        );
        let said = Fixture::get().psql(&conninfo, "select current_user");
        assert_eq!(said.as_deref(), Ok("app"), "{user}");
    }
}
