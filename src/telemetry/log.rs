//! The log: takes events that `tracing` carries, decides whether they are written, and hands the
//! finished lines to the writer thread.
//!
//! Not here: what the events say ([`super::events`]), what a line looks like ([`super::line`]),
//! where bytes go ([`super::writer`]). Verbosity, format and switches change at run time without a
//! lock; an event that is not written is never formatted.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::clock::UtcTime;
use super::line::{Format, Level, Record, Stamp, write_line};
use super::throttle::{Admission, Throttle};
use super::writer::{SinkError, SinkSettings, Sinks, Writer};

/// Longest wait for queued lines when the process ends, when a fatal line is written and when the
/// log file is reopened.
const PATIENCE: Duration = Duration::from_secs(2);

/// One of the settings `log_connections`, `log_disconnections`, `log_pooler_errors`, `log_stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Lines about logins.
    Connections,
    /// Lines about why a connection closed.
    Disconnections,
    /// Lines about errors that pgweir itself sent to clients.
    PoolerErrors,
    /// The line each `stats_period`.
    Stats,
}

impl Switch {
    const ALL: [Self; 4] = [
        Self::Connections,
        Self::Disconnections,
        Self::PoolerErrors,
        Self::Stats,
    ];

    fn bit(self) -> u8 {
        match self {
            Self::Connections => 1,
            Self::Disconnections => 2,
            Self::PoolerErrors => 4,
            Self::Stats => 8,
        }
    }

    /// The setting's name, which is also how an event names its switch.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "log_connections",
            Self::Disconnections => "log_disconnections",
            Self::PoolerErrors => "log_pooler_errors",
            Self::Stats => "log_stats",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|switch| switch.as_str() == name)
    }
}

/// The set of switches that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches(u8);

impl Switches {
    /// All on, as `PgBouncer` begins.
    pub const ALL: Self = Self(15);

    /// The same set without `switch`.
    #[must_use]
    pub fn without(self, switch: Switch) -> Self {
        Self(self.0 & !switch.bit())
    }

    fn contains(self, switch: Switch) -> bool {
        self.0 & switch.bit() != 0
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self::ALL
    }
}

/// Everything about the log that the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// 0 to 3: the larger of setting `verbose` and the count of `-v`.
    pub verbose: u8,
    /// Setting `log_format`.
    pub format: Format,
    /// Log switches.
    pub switches: Switches,
    /// Where lines go.
    pub sinks: SinkSettings,
}

/// What workers read for each event.
#[derive(Debug)]
struct Live {
    verbose: AtomicU8,
    json: AtomicU8,
    switches: AtomicU8,
}

impl Live {
    fn set(&self, settings: &LogSettings) {
        let json = match settings.format {
            Format::Text => 0,
            Format::Json => 1,
        };
        self.verbose.store(settings.verbose, Ordering::Relaxed);
        self.json.store(json, Ordering::Relaxed);
        self.switches.store(settings.switches.0, Ordering::Relaxed);
    }

    fn format(&self) -> Format {
        match self.json.load(Ordering::Relaxed) {
            0 => Format::Text,
            _ => Format::Json,
        }
    }

    fn max_level(&self) -> LevelFilter {
        match self.verbose.load(Ordering::Relaxed) {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }
}

/// Why the log could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log file could not be opened.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The writer thread could not be started.
    #[error("could not start the log thread: {0}")]
    Thread(#[source] io::Error),
    /// A log is installed already.
    #[error("the log is already installed")]
    Installed,
}

/// Handle of the running log: reload and flush.
#[derive(Debug, Clone)]
pub struct LogHandle {
    live: Arc<Live>,
    writer: Writer,
}

impl LogHandle {
    /// Takes new settings and reopens the log file, as a reload does. When the file cannot be
    /// opened nothing changes but the levels, format and switches.
    pub fn apply(&self, settings: &LogSettings) -> Result<(), SinkError> {
        self.live.set(settings);
        tracing::callsite::rebuild_interest_cache();
        // First the old lines: whoever sees the new file finds every later line in it.
        self.writer.flush(PATIENCE);
        let sinks = Sinks::open(&settings.sinks, std::process::id())?;
        self.writer.switch_to(sinks);
        Ok(())
    }

    /// Waits until everything logged so far is written, two seconds at most. Blocks: call it
    /// before the process ends.
    pub fn flush(&self) {
        self.writer.flush(PATIENCE);
    }

