//! What the relay leaves out first, for a decoder that is not ours: every other picture comes out as
//! it does when nothing is left out.

use std::path::Path;
use std::process::Command;

use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::wire::annexb;
use sightline_relay_proto::wire::nal::{NalClass, NalFormat};
use sightline_relay_proto::wire::references::References;

/// Pictures of each stream.
const PICTURES: usize = 75;

/// An encoder's settings, and how many of the pictures may be left out: at least and at most.
struct Case {
    codec: Codec,
    encoder: &'static [&'static str],
    needless: (usize, usize),
}

const CASES: [Case; 5] = [
    Case {
        codec: Codec::H264,
        encoder: &["libx264", "-bf", "0", "-x264-params", "aud=1"],
        needless: (0, 0),
    },
    Case {
        codec: Codec::H264,
        encoder: &["libx264", "-bf", "1", "-x264-params", "aud=1:b-adapt=0"],
        needless: (30, 40),
    },
    Case {
        codec: Codec::H264,
        encoder: &["libx264", "-bf", "3", "-x264-params", "aud=1:b-adapt=0:b-pyramid=normal"],
        needless: (30, 40),
    },
    Case {
        codec: Codec::H265,
        encoder: &["libx265", "-x265-params", "aud=1:bframes=3:b-adapt=0:log-level=error"],
        needless: (30, 40),
    },
    Case {
        codec: Codec::H265,
        encoder: &[
            "libx265",
            "-x265-params",
            "aud=1:bframes=3:b-adapt=0:temporal-layers=1:log-level=error",
        ],
        needless: (30, 40),
    },
];

fn ffmpeg(words: &[&str]) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-v", "error"]).args(words);
    let out = command.output().expect("ffmpeg runs");
    let complaints = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && complaints.is_empty(), "{words:?}: {complaints}");
    String::from_utf8(out.stdout).expect("text")
}

/// A hash of every picture that comes out, in order of showing.
fn decoded(format: &str, file: &Path) -> Vec<String> {
    let file = file.to_str().expect("a plain path");
    let words = ["-f", format, "-i", file, "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let lines = ffmpeg(&words);
    let hashes = lines.lines().filter(|line| !line.starts_with('#'));
    hashes.filter_map(|line| Some(line.rsplit(',').next()?.trim().to_owned())).collect()
}

/// Access units, each with start codes. Every one begins with a delimiter.
fn access_units(format: NalFormat, stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in annexb::units(stream) {
        if format.class(nal) == NalClass::Delimiter {
            units.push(Vec::new());
        }
        let unit = units.last_mut().expect("a delimiter comes first");
        unit.extend([0, 0, 0, 1]);
        unit.extend(nal);
    }
    units
}

#[test]
fn a_foreign_decoder_misses_nothing_that_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, rest) = (folder.path().join("whole"), folder.path().join("rest"));
    for Case { codec, encoder, needless: (least, most) } in CASES {
        let (name, format) = match codec {
            Codec::H264 => ("h264", NalFormat::H264),
            _ => ("hevc", NalFormat::H265),
        };
        let length = PICTURES.to_string();
        let source = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-frames:v", &length, "-c:v"];
        let file = ["-g", "25", "-f", name, "-y", whole.to_str().expect("a plain path")];
        ffmpeg(&[&source[..], encoder, &file[..]].concat());
        let units = access_units(format, &std::fs::read(&whole).expect("encoded"));
        assert_eq!(units.len(), PICTURES, "{encoder:?}");
        let mut references = References::new(codec);
        let all = units.into_iter();
        let kept: Vec<_> = all.filter(|unit| !references.is_needless(unit)).collect();
        let left_out = PICTURES - kept.len();
        println!("{encoder:?}: {left_out} of {PICTURES} pictures are needless");
        assert!((least..=most).contains(&left_out), "{encoder:?}: {left_out}");
        std::fs::write(&rest, kept.concat()).expect("a file");
        let (all, some) = (decoded(name, &whole), decoded(name, &rest));
        assert_eq!((all.len(), some.len()), (PICTURES, kept.len()), "{encoder:?}");
        let mut all = all.iter();
        assert!(some.iter().all(|hash| all.any(|one| one == hash)), "{encoder:?}: changed");
    }
}
