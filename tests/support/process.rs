//! Child processes that die with their handle, with their output in files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sightline_client::testcard::cli::{Arguments, run};

/// How often something awaited is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A child process; killed and reaped on drop.
pub struct Process {
    name: String,
    child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command. Standard error goes to `folder/name.err`; standard output to
    /// `folder/name.out`, unless the command pipes it itself.
    pub fn start(name: &str, folder: &Path, command: &mut Command, stdout: Output) -> Self {
        let stderr = folder.join(format!("{name}.err"));
        command.stderr(File::create(&stderr).expect("a writable folder"));
        match stdout {
            Output::Pipe => command.stdout(Stdio::piped()),
            Output::File => {
                let path = folder.join(format!("{name}.out"));
                command.stdout(File::create(path).expect("a writable folder"))
            }
        };
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, stderr }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its piped standard output.
    pub fn take_stdout(&mut self) -> impl Read + Send + 'static {
        self.child.stdout.take().expect("standard output is piped")
    }

    /// Its piped standard input.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is piped")
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// What it wrote to standard error.
    pub fn complaints(&self) -> String {
        let text = fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Asks it to end (SIGINT), as a user would; programs close their files and sessions.
    pub fn interrupt(&self) {
        signal(self.id(), "-INT");
    }

    /// Waits until it ends, at most `limit`, and leaves it running otherwise.
    pub fn wait_quietly(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return true;
            }
            thread::sleep(POLL);
        }
        false
    }

    /// Waits until it ends, at most `limit`; then kills it.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            thread::sleep(POLL);
        }
        self.stop();
        None
    }

    /// Kills it and waits for its end.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            eprintln!("-- {} said:\n{}", self.name, self.complaints());
        }
    }
}

/// Where standard output goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To [`Process::take_stdout`].
    Pipe,
    /// To a file.
    File,
}

/// Sends a signal to a process that we started.
pub fn signal(id: u32, name: &str) {
    let _ = Command::new("kill").args([name, &id.to_string()]).status();
}

/// Feeds a test card in real time into a child's standard input, until the child goes.
pub fn feed(input: ChildStdin, arguments: Arguments) {
    thread::spawn(move || {
        if let Err(error) = run(arguments, input) {
            eprintln!("test card: {error}");
        }
    });
}

/// Looks until `look` finds something; panics after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s for {what}", limit.as_secs());
        thread::sleep(POLL);
    }
}
