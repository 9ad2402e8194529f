//! How many instructions does each case take, and is that more than the committed baseline says?
//!
//! A count is the same on every machine, however busy. Each case runs in a process of its own under
//! valgrind, once with so many operations and once with twice as many; the difference belongs to the
//! operations alone, all of them warm. `benches/counts/run` builds and starts this.

#[path = "../cases/checkout.rs"]
mod checkout;
#[path = "../cases/framer.rs"]
mod framer;
#[path = "../cases/frames.rs"]
mod frames;
#[path = "../cases/login.rs"]
mod login;
#[path = "../cases/meter.rs"]
mod meter;
#[path = "../cases/relay.rs"]
mod relay;
#[path = "../cases/route.rs"]
mod route;
#[path = "../cases/sql.rs"]
mod sql;

mod baseline;

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};

use baseline::{BadLine, Baseline, Count, Verdict};
use meter::Meter;

/// The committed numbers, beside this file.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts/baseline.txt");

/// The C library picks its copy functions by processor: the plainest ones are everywhere. Names of
/// older and newer versions; what a version does not know it ignores.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM,\
    -AVX2_Usable,-AVX_Fast_Unaligned_Load,-Fast_Unaligned_Copy,-SSSE3";

/// Bytes that all operations of a run deal with together, about.
const BYTES: usize = 2_000_000;

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
enum CountError {
    #[error("{what} could not be run: {error}")]
    Start {
        what: &'static str,
        error: io::Error,
    },
    #[error("{what} failed: {output}")]
    Failed { what: &'static str, output: String },
    #[error("{what} did not say how many instructions there were: {output}")]
    Silent { what: &'static str, output: String },
    #[error("{BASELINE}: {0}")]
    File(#[from] io::Error),
    #[error("{BASELINE}:{}: a name and a number expected", .0.0)]
    Line(BadLine),
    #[error("instructions of a debug build mean nothing: use benches/counts/run")]
    Debug,
}

/// Goes through all cases: name, number of operations that makes a good run, the operation.
fn each_case(case: &mut Meter<'_>) {
    type Cases = fn(&mut Meter<'_>);
    let groups: [(&str, Cases); 6] = [
        ("framer", framer::all),
        ("pool", checkout::all),
        ("relay", relay::all),
        ("login", login::all),
        ("sql", sql::all),
        ("route", route::all),
    ];
    for (group, cases) in groups {
        cases(&mut |name, bytes, operation| {
            let operations = (BYTES / bytes.max(1)).clamp(20, 1000);
            case(&format!("{group}: {name}"), operations, operation);
        });
    }
}

/// In the process that is counted: runs one case so many times.
fn run(wanted: &str, times: usize) {
    each_case(&mut |name, _, operation| {
        if name == wanted {
            (0..times).for_each(|_| operation());
        }
    });
}

fn finish(what: &'static str, started: io::Result<Output>) -> Result<String, CountError> {
    let output = started.map_err(|error| CountError::Start { what, error })?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(CountError::Failed { what, output: said })
    }
}

/// The command that counts the instructions of so many operations of a case.
fn valgrind(name: &str, times: usize) -> io::Result<Command> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", name, &times.to_string()])
        .env("GLIBC_TUNABLES", TUNABLES)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// Instructions of one operation.
fn count(name: &str, operations: usize) -> Result<u64, CountError> {
    const WHAT: &str = "valgrind";
    let start = |times| valgrind(name, times).and_then(|mut command| command.spawn());
    let both = [start(operations), start(2 * operations)];
    let mut totals = Vec::new();
    for started in both {
        let said = finish(WHAT, started.and_then(Child::wait_with_output))?;
        let total = said.lines().find_map(|line| {
            line.split_once("Collected : ")?
                .1
                .trim()
                .parse::<u64>()
                .ok()
        });
        totals.push(total.ok_or(CountError::Silent {
            what: WHAT,
            output: said,
        })?);
    }
    let more = totals.iter().max().zip(totals.iter().min());
    let more = more.map_or(0, |(long, short)| long - short);
    let operations = operations as u64;
    Ok((more + operations / 2) / operations)
}

fn count_all() -> Result<Vec<Count>, CountError> {
    let mut cases = Vec::new();
    each_case(&mut |name, operations, _| cases.push((name.to_owned(), operations)));
    let counted = cases.into_iter().map(|(name, operations)| {
        let count = count(&name, operations)?;
        Ok((name, count))
    });
    counted.collect()
}

/// Compiler and architecture, which the numbers depend on.
fn made_with() -> Result<String, CountError> {
    let version = finish("rustc", Command::new("rustc").arg("--version").output())?;
    let words: Vec<_> = version.split_whitespace().take(2).collect();
    Ok(format!("{} {}", words.join(" "), std::env::consts::ARCH))
}

/// Counts and compares with the baseline.
#[expect(
    clippy::print_stdout,
    reason = "its figures are what a benchmark is for"
)]
fn check() -> Result<ExitCode, CountError> {
    let baseline = Baseline::parse(&fs::read_to_string(BASELINE)?).map_err(CountError::Line)?;
    let report = baseline.compare(&count_all()?);
    println!("{report}");
    if report.count(Verdict::Better) > 0 {
        println!("Some counts are better. To keep that: benches/counts/run --update");
    }
    if !report.has_failed() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("Where that is meant to be so: benches/counts/run --update");
    let made_with = made_with()?;
    if made_with != baseline.made_with {
        let before = baseline.made_with;
        println!("The baseline was made with {before}, this with {made_with}: that may be why.");
    }
    Ok(ExitCode::FAILURE)
}

/// Counts and makes that the baseline.
#[expect(
    clippy::print_stdout,
    reason = "its figures are what a benchmark is for"
)]
fn update() -> Result<ExitCode, CountError> {
    let baseline = Baseline {
        made_with: made_with()?,
        counts: count_all()?,
    };
    if let Ok(before) = fs::read_to_string(BASELINE) {
        let before = Baseline::parse(&before).map_err(CountError::Line)?;
        println!("{}", before.compare(&baseline.counts));
    }
    fs::write(Path::new(BASELINE), baseline.to_string())?;
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::print_stdout,
    reason = "its figures are what a benchmark is for"
)]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["run", name, times] => {
            run(name, times.parse().unwrap_or(0));
            Ok(ExitCode::SUCCESS)
        }
        ["check" | "update", ..] if cfg!(debug_assertions) => Err(CountError::Debug),
        ["check", ..] => check(),
        ["update", ..] => update(),
        // With all the other benchmarks, which have another profile and no valgrind.
        _ => {
            println!("instructions are counted by benches/counts/run");
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        println!("{error}");
        ExitCode::FAILURE
    })
}
