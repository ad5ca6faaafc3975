//! The profile: what a person may add to the account. All of it is optional.

use sightline_grant::Redacted;

use crate::ControlPlane;
use crate::avatar::{self, BadPicture, Picture};
use crate::error::Inner;
use crate::ids::AccountId;
use crate::limits::{MAX_NAME_CHARS, PROFILE_PUTS};
use crate::storage::model::{Charge, ProfileEdit, RetryAfter, Session};
use crate::vault::SubjectKey;

const NICKNAME: &str = "profile.nickname";
const REGION: &str = "profile.region";
const SCENARIO: &str = "profile.scenario";
const PICTURE: &str = "avatar.picture";

/// What cameras may be used for.
pub const SCENARIOS: [&str; 8] =
    ["home", "shop", "office", "school", "factory", "farm", "site", "other"];

/// A profile in clear.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Name to be called by.
    pub nickname: Option<Redacted<String>>,
    /// Region: a country, or a part of it (ISO 3166).
    pub region: Option<Redacted<String>>,
    /// What the cameras are used for; one of [`SCENARIOS`].
    pub scenario: Option<Redacted<String>>,
    /// Whether there is a picture.
    pub avatar: bool,
}

/// A change: `None` leaves a value, `Some(None)` deletes it.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// Name to be called by.
    pub nickname: Option<Option<Redacted<String>>>,
    /// Region.
    pub region: Option<Option<Redacted<String>>>,
    /// What the cameras are used for.
    pub scenario: Option<Option<Redacted<String>>>,
}

