//! Where a device stands, if its owner wants to say: kept under `device.location` alone.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ControlPlane;
use crate::consent::DEVICE_LOCATION;
use crate::device_facts::FactError;
use crate::limits::{MAX_NAME_CHARS, RENAMES_PER_DEVICE};
use crate::storage::model::{FactKind, Session};

/// A place.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Province.
    pub province: Option<String>,
    /// City.
    pub city: Option<String>,
    /// District.
    pub district: Option<String>,
    /// Street.
    pub street: Option<String>,
    /// Degrees north, -90 to 90.
    pub latitude: Option<f64>,
    /// Degrees east, -180 to 180.
    pub longitude: Option<f64>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(redacted)")
    }
}

impl Place {
    fn check(&self) -> Result<(), FactError> {
        let texts = [&self.province, &self.city, &self.district, &self.street];
        if texts.into_iter().flatten().any(|text| text.chars().count() > MAX_NAME_CHARS) {
            return Err(FactError::Bad("a part of the address has more than 64 characters"));
        }
        let within = |degrees: Option<f64>, most| {
            degrees.is_none_or(|degrees| degrees.is_finite() && degrees.abs() <= most)
        };
        if self.latitude.is_some() != self.longitude.is_some()
            || !within(self.latitude, 90.0)
            || !within(self.longitude, 180.0)
        {
            return Err(FactError::Bad(
                "give both coordinates or none: latitude -90 to 90, longitude -180 to 180",
            ));
        }
        Ok(())
    }
}

impl ControlPlane {
    /// Keeps where a device stands.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn put_place(
        &self,
        session: &Session,
        serial: &str,
        place: &Place,
    ) -> Result<(), FactError> {
        place.check()?;
        let device = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        self.need_consent(&session.account, &DEVICE_LOCATION).await?;
        self.charge_fact("place", serial, &RENAMES_PER_DEVICE).await?;
        self.keep_fact(&session.account, &device, FactKind::Place, place, None).await
    }

    /// Where a device stands.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn place(&self, session: &Session, serial: &str) -> Result<Place, FactError> {
        let device = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        let serial = &device.device.serial;
        let facts = self.kept_facts(session, Some(serial)).await?;
        let found = facts.get(serial, FactKind::Place).map_err(crate::error::Inner::from)?;
        found.map(|(place, _)| place).ok_or(FactError::Nothing)
    }

    /// Forgets where a device stands.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn forget_place(&self, session: &Session, serial: &str) -> Result<(), FactError> {
        self.forget_fact(session, serial, FactKind::Place).await
    }
}
