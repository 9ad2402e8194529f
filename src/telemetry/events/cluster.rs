//! Events of clusters: who is primary, and which replicas answer reads.

use std::fmt;

use super::{Details, Repeat, emit};
use crate::telemetry::line::Level;

/// There is a primary, and it is another one than before.
pub fn primary_changed(cluster: &str, host: &str, timeline: u32) {
    let text = format_args!("database {cluster}: primary is {host} (timeline {timeline})");
    emit(Level::Log, "primary_changed", Details::default(), text);
}

/// The primary that was lost answers again.
pub fn primary_back(cluster: &str, host: &str) {
    let text = format_args!("database {cluster}: primary {host} is back");
    emit(Level::Log, "primary_back", Details::default(), text);
}

/// The primary does not answer, or is none any more.
pub fn primary_lost(cluster: &str, host: &str) {
    let text = format_args!("database {cluster}: primary {host} is lost, clients wait for one");
    emit(Level::Warning, "primary_lost", Details::default(), text);
}

/// A replica answers reads.
pub fn replica_ready(cluster: &str, host: &str) {
    let text = format_args!("database {cluster}: replica {host} answers reads");
    emit(Level::Log, "replica_ready", Details::default(), text);
}

/// A replica answers no reads any more.
pub fn replica_left(cluster: &str, host: &str, reason: &str) {
    let details = Details {
        reason: Some(reason),
        ..Details::default()
    };
    let text = format_args!("database {cluster}: replica {host} gets no reads: {reason}");
    emit(Level::Warning, "replica_left", details, text);
}

/// A host answers, but is not used.
pub fn host_refused(cluster: &str, host: &str, reason: &str) {
    let details = Details {
        reason: Some(reason),
        ..Details::default()
    };
    let text = format_args!("database {cluster}: host {host} is not used: {reason}");
    emit(Level::Warning, "host_refused", details, text);
}

/// A host could not be asked.
pub fn monitor_failed(cluster: &str, host: &str, error: &dyn fmt::Display) {
    let details = Details {
        repeat: Repeat::Limited,
        error: Some(error),
        ..Details::default()
    };
    let text = format_args!("database {cluster}: cannot ask {host}: {error}");
    emit(Level::Warning, "monitor_failed", details, text);
}

/// Which replicas stream from the primary could not be asked: those that were known stay.
pub fn replicas_unknown(cluster: &str, error: &dyn fmt::Display) {
    let details = Details {
        repeat: Repeat::Limited,
        error: Some(error),
        ..Details::default()
    };
    let text = format_args!("database {cluster}: cannot ask who streams from the primary: {error}");
    emit(Level::Warning, "replicas_unknown", details, text);
}

/// The replicas that were found for an entry.
pub fn replicas_found(cluster: &str, replicas: &dyn fmt::Display) {
    let text = format_args!("database {cluster}: replicas found: {replicas}");
    emit(Level::Log, "replicas_found", Details::default(), text);
}

/// What functions a database has could not be read: reads that call users' functions stay on the
/// primary.
pub fn functions_unknown(cluster: &str, error: &dyn fmt::Display) {
    let details = Details {
        repeat: Repeat::Limited,
        error: Some(error),
        ..Details::default()
    };
    let text = format_args!("database {cluster}: cannot read what functions it has: {error}");
    emit(Level::Warning, "functions_unknown", details, text);
}
