//! Sans-IO. The command line: arguments in, an [`Invocation`] out.
//!
//! The options are `PgBouncer`'s, and so is its exit code 1 for a wrong use. A first argument that
//! is no subcommand is the configuration file; a file that is called like a subcommand can be
//! given as `./demo`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::version::{COMPATIBLE_WITH, OWN};

/// Where a pooler that was started with a configuration file runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// In the foreground, with log lines on standard error.
    #[default]
    Foreground,
    /// In the background (`-d`).
    Background,
}

/// Whether log lines go to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chatter {
    /// They do.
    #[default]
    Spoken,
    /// They do not (`-q`).
    Quiet,
}

/// Arguments for serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serve {
    /// The configuration file.
    pub config: PathBuf,
    /// `-d`.
    pub place: Place,
    /// `-q`.
    pub chatter: Chatter,
    /// Number of `-v`.
    pub verbose: u8,
    /// `-u`; wins over the setting `user`.
    pub user: Option<String>,
}

/// What `pgweir docs` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A configuration file with every setting, its meaning and its default.
    Sample,
    /// A table of all settings.
    Settings,
}

/// What the caller of the program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Serve clients.
    Run(Serve),
    /// Read a configuration file, report what is wrong with it, and end.
    Check(PathBuf),
    /// Show the pooler at work; the arguments are the demo's own.
    Demo(Vec<OsString>),
    /// Print a document.
    Docs(Document),
    /// Print this text to standard output and end well: help, version.
    Print(String),
    /// Print this text to standard error and end with code 1.
    Misuse(String),
}

#[derive(Debug, Parser)]
#[command(
    name = "pgweir",
    about = "pgweir is a connection pooler for PostgreSQL.",
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    override_usage = "pgweir [OPTION]... CONFIG_FILE\n       pgweir COMMAND"
)]
struct CommandLine {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Run in background (as a daemon)
    #[arg(short, long)]
    daemon: bool,
    /// Run quietly
    #[arg(short, long)]
    quiet: bool,
    /// Increase verbosity
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Assume identity of USERNAME
    #[arg(short, long, value_name = "USERNAME")]
    user: Option<String>,
    /// Show version, then exit
    #[arg(short = 'V', long)]
    version: bool,
    /// The configuration file
    #[arg(value_name = "CONFIG_FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a configuration file and report what is wrong with it
    Check {
        /// The configuration file
        #[arg(value_name = "CONFIG_FILE")]
        config: PathBuf,
    },
    /// Show the pooler at work
    #[command(disable_help_flag = true)]
    Demo {
        /// Options of the demo; see `pgweir demo --help`
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "OPTION"
        )]
        arguments: Vec<OsString>,
    },
    /// Print documentation
    Docs {
        /// Which one
        document: Document,
    },
}

/// Reads the arguments; the first one is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Invocation {
    match CommandLine::try_parse_from(arguments) {
        Ok(line) => invocation(line),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp => Invocation::Print(error.to_string()),
            // clap takes a second file for a subcommand; its words would puzzle.
            ErrorKind::ArgumentConflict => Invocation::Misuse(misuse(
                "only one configuration file or command can be given",
            )),
            _ => Invocation::Misuse(misuse(&error.to_string())),
        },
    }
}

fn invocation(line: CommandLine) -> Invocation {
    match line.command {
        Some(Command::Check { config }) => Invocation::Check(config),
        Some(Command::Demo { arguments }) => Invocation::Demo(arguments),
        Some(Command::Docs { document }) => Invocation::Docs(document),
        None => serve(line.serve),
    }
}

fn serve(args: ServeArgs) -> Invocation {
    if args.version {
        return Invocation::Print(version());
    }
    let Some(config) = args.config else {
        return Invocation::Misuse(misuse("no configuration file specified"));
    };
    Invocation::Run(Serve {
        config,
        place: if args.daemon {
            Place::Background
        } else {
            Place::Foreground
        },
        chatter: if args.quiet {
            Chatter::Quiet
        } else {
            Chatter::Spoken
        },
        verbose: args.verbose,
        user: args.user,
    })
}

fn version() -> String {
    format!("pgweir {OWN} (PgBouncer {COMPATIBLE_WITH} compatible)\n")
}

