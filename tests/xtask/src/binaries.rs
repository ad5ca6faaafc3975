//! Builds the workspace once and finds the test programs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process;

/// Longest build.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);

/// A compiled test program.
#[derive(Debug, Clone)]
pub(crate) struct TestBinary {
    /// Package, e.g. `sightline-relay`.
    pub(crate) package: String,
    /// Name of the target, e.g. `matrix`.
    pub(crate) name: String,
    /// `lib`, `bin` or `test`.
    pub(crate) kind: String,
    pub(crate) program: PathBuf,
    /// Folder of the package, where Cargo runs its tests.
    pub(crate) folder: PathBuf,
}

/// `cargo build --release --workspace`.
pub(crate) fn build_workspace() -> Result<(), String> {
    cargo(&["build", "--release", "--workspace", "--locked"], "build").map(drop)
}

/// The examples, of the same selection of packages so that nothing else is built anew.
pub(crate) fn build_examples() -> Result<(), String> {
    let arguments = ["build", "--release", "--workspace", "--locked", "--examples"];
    cargo(&arguments, "build-examples").map(drop)
}

/// One example, with nothing but what it needs; its program.
pub(crate) fn build_example(package: &str, name: &str) -> Result<PathBuf, String> {
    let only =
        ["--package", package, "--example", name, "--message-format=json-render-diagnostics"];
    let messages = cargo(&[&["build", "--release", "--locked"], &only[..]].concat(), name)?;
    let program = messages.lines().filter_map(|line| string(line, "executable")).next_back();
    program.map(PathBuf::from).ok_or_else(|| format!("cargo named no program of {name}"))
}

/// The workspace, then the test programs of the same profile.
pub(crate) fn build() -> Result<Vec<TestBinary>, String> {
    build_workspace()?;
    let arguments = [
        "test",
        "--release",
        "--workspace",
        "--locked",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let messages = cargo(&arguments, "build-tests")?;
    let found: Vec<_> = messages.lines().filter_map(parse).collect();
    if found.is_empty() { Err("cargo named no test program".to_owned()) } else { Ok(found) }
}

fn cargo(arguments: &[&str], name: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(crate::root());
    let log = crate::logs().join(format!("{name}.log"));
    let ended = process::run(&mut command, &log, BUILD_LIMIT)?;
    if ended.success {
        return Ok(ended.output);
    }
    let why = if ended.timed_out { " (time limit)" } else { "" };
    let errors: Vec<&str> = ended.output.lines().filter(|line| !line.starts_with('{')).collect();
    let tail = errors.len().saturating_sub(80);
    Err(format!("{}\ncargo {} failed{why}", errors[tail..].join("\n"), arguments.join(" ")))
}

/// Reads one line of Cargo's machine output. Cargo writes each message on one line with its own
/// members unescaped, so plain string search finds them.
fn parse(line: &str) -> Option<TestBinary> {
    let profile = line.split(r#""profile":{"#).nth(1)?.split('}').next()?;
    if !line.contains(r#""reason":"compiler-artifact""#) || !profile.contains(r#""test":true"#) {
        return None;
    }
    let program = string(line, "executable")?;
    let manifest = PathBuf::from(string(line, "manifest_path")?);
    let target = &line[line.find(r#""target":"#)?..];
    let kind = target.split(r#""kind":[""#).nth(1)?.split('"').next()?;
    let folder = manifest.parent()?.to_path_buf();
    Some(TestBinary {
        package: package_name(&folder)?,
        name: string(target, "name")?.to_owned(),
        kind: kind.to_owned(),
        program: program.into(),
        folder,
    })
}

fn string<'a>(line: &'a str, member: &str) -> Option<&'a str> {
    let start = format!(r#""{member}":""#);
    line.split(start.as_str()).nth(1)?.split('"').next()
}

fn package_name(folder: &std::path::Path) -> Option<String> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let package = manifest.split("[package]").nth(1)?;
    let line = package.lines().find(|line| line.starts_with("name"))?;
    line.split('"').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_read_from_cargos_message() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let line = format!(
            r#"{{"reason":"compiler-artifact","package_id":"x","manifest_path":"{manifest}","target":{{"kind":["bin"],"crate_types":["bin"],"name":"xtask","test":true}},"profile":{{"test":true}},"executable":"/t/xtask-1","fresh":true}}"#
        );
        let binary = parse(&line).expect("a program");
        assert_eq!((binary.package.as_str(), binary.name.as_str()), ("xtask", "xtask"));
        assert_eq!(binary.program, PathBuf::from("/t/xtask-1"));
        assert!(parse(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
