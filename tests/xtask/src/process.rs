//! Child processes with a time limit and a log file.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) timed_out: bool,
    /// Standard output and error.
    pub(crate) output: String,
}

/// Whether we may do what root may.
pub(crate) fn is_root() -> bool {
    capture("id", &["-u"]).as_deref().map(str::trim) == Some("0")
}

/// Runs a command in its own process group with all output in `log`. After `limit` the group is
/// killed, so that servers and clients that a test started go with it.
pub(crate) fn run(command: &mut Command, log: &Path, limit: Duration) -> Result<Ended, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |what: &str, error: std::io::Error| format!("cannot {what} {name}: {error}");
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(|error| failed("make the log folder for", error))?;
    }
    let file = File::create(log).map_err(|error| failed("write the log of", error))?;
    let copy = file.try_clone().map_err(|error| failed("write the log of", error))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .process_group(0)
        .spawn()
        .map_err(|error| failed("start", error))?;
    let started = Instant::now();
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| failed("wait for", error))? {
            break status;
        }
        if started.elapsed() > limit && !timed_out {
            timed_out = true;
            kill_group(child.id());
        }
        thread::sleep(POLL);
    };
    let output = fs::read(log).map_err(|error| failed("read the log of", error))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Ended { success: status.success() && !timed_out, timed_out, output })
}

fn kill_group(leader: u32) {
    // The group's id is its leader's; the leader is our own child that has not been reaped.
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{leader}")]).status();
}

/// Output of a short command, or `None` when it fails or does not exist.
pub(crate) fn capture(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
