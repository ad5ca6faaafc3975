use super::*;
use sightline_relay_proto::codec::Codec;

fn raw_clip(frames: usize) -> Clip {
    let mut file = Vec::new();
    for at in 0..frames {
        if at == 0 {
            crate::annexb::push_unit(&mut file, &[0x67, 0x42, 0xe0, 0x1f]);
            crate::annexb::push_unit(&mut file, &[0x68, 0xce, 0x3c, 0x80]);
        }
        // Two slices: `first_mb_in_slice` 0, then another.
        let kind = if at == 0 { 0x65 } else { 0x41 };
        crate::annexb::push_unit(&mut file, &[kind, 0x88, at as u8 + 1, 0x7f]);
        crate::annexb::push_unit(&mut file, &[kind, 0x40, at as u8 + 1, 0x7f]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.h264");
    std::fs::write(&path, file).expect("written");
    Clip::open(&path, 25).expect("readable")
}

#[test]
fn a_raw_file_is_cut_into_pictures_with_their_parameter_sets() {
    let clip = raw_clip(5);
    assert_eq!(clip.samples.len(), 5);
    assert_eq!(clip.tracks[0].codec, Codec::H264);
    assert_eq!(clip.duration, Duration::from_millis(200));
    let keys: Vec<_> = clip.samples.iter().map(|sample| sample.keyframe).collect();
    assert_eq!(keys, [true, false, false, false, false]);
    assert_eq!(clip.samples[0].unit[4] & 31, 7);
}

#[test]
fn a_looping_clip_keeps_one_timeline() {
    let mut player = raw_clip(5).play();
    let (now, wall) = (Instant::now(), SystemTime::now());
    let times: Vec<_> = (0..12).map(|_| player.take(now, wall).timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{times:?}");
}

#[test]
fn what_is_no_clip_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [("a.mp4", &b"\0\0\0\x08free"[..]), ("b.mp4", b"\xff\xff\xff\xffmoov")] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        assert!(matches!(Clip::open(&path, 25), Err(ClipError::Mp4(_))), "{name}");
    }
    let path = folder.path().join("c.h264");
    std::fs::write(&path, b"").expect("written");
    assert!(matches!(Clip::open(&path, 25), Err(ClipError::NoTrack)));
}

/// A clip made by an encoder of this machine; skipped where there is none.
#[test]
fn an_encoders_mp4_is_read_with_video_and_audio() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1"])
        .args(["-f", "lavfi", "-i", "sine=d=1:r=48000", "-c:v", "libx264", "-bf", "2"])
        .args(["-c:a", "aac", "-y"])
        .arg(&path)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let clip = Clip::open(&path, 25).expect("readable");
    let codecs: Vec<_> = clip.tracks.iter().map(|track| track.codec).collect();
    assert_eq!(codecs, [Codec::H264, Codec::Aac]);
    let video: Vec<_> = clip.samples.iter().filter(|s| s.track == TrackIndex(0)).collect();
    assert_eq!(video.len(), 25);
    assert!(video[0].keyframe && video[0].unit.starts_with(&[0, 0, 0, 1]));
    let mut shown: Vec<_> = video.iter().map(|sample| sample.timestamp).collect();
    shown.sort_unstable();
    assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{shown:?}");
    assert!(clip.tracks[1].fmtp.contains("config=118"), "{}", clip.tracks[1].fmtp);
}
