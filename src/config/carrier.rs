//! `[carrier]`: signing in by the phone's own line, and `[abnormal]`: unusual logins.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sightline_control_plane::abnormal::{self, regions::Regions};
use sightline_control_plane::carrier::Carrier as Line;
use sightline_control_plane::carrier::camara::{Account, Camara, Flow};
use sightline_control_plane::outbound;

use super::ConfigError;

/// Who proves lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A stand-in on a development server that only this machine reaches; nobody otherwise.
    #[default]
    Auto,
    /// Nobody.
    None,
    /// A carrier with CAMARA Number Verification.
    Camara,
}

/// How it proves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlowKey {
    /// Version 1, by mobile data: an authorisation code.
    #[default]
    Code,
    /// Version 2, by the SIM: a token of the phone.
    OperatorToken,
}

/// `[carrier]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Carrier {
    /// Who proves lines.
    pub(crate) kind: Kind,
    /// Name that people read.
    pub(crate) name: String,
    /// How lines are proved.
    pub(crate) flow: FlowKey,
    /// Address that browsers are sent to; empty: only apps get tokens.
    pub(crate) authorize: String,
    /// Token endpoint.
    pub(crate) token: String,
    /// Address of the API, up to and with its version and a slash.
    pub(crate) api: String,
    /// This service's id.
    pub(crate) client_id: String,
    /// File with its secret.
    pub(crate) secret_file: PathBuf,
    /// Certificates to trust for it (PEM), if they are not the system's.
    pub(crate) ca_file: PathBuf,
}

/// `[abnormal]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Abnormal {
    /// Hold unusual logins on new terminals until another terminal of the account agrees.
    pub(crate) hold: bool,
    /// Table of regions: lines of `network/length region`.
    pub(crate) regions_file: PathBuf,
}

/// Refuses what cannot be.
pub(super) fn validate(carrier: &Carrier) -> Result<(), ConfigError> {
    let bad = |key, reason: &str| Err(ConfigError::Value { key, reason: reason.to_owned() });
    if carrier.kind != Kind::Camara {
        return Ok(());
    }
    for (key, value) in [
        ("carrier.name", &carrier.name),
        ("carrier.client_id", &carrier.client_id),
        ("carrier.token", &carrier.token),
        ("carrier.api", &carrier.api),
    ] {
        if value.is_empty() {
            return bad(key, "this carrier needs it");
        }
    }
    if carrier.secret_file.as_os_str().is_empty() {
        return bad("carrier.secret_file", "this carrier needs it");
    }
    for (key, value) in [
        ("carrier.authorize", &carrier.authorize),
        ("carrier.token", &carrier.token),
        ("carrier.api", &carrier.api),
    ] {
        if !value.is_empty() && outbound::address(value).is_err() {
            return bad(key, "an address with https, or with http on this machine");
        }
    }
    if !carrier.api.ends_with('/') {
        return bad("carrier.api", "it ends with a slash");
    }
    Ok(())
}

impl Carrier {
    /// The carrier of the configuration, if it names one.
    pub(crate) fn line(&self) -> Result<Option<Arc<dyn Line>>, String> {
        if self.kind != Kind::Camara {
            return Ok(None);
        }
        let text = |error: outbound::OutboundError| format!("[carrier]: {error}");
        let at = |value: &str| outbound::address(value).map_err(text);
        let (token, api) = (at(&self.token)?, at(&self.api)?);
        let ca_file = (!self.ca_file.as_os_str().is_empty()).then_some(self.ca_file.as_path());
        let http = outbound::client(ca_file, &api).map_err(text)?;
        let authorize = if self.authorize.is_empty() { None } else { Some(at(&self.authorize)?) };
        let account = Account {
            name: self.name.clone(),
            client_id: self.client_id.clone(),
            secret: outbound::secret(&self.secret_file).map_err(text)?,
            flow: match self.flow {
                FlowKey::Code => Flow::Code,
                FlowKey::OperatorToken => Flow::OperatorToken,
            },
            authorize,
            token,
            api,
            development: false,
        };
        Ok(Some(Arc::new(Camara::new(account, http))))
    }
}

impl Abnormal {
    /// What happens to unusual logins.
    pub(crate) fn policy(&self) -> Result<abnormal::Policy, String> {
        let path = &self.regions_file;
        let regions = if path.as_os_str().is_empty() {
            Regions::default()
        } else {
            let wrong = |error: &dyn std::fmt::Display| {
                format!("abnormal.regions_file, {}: {error}", path.display())
            };
            let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
            Regions::parse(&text).map_err(|error| wrong(&error))?
        };
        Ok(abnormal::Policy { hold: self.hold, regions: Arc::new(regions) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_names_the_key_that_it_misses() {
        let error = |text: &str| {
            let carrier: Carrier = toml::from_str(text).unwrap();
            validate(&carrier).map_err(|error| error.to_string())
        };
        let whole = "kind = 'camara'\nname = 'C'\nclient_id = 'i'\nsecret_file = 's'\n\
                     token = 'https://c.example/token'\napi = 'https://c.example/v1/'";
        assert!(error("").is_ok() && error(whole).is_ok());
        for (text, key) in [
            ("kind = 'camara'".to_owned(), "carrier.name"),
            (whole.replace("secret_file = 's'", ""), "carrier.secret_file"),
            (whole.replace("https://c.example/token", "http://c.example/"), "carrier.token"),
            (whole.replace("/v1/", "/v1"), "carrier.api"),
        ] {
            assert!(error(&text).unwrap_err().contains(key), "{text}");
        }
    }

    #[test]
    fn a_table_of_regions_that_is_none_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let regions_file = folder.path().join("regions");
        let abnormal = Abnormal { hold: true, regions_file: regions_file.clone() };
        assert!(abnormal.policy().unwrap_err().contains("regions"));
        std::fs::write(&regions_file, "10.0.0.0/8 A\nB\n").unwrap();
        assert!(abnormal.policy().unwrap_err().contains("line 2"));
        std::fs::write(&regions_file, "10.0.0.0/8 A\n").unwrap();
        assert!(abnormal.policy().unwrap().hold);
    }
}
