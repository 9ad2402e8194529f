//! The command line of `pgweir demo`.

use super::fetch::Route;

/// Options of `pgweir demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Port of 127.0.0.1 that pgweir listens on [default: 6432, or a free one if it is in use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// Length of each pgbench run
    #[arg(long, value_name = "SECS", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(1..=300))]
    pub duration: u16,

    /// Exit after the table instead of staying up until Ctrl-C
    #[arg(long)]
    pub once: bool,

    /// Keep the directory with data, settings and logs, and say where it is
    #[arg(long)]
    pub keep: bool,

    /// As root: the user that servers run as [default: postgres, or nobody]
    #[arg(long, value_name = "USER")]
    pub run_as: Option<String>,

    /// Ignore installed servers and fetch one this way
    #[arg(long, value_name = "ROUTE", hide = true)]
    pub fetch: Option<Route>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        demo: DemoOptions,
    }

    fn parse(words: &[&str]) -> Result<DemoOptions, clap::Error> {
        let words = std::iter::once("demo").chain(words.iter().copied());
        Line::try_parse_from(words).map(|line| line.demo)
    }

    #[test]
    fn nothing_is_required() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.port, options.duration), (None, 5));
        assert!(!options.once && !options.keep);
        assert_eq!(options.fetch, None);
    }

    #[test]
    fn everything_can_be_said() {
        let line = "--port 7000 --duration 1 --once --keep --run-as nobody --fetch pip";
        let options = parse(&line.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!((options.port, options.duration), (Some(7000), 1));
        assert!(options.once && options.keep);
        assert_eq!(options.run_as.as_deref(), Some("nobody"));
        assert_eq!(options.fetch, Some(Route::Pip));
    }

    #[test]
    fn numbers_have_bounds() {
        for line in ["--port 0", "--port 65536", "--duration 0", "--duration 301"] {
            assert!(
                parse(&line.split(' ').collect::<Vec<_>>()).is_err(),
                "{line}"
            );
        }
    }
}
