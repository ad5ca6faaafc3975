//! What may be a password: long enough, and not what everybody tries first. There are no rules about
//! kinds of characters (NIST SP 800-63B, section 3.1.1.2).
//!
//! The second factor is the key of a terminal that the account knows. A password of
//! [`MIN_PASSWORD_CHARS`] signs in on such a terminal only; from [`MIN_ALONE_CHARS`] on it signs in
//! anywhere.

use super::Password;
use super::common;

/// Fewest characters.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Fewest characters of a password that signs in on a terminal that the account does not know.
pub const MIN_ALONE_CHARS: usize = 15;
/// Most characters.
pub const MAX_PASSWORD_CHARS: usize = 128;
/// A part of an address that is long enough to count when a password has it.
const MIN_OWN_PART: usize = 4;
/// What must be left of a password beside the owner's address.
const MIN_REST: usize = 8;

/// Why a text may not become a password.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer than [`MIN_PASSWORD_CHARS`].
    #[error("a password has at least 8 characters; with 15 it also signs in on new terminals")]
    Short,
    /// More than [`MAX_PASSWORD_CHARS`].
    #[error("a password has at most 128 characters")]
    Long,
    /// Among the first that anybody tries.
    #[error("this password is one of the first that strangers try; take another one")]
    Common,
    /// Built around the owner's own number or address.
    #[error("this password is made of your own number or address; take another one")]
    Own,
    /// In the operator's list of breached passwords.
    #[error("this password stands in lists of stolen ones; take another one")]
    Breached,
}

/// A text that may become a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Long enough to sign in on a terminal that the account does not know.
    pub(crate) alone: bool,
}

/// Judges a text for the owner of these numbers and addresses.
pub(crate) fn judge(password: &Password, own: &[&str]) -> Result<Judged, Weakness> {
    let text = password.expose();
    let chars = text.chars().count();
    if chars < MIN_PASSWORD_CHARS {
        return Err(Weakness::Short);
    }
    if chars > MAX_PASSWORD_CHARS {
        return Err(Weakness::Long);
    }
    if common::is_common(text) {
        return Err(Weakness::Common);
    }
    if own.iter().any(|address| is_built_around(text, address)) {
        return Err(Weakness::Own);
    }
    Ok(Judged { alone: chars >= MIN_ALONE_CHARS })
}

/// Whether little more than a part of the address is left in the text.
fn is_built_around(text: &str, address: &str) -> bool {
    let (text, address) = (text.to_lowercase(), address.to_lowercase());
    let name = address.split('@').next().unwrap_or_default().trim_start_matches('+').to_owned();
    // Of a number people leave out the country code.
    let short = name.get(name.len().saturating_sub(7)..).unwrap_or(&name).to_owned();
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    let parts = if digits { vec![name, short] } else { vec![name] };
    parts.iter().any(|part| {
        let rest = text.replacen(part.as_str(), "", 1);
        part.chars().count() >= MIN_OWN_PART
            && rest.len() < text.len()
            && rest.chars().count() < MIN_REST
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<Judged, Weakness> {
        judge(&Password::new(text.to_owned()), &["+4915127719306", "anna.berg@mail.example"])
    }

    #[test]
    fn length_is_bounded_on_both_sides_and_fifteen_stand_alone() {
        assert_eq!(judged("vK7 mbz"), Err(Weakness::Short));
        assert_eq!(judged("vK7 mbzq"), Ok(Judged { alone: false }));
        assert_eq!(judged("vK7 mbzq dhwtr"), Ok(Judged { alone: false }));
        assert_eq!(judged("vK7 mbzq dhwtrx"), Ok(Judged { alone: true }));
        let long: String = "vK7mbzqd".chars().cycle().take(MAX_PASSWORD_CHARS).collect();
        let long = format!("{}-", &long[1..]);
        assert!(judged(&long).is_ok());
        assert_eq!(judged(&format!("{long}x")), Err(Weakness::Long));
    }

    #[test]
    fn a_character_of_any_script_counts_as_one() {
        assert_eq!(judged("门前有三只小猫在晒太"), Ok(Judged { alone: false }));
        assert_eq!(judged("门前有三只小"), Err(Weakness::Short));
    }

    #[test]
    fn the_owners_own_number_or_name_is_no_password() {
        for own in ["7719306 x1", "anna.berg2024", "ANNA.BERG!", "4915127719306", "x15127719306"] {
            assert_eq!(judged(own), Err(Weakness::Own), "{own}");
        }
        assert!(judged("anna.berg likes seven tulips").is_ok());
    }
}
