//! Ends what the tests have started, whichever way the tests end.
//!
//! The shared server lives in a `static`, which Rust never drops. So a shell waits beside the tests
//! with the end of a pipe that only they hold open: when they end, be it by SIGKILL, the pipe
//! closes, and the shell stops the servers and deletes their directory.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Poolers first, then the primary and its replicas. Process ids of poolers lie in `weir-*/pid`, and
/// count only while the process of that id still has our directory in its command line.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r line
dir=$1
for file in "$dir"/weir-*/pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    tr '\0' ' ' < "/proc/$pid/cmdline" | grep -qF "$dir/" && kill -KILL "$pid"
done
for file in "$dir"/*/postmaster.pid; do
    [ -f "$file" ] || continue
    pid=$(head -n 1 "$file") && kill -QUIT "$pid"
    tries=0
    while [ -e "$file" ] && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
done
rm -rf "$dir"
"#;

/// The waiting shell.
#[derive(Debug)]
pub struct Guard {
    /// Its standard input is the pipe.
    _shell: Child,
}

impl Guard {
    /// Watches over the cluster in `dir`.
    pub fn over(dir: &Path) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "sh"]).arg(dir);
        command.stdin(Stdio::piped());
        // Not the tests' own output: whoever reads that would wait for the shell too.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let shell = command.process_group(0).spawn()?;
        Ok(Self { _shell: shell })
    }
}
