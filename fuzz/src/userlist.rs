//! The file of users and secrets.
//!
//! Claims: limits hold; the lines in front of a broken one say the same without it; users with plain
//! passwords that are written out read back the same.

use pgweir::auth::Secret;
use pgweir::auth::secret::PASSWORD_BYTES_MAX;
use pgweir::auth::userlist::{Entry, USER_BYTES_MAX, parse};

/// Runs one input: the file.
pub fn run(data: &[u8]) {
    let list = parse(data);
    let mut again = Vec::new();
    for Entry { user, secret } in &list.entries {
        assert!(user.len() <= USER_BYTES_MAX);
        if let Secret::Plain(password) = secret {
            assert!(password.as_bytes().len() <= PASSWORD_BYTES_MAX);
            again.extend_from_slice(b"\"");
            again.extend(doubled(user));
            again.extend_from_slice(b"\" \"");
            again.extend(doubled(password.as_bytes()));
            again.extend_from_slice(b"\" and the rest\n");
        }
    }
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    assert!(list.entries.len() <= lines.len());
    if let Some(broken) = list.broken {
        assert!((1..=lines.len()).contains(&broken.line));
        let before = parse(&lines[..broken.line - 1].join(&b'\n'));
        assert_eq!(names(&before.entries), names(&list.entries));
        assert!(before.broken.is_none());
    }
    let plain = list
        .entries
        .into_iter()
        .filter(|entry| matches!(entry.secret, Secret::Plain(_)));
    let again = parse(&again);
    assert!(again.broken.is_none(), "{:?}", again.broken);
    for (old, new) in plain.zip(again.entries) {
        let (Secret::Plain(before), Secret::Plain(after)) = (old.secret, new.secret) else {
            panic!("a plain password was read as another secret");
        };
        assert_eq!(
            (&old.user, before.as_bytes()),
            (&new.user, after.as_bytes())
        );
    }
}

fn names(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| &*entry.user).collect()
}

fn doubled(word: &[u8]) -> impl Iterator<Item = u8> {
    let twice = |byte: &u8| std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 });
    word.iter().flat_map(twice).collect::<Vec<_>>().into_iter()
}
