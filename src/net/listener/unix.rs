//! The unix socket that clients connect to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, chown};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Bound, ListenError};

/// The unix side of the listening settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixListenOptions {
    /// `unix_socket_dir`: a directory, or `@name` for an abstract socket.
    pub dir: String,
    /// `listen_port`, which is part of the socket's name.
    pub port: u16,
    /// `unix_socket_mode`
    pub mode: u32,
    /// `unix_socket_group`: a name or a number.
    pub group: Option<String>,
    /// `listen_backlog`
    pub backlog: i32,
}

/// Where a unix socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnixPlace {
    /// In the file system.
    File(PathBuf),
    /// In Linux's abstract name space; the name is without the zero byte before it.
    Abstract(String),
}

impl UnixPlace {
    /// The socket of `port` in a directory or, with a leading `@`, in the abstract name space, as
    /// libpq and `PgBouncer` spell it.
    pub fn of(dir: &str, port: u16) -> Self {
        let path = format!("{}/.s.PGSQL.{port}", dir.trim_end_matches('/'));
        match path.strip_prefix('@') {
            Some(name) => Self::Abstract(name.to_owned()),
            None => Self::File(PathBuf::from(path)),
        }
    }

    /// The address for `bind` and `connect`; an error when the path is too long for one.
    pub fn address(&self) -> io::Result<SockAddr> {
        match self {
            Self::File(path) => SockAddr::unix(path),
            Self::Abstract(name) => SockAddr::unix(format!("\0{name}")),
        }
    }

    /// Removes the socket's file, when we stop. That it is gone already is no error.
    pub fn remove(&self) -> io::Result<()> {
        match self {
            Self::Abstract(_) => Ok(()),
            Self::File(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }

    /// The path as the log shows it.
    pub fn display(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Abstract(name) => PathBuf::from(format!("@{name}")),
        }
    }
}

/// Listens on the unix socket. A file left by a process that died is removed; a process that
/// answers on it is [`ListenError::InUse`].
pub fn bind_unix(options: &UnixListenOptions) -> Result<(Bound, UnixPlace), ListenError> {
    let place = UnixPlace::of(&options.dir, options.port);
    let failed = |step| {
        let path = place.display();
        move |source| ListenError::Unix { path, step, source }
    };
    let address = place.address().map_err(failed("bind"))?;
    if answers(&address).map_err(failed("connect"))? {
        return Err(ListenError::InUse);
    }
    if let UnixPlace::File(path) = &place {
        remove_stale(path)?;
    }
    let group = options.group.as_deref().map(group_id).transpose()?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(failed("socket"))?;
    socket.bind(&address).map_err(failed("bind"))?;
    if let UnixPlace::File(path) = &place {
        // Nobody can connect before `listen`, so nobody gets in with the umask's rights.
        if let Some(group) = group {
            chown(path, None, Some(group)).map_err(|errno| failed("chown")(errno.into()))?;
        }
        fs::set_permissions(path, Permissions::from_mode(options.mode)).map_err(failed("chmod"))?;
    }
    socket.listen(options.backlog).map_err(failed("listen"))?;
    Ok((Bound::Unix(socket.into()), place))
}

/// Whether some process accepts connections there.
fn answers(address: &SockAddr) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    match probe.connect(address) {
        Ok(()) => Ok(true),
        // Its queue is full: somebody listens.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(_) => Ok(false),
    }
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Unix {
        path: path.to_owned(),
        step: "unlink",
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(failed),
        Ok(_) => Err(ListenError::NotASocket {
            path: path.to_owned(),
        }),
    }
}

fn group_id(group: &str) -> Result<Gid, ListenError> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(group) {
        Ok(Some(found)) => Ok(found.gid),
        Ok(None) | Err(_) => Err(ListenError::UnknownGroup(group.to_owned())),
    }
}
