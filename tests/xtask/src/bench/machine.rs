//! The machine: whether it can run the bench, and what it is.

use std::fs;
use std::process::Command;

use super::network::Network;
use crate::process::{capture, is_root};

/// Processor of the server and the bare loops.
pub(super) const SENDER_CPU: &str = "1";
/// Processor of the viewers and of everything else.
pub(super) const VIEWER_CPU: &str = "0";

/// Programs with their Debian packages.
const NEEDED: [(&str, &[&str], &str); 5] = [
    ("ip", &["-V"], "iproute2"),
    ("nft", &["--version"], "nftables"),
    ("taskset", &["--version"], "util-linux"),
    ("nsenter", &["--version"], "util-linux"),
    ("prlimit", &["--version"], "util-linux"),
];

/// An error that says what to do when the machine cannot run the bench.
pub(super) fn ensure_fit() -> Result<(), String> {
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, arguments, _)| capture(program, arguments).is_none())
        .map(|(_, _, package)| *package)
        .collect();
    missing.dedup();
    if !missing.is_empty() {
        let packages = missing.join(" ");
        return Err(format!(
            "missing packages: {packages}; as root: apt-get install -y --no-install-recommends {packages}"
        ));
    }
    if !is_root() {
        return Err("the bench makes network namespaces: run it as root".to_owned());
    }
    if processors() < 2 {
        return Err("the bench needs two processors: one sends, one receives".to_owned());
    }
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps ourselves, and what we start without a word about it, off the sender's processor.
pub(super) fn pin_ourselves() -> Result<(), String> {
    let id = std::process::id().to_string();
    let output = Command::new("taskset").args(["-a", "-c", "-p", VIEWER_CPU, &id]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("cannot run taskset: {error}")),
    }
}

/// Processor, kernel and what the cable's device says about segmentation, one line.
pub(super) fn describe(network: &Network) -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let segmentation = network.segmentation().map_or_else(
        || "device features not read (no ethtool)".to_owned(),
        |features| features.join(", "),
    );
    format!("{}; Linux {}; {segmentation}", processor(&info), kernel.trim())
}

/// Model and number of processors from /proc/cpuinfo.
fn processor(info: &str) -> String {
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    let model = field("model name").unwrap_or("unknown processor");
    let mut text = format!("{count} x {model}");
    if let Some(number) = field("model\t") {
        text.push_str(&format!(" (model {number})"));
    }
    let flags: Vec<&str> = field("flags").unwrap_or_default().split_whitespace().collect();
    let notable = ["vaes", "avx512f", "sha_ni", "hypervisor"];
    let present: Vec<&str> = notable.into_iter().filter(|name| flags.contains(name)).collect();
    if !present.is_empty() {
        text.push_str(&format!(", {}", present.join(" ")));
    }
    text
}

/// The time, as text in UTC.
pub(super) fn now() -> String {
    let text = capture("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]);
    text.map_or_else(|| "unknown time".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_with_what_matters_to_the_figures() {
        let info = "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Xeon\nflags\t\t: fpu vaes sha_ni\n\
                    \nprocessor\t: 1\nmodel\t\t: 207\nmodel name\t: Xeon\nflags\t\t: fpu vaes sha_ni\n";
        assert_eq!(processor(info), "2 x Xeon (model 207), vaes sha_ni");
    }
}
