//! Phone numbers in E.164 form.

use sightline_grant::Redacted;

/// Fewest digits of a number with country code.
pub const MIN_DIGITS: usize = 8;
/// Most digits of a number (E.164).
pub const MAX_DIGITS: usize = 15;
/// Digits cut off to get the prefix that a pumping attack shares.
const PREFIX_CUT: usize = 4;

/// A phone number, `+` and digits. Never printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone(Redacted<String>);

impl Phone {
    /// Takes `+` and digits; spaces, dashes and brackets between them are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('+')?;
        let digits: String = digits.chars().filter(|c| !" -()./".contains(*c)).collect();
        let fits = (MIN_DIGITS..=MAX_DIGITS).contains(&digits.len());
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        (fits && plain).then(|| Self(Redacted::new(format!("+{digits}"))))
    }

    /// The number. Each call is a place to check by eye.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The number without its last four digits.
    pub(crate) fn prefix(&self) -> &str {
        let number = self.expose();
        &number[..number.len() - PREFIX_CUT]
    }

    /// What its owner may see: the first three and the last two characters.
    pub fn masked(&self) -> String {
        let number = self.expose();
        let hidden = number.len() - 5;
        format!("{}{}{}", &number[..3], "*".repeat(hidden), &number[number.len() - 2..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_within_e164_bounds() {
        assert!(Phone::parse("+49 151 1234-5678").is_some());
        assert!(Phone::parse("+12345678").is_some());
        assert!(Phone::parse("+123456789012345").is_some());
        for bad in
            ["", "+", "4915112345678", "+1234567", "+1234567890123456", "+0123456789", "+49a"]
        {
            assert_eq!(Phone::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_masked_number_keeps_five_characters() {
        let phone = Phone::parse("+4915112345678").expect("a number");
        assert_eq!(phone.masked(), "+49*********78");
        assert_eq!(phone.prefix(), "+491511234");
    }
}
