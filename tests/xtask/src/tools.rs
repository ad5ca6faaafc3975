//! Programs that the end-to-end suites need: foreign clients above all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{self, capture, is_root};

/// Longest installation step.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A need and the Debian package that meets it.
struct Program {
    /// Prints something and succeeds when the need is met.
    probe: (&'static str, &'static [&'static str]),
    packages: &'static [&'static str],
}

const PROGRAMS: &[Program] = &[
    Program { probe: ("ffmpeg", &["-version"]), packages: &["ffmpeg"] },
    Program { probe: ("ip", &["-V"]), packages: &["iproute2"] },
    Program {
        probe: ("gst-inspect-1.0", &["avdec_h264"]),
        packages: &["gstreamer1.0-tools", "gstreamer1.0-libav"],
    },
    Program { probe: ("gst-inspect-1.0", &["rtspsrc"]), packages: &["gstreamer1.0-plugins-good"] },
    Program { probe: ("gst-inspect-1.0", &["h264parse"]), packages: &["gstreamer1.0-plugins-bad"] },
    Program {
        probe: ("gst-inspect-1.0", &["videoconvert"]),
        packages: &["gstreamer1.0-plugins-base"],
    },
    Program {
        probe: (
            "/usr/bin/python3",
            &[
                "-c",
                "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer",
            ],
        ),
        packages: &["python3-gi", "gir1.2-gst-rtsp-server-1.0"],
    },
    Program { probe: ("/usr/bin/chromium", &["--version"]), packages: &["chromium"] },
    Program { probe: ("node", &["--version"]), packages: &["nodejs"] },
];

/// Python modules with the packages that bring them.
const PYTHON_IMPORTS: &str =
    "import aiortc, aioquic, av, cryptography, imageio_ffmpeg, numpy, schemathesis";
const PYTHON_PACKAGES: &[&str] = &[
    "aiortc==1.16.0",
    "aioquic==1.7.2",
    "cryptography",
    "imageio-ffmpeg==0.8.1",
    "numpy",
    "schemathesis==4.32.5",
];
/// npm package that drives the browser.
const NODE_PACKAGE: &str = "playwright-core";

/// Installs what is missing, or says what to install.
pub(crate) fn ensure_all() -> Result<(), String> {
    ensure_programs()?;
    println!("python with the clients' modules: {}", ensure_python()?.display());
    println!("node modules: {}", ensure_node()?.display());
    Ok(())
}

/// Environment that tells the tests where the clients are.
pub(crate) fn environment() -> Result<Vec<(&'static str, PathBuf)>, String> {
    ensure_programs()?;
    Ok(vec![("SIGHTLINE_PYTHON", ensure_python()?), ("SIGHTLINE_NODE_MODULES", ensure_node()?)])
}

fn ensure_programs() -> Result<(), String> {
    let met = |program: &Program| capture(program.probe.0, program.probe.1).is_some();
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|program| !met(program))
        .flat_map(|program| program.packages)
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !is_root() {
        return Err(format!("missing packages: {}; as root: {command}", missing.join(" ")));
    }
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&missing);
    step("apt-get-update", Command::new("apt-get").arg("update"))?;
    step(
        "apt-get-install",
        Command::new("apt-get").args(&arguments).env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    match PROGRAMS.iter().find(|program| !met(program)) {
        None => Ok(()),
        Some(program) => Err(format!(
            "`{} {}` still fails after `{command}`",
            program.probe.0,
            program.probe.1.join(" ")
        )),
    }
}

/// A Python that has the modules: the system's if it has them, else a virtual environment.
fn ensure_python() -> Result<PathBuf, String> {
    let has_modules =
        |python: &Path| capture(&python.to_string_lossy(), &["-c", PYTHON_IMPORTS]).is_some();
    let environment = crate::target().join("venv");
    let own = environment.join("bin/python3");
    for python in [PathBuf::from("python3"), own.clone()] {
        if has_modules(&python) {
            return Ok(python);
        }
    }
    step("venv", Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    step(
        "pip",
        Command::new(&own).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES),
    )?;
    if has_modules(&own) {
        return Ok(own);
    }
    Err(format!("{} cannot import {PYTHON_IMPORTS} after pip install", own.display()))
}

/// The folder `node_modules` with the browser driver.
fn ensure_node() -> Result<PathBuf, String> {
    let folder = crate::target().join("npm");
    let modules = folder.join("node_modules");
    if modules.join(NODE_PACKAGE).is_dir() {
        return Ok(modules);
    }
    fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(NODE_PACKAGE);
    step("npm", &mut command)?;
    Ok(modules)
}

fn step(name: &str, command: &mut Command) -> Result<(), String> {
    let log = crate::logs().join(format!("tools-{name}.log"));
    let ended = process::run(command, &log, INSTALL_LIMIT)
        .map_err(|error| format!("{error}; install it by hand and run again"))?;
    if ended.success {
        return Ok(());
    }
    let lines: Vec<&str> = ended.output.lines().collect();
    let tail = lines[lines.len().saturating_sub(10)..].join("\n");
    Err(format!("{tail}\n`{command:?}` failed; see {}", log.display()))
}
