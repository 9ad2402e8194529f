use super::*;
use crate::config::{PoolMode, load};

fn config(text: &str) -> Config {
    let text = format!("[databases]\nx=host=h\n[pgbouncer]\nauth_file=f\n{text}");
    let read = |_: &str| Ok(text.as_bytes().to_vec());
    load(&read, "t.ini", &[]).unwrap().config
}

#[test]
fn set_changes_a_live_setting_in_a_copy() {
    let before = config("");
    let after = before.with_setting("pool_mode", "TRANSACTION").unwrap();
    assert_eq!(before.settings.pool_mode, PoolMode::Session);
    assert_eq!(after.settings.pool_mode, PoolMode::Transaction);
    assert_eq!(after.origin("pool_mode"), Origin::Console);
    let row = after
        .show()
        .into_iter()
        .find(|row| row.key == "pool_mode")
        .unwrap();
    assert_eq!(row.value.as_deref(), Some("transaction"));
}

#[test]
fn set_of_a_restart_setting_succeeds_without_effect() {
    let before = config("");
    assert_eq!(before.with_setting("listen_port", "5"), Ok(before.clone()));
    assert_eq!(
        before.with_setting("listen_port", "nonsense"),
        Ok(before.clone())
    );
}

#[test]
fn set_says_what_is_wrong() {
    let config = config("");
    let error = |key: &str, value: &str| config.with_setting(key, value).unwrap_err().to_string();
    assert_eq!(
        error("pool_mod", "x"),
        "unknown setting \"pool_mod\", did you mean \"pool_mode\"?"
    );
    assert_eq!(
        error("query_timeout", "-1"),
        "invalid value \"-1\" for query_timeout: expected a number of seconds, 0 or more"
    );
    assert!(error("auth_type", "hba").starts_with("auth_type=hba is not built yet"));
    assert_eq!(
        error("client_tls_sslmode", "require"),
        "console SET: client_tls_sslmode=require needs client_tls_key_file and client_tls_cert_file"
    );
    assert!(error("auth_query", "a\0b").contains("without a zero byte"));
}

#[test]
fn an_option_sets_restart_settings_too() {
    let config = config("user=a").with_option("user", "b").unwrap();
    assert_eq!(config.settings.user.as_deref(), Some("b"));
    assert_eq!(config.origin("user"), Origin::CommandLine);
}

#[test]
fn a_reload_takes_everything_but_restart_settings() {
    let running = config("listen_port=1\nworkers=2\npool_mode=session\n[users]\nold=\n");
    let new = config("listen_port=2\npool_mode=transaction\nlisten_backlog=128\n[users]\nnew=\n");
    let (merged, ignored) = running.reloaded(new.clone());
    assert_eq!(merged.settings.listen_port, 1);
    assert_eq!(merged.settings.workers, running.settings.workers);
    assert_eq!(merged.settings.pool_mode, PoolMode::Transaction);
    assert_eq!(merged.users, new.users);
    assert_eq!(merged.origin("listen_port"), running.origin("listen_port"));
    let change = |name, running: &str, wanted: &str| IgnoredChange {
        name,
        running: Some(running.to_owned()),
        wanted: Some(wanted.to_owned()),
    };
    assert_eq!(
        ignored,
        [
            change("listen_port", "1", "2"),
            change("workers", "2", "auto")
        ]
    );
}

#[test]
fn a_setting_that_left_the_file_goes_back_to_its_default() {
    let running =
        config("listen_backlog=5\nquery_timeout=5").with_setting("pool_mode", "statement");
    let (merged, ignored) = running.unwrap().reloaded(config(""));
    assert_eq!(merged.settings.pool_mode, PoolMode::Session);
    assert_eq!(merged.settings.query_timeout, None);
    assert_eq!(merged.settings.listen_backlog, 5);
    assert_eq!(ignored.len(), 1);
}

#[test]
fn reloading_the_same_file_changes_nothing() {
    let running = config("listen_port=1\nlog_stats=0");
    assert_eq!(running.reloaded(running.clone()), (running.clone(), vec![]));
}
