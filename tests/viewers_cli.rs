//! An owner lets a guest in from the command line, who then watches without the device secret.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use self::support::network;
use self::support::process::{Output, Process, wait_for};
use self::support::publishers::Publisher;
use self::support::server::{Device, HTTPS_ORIGIN, Server, sightline};
use self::support::terminal::Terminal;

/// Longest wait for a question or for the end.
const LIMIT: Duration = Duration::from_secs(40);
const PHONE: &str = "+4915110000095";

/// A command that asks on standard error.
struct Dialog {
    process: Process,
    input: ChildStdin,
    out: PathBuf,
}

impl Dialog {
    fn start(name: &str, folder: &Path, words: &[&str]) -> Self {
        let mut command = sightline();
        command.args(words).stdin(Stdio::piped());
        let mut process = Process::start(name, folder, &mut command, Output::File);
        let input = process.take_stdin();
        Self { process, input, out: folder.join(format!("{name}.out")) }
    }

    /// What it said behind some words, to the end of the line.
    fn said(&mut self, words: &str) -> String {
        wait_for(words, LIMIT, || {
            let all = self.process.complaints();
            let (_, rest) = all.split_once(words)?;
            Some(rest.lines().next().unwrap_or_default().trim().to_owned())
        })
    }

    fn answer(&mut self, question: &str, answer: &str) {
        self.said(question);
        writeln!(self.input, "{answer}").expect("it listens");
    }

    /// Signs in with the next message of the number.
    fn sign_in(&mut self, server: &Server, seen: usize) {
        self.said("Code from the SMS");
        let code = server.sms_after(seen, PHONE, "login");
        self.answer("Code from the SMS", &code);
    }

    /// Waits for its end: whether it succeeded, and all that it said.
    fn end(mut self) -> (bool, String) {
        let status = self.process.wait(LIMIT);
        let printed = std::fs::read_to_string(&self.out).unwrap_or_default();
        let all = format!("{printed}{}", self.process.complaints());
        (status.is_some_and(|status| status.success()), all)
    }
}

struct Stage {
    server: Server,
    device: Device,
    folder: tempfile::TempDir,
    _camera: Process,
}

impl Stage {
    async fn new() -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().expect("a folder");
        let mut device = server.add_sealed_agent();
        let camera = Publisher::AgentSealed.start(&device, folder.path());
        let mut owner = Terminal::new(PHONE);
        owner.sign_in(&server).await;
        owner.consent_to_viewing().await.ok();
        owner.open_agent(&server, &mut device).await;
        owner.wait_until_live(&device.serial).await;
        Self { server, device, folder, _camera: camera }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A command of one side, with what both commands take.
    fn run(&self, name: &str, side: &str, command: &str, words: &[&str]) -> Dialog {
        let ca = self.server.ca().display().to_string();
        let (home, serial) = (self.path(side), self.device.serial.as_str());
        let fixed = [
            command,
            "--server",
            HTTPS_ORIGIN,
            "--ca",
            &ca,
            "--folder",
            &home,
            "--serial",
            serial,
            "--phone",
            PHONE,
        ];
        Dialog::start(name, self.folder.path(), &[&fixed[..], words].concat())
    }

    fn owner(&self, name: &str, words: &[&str]) -> Dialog {
        let agent = self.device.agent.as_ref().expect("an agent");
        let secret = agent.join("secret.txt").display().to_string();
        let fixed = ["--secret-file", secret.as_str()];
        self.run(name, "owner", "viewers", &[&fixed[..], words].concat())
    }

    fn guest(&self, name: &str, words: &[&str]) -> Dialog {
        let keys = self.path("guest.keys");
        let fixed = ["--terminal", keys.as_str()];
        self.run(name, "guest", "watch", &[&fixed[..], words].concat())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_let_in_from_the_command_line_watches_and_is_removed() {
    const NAME: &str = "a_guest_is_let_in_from_the_command_line_watches_and_is_removed";
    if !network::inside(NAME) {
        return;
    }
    let stage = Stage::new().await;
    let seen = || stage.server.sms_count(PHONE, "login");
    let before = seen();
    let mut guest = stage.guest("introduce", &["--introduce"]);
    guest.sign_in(&stage.server, before);
    let code = guest.said("within ten minutes:");
    let before = seen();
    let mut owner = stage.owner("add", &["add", &code, "--days", "1"]);
    owner.sign_in(&stage.server, before);
    let digits = [&mut guest, &mut owner].map(|side| side.said("Read these eight digits to"));
    let [at_guest, at_owner] =
        digits.map(|said| said.rsplit_once(": ").expect("digits").1.to_owned());
    assert_eq!(at_guest, at_owner);
    owner.answer("Does the guest read the same", "yes");
    guest.answer("Does the owner read the same", "yes");
    let (added, said) = owner.end();
    assert!(added && said.contains("let in: "), "{said}");
    let (told, said) = guest.end();
    assert!(told && said.contains("has let this terminal in"), "{said}");

    let (_, listed) = stage.owner("list", &["list"]).end();
    let terminal = listed.split_whitespace().next().expect("a terminal").to_owned();
    assert!(listed.contains("ends at"), "{listed}");
    let pictures = stage.path("pictures");
    let views = stage.server.sms_count(PHONE, "view");
    let mut guest = stage.guest("watch", &["--consent", "--out", &pictures, "--seconds", "3"]);
    let code = stage.server.sms_after(views, PHONE, "view");
    guest.answer("Code for viewing from the SMS", &code);
    let (watched, said) = guest.end();
    assert!(watched && said.contains("opened "), "{said}");
    assert!(!said.contains("Device secret"), "{said}");
    let recorded = std::fs::metadata(&pictures).expect("pictures").len();
    assert!(recorded > 10_000, "{recorded} bytes");

    let (removed, said) = stage.owner("remove", &["remove", &terminal]).end();
    assert!(removed, "{said}");
    let (watched, said) = stage.guest("again", &["--consent", "--seconds", "3"]).end();
    assert!(!watched && said.contains("has not let this terminal in"), "{said}");
}
