//! What a camera shows its owner: the device secret, and a check of the camera's identity, so that no
//! server can put another camera in its place.

use aws_lc_rs::digest::{SHA256, digest};
use sightline_grant::Redacted;
use zeroize::Zeroizing;

use super::{DeviceSecret, InvalidSecret, SECRET_LEN, base32};
use crate::keys::SigningPublic;

/// Bytes of a camera check.
pub const CHECK_LEN: usize = 10;
/// Begins the text of a picture code (QR); the serial and the secret with its check follow.
const SCHEME: &str = "SL2";
/// What is hashed before a camera's identity.
const CHECK_LABEL: &[u8] = b"sightline/v1/camera-check\0";

/// The first bytes of a hash of a camera's identity: enough that nobody finds another identity for
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CameraCheck([u8; CHECK_LEN]);

impl CameraCheck {
    /// The check of a camera.
    pub fn of(camera: &SigningPublic) -> Self {
        let hash = digest(&SHA256, &[CHECK_LABEL, camera].concat());
        Self(*hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

/// A device secret as the camera shows it.
#[derive(Debug)]
pub struct ShownSecret {
    /// The secret.
    pub secret: DeviceSecret,
    /// Of the camera that shows it; `None` when only the secret was typed.
    pub check: Option<CameraCheck>,
}

/// The text is not what a camera shows.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum NotShown {
    /// No secret.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// The picture code of another camera.
    #[error("this is another camera's code")]
    OtherCamera,
}

impl ShownSecret {
    /// The text for people: groups of four with dashes.
    pub fn text(&self) -> Redacted<String> {
        Redacted::new(base32::grouped(&self.plain()))
    }

    /// The text of the picture code of a camera.
    pub fn picture(&self, serial: &str) -> Redacted<String> {
        Redacted::new(format!("{SCHEME}:{serial}:{}", *self.plain()))
    }

    /// Reads what was typed or scanned for the camera `serial`: the secret, with or without the
    /// check, or the text of the picture code.
    ///
    /// # Errors
    /// See [`NotShown`].
    pub fn parse(text: &str, serial: &str) -> Result<Self, NotShown> {
        let mut parts = text.trim().splitn(3, ':');
        let (first, second, third) = (parts.next(), parts.next(), parts.next());
        let plain = match (first, second, third) {
            (Some(SCHEME), Some(named), Some(plain)) if named == serial => plain,
            (Some(SCHEME), Some(_), Some(_)) => return Err(NotShown::OtherCamera),
            _ => text.trim(),
        };
        let bytes = base32::decode(plain, SECRET_LEN + CHECK_LEN).ok_or(InvalidSecret)?;
        let (secret, rest) = bytes.split_first_chunk().ok_or(InvalidSecret)?;
        let check = match rest.try_into() {
            Ok(check) => Some(CameraCheck(check)),
            Err(_) if rest.is_empty() => None,
            Err(_) => return Err(InvalidSecret.into()),
        };
        Ok(Self { secret: DeviceSecret::from_bytes(*secret), check })
    }

    fn plain(&self) -> Zeroizing<String> {
        let check = self.check.as_ref().map_or(&[][..], |check| &check.0);
        base32::encode(&Zeroizing::new([&self.secret.0[..], check].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: SigningPublic = [7; 32];
    const SERIAL: &str = "CAM-1";

    fn shown(check: bool) -> ShownSecret {
        let secret = DeviceSecret::from_bytes(std::array::from_fn(|at| at as u8));
        ShownSecret { secret, check: check.then(|| CameraCheck::of(&CAMERA)) }
    }

    #[test]
    fn the_text_matches_the_vector() {
        assert_eq!(
            shown(true).text().expose(),
            "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT-LFOT-ITKS-SSOP-UQSH"
        );
        assert_eq!(shown(false).text().expose(), "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT");
    }

    #[test]
    fn every_form_reads_back() {
        for check in [true, false] {
            let made = shown(check);
            let text = made.text().into_inner();
            let picture = made.picture(SERIAL).into_inner();
            let spaced = format!(" {}\n", text.to_lowercase().replace('-', " "));
            for form in [&text, &picture, &spaced] {
                let read = ShownSecret::parse(form, SERIAL).expect(form);
                assert_eq!((read.secret.0, read.check), (made.secret.0, made.check), "{form}");
            }
        }
    }

    #[test]
    fn the_check_tells_cameras_apart() {
        assert_eq!(shown(true).check, Some(CameraCheck::of(&CAMERA)));
        assert_ne!(CameraCheck::of(&CAMERA), CameraCheck::of(&[8; 32]));
    }

    #[test]
    fn what_no_camera_shows_is_refused() {
        let text = shown(true).text().into_inner();
        let other = shown(true).picture("CAM-2").into_inner();
        assert_eq!(ShownSecret::parse(&other, SERIAL).err(), Some(NotShown::OtherCamera));
        let cut = &text[..text.len() - 5];
        for wrong in
            ["", cut, &format!("{text}-AAAA"), &format!("SL1:{SERIAL}:{text}"), "SL2:CAM-1:"]
        {
            let refused = ShownSecret::parse(wrong, SERIAL).err();
            assert_eq!(refused, Some(InvalidSecret.into()), "{wrong}");
        }
    }

    #[test]
    fn it_never_prints() {
        let made = shown(true);
        let printed = format!("{made:?} {} {}", made.text(), made.picture(SERIAL));
        assert!(!printed.contains("AAAQ") && !printed.contains("CEQT"), "{printed}");
    }
}
