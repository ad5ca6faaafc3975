//! Viewers of several makes, as processes. Each tells which painted frames it decoded.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use super::process::{Output, Process, wait_for};
use super::publishers::{HEIGHT, WIDTH, python, script};
use super::server::{Device, HTTPS_ORIGIN, ORIGIN, Server, sightline};
use super::terminal::{Terminal, Token};
use super::verdict::Seen;

/// Sample rate at which RTSP viewers hand over the sound.
const SOUND_RATE: u32 = 8_000;
/// What a client may take beyond its viewing time: start, decoder, end.
const SLACK: Duration = Duration::from_secs(20);

/// How long the product's own viewer may take to its next question.
const GATE_LIMIT: Duration = Duration::from_secs(20);
/// Pause that a development server wants between two messages to a number.
const SMS_PAUSE: Duration = Duration::from_millis(2_100);

/// A kind of viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// FFmpeg by RTSP, interleaved.
    FfmpegTcp,
    /// FFmpeg by RTSP over UDP.
    FfmpegUdp,
    /// GStreamer's rtspsrc.
    Gst,
    /// Chromium by WHEP.
    Chromium,
    /// Chromium by WebTransport; WebCodecs decodes.
    WebTransport,
    /// aiortc by WHEP.
    Aiortc,
    /// The product's own viewer, by RTP over QUIC; FFmpeg decodes.
    Watch,
    /// A second implementation of RTP over QUIC, on aioquic.
    Aioquic,
}

/// A running viewer.
pub struct Running {
    process: Process,
    ends: Ends,
    reader: JoinHandle<Seen>,
    sound: Option<PathBuf>,
    deadline: Instant,
}

/// How a viewer comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// By itself.
    Alone,
    /// It is interrupted at this time.
    At(Instant),
}