/// The first sentence of a report, in the form that `PgBouncer` uses.
fn misuse(report: &str) -> String {
    let mut lines = report.lines();
    let first = lines.next().unwrap_or_default();
    let reason = first.strip_prefix("error: ").unwrap_or(first);
    // "... not provided:" names the arguments on the lines that follow.
    let list = if reason.ends_with(':') {
        lines.next().unwrap_or_default().trim()
    } else {
        ""
    };
    let space = if list.is_empty() { "" } else { " " };
    format!("pgweir: {reason}{space}{list}\nTry \"pgweir --help\" for more information.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Invocation {
        parse(
            std::iter::once("pgweir")
                .chain(line.split_whitespace())
                .map(OsString::from),
        )
    }

    fn run(config: &str) -> Serve {
        Serve {
            config: config.into(),
            place: Place::Foreground,
            chatter: Chatter::Spoken,
            verbose: 0,
            user: None,
        }
    }

    /// What `options` change about serving `a.ini`.
    fn changed(change: impl FnOnce(&mut Serve)) -> Serve {
        let mut serve = run("a.ini");
        change(&mut serve);
        serve
    }

    #[test]
    fn options_are_pgbouncers() {
        let background = changed(|serve| serve.place = Place::Background);
        let quiet = changed(|serve| serve.chatter = Chatter::Quiet);
        let loud = |verbose| changed(|serve| serve.verbose = verbose);
        let ann = changed(|serve| serve.user = Some("ann".to_owned()));
        let all = Serve {
            place: Place::Background,
            verbose: 2,
            ..ann.clone()
        };
        let table = [
            ("a.ini", run("a.ini")),
            ("-d a.ini", background.clone()),
            ("--daemon a.ini", background.clone()),
            ("a.ini -d", background),
            ("-q a.ini", quiet.clone()),
            ("--quiet a.ini", quiet),
            ("-v a.ini", loud(1)),
            ("-v --verbose a.ini", loud(2)),
            ("-vvv a.ini", loud(3)),
            ("-u ann a.ini", ann.clone()),
            ("--user=ann a.ini", ann.clone()),
            ("--user ann a.ini", ann),
            (
                "-dqvv -u ann a.ini",
                Serve {
                    chatter: Chatter::Quiet,
                    ..all
                },
            ),
        ];
        for (line, expected) in table {
            assert_eq!(parsed(line), Invocation::Run(expected), "{line}");
        }
    }

    #[test]
    fn any_other_word_is_the_configuration_file() {
        for (line, file) in [
            ("./demo", "./demo"),
            ("help", "help"),
            ("chec", "chec"),
            ("-- -d", "-d"),
        ] {
            assert_eq!(parsed(line), Invocation::Run(run(file)), "{line}");
        }
    }

    #[test]
    fn subcommands_are_those_words_only() {
        assert_eq!(parsed("check a.ini"), Invocation::Check("a.ini".into()));
        assert_eq!(parsed("docs sample"), Invocation::Docs(Document::Sample));
        assert_eq!(
            parsed("docs settings"),
            Invocation::Docs(Document::Settings)
        );
        assert_eq!(parsed("demo"), Invocation::Demo(vec![]));
        assert_eq!(
            parsed("demo --help -x 3"),
            Invocation::Demo(vec!["--help".into(), "-x".into(), "3".into()])
        );
    }

    #[test]
    fn wrong_use_is_said_on_one_line_with_a_pointer_to_the_help() {
        let table = [
            ("", "no configuration file specified"),
            ("-d", "no configuration file specified"),
            ("-R a.ini", "unexpected argument '-R' found"),
            ("--reboot a.ini", "unexpected argument '--reboot' found"),
            (
                "a.ini b.ini",
                "only one configuration file or command can be given",
            ),
            (
                "a.ini --user",
                "a value is required for '--user <USERNAME>' but none was supplied",
            ),
            ("docs nothing", "invalid value 'nothing' for '<DOCUMENT>'"),
            (
                "check",
                "the following required arguments were not provided: <CONFIG_FILE>",
            ),
        ];
        for (line, reason) in table {
            let expected =
                format!("pgweir: {reason}\nTry \"pgweir --help\" for more information.\n");
            assert_eq!(parsed(line), Invocation::Misuse(expected), "{line}");
        }
    }

    #[test]
    fn help_and_version_are_printed_and_need_no_file() {
        for line in ["-V", "--version", "-V a.ini"] {
            let Invocation::Print(text) = parsed(line) else {
                panic!("{line}")
            };
            assert!(text.starts_with("pgweir "), "{text}");
            assert!(text.ends_with("(PgBouncer 1.26.1 compatible)\n"), "{text}");
        }
        for line in ["-h", "--help", "check --help"] {
            let Invocation::Print(text) = parsed(line) else {
                panic!("{line}")
            };
            assert!(text.contains("CONFIG_FILE"), "{text}");
        }
    }
}
