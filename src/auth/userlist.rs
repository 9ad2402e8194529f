//! Sans-IO. The file of users and secrets (`auth_file`, `userlist.txt`).
//!
//! One user a line: `"user" "secret"`, where `""` is a quote inside a word and the rest of the line is
//! ignored. Lines that start with `;` are comments. As in `PgBouncer`, reading stops at the first
//! broken line and the users before it stay.

use super::secret::{PASSWORD_BYTES_MAX, Secret};

/// Longest user name, in bytes (`PgBouncer`: 128 with the terminating zero).
pub const USER_BYTES_MAX: usize = 127;

/// One user of the file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name's bytes as they stand in the file.
    pub user: Box<[u8]>,
    /// The secret. When a name comes twice, the later line wins.
    pub secret: Secret,
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Userlist {
    /// Users in the order of the file.
    pub entries: Vec<Entry>,
    /// Where reading stopped, when it did. The caller logs `broken auth file`.
    pub broken: Option<BrokenAt>,
}

/// The line at which reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("broken auth file, line {line}: {reason}")]
pub struct BrokenAt {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Broken,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The line does not start with a quote.
    #[error("expected a quoted user name")]
    NoUser,
    /// The user name has no closing quote, or no quoted secret follows it.
    #[error("expected a quoted secret after the user name")]
    NoSecret,
    /// The secret has no closing quote.
    #[error("expected a closing quote after the secret")]
    Unclosed,
    /// The name is longer than [`USER_BYTES_MAX`].
    #[error("user name longer than {USER_BYTES_MAX} bytes")]
    UserTooLong,
    /// The secret is longer than [`PASSWORD_BYTES_MAX`] or has a zero byte.
    #[error("secret with a zero byte or longer than {PASSWORD_BYTES_MAX} bytes")]
    BadSecret,
}

/// Reads the text of the file.
pub fn parse(text: &[u8]) -> Userlist {
    let mut entries = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line_text = line.trim_ascii_start();
        if line_text.is_empty() || line_text.starts_with(b";") {
            continue;
        }
        match parse_line(line_text) {
            Ok(entry) => entries.push(entry),
            Err(reason) => {
                let line = index + 1;
                let broken = Some(BrokenAt { line, reason });
                return Userlist { entries, broken };
            }
        }
    }
    let broken = None;
    Userlist { entries, broken }
}

fn parse_line(line: &[u8]) -> Result<Entry, Broken> {
    let after_quote = line.strip_prefix(b"\"").ok_or(Broken::NoUser)?;
    let (user, rest) = quoted(after_quote).ok_or(Broken::NoSecret)?;
    if user.len() > USER_BYTES_MAX {
        return Err(Broken::UserTooLong);
    }
    // PgBouncer skips whatever stands between the two words, but must not run into the next line:
    // there it would take the next user's name for this user's secret.
    let (_, rest) = split_at_quote(rest).ok_or(Broken::NoSecret)?;
    let (secret, _) = quoted(rest).ok_or(Broken::Unclosed)?;
    let secret = Secret::parse(&secret).map_err(|_| Broken::BadSecret)?;
    let user = user.into();
    Ok(Entry { user, secret })
}

/// The word up to its closing quote, with `""` made `"`, and what follows it.
fn quoted(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        let (part, after) = split_at_quote(rest)?;
        word.extend_from_slice(part);
        match after.strip_prefix(b"\"") {
            Some(more) => {
                word.push(b'"');
                rest = more;
            }
            None => return Some((word, after)),
        }
    }
}

fn split_at_quote(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'"', bytes)?;
    let (before, from) = bytes.split_at_checked(at)?;
    Some((before, from.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(list: &Userlist) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let secret = |secret: &Secret| match secret {
            Secret::Plain(password) => text(password.as_bytes()),
            Secret::Md5(_) => "<md5>".to_owned(),
            Secret::Scram(_) => "<scram>".to_owned(),
        };
        let pair = |entry: &Entry| (text(&entry.user), secret(&entry.secret));
        list.entries.iter().map(pair).collect()
    }

    #[test]
    fn the_file_is_read_as_pgbouncer_reads_it() {
        let text = "; comment\n\n  \"a\" \"b\" ignored \"words\"\r\n\"q\"\"u\" \"p\"\"\"\n\
            \t;another\n\"empty\"\t\"\"\n\
            \"x\"\"\" \"md5900150983cd24fb0d6963f7d28e17f72\"\n\"\" \"y\"";
        let list = parse(text.as_bytes());
        assert_eq!(list.broken, None);
        let expected = [
            ("a", "b"),
            ("q\"u", "p\""),
            ("empty", ""),
            ("x\"", "<md5>"),
            ("", "y"),
        ];
        let expected = expected.map(|(user, secret)| (user.to_owned(), secret.to_owned()));
        assert_eq!(plain(&list), expected);
    }

    #[test]
    fn reading_stops_at_the_first_broken_line() {
        for (line, reason) in [
            ("plain text", Broken::NoUser),
            ("# no such comment", Broken::NoUser),
            ("\"open", Broken::NoSecret),
            ("\"only\"", Broken::NoSecret),
            ("\"only\" word", Broken::NoSecret),
            ("\"user\" \"open", Broken::Unclosed),
            ("\"user\" \"open\"\"", Broken::Unclosed),
            ("\"user\" \"zero\0\"", Broken::BadSecret),
        ] {
            let list = parse(format!("\"a\" \"b\"\n\n{line}\n\"c\" \"d\"\n").as_bytes());
            assert_eq!(list.broken, Some(BrokenAt { line: 3, reason }), "{line}");
            assert_eq!(plain(&list), [("a".to_owned(), "b".to_owned())], "{line}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        let user = "u".repeat(USER_BYTES_MAX);
        let secret = "s".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(
            parse(format!("\"{user}\" \"{secret}\"").as_bytes()).broken,
            None
        );
        let long_user = parse(format!("\"{user}u\" \"x\"").as_bytes());
        assert_eq!(
            long_user.broken.map(|at| at.reason),
            Some(Broken::UserTooLong)
        );
        let long_secret = parse(format!("\"u\" \"{secret}s\"").as_bytes());
        assert_eq!(
            long_secret.broken.map(|at| at.reason),
            Some(Broken::BadSecret)
        );
    }

    #[test]
    fn non_utf8_names_keep_their_bytes() {
        let list = parse(b"\"caf\xe9\" \"x\"\n");
        assert_eq!(*list.entries[0].user, *b"caf\xe9");
    }
}
