//! Each end-to-end test runs in a network namespace of its own: default ports are free, nothing
//! reaches the outside, and the server has an address besides loopback (some WebRTC clients
//! gather no candidate on 127.0.0.1).

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The server's address besides loopback.
pub const ADDRESS: &str = "10.77.0.1";
/// Set in the process that runs inside the namespace.
const INSIDE: &str = "SIGHTLINE_TEST_NAMESPACE";
/// Lines of a panic that its reader wants to see first: where, and what.
const PANIC_LINES: usize = 4;
/// Longest wait for what a failed test wrote at its end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Two joined interfaces, so that the address belongs to a link that is up. They make no addresses
/// of their own: those arrive seconds later, and a browser drops what it is loading when they do.
const SETUP: &str = "ip link set lo up && ip link add sl0 type veth peer name sl1 \
    && ip link set sl0 addrgenmode none && ip link set sl1 addrgenmode none \
    && ip addr add 10.77.0.1/24 dev sl0 && ip link set sl0 up && ip link set sl1 up && exec \"$@\"";

/// Runs the test `name` of this program again inside a fresh namespace and reports its result;
/// `true` means that we are inside and the test should go on. First line of every test:
/// `if !network::inside("the_tests_name") { return; }`
pub fn inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("a test program has a path");
    let mut child = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", SETUP, "sh"])
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .stderr(Stdio::piped())
        .spawn()
        .expect("`unshare` runs; it is in the package util-linux");
    let errors = child.stderr.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || pass_on(errors, &tell));
    let status = child.wait().expect("a child ends");
    // What a child of the test left running may hold the pipe open.
    let deadline = Instant::now() + LAST_WORDS;
    let left = || deadline.saturating_duration_since(Instant::now());
    let panics: Vec<String> = std::iter::from_fn(|| told.recv_timeout(left()).ok()).collect();
    assert!(
        status.success(),
        "{name} failed in its network namespace (needs root, and `ip` from iproute2):\n{}",
        panics.join("\n")
    );
    false
}

/// Copies what a test writes to its standard error, and tells what it says where it panics.
fn pass_on(errors: ChildStderr, tell: &mpsc::Sender<String>) {
    let mut wanted = 0;
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        if line.contains("panicked at ") {
            wanted = PANIC_LINES;
        }
        if wanted > 0 {
            wanted -= 1;
            // Nobody listens any more to a test that has ended.
            let _ = tell.send(line.clone());
        }
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
