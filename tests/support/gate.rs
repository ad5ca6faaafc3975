//! The way of a newcomer through the gate, step by step, over HTTP.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::server::{Device, RTSP, Server};
use super::terminal::{Reply, Terminal, Token, auth_key};

/// How long a camera may take to be live or to hand in its key.
const LIVE_LIMIT: Duration = Duration::from_secs(20);

/// How often the server is asked about something awaited; well below its rate limit.
const POLL: Duration = Duration::from_millis(250);

/// A one-use RTSP login.
#[derive(Clone, Debug)]
pub struct Handle {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Path, e.g. `/CAM-1/0`.
    pub path: String,
}

impl Handle {
    /// With the login inside.
    pub fn url(&self) -> String {
        let Self { user, password, path } = self;
        format!("rtsp://{user}:{password}@127.0.0.1:{RTSP}{path}")
    }
}

impl Terminal {
    /// Consents to viewing in its present version.
    pub async fn consent_to_viewing(&self) -> Reply {
        let purposes = self.send("GET", "/v1/purposes", Token::Login, None).await.ok();
        let items = purposes["items"].as_array().expect("a list").clone();
        let view = items.iter().find(|item| item["id"] == "media.view").expect("media.view");
        let body = json!({
            "purpose": "media.view", "version": view["version"], "decision": "granted",
        });
        self.send("POST", "/v1/consents", Token::Login, Some(body)).await
    }

    /// Binds a device; an open one with proof of its publish password.
    pub async fn bind(&self, device: &Device) -> Reply {
        let mut body = json!({ "serial": device.serial, "code": device.code });
        if device.open {
            let (challenge_id, signature) = self.signed_challenge(device).await;
            body["challenge_id"] = challenge_id.into();
            body["signature"] = signature.into();
        }
        self.send("POST", "/v1/bindings", Token::Login, Some(body)).await
    }

    /// Ends the binding.
    pub async fn unbind(&self, serial: &str) -> Reply {
        self.send("DELETE", &format!("/v1/bindings/{serial}"), Token::Login, None).await
    }

    /// Proves the device key.
    pub async fn prove_key(&self, device: &Device) -> Reply {
        let (challenge_id, signature) = self.signed_challenge(device).await;
        let body = json!({ "challenge_id": challenge_id, "signature": signature });
        let path = format!("/v1/devices/{}/key-proof", device.serial);
        self.send("POST", &path, Token::Login, Some(body)).await
    }

    async fn signed_challenge(&self, device: &Device) -> (String, String) {
        let path = format!("/v1/devices/{}/key-challenge", device.serial);
        let body = json!({ "channel": 0 });
        let challenge = self.send("POST", &path, Token::Login, Some(body)).await.ok();
        let message = challenge["message"].as_str().expect("a message");
        let message = URL_SAFE_NO_PAD.decode(message).expect("base64url");
        let signature = auth_key(&device.password).sign(&message);
        let id = challenge["challenge_id"].as_str().expect("an id").to_owned();
        (id, URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// Opens the SMS window for a device.
    pub async fn step_up(&self, server: &Server, serial: &str) -> Reply {
        let (challenge_id, code) =
            self.request_code(server, "view", json!({ "serial": serial })).await;
        let body = json!({ "challenge_id": challenge_id, "code": code });
        self.send("POST", "/v1/step-ups", Token::Login, Some(body)).await
    }

    /// Whether the camera has handed in its key verifier since it was bound.
    pub async fn key_ready(&self, serial: &str) -> bool {
        let devices = self.send("GET", "/v1/devices", Token::Login, None).await.ok();
        let items = devices["items"].as_array().expect("a list");
        items.iter().any(|item| item["serial"] == serial && item["key_ready"] == true)
    }

    /// Waits until a stream of the device is live.
    pub async fn wait_until_live(&self, serial: &str) {
        assert!(self.live_in_time(serial).await, "{serial} is not live");
    }

    /// Whether a stream of the device is live within a camera's time.
    pub async fn live_in_time(&self, serial: &str) -> bool {
        let deadline = Instant::now() + LIVE_LIMIT;
        let path = format!("/v1/live/{serial}");
        while Instant::now() < deadline {
            if self.send("GET", &path, Token::Login, None).await.body["live"] == true {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// The remaining steps for a camera behind the agent, the demo camera too, of a signed-in user
    /// who has consented. The camera must be running: it makes its secret when it is bound.
    pub async fn open_agent(&self, server: &Server, device: &mut Device) {
        self.bind(device).await.ok();
        device.password = self.agent_secret(device).await;
        self.prove_key(device).await.ok();
        self.step_up(server, &device.serial).await.ok();
    }

    /// The secret that the agent made for its present owner.
    pub async fn agent_secret(&self, device: &Device) -> String {
        let folder = device.agent.as_ref().expect("a camera behind the agent");
        let deadline = Instant::now() + LIVE_LIMIT;
        while !self.key_ready(&device.serial).await {
            assert!(Instant::now() < deadline, "{} sends no key verifier", device.serial);
            tokio::time::sleep(POLL).await;
        }
        loop {
            let text = std::fs::read_to_string(folder.join("secret.txt")).unwrap_or_default();
            // The file appears whole.
            if text.lines().count() >= 2 {
                return text.lines().next().unwrap_or_default().to_owned();
            }
            assert!(Instant::now() < deadline, "{} shows no secret", device.serial);
            tokio::time::sleep(POLL).await;
        }
    }

    /// The demo camera, bound and proven.
    pub async fn open_demo(&self, server: &Server) -> Device {
        let mut device = server.demo_camera();
        self.open_agent(server, &mut device).await;
        device
    }

    /// All steps of a newcomer: sign in, consent, bind, prove the key, confirm by SMS.
    pub async fn open_gate(&mut self, server: &Server, device: &Device) {
        self.sign_in(server).await;
        self.consent_to_viewing().await.ok();
        self.open_device(server, device).await;
    }

    /// The steps for one more open device of a signed-in user who has consented.
    pub async fn open_device(&self, server: &Server, device: &Device) {
        self.bind(device).await.ok();
        self.prove_key(device).await.ok();
        self.step_up(server, &device.serial).await.ok();
    }

    /// Asks for a grant; any answer.
    pub async fn ask_grant(&self, serial: &str) -> Reply {
        let body = json!({ "serial": serial, "channel": 0, "action": "live" });
        self.send("POST", "/v1/media-grants", Token::Login, Some(body)).await
    }

    /// A fresh grant.
    pub async fn grant(&self, serial: &str) -> String {
        let answer = self.ask_grant(serial).await.ok();
        answer["grant"].as_str().expect("a grant").to_owned()
    }

    /// A one-use RTSP login.
    pub async fn rtsp_handle(&self, serial: &str) -> Handle {
        let grant = self.grant(serial).await;
        let path = format!("/v1/rtsp-handles/{serial}/0");
        let answer = self.send("POST", &path, Token::Grant(&grant), None).await.ok();
        let text = |name: &str| answer[name].as_str().expect("a string").to_owned();
        Handle { user: text("user"), password: text("password"), path: text("path") }
    }
}
