//! Directories of our own: made with an unguessable name, deleted when dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::account::Account;

/// A temporary directory that only its owner may enter.
///
/// Dropping it deletes the directory. That is I/O in `Drop`, which the rest of pgweir does not do:
/// here it is what makes sure that a panicking test or an interrupted demo leaves nothing behind.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    fate: Fate,
}

/// What becomes of a [`Scratch`] directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is deleted.
    Delete,
    /// It stays.
    Keep,
}

impl Scratch {
    /// A new directory `<parent>/<prefix>XXXXXX`, which belongs to `account`.
    pub fn new(parent: &Path, prefix: &str, account: &Account) -> io::Result<Self> {
        let template = parent.join(format!("{prefix}XXXXXX"));
        let path = nix::unistd::mkdtemp(&template).map_err(io::Error::from)?;
        let scratch = Self {
            path,
            fate: Fate::Delete,
        };
        account.own(&scratch.path)?;
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Decides what becomes of the directory.
    pub fn set_fate(&mut self, fate: Fate) {
        self.fate = fate;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match self.fate {
            Fate::Keep => {}
            // Nobody is left to tell, and a directory moved away on purpose is no error.
            Fate::Delete => drop(fs::remove_dir_all(&self.path)),
        }
    }
}

/// Makes the directory `path`, which belongs to `account` and which nobody else may enter.
pub fn private_dir(path: &Path, account: &Account) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(path)?;
    account.own(path)
}

/// Writes `content` into the new or emptied file `path`, readable for `account` only.
pub fn private_file(path: &Path, content: &[u8], account: &Account) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(content)?;
    account.own(path)
}

/// Copies the tree `from` to the new directory `to`, whose files then belong to `account`.
///
/// Directories become private (0700) and files keep their mode. Symbolic links are refused: the
/// trees copied here have none.
pub fn copy_tree(from: &Path, to: &Path, account: &Account) -> io::Result<()> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    while let Some((source, target)) = pending.pop() {
        private_dir(&target, account)?;
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            let copy = target.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push((entry.path(), copy));
            } else if kind.is_file() {
                fs::copy(entry.path(), &copy)?;
                account.own(&copy)?;
            } else {
                let what = format!("{} is neither file nor directory", entry.path().display());
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn scratch() -> Scratch {
        Scratch::new(&std::env::temp_dir(), "pgweir-scratch-", &Account::Myself).unwrap()
    }

    #[test]
    fn a_dropped_directory_is_gone_unless_it_is_kept() {
        let deleted = scratch();
        let path = deleted.path().to_owned();
        private_file(&path.join("file"), b"x", &Account::Myself).unwrap();
        drop(deleted);
        assert!(!path.exists());

        let mut kept = scratch();
        let path = kept.path().to_owned();
        kept.set_fate(Fate::Keep);
        drop(kept);
        assert!(path.exists());
        fs::remove_dir(path).unwrap();
    }

    #[test]
    fn copies_are_private_and_complete() {
        let dir = scratch();
        let from = dir.path().join("from");
        private_dir(&from, &Account::Myself).unwrap();
        private_dir(&from.join("inner"), &Account::Myself).unwrap();
        private_file(&from.join("inner/file"), b"content", &Account::Myself).unwrap();
        let to = dir.path().join("to");
        copy_tree(&from, &to, &Account::Myself).unwrap();
        let copy = to.join("inner/file");
        assert_eq!(fs::read(&copy).unwrap(), b"content");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&copy), mode(&to)), (0o600, 0o700));
    }
}