impl Viewer {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::FfmpegTcp,
        Self::FfmpegUdp,
        Self::Gst,
        Self::Chromium,
        Self::WebTransport,
        Self::Aiortc,
        Self::Watch,
        Self::Aioquic,
    ];

    /// Name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::FfmpegTcp => "ffmpeg RTSP/TCP",
            Self::FfmpegUdp => "ffmpeg RTSP/UDP",
            Self::Gst => "gst rtspsrc",
            Self::Chromium => "Chromium WHEP",
            Self::WebTransport => "Chromium WebTransport",
            Self::Aiortc => "aiortc WHEP",
            Self::Watch => "sightline watch",
            Self::Aioquic => "aioquic RoQ",
        }
    }

    /// Starts watching `device` for `seconds`; the terminal must have passed the gate.
    pub async fn start(
        self,
        server: &Server,
        terminal: &Terminal,
        device: &Device,
        folder: &Path,
        seconds: u64,
    ) -> Running {
        let serial = device.serial.as_str();
        match self {
            Self::Watch => watch(server, terminal, device, folder, seconds),
            Self::FfmpegTcp | Self::FfmpegUdp | Self::Gst => {
                let url = terminal.rtsp_handle(serial).await.url();
                self.pull(&url, serial, folder, seconds)
            }
            Self::Aioquic => {
                let grant = terminal.grant(serial).await;
                let path = format!("/v1/{}/{serial}/0", self.entry());
                let session = terminal.send("POST", &path, Token::Grant(&grant), None).await.ok();
                let key = folder.join(format!("{}.der", self.process_name(serial)));
                fs::write(&key, terminal.key_der()).expect("a writable folder");
                self.by_session(&session.to_string(), &key, &server.ca(), serial, folder, seconds)
            }
            Self::WebTransport => {
                let facts = terminal.send("GET", "/v1/server", Token::None, None).await.ok();
                let grant = terminal.grant(serial).await;
                let path = format!("/v1/{}/{serial}/0", self.entry());
                let session = terminal.send("POST", &path, Token::Grant(&grant), None).await.ok();
                let path = session["path"].as_str().expect("a path");
                let request = json!({
                    "origin": ORIGIN,
                    "url": format!("https://127.0.0.1:{}{path}", session["port"]),
                    "hashes": facts["webtransport_hashes"],
                    "tracks": session["tracks"],
                    "seconds": seconds,
                });
                self.by_grant(&request.to_string(), serial, folder, seconds)
            }
            Self::Chromium | Self::Aiortc => {
                let grant = terminal.grant(serial).await;
                let path = format!("/v1/{}/{serial}/0", self.entry());
                let request = json!({
                    "origin": ORIGIN,
                    "path": path,
                    "url": format!("{ORIGIN}{path}"),
                    "proof": terminal.proof("POST", &path, Some(&grant)),
                    "key": terminal.key_base64(),
                    "grant": grant,
                    "seconds": seconds,
                });
                self.by_grant(&request.to_string(), serial, folder, seconds)
            }
        }
    }

    /// First part of the path that a grant is presented to.
    fn entry(self) -> &'static str {
        match self {
            Self::Watch | Self::Aioquic => "roq-sessions",
            Self::WebTransport => "webtransport-sessions",
            _ => "whep",
        }
    }

    fn process_name(self, serial: &str) -> String {
        format!("{}-{serial}", self.name().replace([' ', '/'], "-"))
    }

    /// Pulls by RTSP from any address for `seconds`.
    pub fn pull(self, url: &str, serial: &str, folder: &Path, seconds: u64) -> Running {
        let name = self.process_name(serial);
        let sound = folder.join(format!("{name}.s16"));
        let mut command = match self {
            Self::FfmpegUdp => ffmpeg_pull("udp", url, &sound),
            Self::Gst => gst_pull(url, &sound),
            _ => ffmpeg_pull("tcp", url, &sound),
        };
        command.stdin(Stdio::null());
        let mut process = Process::start(&name, folder, &mut command, Output::Pipe);
        let stdout = process.take_stdout();
        let reader = thread::spawn(move || read_pictures(stdout));
        let end = Instant::now() + Duration::from_secs(seconds);
        Running { process, ends: Ends::At(end), reader, sound: Some(sound), deadline: end + SLACK }
    }

    /// Starts a client that takes its task as one JSON object on standard input.
    pub fn by_grant(self, request: &str, serial: &str, folder: &Path, seconds: u64) -> Running {
        let name = self.process_name(serial);
        let deadline = Instant::now() + Duration::from_secs(seconds) + SLACK;
        let mut command = match self {
            Self::Aiortc => {
                let mut command = Command::new(python());
                command.arg(script("whep_view.py"));
                command
            }
            _ => {
                let mut command = Command::new("node");
                let browser = self == Self::WebTransport;
                command.arg(script(if browser { "web_transport.mjs" } else { "browser.mjs" }));
                command
            }
        };
        start_json(&name, folder, &mut command, request, deadline)
    }
}

impl Viewer {
    /// The RoQ client of others takes the session that was opened for it and the terminal's key,
    /// and writes the picture as an Annex-B stream.
    fn by_session(
        self,
        session: &str,
        key: &Path,
        ca: &Path,
        serial: &str,
        folder: &Path,
        seconds: u64,
    ) -> Running {
        let name = self.process_name(serial);
        let sound = folder.join(format!("{name}.s16"));
        let deadline = Instant::now() + Duration::from_secs(seconds) + SLACK;
        let mut command = Command::new(python());
        command
            .arg(script("roq_viewer.py"))
            .args(["--session", "-", "--out", "/dev/stdout", "--seconds", &seconds.to_string()])
            .arg("--sound")
            .arg(&sound)
            .arg("--key")
            .arg(key)
            .arg("--ca")
            .arg(ca);
        let mut process = start_with_request(&name, folder, &mut command, session);
        let stdout = process.take_stdout();
        let reader = thread::spawn(move || decode_pictures(stdout));
        Running { process, ends: Ends::Alone, reader, sound: Some(sound), deadline }
    }
}

