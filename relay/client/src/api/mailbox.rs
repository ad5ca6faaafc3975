//! The mailbox of sealed video: viewer lists, generations and wraps. The server stores them without
//! being able to open them; whoever takes one checks it as `KEYS.md` says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sightline_grant::Redacted;

use super::{Api, ApiError, Auth, decode};

/// Most generations in one answer.
pub const GENERATIONS_PER_PAGE: u64 = 64;
/// Bytes of a wrap: recipient, encapsulated key, ciphertext with tag.
pub const WRAP_LEN: usize = 112;

/// The viewer list that the server holds for a binding.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct HeldList {
    /// The present binding.
    pub binding_epoch: u64,
    /// Version of the list; 0 without one.
    pub version: u64,
    /// The signed list, not checked.
    #[serde(deserialize_with = "optional_bytes")]
    pub list: Option<Vec<u8>>,
}

/// Which generations a terminal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct GenerationsWanted {
    /// Channel to watch.
    pub channel: u16,
    /// X25519 public key of the terminal, or of the archive.
    #[serde(serialize_with = "text")]
    pub recipient: [u8; 32],
    /// 0: the newest first. Else those above it, rising.
    pub after: u64,
    /// Most of them: 1 to [`GENERATIONS_PER_PAGE`].
    pub limit: u64,
}

/// Whether a device is to seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncMode {
    /// The camera encrypts.
    Sealed,
    /// The camera sends clear media.
    Open,
}

/// What the server holds about a device's mode.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct HeldEncMode {
    /// What the newest order says; sealed without one.
    pub mode: EncMode,
    /// The present binding.
    pub binding_epoch: u64,
    /// Number of the newest order; 0 without one.
    pub sequence: u64,
    /// The signed order, not checked.
    #[serde(deserialize_with = "optional_bytes")]
    pub order: Option<Vec<u8>>,
    /// What was ordered under this binding, newest first.
    pub history: Vec<EncModeChange>,
}

/// One change of a device's mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct EncModeChange {
    /// Mode from then on.
    pub mode: EncMode,
    /// Unix seconds.
    pub at: u64,
}

/// A page of generations.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct GenerationsPage {
    /// In the order that was asked for.
    pub generations: Vec<HeldGeneration>,
    /// Whether there are more in that order.
    pub more: bool,
}

/// A generation as the server holds it for one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct HeldGeneration {
    /// Its number, as the server says.
    pub generation: u64,
    /// The blob, not checked, with the recipient's wrap or with none.
    #[serde(deserialize_with = "bytes")]
    pub blob: Vec<u8>,
}

