//! An independent decoder reads back what the test card painted. Needs `ffmpeg` on the path.

use std::collections::VecDeque;
use std::io::Write;
use std::process::{Command, Stdio};

use sightline_client::testcard::{Options, Strip, StripReader, TestCard};

/// Decodes an Annex-B stream to 8-bit grey pictures; any complaint of the decoder is a failure.
fn decode(stream: Vec<u8>, extra: &[&str]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "warning"])
        .args(extra)
        .args(["-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough"])
        .args(["-vf", "extractplanes=y", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg runs; install it with `apt-get install ffmpeg`");
    let mut input = child.stdin.take().expect("piped");
    let feeder = std::thread::spawn(move || input.write_all(&stream));
    let output = child.wait_with_output().expect("ffmpeg ends");
    feeder.join().expect("the feeder ends").expect("ffmpeg reads all");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg said: {said}");
    output.stdout
}

fn check(options: Options, frames: u64, extra: &[&str]) {
    let (width, height) = (options.width as usize, options.height as usize);
    let mut card = TestCard::new(options.clone()).expect("good options");
    let mut expected = VecDeque::new();
    let mut stream = Vec::new();
    for frame in 0..frames {
        let unix_ms = 1_760_000_000_000 + frame * 1000 / u64::from(options.fps);
        if frame == 17 {
            card.request_keyframe();
        }
        let unit = card.next_video(unix_ms);
        expected.push_back(Strip::new(&options.serial, unit.frame_number, unix_ms));
        stream.extend_from_slice(&unit.access_unit);
    }
    let pictures = decode(stream, extra);
    assert_eq!(pictures.len(), width * height * frames as usize, "{options:?}");
    for picture in pictures.chunks_exact(width * height) {
        let strip = StripReader::read(picture, width, height, width);
        assert_eq!(strip, expected.pop_front(), "{options:?}");
        // Exact to the sample: the cells of the strip hold nothing but the two levels.
        let columns = width / 16 * 16;
        assert!(picture[..columns].iter().all(|&pixel| pixel == 16 || pixel == 235));
    }
}

#[test]
fn every_strip_is_read_back_from_200_decoded_frames() {
    check(Options { serial: "CAM-1".into(), ..Options::default() }, 200, &[]);
}

#[test]
fn a_decoder_that_stops_at_the_first_flaw_finds_none() {
    let options = Options { bitrate: 4_000_000, gop: 25, fps: 25, ..Options::default() };
    check(options, 200, &["-err_detect", "explode", "-xerror"]);
}

#[test]
fn sizes_that_need_cropping_and_rates_at_both_ends_decode() {
    let sizes = [(1920, 1080), (640, 360), (352, 288), (176, 256), (1366, 768), (100, 1000)];
    for (index, (width, height)) in sizes.into_iter().enumerate() {
        let options = Options {
            serial: format!("S{index}"),
            width,
            height,
            fps: [1, 10, 60][index % 3],
            gop: [1, 7, 100][index % 3],
            bitrate: [0, 2_000_000][index % 2],
            first_frame: u32::MAX - 20,
            ..Options::default()
        };
        check(options, 45, &["-err_detect", "explode"]);
    }
}
