//! The `pgweir` program: everything lives in the library.

use std::process::ExitCode;

use pgweir::cli::{self, Invocation};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Invocation::Print(text) => {
            say(&mut std::io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Invocation::Misuse(text) => fail(&text),
        Invocation::Run(arguments) => pgweir::app::serve::serve(&arguments),
        Invocation::Check(_) => not_built("check"),
        Invocation::Demo(_) => not_built("demo"),
        Invocation::Docs(_) => not_built("docs"),
    }
}

fn not_built(what: &str) -> ExitCode {
    fail(&format!("pgweir: {what} is not built in this revision\n"))
}

fn fail(text: &str) -> ExitCode {
    say(&mut std::io::stderr(), text);
    ExitCode::FAILURE
}

/// Writes `text`. A reader that has gone away (`pgweir --help | head -1`) is no error.
fn say(out: &mut dyn std::io::Write, text: &str) {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}
