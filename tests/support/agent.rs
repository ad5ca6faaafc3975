//! A sealed camera beside a [`Local`] server, as whoever sets one up runs it.

use std::path::{Path, PathBuf};

use super::local::Local;
use super::process::{Output, Process};
use super::server::{new_identity, sightline};

/// A sealed agent with a test card.
pub struct Agent {
    /// Serial.
    pub serial: String,
    /// What its owner pastes to add it.
    pub bind_text: String,
    folder: PathBuf,
    process: Option<Process>,
}

impl Agent {
    /// Adds a sealed camera to the server and starts it with its files in `folder/serial`.
    pub fn start(server: &Local, folder: &Path, serial: &str, flags: &[&str]) -> Self {
        let own = folder.join(serial);
        let identity = new_identity(&own);
        let words = ["device", "add", "--mode", "sealed", "--serial", serial];
        let added = server.admin(&[&words[..], &["--identity", &identity]].concat());
        let code = added["verification_code"].as_str().expect("a verification code");
        let bind_text = format!("SL1:{serial}:{code}");
        let mut agent = Self { serial: serial.to_owned(), bind_text, folder: own, process: None };
        agent.run(server, flags);
        agent
    }

    /// Starts its process, again if it runs already.
    pub fn run(&mut self, server: &Local, flags: &[&str]) {
        self.process = None;
        let mut command = sightline();
        command
            .args(["camera", "--mode", "sealed", "--testcard", "--serial", &self.serial])
            .args(["--server", &server.https_origin()])
            .arg("--ca")
            .arg(server.data().join("pki/ca.pem"))
            .arg("--folder")
            .arg(&self.folder)
            .args(flags);
        let name = format!("agent-{}", self.serial);
        let around = self.folder.parent().expect("a folder of the test");
        self.process = Some(Process::start(&name, around, &mut command, Output::File));
    }

    /// Makes another identity and forgets everything else; the new public half. The process has to be
    /// run again.
    pub fn become_another(&mut self) -> String {
        self.process = None;
        std::fs::remove_dir_all(&self.folder).expect("its folder");
        new_identity(&self.folder)
    }

    /// Where it keeps the secret that it shows.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.join("secret.txt")
    }
}
