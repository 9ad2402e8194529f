//! The thread that writes log lines, and the bounded queue before it.
//!
//! Why a thread: a write to a full pipe or a slow disk blocks, and a worker that blocks holds up
//! all of its clients. Why a byte buffer and not a channel of lines: a worker appends to one
//! buffer, without an allocation for the line; and the thread, once woken, lingers a few
//! milliseconds and then takes all that has gathered, so that a burst of logins costs few wake-ups.
//!
//! Invariants: the queue never holds more than [`QUEUE_BYTES`]; a line that does not fit is counted
//! and told; lines keep their order; [`Writer::flush`] returns after every line queued before it is
//! written, or at its deadline.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::line::Level;
use super::syslog::{Syslog, SyslogSettings};

/// Bytes that may wait for the thread.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// How long the thread gathers lines after it was woken. A flush does not wait for it.
const LINGER: Duration = Duration::from_millis(5);

/// Whether lines also go to standard error (`-q` and `-d` say no).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stderr {
    /// They do.
    #[default]
    On,
    /// They do not.
    Off,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkSettings {
    /// Standard error.
    pub stderr: Stderr,
    /// Setting `logfile`.
    pub file: Option<PathBuf>,
    /// Setting `syslog` and its companions.
    pub syslog: Option<SyslogSettings>,
}

/// Why a sink could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("could not open log file {path:?}: {source}")]
pub struct SinkError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Opened sinks, on their way to the thread.
#[derive(Debug)]
pub struct Sinks {
    stderr: Option<io::Stderr>,
    file: Option<File>,
    syslog: Option<Syslog>,
}

impl Sinks {
    /// Opens what `settings` name. The file is appended to and made when absent.
    pub fn open(settings: &SinkSettings, pid: u32) -> Result<Self, SinkError> {
        Ok(Self {
            stderr: (settings.stderr == Stderr::On).then(io::stderr),
            file: settings.file.as_deref().map(append_to).transpose()?,
            syslog: settings
                .syslog
                .clone()
                .map(|settings| Syslog::new(settings, pid)),
        })
    }

    /// Writes a batch to every sink. Returns how many writes were lost.
    fn write(&mut self, batch: &Batch) -> u64 {
        let mut lost = 0;
        if let Some(stderr) = &mut self.stderr {
            lost += u64::from(stderr.write_all(batch.text.as_bytes()).is_err());
        }
        if let Some(file) = &mut self.file {
            lost += u64::from(file.write_all(batch.text.as_bytes()).is_err());
        }
        if let Some(syslog) = &mut self.syslog {
            for (level, body) in batch.bodies() {
                lost += u64::from(syslog.send(level, body).is_err());
            }
        }
        lost
    }
}

fn append_to(path: &Path) -> Result<File, SinkError> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|source| SinkError {
        path: path.to_owned(),
        source,
    })
}

/// Where a line is within a batch.
#[derive(Debug, Clone, Copy)]
struct Mark {
    level: Level,
    body: usize,
    end: usize,
}

/// Lines in the order in which they came.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    marks: Vec<Mark>,
}

