//! Country calling codes (ITU-T E.164): how many leading digits of a number name its country.

/// The codes of two digits. Zones 1 and 7 are one digit; all others are three.
const TWO_DIGITS: [u16; 44] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56,
    57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

/// The country calling code of `+` and digits; 0 when there are too few of them.
pub fn dial_code(number: &str) -> u16 {
    let digits = number.trim_start_matches('+');
    let head = |length: usize| digits.get(..length).and_then(|head| head.parse().ok());
    match (head(1), head(2), head(3)) {
        (Some(zone @ (1 | 7)), _, _) => zone,
        (_, Some(two), _) if TWO_DIGITS.contains(&two) => two,
        (_, _, Some(three)) => three,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_its_country_by_one_two_or_three_digits() {
        for (number, dial) in [
            ("+8613800138000", 86),
            ("+4915112345678", 49),
            ("+12025550123", 1),
            ("+79161234567", 7),
            ("+85212345678", 852),
            ("+3712345678", 371),
            ("+1", 1),
            ("+", 0),
        ] {
            assert_eq!(dial_code(number), dial, "{number}");
        }
    }
}
