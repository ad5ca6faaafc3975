//! What a terminal needs to get onto a viewer list, and to use its place there: its account, the
//! proof with its own key, and introductions (`KEYS.md`, *Adding a guest*).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use reqwest::Method;
use serde::Deserialize;
use sightline_grant::Redacted;
use url::{Host, Url};

use super::mailbox::optional_bytes;
use super::{Api, ApiError, Auth, NOTHING};
use crate::keys::SigningPublic;

/// The account of a login.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Me {
    /// Its pseudonym: what `account` is on viewer lists.
    pub id: String,
}

/// An introduction that a guest has opened.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct OpenedIntroduction {
    /// What the owner types.
    pub code: String,
    /// Unix seconds.
    pub expires_at: u64,
}

/// What was said in an introduction so far, as the server passes it on.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct HeldIntroduction {
    /// The guest's account, as the server says.
    pub guest_account: String,
    /// First message, guest to owner.
    #[serde(deserialize_with = "optional_bytes")]
    pub commitment: Option<Vec<u8>>,
    /// Second message, owner to guest.
    #[serde(deserialize_with = "optional_bytes")]
    pub reply: Option<Vec<u8>>,
    /// Third message, guest to owner.
    #[serde(deserialize_with = "optional_bytes")]
    pub reveal: Option<Vec<u8>>,
    /// Whether the owner added the guest, once that is decided.
    pub added: Option<bool>,
    /// Unix seconds.
    pub expires_at: u64,
}

impl Api {
    /// Name of the server in key challenges: the host that this client was told to talk to. An
    /// address and `localhost` are nobody's names; then it is what the server calls itself, whose
    /// certificate was checked.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn server_name(&self) -> Result<String, ApiError> {
        match told_name(&self.origin) {
            Some(name) => Ok(name),
            None => Ok(self.server().await?.server_name),
        }
    }

    /// The account.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn me(&self, access: &Redacted<String>) -> Result<Me, ApiError> {
        self.get("/v1/me", Auth::Access(access)).await
    }

    /// Proves the device key by a terminal that stands on the viewer list.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn terminal_key_proof(
        &self,
        access: &Redacted<String>,
        serial: &str,
        challenge: &str,
        terminal: &SigningPublic,
        signature: &[u8; 64],
    ) -> Result<(), ApiError> {
        let path = format!("/v1/devices/{serial}/key-proof");
        let body = serde_json::json!({
            "challenge_id": challenge,
            "signature": B64.encode(signature),
            "terminal": B64.encode(terminal),
        });
        self.send(Method::POST, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// Opens an introduction with a guest's first message.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn open_introduction(
        &self,
        access: &Redacted<String>,
        commitment: &[u8; 32],
    ) -> Result<OpenedIntroduction, ApiError> {
        let body = serde_json::json!({ "commitment": B64.encode(commitment) });
        self.post("/v1/introductions", Auth::Access(access), &body).await
    }

    /// What was said so far. An owner must have the commitment from here before replying: a server
    /// that hears the reply first could choose a guest's keys to match.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn introduction(
        &self,
        access: &Redacted<String>,
        code: &str,
    ) -> Result<HeldIntroduction, ApiError> {
        self.get(&introduction(code, ""), Auth::Access(access)).await
    }

    /// The owner's message.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn reply_to_introduction(
        &self,
        access: &Redacted<String>,
        code: &str,
        reply: &[u8],
    ) -> Result<(), ApiError> {
        let body = serde_json::json!({ "reply": B64.encode(reply) });
        let path = introduction(code, "/reply");
        self.send(Method::POST, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// The guest's second message.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn reveal_introduction(
        &self,
        access: &Redacted<String>,
        code: &str,
        reveal: &[u8],
    ) -> Result<(), ApiError> {
        let body = serde_json::json!({ "reveal": B64.encode(reveal) });
        let path = introduction(code, "/reveal");
        self.send(Method::POST, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// The owner tells the guest how it ended.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn decide_introduction(
        &self,
        access: &Redacted<String>,
        code: &str,
        added: bool,
    ) -> Result<(), ApiError> {
        let body = serde_json::json!({ "added": added });
        let path = introduction(code, "/outcome");
        self.send(Method::POST, &path, Auth::Access(access), Some(&body)).await?;
        Ok(())
    }

    /// The guest gives up, or has read the outcome.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn end_introduction(
        &self,
        access: &Redacted<String>,
        code: &str,
    ) -> Result<(), ApiError> {
        self.send(Method::DELETE, &introduction(code, ""), Auth::Access(access), NOTHING).await?;
        Ok(())
    }
}

/// The name in an address, if it has one.
fn told_name(origin: &str) -> Option<String> {
    match Url::parse(origin).ok()?.host()? {
        Host::Domain(name) if name != "localhost" => Some(name.to_owned()),
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// A path of an introduction; what is no letter or digit of the code is left out.
fn introduction(code: &str, what: &str) -> String {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("/v1/introductions/{code}{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_server_is_the_one_that_was_told_and_addresses_are_none() {
        assert_eq!(told_name("https://Cam.Example:8443").as_deref(), Some("cam.example"));
        for origin in ["https://localhost:8443", "http://127.0.0.1:8080", "https://[::1]:8443"] {
            assert_eq!(told_name(origin), None, "{origin}");
        }
    }

    #[test]
    fn a_typed_code_makes_one_path() {
        assert_eq!(introduction("ABCD-2345", "/reply"), "/v1/introductions/ABCD2345/reply");
        assert_eq!(introduction("../me?", ""), "/v1/introductions/me");
    }

    #[test]
    fn an_introduction_is_read_as_it_stands() {
        let text = r#"{"guest_account":"a","commitment":"AQI","reply":null,"reveal":null,
            "added":null,"expires_at":7}"#;
        let held: HeldIntroduction = serde_json::from_str(text).expect("read");
        assert_eq!((held.commitment, held.reply, held.added), (Some(vec![1, 2]), None, None));
    }
}
