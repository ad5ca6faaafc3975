//! How the server starts, refuses to start, and stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server to print its page or to end.
const PATIENCE: Duration = Duration::from_secs(20);

fn sightline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightline"));
    command.env_remove("SIGHTLINE_DATA").env_remove("SIGHTLINE_CONFIG");
    command
}

/// Arguments that put every door on a free port.
fn on_free_ports(command: &mut Command, data: &Path) {
    command.arg("serve").arg("--data").arg(data);
    for key in ["http", "https", "roq", "webrtc", "rtsp", "rtsps", "rtsp_udp", "metrics"] {
        command.arg(format!("--listen.{key}")).arg("127.0.0.1:0");
    }
}

struct Server {
    child: Child,
    page: String,
    first_lines: Vec<String>,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut command = sightline();
        on_free_ports(&mut command, data);
        command.arg("--no-demo");
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut first_lines = Vec::new();
        for line in out.lines() {
            let line = line.expect("text");
            let done = line.contains("SMS");
            first_lines.push(line);
            if done {
                break;
            }
        }
        let page = first_lines
            .iter()
            .find_map(|line| line.trim().strip_prefix("page")?.trim().strip_prefix("http://"))
            .expect("the page's address is printed")
            .trim_end_matches('/')
            .to_owned();
        Self { child, page, first_lines }
    }

    fn get(&self, path: &str) -> String {
        let address = self.page.replace("localhost", "127.0.0.1");
        let mut stream = TcpStream::connect(address).expect("the page's port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.page)
            .expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg("-TERM").arg(pid).status().expect("kill").success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_page_answers_and_the_server_stops_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"));
    assert!(server.get("/").starts_with("HTTP/1.1 200"), "{}", server.get("/"));
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.terminate().success());
}

#[test]
fn the_start_names_its_data_folder_and_whether_it_is_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    for state in ["(new)", "(existing)"] {
        let mut server = Server::start(&data);
        let told = server.first_lines.iter().any(|line| {
            line.contains(&*data.canonicalize().expect("made").to_string_lossy())
                && line.contains(state)
        });
        assert!(told, "{:?}", server.first_lines);
        assert!(server.terminate().success());
    }
}

#[test]
fn a_second_process_is_refused_the_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let _server = Server::start(&data);
    let mut second = sightline();
    on_free_ports(&mut second, &data);
    let output = second.output().expect("it ran");
    assert!(!output.status.success());
    assert!(text(&output).contains("in use"), "{}", text(&output));
}

#[test]
fn a_taken_port_stops_the_start_and_names_the_key() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for key in ["http", "rtsp", "metrics"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = sightline();
        command.arg("serve").arg("--data").arg(folder.path().join("data")).arg("--no-demo");
        for other in ["http", "https", "roq", "webrtc", "rtsp", "rtsps", "rtsp_udp", "metrics"] {
            let value = if other == key { address.as_str() } else { "127.0.0.1:0" };
            command.arg(format!("--listen.{other}")).arg(value);
        }
        let output = command.output().expect("it ran");
        assert!(!output.status.success());
        assert!(text(&output).contains(&format!("listen.{key}")), "{}", text(&output));
    }
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sightline.toml");
    std::fs::write(&file, "[listen]\nhtpp = \"127.0.0.1:1\"\n").expect("written");
    let output = sightline().arg("config").arg("check").arg(&file).output().expect("it ran");
    assert!(!output.status.success());
    assert!(text(&output).contains("htpp"), "{}", text(&output));
}

#[test]
fn lan_without_a_real_sms_sender_is_refused_unless_dev_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = sightline();
    on_free_ports(&mut command, &folder.path().join("data"));
    let output = command.arg("--lan").output().expect("it ran");
    assert!(!output.status.success());
    assert!(text(&output).contains("--dev"), "{}", text(&output));
}
