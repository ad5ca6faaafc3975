//! Versions of clients: what is new, and what is too old to go on with.

use crate::ControlPlane;
use crate::error::Inner;
use crate::limits::{MAX_NAME_CHARS, VERSION_NOTE_CHARS};
use crate::storage::model::AppVersionRow;

/// Most numbers in a version.
const PARTS: usize = 4;

/// Why a version is not set.
#[derive(Debug, thiserror::Error)]
pub enum AppVersionError {
    /// Not the name of a client.
    #[error("a client's name has 1 to 64 letters, digits, -, _ or .")]
    BadClient,
    /// Not numbers with dots.
    #[error("a version is 1 to 4 numbers with dots between them, such as 2.10.0")]
    BadVersion,
    /// The oldest usable version is newer than the newest.
    #[error("the minimum is above the newest version, so nobody could go on")]
    MinimumAboveNewest,
    /// Too long.
    #[error("notes have at most 2000 characters")]
    LongNotes,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// The versions of a client; `None` when the operator named none. Nothing about who asks is needed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_version(&self, client: &str) -> Result<Option<AppVersionRow>, Inner> {
        if !is_client(client) {
            return Ok(None);
        }
        Ok(self.store().app_version(client).await?)
    }

    /// Every client.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_versions(&self) -> Result<Vec<AppVersionRow>, Inner> {
        Ok(self.store().app_versions().await?)
    }

    /// Names the newest version of a client and the oldest that may still be used.
    ///
    /// # Errors
    /// See [`AppVersionError`].
    pub async fn set_app_version(
        &self,
        client: &str,
        newest: &str,
        minimum: &str,
        notes: (&str, &str),
    ) -> Result<(), AppVersionError> {
        if !is_client(client) {
            return Err(AppVersionError::BadClient);
        }
        let parsed = |text| parse(text).ok_or(AppVersionError::BadVersion);
        if parsed(minimum)? > parsed(newest)? {
            return Err(AppVersionError::MinimumAboveNewest);
        }
        let fits = |text: &str| text.chars().count() <= VERSION_NOTE_CHARS;
        if !fits(notes.0) || !fits(notes.1) {
            return Err(AppVersionError::LongNotes);
        }
        let row = AppVersionRow {
            client: client.to_owned(),
            newest: newest.to_owned(),
            minimum: minimum.to_owned(),
            notes_en: notes.0.to_owned(),
            notes_zh: notes.1.to_owned(),
            changed_at: self.now(),
        };
        Ok(self.store().app_version_put(&row).await.map_err(Inner::from)?)
    }

    /// Forgets a client. `false` when it is not known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_app_version(&self, client: &str) -> Result<bool, Inner> {
        Ok(self.store().app_version_delete(client).await?)
    }
}

fn is_client(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(plain)
}

/// A version by its numbers; missing ones count as 0.
fn parse(text: &str) -> Option<[u32; PARTS]> {
    let mut numbers = [0; PARTS];
    let parts: Vec<_> = text.split('.').collect();
    if parts.len() > PARTS {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        *number = part.parse().ok().filter(|_| digits)?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_nonsense_is_none() {
        assert!(parse("2.10.0") > parse("2.9.9"));
        assert_eq!(parse("2.10"), parse("2.10.0.0"));
        for bad in ["", "1.", ".1", "1..2", "1.2.3.4.5", "v1", "+1", "99999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
