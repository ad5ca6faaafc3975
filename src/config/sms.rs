//! `[sms]`: who carries text messages, and what they may cost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sightline_control_plane::clock::SystemClock;
use sightline_control_plane::outbound;
use sightline_control_plane::random::SystemRandom;
use sightline_control_plane::sms::SmsSender;
use sightline_control_plane::sms::aliyun::{self, Aliyun};
use sightline_control_plane::sms::budget::Policy;
use sightline_control_plane::sms::budget::bucket::PLACE;
use sightline_control_plane::sms::twilio::{self, Twilio};

use super::ConfigError;

/// Most money an hour, minor units: far above any installation, far below an overflow.
const MAX_MONEY: u64 = 1_000_000_000;
/// Highest price of a message, minor units.
const MAX_PRICE: f64 = 100_000.0;
/// Highest country calling code.
const MAX_DIAL: u16 = 999;

/// Who carries messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carrier {
    /// Nobody: codes are shown on the operator's terminal.
    #[default]
    Development,
    /// Aliyun's SendSms.
    Aliyun,
    /// Twilio's Messages.
    Twilio,
}

/// When terminals that nobody vouches for must do work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// While a budget runs low.
    #[default]
    Auto,
    /// For every message.
    Always,
}

/// `[sms]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sms {
    /// Who carries messages.
    pub(crate) carrier: Carrier,
    /// Address of the carrier's API, if it is not the usual one.
    pub(crate) endpoint: String,
    /// Certificates to trust for it (PEM), if they are not the system's.
    pub(crate) ca_file: PathBuf,
    /// Access key id (Aliyun), key or account id (Twilio).
    pub(crate) key_id: String,
    /// File with the secret of that key.
    pub(crate) secret_file: PathBuf,
    /// Aliyun: signature of the messages.
    pub(crate) sign_name: String,
    /// Aliyun: template with one parameter, `code`.
    pub(crate) template: String,
    /// Twilio: account id.
    pub(crate) account: String,
    /// Twilio: a number of the account, or a messaging service.
    pub(crate) from: String,
    /// Country calling codes that are served; empty: all.
    pub(crate) dial_codes: Vec<u16>,
    /// Price of a message by country calling code, minor units of money.
    pub(crate) prices: BTreeMap<String, f64>,
    /// Price elsewhere, minor units.
    pub(crate) other_price: f64,
    /// Money that any hour may cost, minor units.
    pub(crate) money_per_hour: u64,
    /// Hold what is beyond a budget. `false` only records what would be held.
    pub(crate) enforce: bool,
    /// When terminals that nobody vouches for must do work.
    pub(crate) work: Work,
}

impl Default for Sms {
    fn default() -> Self {
        Self {
            carrier: Carrier::default(),
            endpoint: String::new(),
            ca_file: PathBuf::new(),
            key_id: String::new(),
            secret_file: PathBuf::new(),
            sign_name: String::new(),
            template: String::new(),
            account: String::new(),
            from: String::new(),
            dial_codes: vec![86],
            prices: BTreeMap::from([("86".into(), 4.5)]),
            other_price: 10.0,
            money_per_hour: 5000,
            enforce: true,
            work: Work::default(),
        }
    }
}

