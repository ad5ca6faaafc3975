//! E-mail addresses.

use zeroize::Zeroize;

/// Longest address, bytes (RFC 5321, section 4.5.3.1.3, without its brackets).
pub const MAX_EMAIL_LEN: usize = 254;
/// Longest part before the `@`, bytes (RFC 5321, section 4.5.3.1.1).
pub const MAX_LOCAL_LEN: usize = 64;
/// Longest label of a domain, bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_LEN: usize = 63;
/// Signs beside letters and digits that a part may have (RFC 5322, section 3.2.3, `atext`).
const ATEXT: &[u8] = b"!#$%&'*+-/=?^_`{|}~";

/// An e-mail address of plain ASCII, the domain in lower case. Never printed.
///
/// Quoted names, comments and literal addresses are refused: nobody registers with them, and without
/// them no sign of the mail protocols can stand in an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Takes `name@host.example`. An address with other than ASCII signs is refused; a domain may be
    /// given in its ASCII form (`xn--`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.split_once('@')?;
        let fits = text.len() <= MAX_EMAIL_LEN && (1..=MAX_LOCAL_LEN).contains(&local.len());
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || ATEXT.contains(&b))
        };
        let named = domain.split('.').count() > 1 && domain.split('.').all(is_label);
        // The last label of a host name is never a number; this is an address of the network.
        let host = !domain.bytes().next_back()?.is_ascii_digit();
        (fits && local.split('.').all(plain) && named && host)
            .then(|| Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The address. Each call is a place to check by eye.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the address is found by. The name's case tells people nothing apart, though mail servers
    /// are free to (RFC 5321, section 2.4): two accounts that differ in it would be a trap.
    pub(crate) fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// What its owner may see: the first sign of the name, and the domain.
    pub fn masked(&self) -> String {
        let (local, domain) = self.parts();
        format!("{}***@{domain}", &local[..1])
    }

    /// Name and domain.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').expect("an address has an @")
    }
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Drop for Email {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LEN).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_taken_in_lower_case_and_the_name_is_found_in_any() {
        let email = Email::parse(" Anna.Berg+cam@Mail.Example ").expect("an address");
        assert_eq!(email.expose(), "Anna.Berg+cam@mail.example");
        assert_eq!(email.canonical(), "anna.berg+cam@mail.example");
        assert_eq!(email.masked(), "A***@mail.example");
        assert_eq!(format!("{email:?}"), "[redacted]");
    }

    #[test]
    fn nothing_that_could_steer_a_mail_server_is_an_address() {
        for bad in [
            "anna@example",
            "@mail.example",
            "anna@",
            "anna@@mail.example",
            "an na@mail.example",
            "anna@mail.example\r\nBcc: ben@mail.example",
            "anna\n@mail.example",
            "anna\0@mail.example",
            "<anna@mail.example>",
            "anna@mail.example,ben@mail.example",
            "\"anna\"@mail.example",
            "anna@[192.0.2.1]",
            "anna@192.0.2.1",
            "anna@-mail.example",
            "anna@mail-.example",
            "anna@mail..example",
            ".anna@mail.example",
            "anna.@mail.example",
            "änna@mail.example",
            "anna@mäil.example",
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
        assert!(Email::parse("anna@xn--mil-qla.example").is_some());
    }

    #[test]
    fn lengths_are_bounded_on_both_sides() {
        let long = |local: usize, total: usize| {
            let rest = total - local - "@.example".len();
            let half = rest / 2;
            let (a, b) = ("b".repeat(half), "c".repeat(rest - half - 1));
            let tail = if b.len() > MAX_LABEL_LEN {
                format!("{}.{}", &b[..MAX_LABEL_LEN], &b[MAX_LABEL_LEN + 1..])
            } else {
                b
            };
            let head = if a.len() > MAX_LABEL_LEN {
                format!("{}.{}", &a[..MAX_LABEL_LEN], &a[MAX_LABEL_LEN + 1..])
            } else {
                a
            };
            format!("{}@{head}.{tail}.example", "a".repeat(local))
        };
        assert_eq!(long(MAX_LOCAL_LEN, MAX_EMAIL_LEN).len(), MAX_EMAIL_LEN);
        assert!(Email::parse(&long(MAX_LOCAL_LEN, MAX_EMAIL_LEN)).is_some());
        assert!(Email::parse(&long(MAX_LOCAL_LEN, MAX_EMAIL_LEN + 1)).is_none());
        assert!(Email::parse(&long(MAX_LOCAL_LEN + 1, 200)).is_none());
    }
}