impl Api {
    /// Puts a signed viewer list in force; the same list again changes nothing.
    pub async fn put_viewer_list(
        &self,
        access: &Redacted<String>,
        serial: &str,
        list: &[u8],
    ) -> Result<(), ApiError> {
        let path = format!("/v1/devices/{serial}/viewer-list");
        let body = serde_json::json!({ "list": B64.encode(list) });
        self.send(Method::PUT, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// The viewer list of a device of the account.
    pub async fn viewer_list(
        &self,
        access: &Redacted<String>,
        serial: &str,
    ) -> Result<HeldList, ApiError> {
        self.get(&format!("/v1/devices/{serial}/viewer-list"), Auth::Access(access)).await
    }

    /// Generations of a device, for a terminal that passes the whole gate.
    pub async fn generations(
        &self,
        access: &Redacted<String>,
        serial: &str,
        wanted: &GenerationsWanted,
    ) -> Result<GenerationsPage, ApiError> {
        let path = format!("/v1/devices/{serial}/generations");
        self.post(&path, Auth::Access(access), wanted).await
    }

    /// Adds a wrap to a stored generation: how an owner shows a guest the past.
    pub async fn add_wrap(
        &self,
        access: &Redacted<String>,
        serial: &str,
        generation: u64,
        wrap: &[u8; WRAP_LEN],
    ) -> Result<(), ApiError> {
        let path = format!("/v1/devices/{serial}/wraps");
        let body = serde_json::json!({ "generation": generation, "wrap": B64.encode(wrap) });
        self.send(Method::POST, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// Hands in a signed sealing order of this mode. Switching sealing off needs the key proof and
    /// the SMS window of this login, too.
    pub async fn put_enc_mode(
        &self,
        access: &Redacted<String>,
        serial: &str,
        mode: EncMode,
        order: &[u8],
    ) -> Result<HeldEncMode, ApiError> {
        let path = format!("/v1/devices/{serial}/enc-mode");
        let body = serde_json::json!({ "mode": mode, "order": B64.encode(order) });
        decode(&self.send(Method::PUT, &path, Auth::Access(access), Some(&body)).await?)
    }

    /// Whether a device of the account is to seal, and what was ordered.
    pub async fn enc_mode(
        &self,
        access: &Redacted<String>,
        serial: &str,
    ) -> Result<HeldEncMode, ApiError> {
        self.get(&format!("/v1/devices/{serial}/enc-mode"), Auth::Access(access)).await
    }

    /// The viewer list that the server holds for this device's present binding.
    pub async fn device_viewer_list(&self) -> Result<HeldList, ApiError> {
        self.get("/v1/device/viewer-list", Auth::Key).await
    }

    /// Stores a generation of this device; the same one again changes nothing.
    pub async fn put_generation(&self, blob: &[u8]) -> Result<(), ApiError> {
        let body = serde_json::json!({ "blob": B64.encode(blob) });
        self.send(Method::PUT, "/v1/device/generations", Auth::Key, Some(&body)).await?;
        Ok(())
    }
}

fn text<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&B64.encode(bytes))
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    B64.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

pub(super) fn optional_bytes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| B64.decode(text)).transpose().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_for_generations_is_written_as_the_server_reads_it() {
        let wanted = GenerationsWanted { channel: 2, recipient: [255; 32], after: 7, limit: 64 };
        let text = serde_json::to_string(&wanted).expect("plain data");
        let key = format!("{}8", "_".repeat(42));
        let expected = format!(r#"{{"channel":2,"recipient":"{key}","after":7,"limit":64}}"#);
        assert_eq!(text, expected);
    }

    #[test]
    fn a_poll_says_what_the_device_knows_and_brings_the_order() {
        let known = crate::api::DeviceKnown { enc_sequence: Some(4), ..Default::default() };
        let text = serde_json::to_string(&known).expect("plain data");
        let expected = r#"{"binding_epoch":0,"key_epoch":0,"list_version":0,"enc_sequence":4}"#;
        assert_eq!(text, expected);
        let quiet = serde_json::to_string(&crate::api::DeviceKnown::default()).expect("plain");
        assert!(!quiet.contains("enc_sequence"));
        let state = r#"{"bound":true,"binding_epoch":1,"key_epoch":2,"key_wanted":false,
            "list_version":3,"enc_mode":"open","enc_sequence":4,"enc_order":"AQI"}"#;
        let state: crate::api::DeviceState = serde_json::from_str(state).expect("read");
        assert_eq!((state.enc_sequence, state.enc_order), (4, Some(vec![1, 2])));
        let held = r#"{"mode":"open","binding_epoch":1,"sequence":4,"order":"AQI",
            "history":[{"mode":"open","at":7}]}"#;
        let held: HeldEncMode = serde_json::from_str(held).expect("read");
        assert_eq!(held.order, Some(vec![1, 2]));
        assert_eq!(held.history, [EncModeChange { mode: EncMode::Open, at: 7 }]);
        let mode = serde_json::to_string(&EncMode::Sealed).expect("plain data");
        assert_eq!(mode, r#""sealed""#);
    }

    #[test]
    fn answers_of_the_mailbox_are_read_and_broken_ones_refused() {
        let none = r#"{"binding_epoch":3,"version":0,"list":null}"#;
        let held: HeldList = serde_json::from_str(none).expect("read");
        assert_eq!(held, HeldList { binding_epoch: 3, version: 0, list: None });
        let nine = r#"{"binding_epoch":3,"version":9,"list":"AQI"}"#;
        let held: HeldList = serde_json::from_str(nine).expect("read");
        assert_eq!(held.list, Some(vec![1, 2]));
        let page = r#"{"generations":[{"generation":5,"blob":"AQI"}],"more":true}"#;
        let page: GenerationsPage = serde_json::from_str(page).expect("read");
        assert!(page.more);
        assert_eq!(page.generations, [HeldGeneration { generation: 5, blob: vec![1, 2] }]);
        for broken in ["AQ==", "A", "?"] {
            let text = format!(r#"{{"generation":5,"blob":"{broken}"}}"#);
            assert!(serde_json::from_str::<HeldGeneration>(&text).is_err(), "{broken}");
        }
    }
}
