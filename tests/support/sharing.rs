//! Sharing over HTTP: an owner's invitation, a guest's acceptance.

use serde_json::{Value, json};

use super::terminal::{Reply, Terminal, Token};

impl Terminal {
    /// The account's id.
    pub async fn account(&self) -> String {
        let me = self.send("GET", "/v1/me", Token::Login, None).await.ok();
        me["id"].as_str().expect("an id").to_owned()
    }

    /// The code of an invitation to this terminal's camera.
    pub async fn invite(&self, serial: &str, scopes: &[&str]) -> String {
        let path = format!("/v1/devices/{serial}/shares");
        let held = self.send("GET", &path, Token::Login, None).await.ok();
        let version = &held["attestation"]["version"];
        let body = json!({ "scopes": scopes, "label": "guest", "attestation": version });
        let made = self.send("POST", &path, Token::Login, Some(body)).await.ok();
        made["code"].as_str().expect("a code").to_owned()
    }

    /// Accepts an invitation with what it asks for; any answer.
    pub async fn accept(&self, code: &str) -> Reply {
        let offer = json!({ "code": code });
        let offered = self.send("POST", "/v1/shares/invitation", Token::Login, Some(offer)).await;
        if offered.status != 200 {
            return offered;
        }
        let purposes = self.send("GET", "/v1/purposes", Token::Login, None).await.ok();
        let items = purposes["items"].as_array().expect("a list");
        let purpose = items.iter().find(|item| item["id"] == "device.shared");
        let body = json!({
            "code": code,
            "consent": purpose.expect("device.shared")["version"],
            "attestation": offered.body["attestation"]["version"],
        });
        self.send("POST", "/v1/shares/accept", Token::Login, Some(body)).await
    }

    /// Shares of this terminal's camera, as its owner sees them.
    pub async fn shares(&self, serial: &str) -> Vec<Value> {
        let path = format!("/v1/devices/{serial}/shares");
        let held = self.send("GET", &path, Token::Login, None).await.ok();
        held["items"].as_array().expect("a list").clone()
    }

    /// Ends the share of this terminal's camera that somebody accepted.
    pub async fn end_share(&self, serial: &str) {
        let shares = self.shares(serial).await;
        let share = shares.iter().find(|share| share["state"] == "accepted").expect("a guest");
        let id = share["id"].as_str().expect("an id");
        let path = format!("/v1/devices/{serial}/shares/{id}");
        self.send("DELETE", &path, Token::Login, None).await.ok();
    }
}
