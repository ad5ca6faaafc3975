//! Each end-to-end test runs in a network namespace of its own: default ports are free, nothing
//! reaches the outside, and the server has an address besides loopback (some WebRTC clients
//! gather no candidate on 127.0.0.1).

use std::process::Command;

/// The server's address besides loopback.
pub const ADDRESS: &str = "10.77.0.1";
/// Set in the process that runs inside the namespace.
const INSIDE: &str = "SIGHTLINE_TEST_NAMESPACE";
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
    let status = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", SETUP, "sh"])
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("`unshare` runs; it is in the package util-linux");
    assert!(
        status.success(),
        "{name} failed in its network namespace (needs root, and `ip` from iproute2)"
    );
    false
}