/// Why a profile is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Empty, too long, or with control characters.
    #[error("a nickname has 1 to 64 characters")]
    BadNickname,
    /// Not a region.
    #[error(
        "a region is a country code such as CN, or one with a part of the country such as CN-31"
    )]
    BadRegion,
    /// Not a scenario.
    #[error("a scenario is home, shop, office, school, factory, farm, site or other")]
    BadScenario,
    /// See [`BadPicture`].
    #[error(transparent)]
    Picture(#[from] BadPicture),
    /// Not consented to.
    #[error("agree first to having a profile")]
    ConsentRequired,
    /// There is no picture.
    #[error("there is no picture")]
    NoPicture,
    /// Too many.
    #[error("too many changes; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// The profile of the account.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn profile(&self, session: &Session) -> Result<Profile, Inner> {
        let Some(key) = self.profile_key(session).await? else { return Ok(Profile::default()) };
        let row = self.store().profile(&session.account).await?;
        let open = |column, sealed: Option<Vec<u8>>| {
            let text = sealed.map(|sealed| key.open(column, session.account.as_str(), &sealed));
            text.transpose().map(|text| text.map(Redacted::new))
        };
        Ok(Profile {
            nickname: open(NICKNAME, row.nickname_enc)?,
            region: open(REGION, row.region_enc)?,
            scenario: open(SCENARIO, row.scenario_enc)?,
            avatar: self.store().avatar(&session.account).await?.is_some(),
        })
    }

    /// The name that a person gave the account.
    pub(crate) async fn nickname_of(
        &self,
        account: &AccountId,
    ) -> Result<Option<Redacted<String>>, Inner> {
        let Some(account) = self.store().account(account).await? else { return Ok(None) };
        let id = account.id.as_str();
        let key = self.vault().subject_key(id, &account.wrapped_key)?;
        let sealed = self.store().profile(&account.id).await?.nickname_enc;
        let name = sealed.map(|sealed| key.open(NICKNAME, id, &sealed)).transpose()?;
        Ok(name.map(Redacted::new))
    }

    /// Changes the profile.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub async fn change_profile(
        &self,
        session: &Session,
        change: &ProfileChange,
    ) -> Result<(), ProfileError> {
        let check = |value: &Option<Option<Redacted<String>>>, fits: fn(&str) -> bool| {
            value.iter().flatten().all(|text| fits(text.expose()))
        };
        if !check(&change.nickname, is_nickname) {
            return Err(ProfileError::BadNickname);
        }
        if !check(&change.region, is_region) {
            return Err(ProfileError::BadRegion);
        }
        if !check(&change.scenario, |text| SCENARIOS.contains(&text)) {
            return Err(ProfileError::BadScenario);
        }
        self.charge_profile(session).await?;
        let key = self.profile_key(session).await?.ok_or(ProfileError::ConsentRequired)?;
        let seal = |column, value: &Option<Option<Redacted<String>>>| {
            value.as_ref().map(|value| {
                value.as_ref().map(|text| {
                    key.seal(column, session.account.as_str(), text.expose().trim(), self.random())
                })
            })
        };
        let edit = ProfileEdit {
            nickname_enc: seal(NICKNAME, &change.nickname),
            region_enc: seal(REGION, &change.region),
            scenario_enc: seal(SCENARIO, &change.scenario),
        };
        let stored = self.store().profile_put(&session.account, &edit, self.now()).await;
        if stored.map_err(Inner::from)? { Ok(()) } else { Err(ProfileError::ConsentRequired) }
    }

    /// Keeps a picture, without anything but the picture in it.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub async fn store_avatar(&self, session: &Session, file: &[u8]) -> Result<(), ProfileError> {
        let bare = avatar::bare(file)?;
        self.charge_profile(session).await?;
        let key = self.profile_key(session).await?.ok_or(ProfileError::ConsentRequired)?;
        let sealed = key.seal_bytes(PICTURE, session.account.as_str(), &bare, self.random());
        let stored = self.store().avatar_put(&session.account, &sealed, self.now()).await;
        if stored.map_err(Inner::from)? { Ok(()) } else { Err(ProfileError::ConsentRequired) }
    }

    /// The picture of the account.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub async fn avatar(&self, session: &Session) -> Result<Picture, ProfileError> {
        let key = self.profile_key(session).await?.ok_or(ProfileError::NoPicture)?;
        let sealed = self.store().avatar(&session.account).await.map_err(Inner::from)?;
        let sealed = sealed.ok_or(ProfileError::NoPicture)?;
        let file = key.open_bytes(PICTURE, session.account.as_str(), &sealed);
        Ok(Picture::of(file.map_err(Inner::from)?))
    }

    /// Deletes the picture.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub async fn delete_avatar(&self, session: &Session) -> Result<(), ProfileError> {
        let deleted = self.store().avatar_delete(&session.account, self.now()).await;
        if deleted.map_err(Inner::from)? { Ok(()) } else { Err(ProfileError::NoPicture) }
    }

    async fn profile_key(&self, session: &Session) -> Result<Option<SubjectKey>, Inner> {
        let Some(account) = self.store().account(&session.account).await? else { return Ok(None) };
        Ok(Some(self.vault().subject_key(account.id.as_str(), &account.wrapped_key)?))
    }

    async fn charge_profile(&self, session: &Session) -> Result<(), ProfileError> {
        let charge = Charge {
            dimension: "profile-put",
            key: self.vault().lookup("account", session.account.as_str()),
            windows: PROFILE_PUTS.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(ProfileError::Limited)
    }
}

fn is_nickname(text: &str) -> bool {
    let text = text.trim();
    (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The form of ISO 3166-1 and 3166-2 codes.
fn is_region(text: &str) -> bool {
    let (country, part) = text.split_once('-').unwrap_or((text, "0"));
    let upper = |b: u8| b.is_ascii_uppercase();
    country.len() == 2
        && country.bytes().all(upper)
        && (1..=3).contains(&part.len())
        && part.bytes().all(|b| upper(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_regions_are_bounded() {
        assert!(is_nickname(&"ä".repeat(MAX_NAME_CHARS)) && is_nickname("小明"));
        for bad in ["", "  ", "a\nb", &"ä".repeat(MAX_NAME_CHARS + 1)] {
            assert!(!is_nickname(bad), "{bad:?}");
        }
        assert!(is_region("CN") && is_region("CN-31") && is_region("GB-ENG"));
        for bad in ["", "C", "cn", "CHN", "CN-", "CN-ABCD", "CN-3 ", "CN-31-1"] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