impl Batch {
    fn bodies(&self) -> impl Iterator<Item = (Level, &str)> {
        self.marks.iter().filter_map(|mark| {
            let body = self.text.get(mark.body..mark.end)?;
            Some((mark.level, body.trim_end_matches('\n')))
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.marks.clear();
    }
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// Sinks to use for what comes after the batch.
    sinks: Option<Sinks>,
    /// Lines ever queued, and how many of these are written.
    queued: u64,
    written: u64,
    /// Lines that did not fit, and writes that failed, since the process began.
    lost: u64,
    /// Somebody waits: do not linger.
    urgent: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    progress: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }
}

/// Appends the line about a number of lost lines; returns where its body begins.
pub type TellLoss = Box<dyn Fn(u64, &mut String) -> usize + Send>;

/// Handle of the thread. The last one closes the queue with [`Writer::close`].
#[derive(Debug, Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread. `tell_loss` appends the line that reports a number of lost lines, and
    /// returns where its body begins. Nobody joins the thread: it may hang in a write to a stuck
    /// pipe, and a process that ends must not; [`Writer::flush`] has a deadline instead.
    pub fn start(sinks: Sinks, tell_loss: TellLoss) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || write_until_closed(&of_thread, sinks, &tell_loss))?;
        Ok(Self { shared })
    }

    /// Queues one line that `write` appends; it returns where the body for syslog begins.
    pub fn queue(&self, level: Level, write: impl FnOnce(&mut String) -> usize) {
        let mut queue = self.shared.lock();
        if queue.batch.text.len() >= QUEUE_BYTES {
            queue.lost = queue.lost.saturating_add(1);
            return;
        }
        let idle = queue.batch.marks.is_empty();
        let body = write(&mut queue.batch.text);
        let end = queue.batch.text.len();
        queue.batch.marks.push(Mark { level, body, end });
        queue.queued += 1;
        drop(queue);
        if idle {
            self.shared.work.notify_one();
        }
    }

    /// Changes the sinks, also for lines that are queued already: [`Self::flush`] goes before.
    pub fn switch_to(&self, sinks: Sinks) {
        self.shared.lock().sinks = Some(sinks);
    }

    /// Waits until all lines queued so far are written, at most `patience` long. Blocks: for
    /// start, stop, reload and fatal lines only.
    pub fn flush(&self, patience: Duration) {
        let mut queue = self.shared.lock();
        let goal = queue.queued;
        queue.urgent = true;
        self.shared.work.notify_one();
        let waited = self
            .shared
            .progress
            .wait_timeout_while(queue, patience, |queue| {
                queue.written < goal && !queue.closed
            });
        drop(waited.expect("nothing panics under this lock"));
    }

    /// Lines that did not fit and writes that failed, since the process began.
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }

    /// Lets the thread write what is queued and end.
    pub fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.urgent = true;
        self.shared.work.notify_one();
    }
}

fn write_until_closed(shared: &Shared, mut sinks: Sinks, tell_loss: &TellLoss) {
    let mut batch = Batch::default();
    let mut told = 0;
    loop {
        batch.clear();
        let mut queue = await_lines(shared);
        std::mem::swap(&mut queue.batch, &mut batch);
        if let Some(newer) = queue.sinks.take() {
            sinks = newer;
        }
        queue.urgent = false;
        let (closed, lost) = (queue.closed, queue.lost);
        drop(queue);

        let lines = u64::try_from(batch.marks.len()).unwrap_or(u64::MAX);
        if lost > told {
            append_loss(&mut batch, lost - told, tell_loss);
            told = lost;
        }
        let failed = sinks.write(&batch);

        let mut queue = shared.lock();
        queue.written = queue.written.saturating_add(lines);
        queue.lost = queue.lost.saturating_add(failed);
        // A failing disk must not make the thread write about its own failures for ever.
        told += failed;
        let done = closed && queue.batch.marks.is_empty();
        shared.progress.notify_all();
        drop(queue);
        if done {
            return;
        }
    }
}

/// Sleeps until there are lines, then a little longer so that more of them gather.
fn await_lines(shared: &Shared) -> MutexGuard<'_, Queue> {
    let idle = |queue: &mut Queue| queue.batch.marks.is_empty() && !queue.closed && !queue.urgent;
    let queue = shared
        .work
        .wait_while(shared.lock(), idle)
        .expect("nothing panics under it");
    let gathered = shared
        .work
        .wait_timeout_while(queue, LINGER, |queue| !queue.urgent);
    gathered.expect("nothing panics under this lock").0
}

fn append_loss(batch: &mut Batch, lost: u64, tell_loss: &TellLoss) {
    let body = tell_loss(lost, &mut batch.text);
    let end = batch.text.len();
    batch.marks.push(Mark {
        level: Level::Warning,
        body,
        end,
    });
}

#[cfg(test)]
mod tests;