    /// Lines lost since the process began because a sink could not keep up or failed.
    pub fn lost(&self) -> u64 {
        self.writer.lost()
    }
}

/// Makes the log and the subscriber that feeds it.
pub fn build(settings: &LogSettings) -> Result<(LogHandle, impl Subscriber + use<>), LogError> {
    let sinks = Sinks::open(&settings.sinks, std::process::id())?;
    let live = Arc::new(Live {
        verbose: AtomicU8::new(0),
        json: AtomicU8::new(0),
        switches: AtomicU8::new(0),
    });
    live.set(settings);
    let of_writer = Arc::clone(&live);
    let tell_loss = move |lost, out: &mut String| loss_line(of_writer.format(), lost, out);
    let writer = Writer::start(sinks, Box::new(tell_loss)).map_err(LogError::Thread)?;
    let handle = LogHandle { live, writer };
    let layer = LogLayer {
        handle: handle.clone(),
        throttle: Mutex::default(),
    };
    Ok((handle, tracing_subscriber::registry().with(layer)))
}

/// Makes the log and installs it for the whole process. Once, at start.
pub fn install(settings: &LogSettings) -> Result<LogHandle, LogError> {
    let (handle, subscriber) = build(settings)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Installed)?;
    Ok(handle)
}

#[derive(Debug)]
struct LogLayer {
    handle: LogHandle,
    throttle: Mutex<Throttle>,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.handle.live.max_level() {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.handle.live.max_level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.handle.live.max_level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut rules = Rules::of(*event.metadata().level());
        event.record(&mut rules);
        if !self.wants(&rules) {
            return;
        }
        let suppressed = match rules.limited_as.as_deref().map(|name| self.admit(name)) {
            Some(Admission::Suppress) => return,
            Some(Admission::Write { suppressed }) => suppressed,
            None => 0,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        if suppressed > 0 {
            let note = format!(" ({suppressed} more like this were held back)");
            fields.0.message.push_str(&note);
        }
        self.handle.write(rules.level, &fields.0);
    }
}

impl LogLayer {
    fn wants(&self, rules: &Rules) -> bool {
        let live = &self.handle.live;
        let switches = Switches(live.switches.load(Ordering::Relaxed));
        rules.level.shown_at(live.verbose.load(Ordering::Relaxed))
            && rules.switch.is_none_or(|switch| switches.contains(switch))
    }

    fn admit(&self, name: &str) -> Admission {
        let now = tokio::time::Instant::now().into_std();
        let mut throttle = self
            .throttle
            .lock()
            .expect("nothing panics under this lock");
        throttle.admit(name, now)
    }
}

impl LogHandle {
    fn write(&self, level: Level, record: &Record) {
        let format = self.live.format();
        self.writer
            .queue(level, |out| write_line(out, format, stamp(level), record));
        if level == Level::Fatal {
            self.flush();
        }
    }
}

/// The moment, as Unix time in milliseconds; 0 for a clock before 1970.
pub fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn stamp(level: Level) -> Stamp {
    Stamp {
        time: UtcTime::from_unix_ms(unix_ms()),
        pid: std::process::id(),
        level,
    }
}

/// The line that the writer itself adds.
fn loss_line(format: Format, lost: u64, out: &mut String) -> usize {
    let record = Record {
        event: Some("log_lines_lost".to_owned()),
        message: format!("{lost} log lines were lost: the log could not keep up"),
        ..Record::default()
    };
    write_line(out, format, stamp(Level::Warning), &record)
}

/// First pass over an event: whether it is written at all. Formats nothing.
#[derive(Debug)]
struct Rules {
    level: Level,
    switch: Option<Switch>,
    limited_as: Option<String>,
}

impl Rules {
    fn of(level: tracing::Level) -> Self {
        let level = match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Log,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Noise,
        };
        Self {
            level,
            switch: None,
            limited_as: None,
        }
    }
}

impl Visit for Rules {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // `tracing` has five levels and `PgBouncer` six: a fatal line says so itself.
            "severity" => self.level = Level::from_word(value).unwrap_or(self.level),
            "switch" => self.switch = Switch::from_name(value),
            "limited_as" => self.limited_as = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Second pass: what the line says.
#[derive(Debug, Default)]
struct Fields(Record);

impl Fields {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        let record = &mut self.0;
        Some(match name {
            "event" => &mut record.event,
            "side" => &mut record.side,
            "database" => &mut record.database,
            "user" => &mut record.user,
            "peer" => &mut record.peer,
            "reason" => &mut record.reason,
            "error" => &mut record.error,
            "who" => &mut record.prefix,
            _ => return None,
        })
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0.message);
        } else if let Some(slot) = self.slot(field.name()) {
            *slot = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "id" => self.0.id = Some(value),
            "elapsed_ms" => self.0.elapsed_ms = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.message = format!("{value:?}");
        } else if let Some(slot) = self.slot(field.name()) {
            *slot = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
pub(in crate::telemetry) mod tests;
