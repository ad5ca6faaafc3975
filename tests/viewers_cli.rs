//! An owner lets a guest in from the command line, who then watches without the device secret.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use self::support::network;
use self::support::process::{Output, Process, wait_for};
use self::support::publishers::{FPS, Publisher};
use self::support::server::{Device, HTTPS_ORIGIN, Server, sightline};
use self::support::terminal::Terminal;
use self::support::viewers::decoded;

/// Longest wait for a question or for the end.
const LIMIT: Duration = Duration::from_secs(40);
const PHONE: &str = "+4915110000095";
/// Of another account.
const GUEST: &str = "+4915110000096";
/// Viewing time, seconds.
const SECONDS: u64 = 4;
/// Frames that a viewer must have decoded: the time less its start.
const MIN_FRAMES: usize = (SECONDS as usize - 2) * FPS as usize;

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

    /// Signs in with the next message of a number.
    fn sign_in(&mut self, server: &Server, phone: &str, seen: usize) {
        self.said("Code from the SMS");
        let code = server.sms_after(seen, phone, "login");
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
    async fn new(kind: Publisher) -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().expect("a folder");
        let sealed = kind == Publisher::AgentSealed;
        let mut device = if sealed { server.add_sealed_agent() } else { server.add_open_device() };
        let camera = kind.start(&device, folder.path());
        let mut owner = Terminal::new(PHONE);
        owner.sign_in(&server).await;
        owner.consent_to_viewing().await.ok();
        if sealed {
            owner.open_agent(&server, &mut device).await;
        } else {
            owner.open_device(&server, &device).await;
        }
        owner.wait_until_live(&device.serial).await;
        Self { server, device, folder, _camera: camera }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A command of one side, with what all commands take.
    fn run(
        &self,
        name: &str,
        (side, phone): (&str, &str),
        command: &str,
        words: &[&str],
    ) -> Dialog {
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
            phone,
        ];
        Dialog::start(name, self.folder.path(), &[&fixed[..], words].concat())
    }

    fn owner(&self, name: &str, words: &[&str]) -> Dialog {
        let secret = match &self.device.agent {
            Some(agent) => agent.join("secret.txt").display().to_string(),
            None => {
                let file = self.path("password");
                std::fs::write(&file, &self.device.password).expect("a writable folder");
                file
            }
        };
        let fixed = ["--secret-file", secret.as_str()];
        self.run(name, ("owner", PHONE), "viewers", &[&fixed[..], words].concat())
    }

    fn share(&self, name: &str, words: &[&str]) -> Dialog {
        self.run(name, ("owner", PHONE), "share", words)
    }

    fn guest(&self, name: &str, words: &[&str]) -> Dialog {
        self.guest_with(name, PHONE, words)
    }

    fn guest_with(&self, name: &str, phone: &str, words: &[&str]) -> Dialog {
        let keys = self.path("guest.keys");
        let fixed = ["--terminal", keys.as_str()];
        self.run(name, ("guest", phone), "watch", &[&fixed[..], words].concat())
    }

    /// Both say that the digits are the same, which they are.
    fn compare(&self, guest: &mut Dialog, owner: &mut Dialog) {
        let digits = [&mut *guest, &mut *owner].map(|side| side.said("Read these eight digits to"));
        let [at_guest, at_owner] =
            digits.map(|said| said.rsplit_once(": ").expect("digits").1.to_owned());
        assert_eq!(at_guest, at_owner);
        owner.answer("Does the guest read the same", "yes");
        guest.answer("Does the owner read the same", "yes");
    }

    /// A guest of another account joins from the command line and sees the right camera, until the
    /// owner ends the share.
    fn sharing(&self) {
        let seen = |phone| self.server.sms_count(phone, "login");
        let before = seen(PHONE);
        let mut invite = self.share("invite", &["--consent", "invite", "--label", "Ben"]);
        invite.sign_in(&self.server, PHONE, before);
        let (made, said) = invite.end();
        assert!(made, "{said}");
        let code = said.lines().next().expect("a code").trim().to_owned();
        assert_eq!(code.len(), 26, "{said}");

        let before = seen(GUEST);
        let words = ["--introduce", "--consent", "--invitation", &code];
        let mut guest = self.guest_with("join", GUEST, &words);
        guest.sign_in(&self.server, GUEST, before);
        let short = guest.said("within ten minutes:");
        let mut owner = self.owner("add", &["add", &short]);
        self.compare(&mut guest, &mut owner);
        let (added, said) = owner.end();
        assert!(added && said.contains("let in: "), "{said}");
        let (told, said) = guest.end();
        assert!(told && said.contains("has let this terminal in"), "{said}");

        let pictures = self.path("pictures");
        let views = self.server.sms_count(GUEST, "view");
        let seconds = SECONDS.to_string();
        let words = ["--consent", "--out", &pictures, "--seconds", &seconds];
        let mut guest = self.guest_with("watch", GUEST, &words);
        let code = self.server.sms_after(views, GUEST, "view");
        guest.answer("Code for viewing from the SMS", &code);
        let (watched, said) = guest.end();
        assert!(watched && !said.contains("Device secret"), "{said}");
        let shown = decoded(Path::new(&pictures));
        let good = shown
            .judge(&self.device.serial, MIN_FRAMES)
            .unwrap_or_else(|why| panic!("{why}: {said}"));
        println!("a guest of another account decoded {} frames", good.frames);

        let (_, listed) = self.share("list", &["list"]).end();
        assert!(listed.contains("accepted  view") && listed.contains("Ben"), "{listed}");
        let id = listed.split_whitespace().next().expect("a share").to_owned();
        let (ended, said) = self.share("end", &["end", &id]).end();
        assert!(ended, "{said}");
        let again = self.guest_with("again", GUEST, &["--consent", "--seconds", "3"]);
        let (watched, said) = again.end();
        assert!(!watched && said.contains("No such device on this account"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_let_in_from_the_command_line_watches_and_is_removed() {
    const NAME: &str = "a_guest_is_let_in_from_the_command_line_watches_and_is_removed";
    if !network::inside(NAME) {
        return;
    }
    let stage = Stage::new(Publisher::AgentSealed).await;
    let seen = || stage.server.sms_count(PHONE, "login");
    let before = seen();
    let mut guest = stage.guest("introduce", &["--introduce"]);
    guest.sign_in(&stage.server, PHONE, before);
    let code = guest.said("within ten minutes:");
    let before = seen();
    let mut owner = stage.owner("add", &["add", &code, "--days", "1"]);
    owner.sign_in(&stage.server, PHONE, before);
    stage.compare(&mut guest, &mut owner);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_another_account_sees_a_sealed_camera_until_the_share_ends() {
    const NAME: &str = "a_guest_of_another_account_sees_a_sealed_camera_until_the_share_ends";
    if !network::inside(NAME) {
        return;
    }
    Stage::new(Publisher::AgentSealed).await.sharing();
    sightline_grant::requirement!("B14");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_another_account_sees_an_open_camera_until_the_share_ends() {
    const NAME: &str = "a_guest_of_another_account_sees_an_open_camera_until_the_share_ends";
    if !network::inside(NAME) {
        return;
    }
    Stage::new(Publisher::RtspTcp).await.sharing();
    sightline_grant::requirement!("B14");
}
