use super::png::crc32;
use super::*;
use crate::random::{self, SeededRandom};

/// What must not come out again.
const PLACE: &[u8] = b"GPSLatitude 52.5200";

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], length.as_slice(), body].concat()
}

/// A JPEG of these sides with a place in every part that can hold one. The shape is whole, the coded
/// data stands for one grey block.
pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let frame = [&[8], &height.to_be_bytes()[..], &width.to_be_bytes()[..], &[1, 1, 0x11, 0]];
    let exif = [b"Exif\0\0".as_slice(), PLACE].concat();
    let adobe = [b"Adobe\0\x64\0\0\0\0\0".as_slice(), PLACE].concat();
    [
        vec![0xff, 0xd8],
        segment(0xe0, &[b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0".as_slice(), PLACE].concat()),
        segment(0xe1, &exif),
        segment(0xed, &[b"Photoshop 3.0\0".as_slice(), PLACE].concat()),
        segment(0xee, &adobe),
        segment(0xfe, PLACE),
        segment(0xdb, &[0; 65]),
        segment(0xc0, &frame.concat()),
        segment(0xc4, &[[0x00].as_slice(), &[0, 1], &[0; 14], &[0]].concat()),
        segment(0xe1, &exif),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        vec![0x12, 0xff, 0x00, 0x34, 0xff, 0xd0, 0x56],
        vec![0xff, 0xff, 0xd9],
        PLACE.to_vec(),
    ]
    .concat()
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let sum = crc32(&[kind, body]).to_be_bytes();
    [length.as_slice(), kind, body, &sum].concat()
}

/// A PNG of these sides with a place in every part that can hold one.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [
        png::SIGNATURE.to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"eXIf", PLACE),
        chunk(b"tEXt", PLACE),
        chunk(b"iTXt", PLACE),
        chunk(b"tIME", PLACE),
        chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0, 0, 2, 0, 1]),
        chunk(b"zTXt", PLACE),
        chunk(b"IEND", b""),
        PLACE.to_vec(),
    ]
    .concat()
}

fn holds(file: &[u8], part: &[u8]) -> bool {
    file.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_picture_with_a_place_in_it_goes_out_without_one() {
    for file in [jpeg(64, 48), png(64, 48)] {
        assert!(holds(&file, b"GPS"));
        let clean = bare(&file).unwrap();
        for part in [b"GPS".as_slice(), b"Exif", b"eXIf", b"Photoshop", b"tEXt", b"JFIF"] {
            assert!(!holds(&clean, part), "{}", String::from_utf8_lossy(part));
        }
        assert_eq!(bare(&clean).unwrap(), clean, "there is nothing more to take out");
    }
    let clean = bare(&jpeg(64, 48)).unwrap();
    assert!(holds(&clean, &[0x12, 0xff, 0x00, 0x34, 0xff, 0xd0, 0x56, 0xff, 0xd9]), "the picture");
    assert!(holds(&clean, b"Adobe\0\x64\0\0\0\0\0\xff\xdb"), "how its colours are coded");
    let clean = bare(&png(64, 48)).unwrap();
    assert!(
        holds(&clean, b"IHDR") && holds(&clean, b"IDAT") && clean.ends_with(&chunk(b"IEND", b""))
    );
    assert_eq!(Picture::of(clean).media_type, "image/png");
}

#[test]
fn the_bounds_hold_on_both_sides() {
    let side = AVATAR_SIDE;
    let narrow = |side| u16::try_from(side).unwrap();
    assert!(bare(&jpeg(narrow(side), narrow(side))).is_ok() && bare(&png(side, side)).is_ok());
    for (width, height) in [(side + 1, 1), (1, side + 1), (0, 1), (1, 0)] {
        assert_eq!(bare(&jpeg(narrow(width), narrow(height))), Err(BadPicture::Pixels));
        assert_eq!(bare(&png(width, height)), Err(BadPicture::Pixels));
    }
    let mut file = png(8, 8);
    file.resize(AVATAR_BYTES, 0);
    assert!(bare(&file).is_ok(), "what follows the end does not count");
    file.push(0);
    assert_eq!(bare(&file), Err(BadPicture::Bytes));
}

#[test]
fn other_files_are_refused() {
    let cut = |file: Vec<u8>, at: usize| file[..at].to_vec();
    for file in [
        Vec::new(),
        b"GIF89a".to_vec(),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
        vec![0xff, 0xd8],
        vec![0xff, 0xd8, 0xff, 0xd9],
        cut(jpeg(8, 8), 60),
        cut(png(8, 8), 40),
        [png::SIGNATURE, &chunk(b"IEND", b"")].concat(),
    ] {
        assert_eq!(bare(&file), Err(BadPicture::Format), "{file:02x?}");
    }
}

/// Files that were changed anywhere, ten thousand of each: never a panic, and whatever is taken holds
/// nothing that a second look would take out.
#[test]
fn what_is_changed_at_random_comes_out_bare_or_not_at_all() {
    let random = SeededRandom::new(14);
    let mut taken = 0;
    for file in [jpeg(64, 48), png(64, 48)] {
        for _ in 0..10_000 {
            let mut changed = file.clone();
            let [count, cut, ..] = random::bytes::<8>(&random);
            for _ in 0..=count % 4 {
                let [a, b, value] = random::bytes::<3>(&random);
                let at = usize::from(u16::from_be_bytes([a, b])) % changed.len();
                changed[at] = value;
            }
            if cut < 32 {
                changed.truncate(usize::from(cut) * changed.len() / 32);
            }
            if let Ok(clean) = bare(&changed) {
                taken += 1;
                assert_eq!(bare(&clean).as_ref(), Ok(&clean));
                assert!(clean.len() <= changed.len());
            }
        }
    }
    assert!(taken > 1000, "{taken}: most changes hit what is taken out anyway");
}
