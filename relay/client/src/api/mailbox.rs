//! The mailbox of sealed video: viewer lists, generations and wraps. The server stores them without
//! being able to open them; whoever takes one checks it as `KEYS.md` says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sightline_grant::Redacted;

use super::{Api, ApiError, Auth};

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

fn optional_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
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