/// The product's own viewer passes the gate by itself, as a terminal of its own of the same user;
/// its questions are answered as the user would.
fn watch(
    server: &Server,
    terminal: &Terminal,
    device: &Device,
    folder: &Path,
    seconds: u64,
) -> Running {
    let (mut process, sound) = pass_and_watch(server, terminal, device, folder, seconds, "-");
    let deadline = Instant::now() + Duration::from_secs(seconds) + SLACK;
    let stdout = process.take_stdout();
    let reader = thread::spawn(move || decode_pictures(stdout));
    Running { process, ends: Ends::Alone, reader, sound: Some(sound), deadline }
}

/// Watches with the product's own viewer until its end, and gives the bytes of what it wrote:
/// pictures and sound as they came.
pub fn record(
    server: &Server,
    terminal: &Terminal,
    device: &Device,
    folder: &Path,
    seconds: u64,
) -> (Vec<u8>, Vec<u8>) {
    let pictures = folder.join(format!("{}.pictures", device.serial));
    let out = pictures.to_str().expect("a plain path");
    let (mut process, sound) = pass_and_watch(server, terminal, device, folder, seconds, out);
    let status = process.wait(Duration::from_secs(seconds) + SLACK);
    assert!(status.is_some_and(|status| status.success()), "{}", process.complaints());
    let read = |path: &Path| fs::read(path).expect("it wrote what it saw");
    (read(&pictures), read(&sound))
}

/// Starts the product's own viewer and gets it through the gate; the file of its sound.
fn pass_and_watch(
    server: &Server,
    terminal: &Terminal,
    device: &Device,
    folder: &Path,
    seconds: u64,
    out: &str,
) -> (Process, PathBuf) {
    let name = Viewer::Watch.process_name(&device.serial);
    let sound = folder.join(format!("{name}.sound"));
    let mut command = watch_command(server, terminal, device, folder);
    command
        .args(["--out", out, "--seconds", &seconds.to_string()])
        .arg("--sound")
        .arg(&sound)
        .stdin(Stdio::piped());
    let seen = ["login", "view"].map(|purpose| server.sms_count(&terminal.phone, purpose));
    let mut process = Process::start(&name, folder, &mut command, Output::Pipe);
    let mut answers = process.take_stdin();
    let questions =
        [("Code from the SMS:", "login", seen[0]), ("Code for viewing", "view", seen[1])];
    for (question, purpose, seen) in questions {
        wait_for(question, GATE_LIMIT, || process.complaints().contains(question).then_some(()));
        let code = server.sms_after(seen, &terminal.phone, purpose);
        if purpose == "login" {
            // The next code is asked for as soon as this one is taken.
            thread::sleep(SMS_PAUSE);
        }
        writeln!(answers, "{code}").expect("it waits for its answer");
    }
    (process, sound)
}

/// The product's own viewer as a terminal of the same user. Once it has passed the gate, it asks
/// nothing for a while, since its folder remembers its login.
pub fn watch_command(
    server: &Server,
    terminal: &Terminal,
    device: &Device,
    folder: &Path,
) -> Command {
    let name = Viewer::Watch.process_name(&device.serial);
    let secret = folder.join(format!("{name}.secret"));
    match &device.agent {
        // What the camera shows its owner: the secret, and the key that viewers pin.
        Some(agent) => drop(fs::copy(agent.join("secret.txt"), &secret).expect("a secret")),
        None => fs::write(&secret, &device.password).expect("a writable folder"),
    }
    let mut command = sightline();
    command
        .args(["watch", "--server", HTTPS_ORIGIN, "--consent", "--serial", &device.serial])
        .args(["--phone", &terminal.phone])
        .arg("--ca")
        .arg(server.ca())
        .arg("--folder")
        .arg(folder.join(format!("{name}.viewer")))
        .arg("--secret-file")
        .arg(secret);
    command
}

/// Starts a client that takes one JSON object and prints JSON lines until it ends by itself.
pub fn start_json(
    name: &str,
    folder: &Path,
    command: &mut Command,
    request: &str,
    deadline: Instant,
) -> Running {
    let mut process = start_with_request(name, folder, command, request);
    let stdout = process.take_stdout();
    let reader = thread::spawn(move || read_json_lines(stdout));
    Running { process, ends: Ends::Alone, reader, sound: None, deadline }
}

