//! What an app gets to know.

use std::fmt;

/// Scope that every request has: who the person is to this app, and no more.
const OPENID: &str = "openid";
/// Scope of the name.
const PROFILE: &str = "profile";

/// What an app gets. Every app gets a name for the person that no other app has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// The name that the person gave the account.
    pub profile: bool,
}

impl Scopes {
    /// Every scope by its name, for the description of the provider.
    pub const NAMES: [&'static str; 2] = [OPENID, PROFILE];

    /// Reads scopes parted by spaces. `None` without `openid`. Others than are known are left out,
    /// as RFC 6749, 3.3 allows; the answer says what was given.
    pub fn parse(text: &str) -> Option<Self> {
        let has = |name: &str| text.split(' ').any(|scope| scope == name);
        has(OPENID).then(|| Self { profile: has(PROFILE) })
    }

    /// What both have.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self { profile: self.profile && other.profile }
    }

    /// Whether this has all that the other has.
    pub fn covers(self, other: Self) -> bool {
        self.profile || !other.profile
    }

    /// Names.
    pub fn names(self) -> Vec<&'static str> {
        let profile = self.profile.then_some(PROFILE);
        [Some(OPENID), profile].into_iter().flatten().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words_and_openid_is_needed() {
        assert_eq!(Scopes::parse("openid"), Some(Scopes { profile: false }));
        assert_eq!(Scopes::parse("profile offline_access openid"), Some(Scopes { profile: true }));
        for bad in ["", "profile", "openidx", "openid\tprofile", "OPENID"] {
            assert_eq!(Scopes::parse(bad), None, "{bad}");
        }
        let all = Scopes { profile: true };
        assert_eq!(all.to_string(), "openid profile");
        assert!(all.covers(Scopes::default()) && !Scopes::default().covers(all));
        assert_eq!(all.both(Scopes::default()), Scopes::default());
    }
}
