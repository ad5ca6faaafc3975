//! Programs that a bench runs, with their output in files; they end with their handle.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often something awaited is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a program may take to end after SIGINT.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A running program.
pub(super) struct Running {
    name: &'static str,
    child: Child,
    said: PathBuf,
    complained: PathBuf,
}

impl Running {
    /// Starts it. Its output goes to the folder of logs.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        let file = |ending: &str| crate::logs().join(format!("bench-{name}.{ending}"));
        let (said, complained) = (file("out"), file("err"));
        fs::create_dir_all(crate::logs()).map_err(failed)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&said).map_err(failed)?)
            .stderr(File::create(&complained).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name, child, said, complained })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything on its standard output so far.
    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap_or_default()).into_owned()
    }

    /// Waits until its output satisfies `good`; an error when it ends first or takes too long.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        good: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        while !good(&self.said()) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("ended with {status} before {what}")));
            }
            if Instant::now() > deadline {
                let limit = limit.as_secs();
                return Err(self.failure(&format!("needed more than {limit} s for {what}")));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits for its end; what it said.
    pub(super) fn finish(&mut self, limit: Duration) -> Result<String, String> {
        match self.wait(limit) {
            Some(true) => Ok(self.said()),
            Some(false) => Err(self.failure("failed")),
            None => Err(self.failure(&format!("ran longer than {} s", limit.as_secs()))),
        }
    }

    /// Waits for its end, good or bad; what it said.
    pub(super) fn last_words(&mut self, limit: Duration) -> Result<String, String> {
        match self.wait(limit) {
            Some(_) => Ok(self.said()),
            None => Err(self.failure(&format!("ran longer than {} s", limit.as_secs()))),
        }
    }

    /// Asks it to end, and ends it when it does not.
    pub(super) fn interrupt(&mut self) {
        self.signal("-INT");
        self.wait(END_LIMIT);
    }

    pub(super) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(super) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Whether it ended well; `None` when it still runs.
    fn wait(&mut self, limit: Duration) -> Option<bool> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().ok()? {
                return Some(status.success());
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(POLL);
        }
    }

    fn signal(&self, name: &str) {
        // The child has not been reaped while we hold its handle, so the id is still its own.
        let _ = Command::new("kill").args([name, &self.id().to_string()]).status();
    }

    fn failure(&self, what: &str) -> String {
        let complaints = fs::read(&self.complained).unwrap_or_default();
        let complaints = String::from_utf8_lossy(&complaints);
        let lines: Vec<&str> = complaints.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n");
        format!("{} {what}; output in {}\n{tail}", self.name, self.complained.display())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