fn start_with_request(name: &str, folder: &Path, command: &mut Command, request: &str) -> Process {
    command.stdin(Stdio::piped());
    let mut process = Process::start(name, folder, command, Output::Pipe);
    let written = process.take_stdin().write_all(request.as_bytes());
    written.expect("a client reads its request");
    process
}

fn read_json_lines(mut stdout: impl Read) -> Seen {
    let mut text = Vec::new();
    // A client that was killed leaves what it had printed.
    let _ = stdout.read_to_end(&mut text);
    Seen::from_json_lines(&String::from_utf8_lossy(&text))
}

/// Samples of a sound file; one that is not raw is decoded by FFmpeg.
fn samples(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|ending| ending == "s16") {
        return fs::read(path).unwrap_or_default();
    }
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-v", "error", "-i"]).arg(path).args([
        "-ac",
        "1",
        "-ar",
        &SOUND_RATE.to_string(),
        "-f",
        "s16le",
        "pipe:1",
    ]);
    command.output().map(|output| output.stdout).unwrap_or_default()
}

/// What is seen in an Annex-B stream that was written to a file.
pub fn decoded(path: &Path) -> Seen {
    decode_pictures(fs::File::open(path).expect("pictures"))
}

/// Has FFmpeg decode an Annex-B stream that begins with a parameter set.
fn decode_pictures(mut stdout: impl Read + Send + 'static) -> Seen {
    let mut head = [0; 5];
    if stdout.read_exact(&mut head).is_err() {
        return Seen::default();
    }
    // Type 32 of H.265 is its first parameter set; H.264 has no unit with such a header.
    let format = if head[4] == 32 << 1 { "hevc" } else { "h264" };
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-v", "error", "-f", format, "-i", "pipe:0"])
        .args(["-vf", "extractplanes=y", "-pix_fmt", "gray", "-fps_mode", "passthrough"])
        .args(["-f", "rawvideo", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut decoder = command.spawn().expect("ffmpeg runs");
    let mut input = decoder.stdin.take().expect("piped");
    let output = decoder.stdout.take().expect("piped");
    let copier = thread::spawn(move || {
        input.write_all(&head)?;
        std::io::copy(&mut stdout, &mut input).map(drop)
    });
    let seen = read_pictures(output);
    let _ = copier.join();
    let _ = decoder.wait();
    seen
}

impl Running {
    /// Whether the client has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Waits for its end and gives what it saw.
    pub fn finish(mut self) -> Seen {
        if let Ends::At(end) = self.ends {
            let left = end.saturating_duration_since(Instant::now());
            let ended = self.process.wait_quietly(left);
            if !ended {
                self.process.interrupt();
            }
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let status = self.process.wait(left);
        let mut seen = self.reader.join().expect("the reader does not panic");
        if let Some(path) = self.sound {
            seen.sound(&samples(&path), SOUND_RATE);
        }
        seen.said = self.process.complaints();
        if seen.error.is_none() && seen.frames.is_empty() {
            let how = status.map_or("killed after its time".to_owned(), |s| s.to_string());
            seen.error =
                Some(format!("no frame; {how}: {}", last_line(&self.process.complaints())));
        }
        seen
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or("no message")
}

fn read_pictures(mut stdout: impl Read) -> Seen {
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    let mut picture = vec![0; width * height];
    let mut seen = Seen::default();
    while stdout.read_exact(&mut picture).is_ok() {
        seen.picture(&picture, width, height);
    }
    seen
}

fn ffmpeg_pull(transport: &str, url: &str, sound: &Path) -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-v", "error", "-y"])
        .args(["-rtsp_transport", transport, "-i", url])
        .args(["-map", "0:v", "-vf", "extractplanes=y", "-pix_fmt", "gray"])
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"])
        .args(["-map", "0:a?", "-ac", "1", "-ar", &SOUND_RATE.to_string(), "-f", "s16le"])
        .arg(sound);
    command
}

fn gst_pull(url: &str, sound: &Path) -> Command {
    // The system's Python is the one that has GStreamer's bindings.
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script("gst_view.py")).arg(url).arg(sound).arg(SOUND_RATE.to_string());
    command
}
