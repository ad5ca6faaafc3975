//! FFmpeg and GStreamer as cameras and players. They must be installed, so these run on demand:
//! `cargo test -p sightline-relay --lib rtsp::foreign -- --ignored --test-threads=1`.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tests::{Harness, PASSWORD, SERIAL, key};

/// Longest time for one dialogue.
const PATIENCE: Duration = Duration::from_secs(25);

/// Ends its process with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &str) -> Program {
    let mut words = command.split_ascii_whitespace();
    let mut program = Command::new(words.next().unwrap());
    program.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program(program.spawn().unwrap())
}

fn push_url(harness: &Harness) -> String {
    let password = PASSWORD.replace(' ', "%20");
    let port = harness.port.addresses().unwrap().unwrap().rtsp.port();
    format!("rtsp://{SERIAL}:{password}@127.0.0.1:{port}/{SERIAL}/0")
}

fn play_url(harness: &mut Harness, user: &str) -> String {
    harness.add_handle(user, Duration::from_secs(30)).unwrap();
    let port = harness.port.addresses().unwrap().unwrap().rtsp.port();
    format!("rtsp://{user}:pw-{user}@127.0.0.1:{port}/{SERIAL}/0")
}

fn ffmpeg_camera(harness: &Harness, transport: &str, video: &str) -> Program {
    run(&format!(
        "ffmpeg -v verbose -re -f lavfi -i testsrc2=size=640x360:rate=25 -re -f lavfi \
         -i sine=frequency=440:sample_rate=48000 -c:v {video} -preset ultrafast -tune zerolatency \
         -g 25 -c:a libopus -t 20 -f rtsp -rtsp_transport {transport} {}",
        push_url(harness)
    ))
}

/// Turns until `done`, then says what a program wrote if it did not come to that.
fn until(
    harness: &mut Harness,
    program: &mut Program,
    mut done: impl FnMut(&mut Harness, &mut Program) -> bool,
) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        harness.turn();
        if done(harness, program) {
            return;
        }
    }
    let _ = program.0.kill();
    let mut text = String::new();
    for pipe in [program.0.stdout.take().map(read), program.0.stderr.take().map(read)] {
        text += &pipe.unwrap_or_default();
    }
    panic!("it did not come to pass:\n{text}");
}

fn read(mut from: impl std::io::Read) -> String {
    let mut text = Vec::new();
    let _ = from.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn live(harness: &mut Harness, camera: &mut Program, frames: u64) {
    until(harness, camera, |harness, _| {
        harness.hub.tracks(&key()).is_some() && harness.hub.stats().frames_in > frames
    });
}

/// Runs a player to its end and gives back all that it wrote.
fn play(harness: &mut Harness, command: &str) -> String {
    let mut player = run(command);
    until(harness, &mut player, |_, player| player.0.try_wait().unwrap().is_some());
    let texts = [player.0.stdout.take().map(read), player.0.stderr.take().map(read)];
    texts.into_iter().flatten().collect()
}

fn ffprobe_packets(harness: &mut Harness, user: &str, transport: &str) -> usize {
    let url = play_url(harness, user);
    let text = play(
        harness,
        &format!(
            "ffmpeg -v info -rtsp_transport {transport} -i {url} -map 0 -frames:v 50 -f framecrc -"
        ),
    );
    let lines = text.lines().filter(|line| line.starts_with("0,")).count();
    assert!(!text.contains("corrupt") && !text.contains("error while decoding"), "{text}");
    assert!(lines >= 45, "{lines} pictures\n{text}");
    lines
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_pushes_by_tcp_and_pulls_both_ways() {
    let mut harness = Harness::new();
    let mut camera = ffmpeg_camera(&harness, "tcp", "libx264");
    live(&mut harness, &mut camera, 30);
    let tcp = ffprobe_packets(&mut harness, "a", "tcp");
    let udp = ffprobe_packets(&mut harness, "b", "udp");
    println!("pictures: {tcp} by TCP, {udp} by UDP");
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_pushes_and_pulls_by_tls() {
    let mut harness = Harness::new();
    let password = PASSWORD.replace(' ', "%20");
    let port = harness.port.addresses().unwrap().unwrap().rtsps.port();
    let mut camera = run(&format!(
        "ffmpeg -v verbose -re -f lavfi -i testsrc2=size=640x360:rate=25 -c:v libx264 -g 25 \
         -preset ultrafast -tune zerolatency -t 20 -f rtsp -rtsp_transport tcp \
         rtsps://{SERIAL}:{password}@127.0.0.1:{port}/{SERIAL}/0"
    ));
    live(&mut harness, &mut camera, 30);
    harness.add_handle("t", Duration::from_secs(30)).unwrap();
    let text = play(
        &mut harness,
        &format!(
            "ffmpeg -v info -rtsp_transport tcp -i rtsps://t:pw-t@127.0.0.1:{port}/{SERIAL}/0 \
             -frames:v 50 -f framecrc -"
        ),
    );
    let pictures = text.lines().filter(|line| line.starts_with("0,")).count();
    assert!(pictures >= 45, "{text}");
    println!("pictures by TLS: {pictures}");
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_pushes_by_udp() {
    let mut harness = Harness::new();
    let mut camera = ffmpeg_camera(&harness, "udp", "libx264");
    live(&mut harness, &mut camera, 30);
    println!("pictures: {}", ffprobe_packets(&mut harness, "a", "tcp"));
    assert_eq!(harness.hub.stats().frames_lost, 0);
}

#[test]
#[ignore = "needs ffmpeg with x265"]
fn ffmpeg_pushes_h265() {
    let mut harness = Harness::new();
    let mut camera = ffmpeg_camera(&harness, "tcp", "libx265 -x265-params bframes=0");
    live(&mut harness, &mut camera, 30);
    println!("pictures: {}", ffprobe_packets(&mut harness, "a", "tcp"));
}

#[test]
#[ignore = "needs GStreamer"]
fn gstreamer_pushes_and_pulls() {
    for protocols in ["tcp", "udp"] {
        let mut harness = Harness::new();
        let port = harness.port.addresses().unwrap().unwrap().rtsp.port();
        let mut camera = Command::new("gst-launch-1.0");
        let location = format!("location=rtsp://127.0.0.1:{port}/{SERIAL}/0");
        let pipeline = "videotestsrc is-live=true num-buffers=400 ! video/x-raw,width=640,height=360,\
            framerate=25/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! \
            rtspclientsink user-id=CAM-1";
        camera.args(pipeline.split_ascii_whitespace());
        camera.args([format!("user-pw={PASSWORD}"), location, format!("protocols={protocols}")]);
        camera.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut camera = Program(camera.spawn().unwrap());
        live(&mut harness, &mut camera, 10);
        for wanted in ["tcp", "udp"] {
            let url = play_url(&mut harness, &format!("{protocols}-{wanted}"));
            let text = play(
                &mut harness,
                &format!(
                    "gst-launch-1.0 -v rtspsrc location={url} protocols={wanted} ! rtph264depay ! \
                     h264parse ! avdec_h264 ! identity eos-after=40 silent=false ! fakesink"
                ),
            );
            let pictures = text.matches("identity0: last-message = chain").count();
            assert!(pictures >= 38, "{protocols} {wanted}: {pictures}\n{text}");
            println!("pushed by {protocols}, pulled by {wanted}: {pictures} pictures");
        }
    }
}
