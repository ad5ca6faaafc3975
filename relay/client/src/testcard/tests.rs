use super::*;

fn card(change: impl FnOnce(&mut Options)) -> Result<TestCard, OptionsError> {
    let mut options = Options::default();
    change(&mut options);
    TestCard::new(options)
}

#[test]
fn options_hold_on_both_sides_of_every_bound() {
    assert!(card(|o| o.fps = MAX_FPS).is_ok());
    assert_eq!(card(|o| o.fps = MAX_FPS + 1).err(), Some(OptionsError::Rate(MAX_FPS + 1)));
    assert_eq!(card(|o| o.fps = 0).err(), Some(OptionsError::Rate(0)));
    assert!(card(|o| o.gop = MAX_GOP).is_ok());
    assert_eq!(card(|o| o.gop = MAX_GOP + 1).err(), Some(OptionsError::Gop(MAX_GOP + 1)));
    assert_eq!(card(|o| o.gop = 0).err(), Some(OptionsError::Gop(0)));
    assert!(card(|o| o.serial = "x".repeat(MAX_SERIAL)).is_ok());
    assert!(card(|o| o.serial = "x".repeat(MAX_SERIAL + 1)).is_err());
    assert!(card(|o| o.serial.clear()).is_err());
    assert!(card(|o| o.width = MAX_SIDE).is_ok());
    for (width, height) in [(MAX_SIDE + 2, 720), (1281, 720), (1280, 721), (0, 0), (8, 720)] {
        let refused = card(|o| (o.width, o.height) = (width, height)).err();
        assert_eq!(refused, Some(OptionsError::Size(width, height)));
    }
}

#[test]
fn keyframes_come_at_the_gop_length_and_on_request() {
    let mut card = card(|o| o.gop = 3).expect("good options");
    let keyframes: Vec<bool> = (0..7).map(|_| card.next_video(0).keyframe).collect();
    assert_eq!(keyframes, [true, false, false, true, false, false, true]);
    card.request_keyframe();
    let keyframes: Vec<bool> = (0..4).map(|_| card.next_video(0).keyframe).collect();
    assert_eq!(keyframes, [true, false, false, true]);
}

#[test]
fn frames_are_numbered_from_the_first_without_a_gap() {
    let mut card = card(|o| o.first_frame = u32::MAX).expect("good options");
    let numbers: Vec<u32> = (0..3).map(|_| card.next_video(0).frame_number).collect();
    assert_eq!(numbers, [u32::MAX, 0, 1]);
}

#[test]
fn noise_makes_up_the_wanted_rate_within_a_tenth() {
    for bitrate in [1_000_000u32, 4_000_000, 20_000_000] {
        let mut card = card(|o| o.bitrate = bitrate).expect("good options");
        let seconds = 8;
        let frames = u64::from(card.options().fps) * seconds;
        let bytes: u64 =
            (0..frames).map(|n| card.next_video(n * 33).access_unit.len() as u64).sum();
        let rate = bytes * 8 / seconds;
        let wanted = u64::from(bitrate);
        assert!(rate > wanted * 9 / 10 && rate < wanted * 11 / 10 + 300_000, "{bitrate}: {rate}");
    }
}

#[test]
fn a_still_moment_costs_few_bytes() {
    let mut card = card(|_| ()).expect("good options");
    assert!(card.next_video(0).access_unit.len() < 16_000);
    assert!(card.next_video(33).access_unit.len() < 2_000);
}

#[test]
fn the_level_grows_with_size_and_rate() {
    let level = |width, height, fps| Format { width, height, fps }.level();
    assert_eq!(level(352, 288, 30), 20);
    assert_eq!(level(1280, 720, 30), 31);
    assert_eq!(level(1280, 720, 31), 32);
    assert_eq!(level(1920, 1080, 30), 40);
    assert_eq!(level(4096, 4096, 120), 52);
}
