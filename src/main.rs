//! The `pgweir` program: everything lives in the library.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use pgweir::app::commands::{self, Printed, Verdict};
use pgweir::app::reload::Source;
use pgweir::app::serve::serve;
use pgweir::cli::{self, Invocation};
use pgweir::demo::{self, DemoError, DemoOptions};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Invocation::Print(text) => {
            say(&mut std::io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Invocation::Misuse(text) => fail(&text),
        Invocation::Run(arguments) => serve(&arguments),
        Invocation::Check(file) => print(&commands::check(&Source::new(
            file.to_string_lossy(),
            Vec::new(),
        ))),
        Invocation::Docs(document) => print(&commands::docs(document)),
        Invocation::Demo(arguments) => run_demo(arguments),
    }
}

/// The demo's own command line.
#[derive(Debug, Parser)]
#[command(
    name = "pgweir demo",
    about = "Show the pooler at work with a real PostgreSQL."
)]
struct DemoLine {
    #[command(flatten)]
    options: DemoOptions,
}

fn run_demo(arguments: Vec<OsString>) -> ExitCode {
    let line = std::iter::once(OsString::from("pgweir demo")).chain(arguments);
    let options = match DemoLine::try_parse_from(line) {
        Ok(DemoLine { options }) => options,
        Err(error) if error.use_stderr() => return fail(&error.to_string()),
        Err(help) => {
            say(&mut std::io::stdout(), &help.to_string());
            return ExitCode::SUCCESS;
        }
    };
    match demo::run(&options, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(DemoError::Interrupted) => ExitCode::from(130),
        Err(error) => fail(&format!("pgweir demo: {error}\n")),
    }
}

fn print(printed: &Printed) -> ExitCode {
    say(&mut std::io::stdout(), &printed.text);
    match printed.verdict {
        Verdict::Good => ExitCode::SUCCESS,
        Verdict::Bad => ExitCode::FAILURE,
    }
}

fn fail(text: &str) -> ExitCode {
    say(&mut std::io::stderr(), text);
    ExitCode::FAILURE
}

/// Writes `text`. A reader that has gone away (`pgweir --help | head -1`) is no error.
fn say(out: &mut dyn Write, text: &str) {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}
