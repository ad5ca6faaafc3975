//! What a guest may do.

use serde::{Deserialize, Serialize};
use sightline_grant::Action;

/// One thing that a guest may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareScope {
    /// Watch live.
    View,
    /// Play recordings.
    Playback,
    /// Download recordings.
    Download,
    /// Speak through the camera.
    Talk,
    /// Turn and zoom the camera.
    Ptz,
    /// Be told of its events.
    Events,
}

/// A set of [`ShareScope`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShareScopes(u8);

impl ShareScope {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::View, Self::Playback, Self::Download, Self::Talk, Self::Ptz, Self::Events];

    /// What an action of a media session needs.
    pub fn of(action: Action) -> Self {
        match action {
            Action::Live => Self::View,
            Action::Playback => Self::Playback,
            Action::Download => Self::Download,
            Action::Talk => Self::Talk,
        }
    }

    /// Its bit. Those of media are the same as on viewer lists (`relay/client/KEYS.md`).
    fn bit(self) -> u8 {
        match self {
            Self::View => 1,
            Self::Playback => 2,
            Self::Download => 4,
            Self::Talk => 8,
            Self::Ptz => 16,
            Self::Events => 32,
        }
    }
}

impl ShareScopes {
    /// Those of media: what a viewer list can let a terminal do.
    pub const MEDIA: Self = Self(15);

    /// The set of some scopes.
    pub fn of(scopes: &[ShareScope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// From its bits; others than the six are left out.
    pub fn from_bits(bits: u64) -> Self {
        Self((bits & 63) as u8)
    }

    /// Its bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one scope is in it.
    pub fn has(self, scope: ShareScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of another set is in it.
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Its scopes, in the order in which they are shown.
    pub fn list(self) -> Vec<ShareScope> {
        ShareScope::ALL.into_iter().filter(|scope| self.has(*scope)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        for (at, one) in ShareScope::ALL.into_iter().enumerate() {
            let set = ShareScopes::of(&[one, one]);
            assert_eq!((set.bits(), set.list()), (1 << at, vec![one]));
            assert!(ShareScope::ALL.into_iter().all(|other| set.has(other) == (other == one)));
        }
        let all = ShareScopes::from_bits(u64::MAX);
        assert_eq!(all.list(), ShareScope::ALL);
        assert!(all.covers(ShareScopes::MEDIA) && !ShareScopes::MEDIA.covers(all));
        assert_eq!(all.and(ShareScopes::MEDIA), ShareScopes::MEDIA);
        assert!(ShareScopes::of(&[]).is_empty());
    }
}
