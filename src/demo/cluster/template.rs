//! New data directories: made by `initdb`, or copied from one that it made before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::account::Account;
use super::super::binaries::Tool;
use super::super::process;
use super::super::scratch::{Fate, Scratch, copy_tree};
use super::{ClusterError, Installation, Site, file_error};

const INITDB_LIMIT: Duration = Duration::from_secs(300);

/// Makes the data directory `data`, with the superuser `postgres`, UTF-8 and the C locale.
pub(super) fn make_data_dir(site: &Site, data: &Path) -> Result<(), ClusterError> {
    let Some(templates) = &site.options.templates else {
        return initdb(site, data);
    };
    let template = template_path(&site.installation, templates);
    if !template.is_dir() {
        initdb(site, data)?;
        return keep(data, templates, &template);
    }
    copy_tree(&template, data, &site.installation.account).map_err(file_error(data))
}

fn template_path(installation: &Installation, templates: &Path) -> PathBuf {
    templates.join(format!("pgdata-{}", installation.binaries.version()))
}

fn initdb(site: &Site, data: &Path) -> Result<(), ClusterError> {
    let Installation {
        binaries,
        account,
        interrupt,
    } = &site.installation;
    let mut command = binaries.command(Tool::Initdb, account, site.scratch.path());
    command.arg("-D").arg(data).args(["-U", "postgres", "-N"]);
    // Who may enter is written into pg_hba.conf before the first start.
    command.args(["-A", "trust", "-E", "UTF8", "--locale=C"]);
    process::run(command, INITDB_LIMIT, interrupt)?;
    Ok(())
}

/// Keeps a copy of the untouched `data` as `template`, all at once, for the next start.
fn keep(data: &Path, templates: &Path, template: &Path) -> Result<(), ClusterError> {
    fs::create_dir_all(templates).map_err(file_error(templates))?;
    let scratch = Scratch::new(templates, ".pgdata-", &Account::Myself);
    let mut scratch = scratch.map_err(file_error(templates))?;
    let copy = scratch.path().join("copy");
    copy_tree(data, &copy, &Account::Myself).map_err(file_error(&copy))?;
    // The other possible outcome is that somebody else has put the same there meanwhile.
    drop(fs::rename(&copy, template));
    scratch.set_fate(Fate::Delete);
    Ok(())
}
