//! The apt route: the distribution's packages, downloaded and unpacked without being installed.
//!
//! `apt-get --simulate install` says which libraries the server needs that this machine lacks; they
//! are unpacked beside it. When the machine has no or old package lists, fresh ones are read
//! into the job's directory, which needs no root.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::super::process::ProcessError;
use super::{Job, RouteError, file_error, files_ending, open_to_all};

/// Packages are looked for by this name, which depends on the server of the release's version.
const META_PACKAGE: &str = "postgresql";
/// The client library, which must be as new as the server.
const CLIENT_LIBRARY: &str = "libpq5";

/// Which package lists apt reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// Those of the machine.
    Machine,
    /// Fresh ones in the job's directory.
    Fresh,
}

/// Downloads a server and what it needs, and unpacks it into the job's tree.
pub(super) fn fetch(job: &Job<'_>, out: &mut dyn Write) -> Result<(), RouteError> {
    let debs = match download(job, Lists::Machine, out) {
        Ok(debs) => debs,
        // Without apt, fresh lists are of no use.
        Err(RouteError::Process(error @ ProcessError::Start { .. })) => return Err(error.into()),
        Err(error) => {
            writeln!(out, "  with apt-get: {error}").map_err(RouteError::Print)?;
            refresh_lists(job, out)?;
            download(job, Lists::Fresh, out)?
        }
    };
    let tree = job.make_dir("tree")?;
    for deb in files_ending(&debs, ".deb")? {
        let mut command = job.command("dpkg-deb");
        command.arg("-x").arg(&deb).arg(&tree);
        job.run(command)?;
    }
    // Each package carries the mode of its root, which is then the tree's.
    open_to_all(&tree).map_err(file_error(&tree))
}

fn refresh_lists(job: &Job<'_>, out: &mut dyn Write) -> Result<(), RouteError> {
    job.interrupt.check().map_err(ProcessError::from)?;
    writeln!(out, "  with apt-get: reading fresh package lists ...").map_err(RouteError::Print)?;
    job.make_dir("lists")?;
    job.make_dir("cache")?;
    let mut command = apt(job, "apt-get", Lists::Fresh);
    command.args(["--quiet", "update"]);
    job.run(command)?;
    Ok(())
}

/// Gives the directory that the packages are in: each attempt has its own, so that a half-finished
/// one leaves no older package among those of the next.
fn download(job: &Job<'_>, lists: Lists, out: &mut dyn Write) -> Result<PathBuf, RouteError> {
    let mut command = apt(job, "apt-cache", lists);
    command.args(["depends", META_PACKAGE]);
    let depends = job.run(command)?.stdout;
    let server = server_package(&depends).ok_or(RouteError::NoPackage)?;

    let mut command = apt(job, "apt-get", lists);
    command.args(["--simulate", "--no-install-recommends", "install", server]);
    let simulated = job.run(command)?.stdout;
    let packages = packages(server, &simulated);

    writeln!(
        out,
        "  with apt-get: downloading {} ...",
        packages.join(", ")
    )
    .map_err(RouteError::Print)?;
    let debs = job.make_dir(match lists {
        Lists::Machine => "debs",
        Lists::Fresh => "fresh-debs",
    })?;
    let mut command = apt(job, "apt-get", lists);
    command.current_dir(&debs);
    command.args(["--quiet", "download"]).args(&packages);
    job.run(command)?;
    Ok(debs)
}

fn apt(job: &Job<'_>, program: &str, lists: Lists) -> Command {
    let mut command = job.command(program);
    match lists {
        Lists::Machine => {}
        Lists::Fresh => {
            for (option, dir) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
                let mut setting = OsString::from(format!("{option}="));
                setting.push(job.dir.join(dir));
                command.arg("-o").arg(setting);
            }
        }
    }
    command
}

/// The first dependency that is a server of some version, in the words of `apt-cache depends`.
fn server_package(depends: &str) -> Option<&str> {
    let mut dependencies = depends.lines().filter_map(|line| {
        let name = line.trim().strip_prefix("Depends: ")?;
        let version = name.strip_prefix("postgresql-")?;
        version.parse::<u16>().ok().map(|_| name)
    });
    dependencies.next()
}

/// What to download: server, client, the client library, and libraries that are not installed.
fn packages(server: &str, simulated: &str) -> Vec<String> {
    let client = server.replace("postgresql-", "postgresql-client-");
    let mut packages = vec![server.to_owned(), client, CLIENT_LIBRARY.to_owned()];
    for line in simulated.lines() {
        // `Inst name (version ...)` is new; `Inst name [old] (version ...)` is an upgrade.
        let Some((name, rest)) = line.strip_prefix("Inst ").and_then(|it| it.split_once(' '))
        else {
            continue;
        };
        let library = name.starts_with("lib") && !name.ends_with("-perl");
        // The just-in-time compiler is switched off here, and its library is larger than the rest.
        let compiler = name.starts_with("libllvm");
        let new = !rest.starts_with('[');
        if library && !compiler && new && name != CLIENT_LIBRARY {
            packages.push(name.to_owned());
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_s_server_is_found_among_dependencies() {
        let depends = "postgresql\n  Depends: postgresql-common\n  Depends: postgresql-15\n  \
                       Suggests: postgresql-doc\n";
        assert_eq!(server_package(depends), Some("postgresql-15"));
        assert_eq!(
            server_package("postgresql\n  Suggests: postgresql-17\n"),
            None
        );
        assert_eq!(server_package(""), None);
    }

    #[test]
    fn only_missing_libraries_are_added() {
        let simulated = "\
Reading package lists...
Inst libpq5 (15.20-0+deb12u1 Debian-Security:12 [amd64])
Inst libllvm14 (1:14.0.6-12 Debian:12 [amd64])
Inst libjson-perl (4.10000-1 Debian:12 [all])
Inst libicu72 (72.1-3 Debian:12 [amd64])
Inst libxml2 [2.9.13] (2.9.14 Debian:12 [amd64])
Inst ssl-cert (1.1.2 Debian:12 [all])
Inst postgresql-15 (15.20-0+deb12u1 Debian-Security:12 [amd64])
Conf libldap-2.5-0 (2.5.13 Debian:12 [amd64])
";
        let expected = [
            "postgresql-15",
            "postgresql-client-15",
            "libpq5",
            "libicu72",
        ];
        assert_eq!(packages("postgresql-15", simulated), expected);
    }
}
