//! Shares of devices, their invitations, and how acts on them end.

use crate::ids::{AccountId, Serial, ShareId, Subject, TerminalId};
use crate::limits::SHARE_WARNING_SECS;
use crate::share::schedule::Schedule;
use crate::share::scopes::{ShareScope, ShareScopes};

/// What is shared, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareTerms {
    /// What the guest may do.
    pub scopes: ShareScopes,
    /// On which channels; `None`: on all.
    pub channels: Option<Vec<u16>>,
    /// At which hours; `None`: at all.
    pub schedule: Option<Schedule>,
    /// When it ends, Unix seconds; `None`: when its owner ends it.
    pub ends_at: Option<u64>,
}

/// What is to be different of a share; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareChange {
    /// See [`ShareTerms::scopes`].
    pub scopes: Option<ShareScopes>,
    /// See [`ShareTerms::channels`].
    pub channels: Option<Option<Vec<u16>>>,
    /// See [`ShareTerms::schedule`].
    pub schedule: Option<Option<Schedule>>,
    /// See [`ShareTerms::ends_at`].
    pub ends_at: Option<Option<u64>>,
    /// What the owner calls the guest, encrypted under the owner's key.
    pub label_enc: Option<Vec<u8>>,
}

impl ShareTerms {
    /// These terms with a change.
    pub fn changed(&self, change: &ShareChange) -> Self {
        Self {
            scopes: change.scopes.unwrap_or(self.scopes),
            channels: change.channels.clone().unwrap_or_else(|| self.channels.clone()),
            schedule: change.schedule.clone().unwrap_or_else(|| self.schedule.clone()),
            ends_at: change.ends_at.unwrap_or(self.ends_at),
        }
    }

    /// Whether anything that `before` allowed now is not allowed by these. What is to come of ends and
    /// hours is the clock's.
    pub fn take_away_from(&self, before: &Self, now: u64) -> bool {
        let fewer_channels = match (&self.channels, &before.channels) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(now), Some(then)) => !then.iter().all(|channel| now.contains(channel)),
        };
        !self.scopes.covers(before.scopes) || fewer_channels || !self.is_open(now)
    }

    /// Whether it is open at a time: not over, and within its hours.
    pub fn is_open(&self, now: u64) -> bool {
        let in_hours = self.schedule.as_ref().is_none_or(|schedule| schedule.is_open(now));
        in_hours && self.ends_at.is_none_or(|end| now < end)
    }

    /// When it closes next, Unix seconds; `u64::MAX`: not by itself.
    pub fn closes_at(&self, now: u64) -> u64 {
        let hours = self.schedule.as_ref().map_or(u64::MAX, |schedule| schedule.next_close(now));
        hours.min(self.ends_at.unwrap_or(u64::MAX))
    }

    /// When its end is to be announced; `None`: too soon for that, or it has none.
    pub fn warn_at(&self, now: u64) -> Option<u64> {
        let warning = self.ends_at?.checked_sub(SHARE_WARNING_SECS)?;
        (warning > now).then_some(warning)
    }

    /// Whether a channel is shared.
    pub fn has_channel(&self, channel: u16) -> bool {
        self.channels.as_ref().is_none_or(|channels| channels.contains(&channel))
    }

    /// Whether a scope is shared.
    pub fn has(&self, scope: ShareScope) -> bool {
        self.scopes.has(scope)
    }
}

/// Who said that the persons filmed agree, to which text.
#[derive(Clone, Debug)]
pub struct Attested {
    /// Pseudonym.
    pub subject: Subject,
    /// Terminal.
    pub terminal: TerminalId,
    /// Version of the text.
    pub version: u32,
    /// SHA-256 of the text in all languages.
    pub text_hash: Vec<u8>,
}

/// An invitation to store.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// Id.
    pub id: ShareId,
    /// Device.
    pub serial: Serial,
    /// Who invites; must own the device.
    pub owner: AccountId,
    /// Keyed hash of the code.
    pub code: Vec<u8>,
    /// What is offered.
    pub terms: ShareTerms,
    /// What the owner calls the guest, encrypted under the owner's key.
    pub label_enc: Vec<u8>,
    /// The owner's word.
    pub attested: Attested,
    /// Last second of the invitation + 1, Unix seconds.
    pub expires: u64,
}

/// How inviting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invited {
    /// Stored.
    Made,
    /// The account does not own the device.
    NotOwner,
    /// The device has as many shares as it may.
    Full,
}

/// A guest's yes.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// Keyed hash of the code.
    pub code: Vec<u8>,
    /// Who accepts.
    pub guest: AccountId,
    /// The guest's word.
    pub attested: Attested,
    /// Shares that an account may have as a guest.
    pub most: u64,
}

/// How accepting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Shared now.
    Shared(Box<Share>),
    /// No such invitation, or over, or used.
    Unknown,
    /// The invited owns the device.
    OwnDevice,
    /// The device is shared with this account.
    Already,
    /// The account has as many shares as it may.
    Full,
}

/// A share or an open invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Id.
    pub id: ShareId,
    /// Device.
    pub serial: Serial,
    /// Binding under which it was made.
    pub binding_epoch: u64,
    /// Who shares.
    pub owner: AccountId,
    /// With whom; `None`: an open invitation.
    pub guest: Option<AccountId>,
    /// Its number: what was admitted under a lower one is dead.
    pub number: u64,
    /// What is shared, and when.
    pub terms: ShareTerms,
    /// What the owner calls the guest, encrypted under the owner's key.
    pub label_enc: Vec<u8>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub accepted_at: Option<u64>,
    /// When an open invitation ends, Unix seconds.
    pub invite_expires: u64,
}

/// How changing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareChanged {
    /// As it is now, and what has ended by it.
    Changed(Box<Share>, Option<ShareCut>),
    /// No such share of this owner.
    Unknown,
}

/// Who ends a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy<'a> {
    /// The owner of this device.
    Owner(&'a AccountId, &'a Serial),
    /// The guest.
    Guest(&'a AccountId),
}

/// Media sessions of a guest that are over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareCut {
    /// Device.
    pub serial: Serial,
    /// Pseudonym of the guest.
    pub subject: Subject,
    /// The least number of a share that may still hold.
    pub epoch: u64,
}

/// How ending ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareEnded {
    /// Gone; with a guest, whose sessions are over.
    Ended(Option<ShareCut>),
    /// No such share of the one who asked.
    Unknown,
}
