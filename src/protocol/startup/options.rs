//! Sans-IO. Which settings a client asks for in its startup packet, and in the `options` string.

use super::{Replication, StartupError, StartupPacket};

/// Settings in an `options` string: `-c name=value`, `-cname=value` and `--name=value`, with blanks
/// between and a backslash before a character that is meant literally.
///
/// A hyphen in a name stands for an underscore, as in `PostgreSQL`. Names are not empty; anything
/// else is [`StartupError::BadOptions`].
pub fn parse_options(raw: &str) -> Result<Vec<(String, String)>, StartupError> {
    let mut settings = Vec::new();
    let mut words = Words { rest: raw };
    while let Some(word) = words.next() {
        let assignment = if let Some(long) = word.strip_prefix("--") {
            long.to_owned()
        } else if word == "-c" {
            words.next().ok_or(StartupError::BadOptions)?
        } else if let Some(short) = word.strip_prefix("-c") {
            short.to_owned()
        } else {
            return Err(StartupError::BadOptions);
        };
        match assignment.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                settings.push((name.replace('-', "_"), value.to_owned()));
            }
            Some(_) | None => return Err(StartupError::BadOptions),
        }
    }
    Ok(settings)
}

/// Splits at blanks that no backslash stands before. Every call consumes at least one character of
/// a string that is not empty, so it ends on any input.
struct Words<'a> {
    rest: &'a str,
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
        self.rest = self.rest.trim_start_matches(blank);
        if self.rest.is_empty() {
            return None;
        }
        let mut word = String::new();
        let mut chars = self.rest.chars();
        while let Some(next) = chars.next() {
            match next {
                '\\' => word.extend(chars.next()),
                _ if blank(next) => break,
                _ => word.push(next),
            }
        }
        self.rest = chars.as_str();
        Some(word)
    }
}

/// The tracked settings that a startup packet sets, in its order; of one name the last counts.
///
/// `tracked` and `ignored` (`ignore_startup_parameters`) answer for a name in any case; ignoring
/// wins over tracking. With `options` in the ignore list, what `options` holds and we do not know is
/// ignored. A replication client's `options` go to its server as they are and are not read here.
/// The packet's own list of parameters is taken out of it.
pub fn classify_parameters(
    packet: &mut StartupPacket,
    tracked: &dyn Fn(&str) -> bool,
    ignored: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, StartupError> {
    let mut set: Vec<(String, String)> = Vec::new();
    let mut put = |name: String, value: String| {
        set.retain(|(earlier, _)| !earlier.eq_ignore_ascii_case(&name));
        set.push((name, value));
    };
    for (name, value) in in_options(packet, ignored)? {
        match fate(&name, tracked, ignored) {
            Fate::Track => put(name, value),
            Fate::Ignore => {}
            Fate::Refuse if ignored("options") => {}
            Fate::Refuse => return Err(StartupError::UnsupportedOption(name)),
        }
    }
    for (name, value) in std::mem::take(&mut packet.parameters) {
        match fate(&name, tracked, ignored) {
            Fate::Track => put(name, value),
            Fate::Ignore => {}
            Fate::Refuse => return Err(StartupError::UnsupportedParameter(name)),
        }
    }
    Ok(set)
}

enum Fate {
    Track,
    Ignore,
    Refuse,
}

fn fate(name: &str, tracked: &dyn Fn(&str) -> bool, ignored: &dyn Fn(&str) -> bool) -> Fate {
    if ignored(name) {
        Fate::Ignore
    } else if tracked(name) {
        Fate::Track
    } else {
        Fate::Refuse
    }
}

fn in_options(
    packet: &StartupPacket,
    ignored: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, StartupError> {
    let raw = match (&packet.options, packet.replication) {
        (Some(raw), Replication::None) => raw,
        (None, _) | (Some(_), Replication::Physical | Replication::Logical) => {
            return Ok(Vec::new());
        }
    };
    match parse_options(raw) {
        Err(StartupError::BadOptions) if ignored("options") => Ok(Vec::new()),
        other => other,
    }
}
