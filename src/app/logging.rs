//! The settings and flags of the log in the words of `telemetry`.

use std::path::PathBuf;

use crate::config::{Config, LogFormat};
use crate::telemetry::line::Format;
use crate::telemetry::log::{LogSettings, Switch, Switches};
use crate::telemetry::syslog::{DEV_LOG, Facility, SyslogSettings};
use crate::telemetry::writer::{SinkSettings, Stderr};

/// What the command line says about the log; a reload does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogFlags {
    /// Number of `-v`.
    pub verbose: u8,
    /// Off with `-q` and `-d`.
    pub stderr: Stderr,
}

/// What the log is to do under this configuration.
pub fn log_settings(config: &Config, flags: LogFlags) -> LogSettings {
    let settings = &config.settings;
    let off = [
        (settings.log_connections, Switch::Connections),
        (settings.log_disconnections, Switch::Disconnections),
        (settings.log_pooler_errors, Switch::PoolerErrors),
        (settings.log_stats, Switch::Stats),
    ];
    let off = off.into_iter().filter(|(is_on, _)| !is_on);
    LogSettings {
        verbose: settings.verbose.max(flags.verbose),
        format: match settings.log_format {
            LogFormat::Pgbouncer => Format::Text,
            LogFormat::Json => Format::Json,
        },
        switches: off.fold(Switches::ALL, |all, (_, switch)| all.without(switch)),
        sinks: SinkSettings {
            stderr: flags.stderr,
            file: settings.logfile.as_ref().map(PathBuf::from),
            syslog: settings.syslog.then(|| syslog(config)),
        },
    }
}

fn syslog(config: &Config) -> SyslogSettings {
    let facility = Facility::from_name(config.settings.syslog_facility.name());
    SyslogSettings {
        facility: facility.unwrap_or(Facility::DAEMON),
        ident: config.settings.syslog_ident.clone(),
        socket: PathBuf::from(DEV_LOG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn settings(text: &str, flags: LogFlags) -> LogSettings {
        let text = format!("[pgbouncer]\n{text}");
        let read = move |_: &str| Ok(text.clone().into_bytes());
        log_settings(&load(&read, "x.ini", &[]).unwrap().config, flags)
    }

    #[test]
    fn the_defaults_are_those_of_the_log() {
        assert_eq!(settings("", LogFlags::default()), LogSettings::default());
    }

    #[test]
    fn the_larger_verbosity_counts() {
        let flags = |verbose| LogFlags {
            verbose,
            ..LogFlags::default()
        };
        assert_eq!(settings("verbose=1", flags(2)).verbose, 2);
        assert_eq!(settings("verbose=3", flags(2)).verbose, 3);
    }

    #[test]
    fn every_setting_reaches_the_log() {
        let text = "log_connections=0\nlog_stats=0\nlogfile=/x/y\nsyslog=1\nlog_format=json\n\
                    syslog_ident=weir\nsyslog_facility=local3";
        let flags = LogFlags {
            verbose: 0,
            stderr: Stderr::Off,
        };
        let expected = LogSettings {
            verbose: 0,
            format: Format::Json,
            switches: Switches::ALL
                .without(Switch::Connections)
                .without(Switch::Stats),
            sinks: SinkSettings {
                stderr: Stderr::Off,
                file: Some("/x/y".into()),
                syslog: Some(SyslogSettings {
                    facility: Facility::from_name("local3").unwrap(),
                    ident: "weir".to_owned(),
                    socket: DEV_LOG.into(),
                }),
            },
        };
        assert_eq!(settings(text, flags), expected);
    }
}
