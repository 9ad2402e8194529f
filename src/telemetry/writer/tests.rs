use super::*;
use std::fmt::Write as _;
use std::io::Read;

const PATIENCE: Duration = Duration::from_secs(10);

fn tell(lost: u64, out: &mut String) -> usize {
    let body = out.len();
    writeln!(out, "lost {lost}").unwrap();
    body
}

fn to_file(path: &Path) -> Sinks {
    let settings = SinkSettings {
        stderr: Stderr::Off,
        file: Some(path.to_owned()),
        syslog: None,
    };
    Sinks::open(&settings, 1).unwrap()
}

fn say(writer: &Writer, text: &str) {
    writer.queue(Level::Log, |out| {
        out.push_str(text);
        out.push('\n');
        0
    });
}

#[test]
fn lines_keep_their_order_and_a_flush_finds_them_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let writer = Writer::start(to_file(&path), Box::new(tell)).unwrap();
    let lines = (0..500).map(|n| format!("line {n}")).collect::<Vec<_>>();
    for line in &lines {
        say(&writer, line);
    }
    writer.flush(PATIENCE);
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn a_switch_after_a_flush_sends_earlier_lines_to_the_old_file_and_later_ones_to_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let writer = Writer::start(to_file(&old), Box::new(tell)).unwrap();
    say(&writer, "before");
    writer.flush(PATIENCE);
    writer.switch_to(to_file(&new));
    say(&writer, "after");
    writer.flush(PATIENCE);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "before\n");
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "after\n");
}

#[test]
fn a_stuck_sink_costs_lines_and_not_memory_and_the_loss_is_told() {
    let (mut reader, stuck) = std::io::pipe().unwrap();
    let sinks = Sinks {
        stderr: None,
        file: Some(File::from(std::os::fd::OwnedFd::from(stuck))),
        syslog: None,
    };
    let writer = Writer::start(sinks, Box::new(tell)).unwrap();
    let line = "x".repeat(1000);
    let mut queued = 0_u64;
    // Far more than the pipe, the batch in hand and the queue can hold together.
    while writer.lost() < 50 {
        say(&writer, &line);
        queued += 1;
    }
    assert!(writer.shared.lock().batch.text.len() <= QUEUE_BYTES + 1001);
    assert!(queued < 20_000, "the bound did not hold: {queued}");
    // Once somebody reads again, everything that was queued comes, and then the loss.
    let all = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    });
    writer.flush(PATIENCE);
    writer.close();
    let all = all.join().unwrap();
    let lost = writer.lost();
    assert!(all.contains(&format!("lost {lost}\n")), "{}", all.len());
    assert_eq!(
        all.lines().filter(|read| *read == line).count() as u64,
        queued - lost
    );
}

#[test]
fn a_file_that_cannot_be_opened_is_named_in_the_error() {
    let settings = SinkSettings {
        file: Some(PathBuf::from("/nonexistent/dir/log")),
        ..SinkSettings::default()
    };
    let error = Sinks::open(&settings, 1).unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/dir/log"),
        "{error}"
    );
}