/// Refuses what cannot be.
pub(super) fn validate(sms: &Sms) -> Result<(), ConfigError> {
    let bad = |key, reason: &str| Err(ConfigError::Value { key, reason: reason.to_owned() });
    if sms.dial_codes.iter().any(|dial| !(1..=MAX_DIAL).contains(dial)) {
        return bad("sms.dial_codes", "country calling codes are numbers from 1 to 999");
    }
    for (dial, price) in &sms.prices {
        if !dial.parse::<u16>().is_ok_and(|dial| (1..=MAX_DIAL).contains(&dial)) {
            return bad("sms.prices", "its keys are country calling codes, 1 to 999");
        }
        if !(0.0..=MAX_PRICE).contains(price) {
            return bad("sms.prices", "a price is 0 to 100000 minor units");
        }
    }
    if !(0.0..=MAX_PRICE).contains(&sms.other_price) {
        return bad("sms.other_price", "a price is 0 to 100000 minor units");
    }
    if !(1..=MAX_MONEY).contains(&sms.money_per_hour) {
        return bad("sms.money_per_hour", "1 to 1000000000 minor units");
    }
    let needed: &[(&'static str, bool)] = match sms.carrier {
        Carrier::Development => &[],
        Carrier::Aliyun => &[
            ("sms.key_id", sms.key_id.is_empty()),
            ("sms.secret_file", sms.secret_file.as_os_str().is_empty()),
            ("sms.sign_name", sms.sign_name.is_empty()),
            ("sms.template", sms.template.is_empty()),
        ],
        Carrier::Twilio => &[
            ("sms.account", sms.account.is_empty()),
            ("sms.secret_file", sms.secret_file.as_os_str().is_empty()),
            ("sms.from", sms.from.is_empty()),
        ],
    };
    match needed.iter().find(|(_, missing)| *missing) {
        Some((key, _)) => bad(key, "this carrier needs it"),
        None if !sms.endpoint.is_empty() && outbound::address(&sms.endpoint).is_err() => {
            bad("sms.endpoint", "an address with https, or with http on this machine")
        }
        None => Ok(()),
    }
}

impl Sms {
    /// Whether codes are only shown to the operator.
    pub(crate) fn is_development(&self) -> bool {
        self.carrier == Carrier::Development
    }

    /// What messages may cost. Those of the development sender cost nothing.
    pub(crate) fn policy(&self) -> Policy {
        let always_work = self.work == Work::Always;
        if self.is_development() {
            return Policy { always_work, ..Policy::for_development() };
        }
        let price = |minor: f64| (minor * PLACE as f64).round() as u64;
        let prices = self.prices.iter();
        Policy {
            enforce: self.enforce,
            always_work,
            dial_codes: self.dial_codes.clone(),
            prices: prices
                .filter_map(|(dial, minor)| Some((dial.parse().ok()?, price(*minor))))
                .collect(),
            other_price: price(self.other_price),
            money_per_hour: Some(self.money_per_hour * PLACE),
            ..Policy::default()
        }
    }

    /// The sender; `None` for development.
    pub(crate) fn sender(&self) -> Result<Option<Arc<dyn SmsSender>>, String> {
        let usual = match self.carrier {
            Carrier::Development => return Ok(None),
            Carrier::Aliyun => aliyun::ENDPOINT,
            Carrier::Twilio => twilio::ENDPOINT,
        };
        let text = |error: outbound::OutboundError| format!("[sms]: {error}");
        let at = if self.endpoint.is_empty() { usual } else { &self.endpoint };
        let at = outbound::address(at).map_err(text)?;
        let ca_file = (!self.ca_file.as_os_str().is_empty()).then_some(self.ca_file.as_path());
        let http = outbound::client(ca_file, &at).map_err(text)?;
        let secret = outbound::secret(&self.secret_file).map_err(text)?;
        if self.carrier == Carrier::Twilio {
            let key_id = if self.key_id.is_empty() { &self.account } else { &self.key_id };
            let account = twilio::Account {
                sid: self.account.clone(),
                key_id: key_id.clone(),
                secret,
                from: self.from.clone(),
            };
            return Ok(Some(Arc::new(Twilio::new(account, at, http))));
        }
        let account = aliyun::Account {
            key_id: self.key_id.clone(),
            secret,
            sign_name: self.sign_name.clone(),
            template: self.template.clone(),
        };
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        Ok(Some(Arc::new(Aliyun::new(account, at, http, clock, random))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Sms, String> {
        let sms: Sms = toml::from_str(text).map_err(|error| error.to_string())?;
        validate(&sms).map_err(|error| error.to_string())?;
        Ok(sms)
    }

    #[test]
    fn a_carrier_names_the_key_that_it_misses() {
        assert!(parsed("").unwrap().is_development());
        for (text, key) in [
            ("carrier = 'aliyun'", "sms.key_id"),
            ("carrier = 'aliyun'\nkey_id = 'k'", "sms.secret_file"),
            ("carrier = 'twilio'\naccount = 'AC'\nsecret_file = 's'", "sms.from"),
            ("endpoint = 'http://10.0.0.1/'", "sms.endpoint"),
            ("dial_codes = [0]", "sms.dial_codes"),
            ("dial_codes = [1000]", "sms.dial_codes"),
            ("prices = { x = 1.0 }", "sms.prices"),
            ("prices = { 86 = -1.0 }", "sms.prices"),
            ("other_price = 100001.0", "sms.other_price"),
            ("money_per_hour = 0", "sms.money_per_hour"),
            ("money_per_hour = 1000000001", "sms.money_per_hour"),
            ("nothing = 1", "nothing"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
        assert!(parsed("dial_codes = [1, 999]\nmoney_per_hour = 1000000000").is_ok());
    }

    #[test]
    fn a_carriers_policy_is_enforced_and_prices_keep_their_fractions() {
        let text = "carrier = 'twilio'\naccount = 'AC'\nsecret_file = 's'\nfrom = '+1'\n\
                    dial_codes = [86, 49]\nprices = { 86 = 4.5 }\nmoney_per_hour = 100";
        let policy = parsed(text).unwrap().policy();
        assert!(policy.enforce && policy.serves(49) && !policy.serves(1));
        assert_eq!((policy.price(86), policy.price(49)), (4500, 10_000));
        assert_eq!(policy.money_per_hour, Some(100_000));
        assert!(parsed(text).unwrap().sender().is_err(), "there is no such file");
    }
}
