use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::telemetry::writer::Stderr;

fn settings(path: &Path) -> LogSettings {
    let sinks = SinkSettings {
        stderr: Stderr::Off,
        file: Some(path.to_owned()),
        syslog: None,
    };
    LogSettings {
        sinks,
        ..LogSettings::default()
    }
}

/// A log, and a second subscriber to keep alive beside it. While there is only one, `tracing` asks
/// the thread that first meets an event whether anybody wants it, and remembers the answer; in the
/// tests that may be a thread of another test, without a log.
pub(in crate::telemetry) fn start(
    settings: &LogSettings,
) -> (LogHandle, impl Subscriber + use<>, tracing::Dispatch) {
    let (handle, subscriber) = build(settings).unwrap();
    (
        handle,
        subscriber,
        tracing::Dispatch::new(tracing_subscriber::registry()),
    )
}

fn texts(path: &Path) -> Vec<String> {
    let all = fs::read_to_string(path).unwrap();
    all.lines()
        .map(|line| line.split_once("] ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn a_line_of_any_crate_is_written_with_its_level() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (handle, subscriber, _company) = start(&settings(&path));
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!("odd: {}", 7);
        tracing::debug!("hidden");
    });
    handle.flush();
    assert_eq!(texts(&path), ["WARNING odd: 7"]);
}

/// Reloads where the log is the current one, as it is everywhere in the program: `tracing` asks the
/// current subscriber when it computes anew what is shown.
fn reload(handle: &LogHandle, dispatch: &tracing::Dispatch, settings: &LogSettings) {
    tracing::dispatcher::with_default(dispatch, || handle.apply(settings)).unwrap();
}

#[test]
fn a_reload_changes_verbosity_format_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let (handle, subscriber, _company) = start(&settings(&old));
    let dispatch = tracing::Dispatch::new(subscriber);
    let say = || {
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::debug!("detail");
            tracing::info!("news");
        });
    };
    say();
    let louder = LogSettings {
        verbose: 1,
        format: Format::Json,
        ..settings(&new)
    };
    reload(&handle, &dispatch, &louder);
    say();
    handle.flush();
    assert_eq!(texts(&old), ["LOG news"]);
    let lines = fs::read_to_string(&new).unwrap();
    let messages = lines.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["message"].as_str().unwrap().to_owned()
    });
    assert_eq!(messages.collect::<Vec<_>>(), ["detail", "news"]);
}

#[test]
fn a_reload_writes_to_a_fresh_file_after_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("log"), dir.path().join("log.1"));
    let (handle, subscriber, _company) = start(&settings(&path));
    let dispatch = tracing::Dispatch::new(subscriber);
    tracing::dispatcher::with_default(&dispatch, || tracing::info!("before"));
    handle.flush();
    fs::rename(&path, &rotated).unwrap();
    reload(&handle, &dispatch, &settings(&path));
    tracing::dispatcher::with_default(&dispatch, || tracing::info!("after"));
    handle.flush();
    assert_eq!(
        (texts(&rotated), texts(&path)),
        (vec!["LOG before".into()], vec!["LOG after".into()])
    );
}

#[test]
fn a_reload_whose_file_cannot_be_opened_keeps_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (handle, subscriber, _company) = start(&settings(&path));
    let broken = settings(&PathBuf::from("/nonexistent/dir/log"));
    tracing::subscriber::with_default(subscriber, || {
        assert!(handle.apply(&broken).is_err());
        tracing::info!("still here");
    });
    handle.flush();
    assert_eq!(texts(&path), ["LOG still here"]);
}

#[test]
fn an_event_that_is_not_shown_is_never_formatted() {
    struct Explosive;
    impl fmt::Debug for Explosive {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted although nobody reads it");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let quiet = LogSettings {
        switches: Switches::ALL.without(Switch::Stats),
        ..settings(&dir.path().join("log"))
    };
    let (_handle, subscriber, _company) = start(&quiet);
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!(error = ?Explosive, "hidden by level");
        tracing::info!(switch = "log_stats", error = ?Explosive, "hidden by switch");
    });
}

#[test]
fn a_fatal_line_is_in_the_file_when_the_call_returns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (_handle, subscriber, _company) = start(&settings(&path));
    tracing::subscriber::with_default(subscriber, || {
        crate::telemetry::events::fatal(&"cannot load config file");
        assert_eq!(texts(&path), ["FATAL cannot load config file"]);
    });
}
