//! Names of things, one type each.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Account; 32 hex digits.
    AccountId
}
id! {
    /// Pseudonym of an account: what grants, leases and consent events carry. 32 hex digits.
    Subject
}
id! {
    /// Login session; 32 hex digits.
    SessionId
}
id! {
    /// Terminal of an account; 32 hex digits.
    TerminalId
}
id! {
    /// Challenge of a one-time code or of a device key; 32 hex digits.
    ChallengeId
}
id! {
    /// Share of a device, from its invitation on; 32 hex digits.
    ShareId
}
id! {
    /// Passkey of an account; 32 hex digits, not the id of its credential.
    PasskeyId
}
id! {
    /// Device serial.
    Serial
}
id! {
    /// User token that a device presents; 32 hex digits, not the token itself.
    BindTokenId
}
id! {
    /// Provisioning of a device; 32 hex digits.
    ProvisioningId
}

id! {
    /// App that people sign in to with their account: its client id. 32 hex digits.
    AppId
}
id! {
    /// Login that an app has: `sid` of its tokens. 32 hex digits.
    AppLoginId
}

/// Longest serial, characters.
pub const MAX_SERIAL_LEN: usize = 64;

impl Serial {
    /// A serial of 1 to [`MAX_SERIAL_LEN`] letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_SERIAL_LEN).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (fits && plain).then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_plain_and_bounded() {
        assert!(Serial::parse(&"A".repeat(MAX_SERIAL_LEN)).is_some());
        for bad in ["", "a/b", "a b", "..", "é", &"A".repeat(MAX_SERIAL_LEN + 1)] {
            assert_eq!(Serial::parse(bad), None, "{bad}");
        }
    }
}
