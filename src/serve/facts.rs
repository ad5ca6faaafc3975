//! The control plane as signaling and relay see it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sightline_client::identity::Identity;
use sightline_control_plane::admin::{AdminError, NewDevice};
use sightline_control_plane::development::Outlet;
use sightline_control_plane::gate::Refusal;
use sightline_control_plane::limits::Limits;
use sightline_control_plane::publisher::PublishingDevice;
use sightline_control_plane::sms::DevelopmentSms;
use sightline_control_plane::storage::model::LeaseFacts;
use sightline_control_plane::{Config, ControlPlane};
use sightline_grant::{Action, Redacted, Thumbprint};
use sightline_relay::{
    Authority, AuthoritySilent, BoundAddresses, LeaseTerms, LeaseVerdict, Publisher, RtspPublisher,
};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};
use sightline_signaling::plane::{Admission, Caller, Directory, GateRefusal, PublisherFacts};
use sightline_signaling::{Hashes, Ports, ServerFacts};

use super::DoorAddresses;
use super::banner::BIND_FILE;
use super::mail;
use crate::camera::IDENTITY_FILE;
use crate::config::{DemoMode, Raw};
use crate::data_dir::{make_private_dir, write_private};
use crate::pki::{Pki, WebTransportLeaves, hex};

/// File that development text messages are appended to.
pub(crate) const SMS_FILE: &str = "dev-sms.txt";

/// Opens the control plane of a data folder.
pub(crate) async fn open_control_plane(data: &Path, raw: &Raw) -> Result<ControlPlane, String> {
    let show: fn(&str) = |text| {
        // The operator's terminal, never the log.
        print!("{text}");
    };
    let sms = match raw.sms.sender()? {
        Some(carrier) => carrier,
        None => Arc::new(DevelopmentSms(Outlet::new(Box::new(show), data.join(SMS_FILE)))),
    };
    let (mail, config) = (mail::sender(data, raw, show)?, control_config(data, raw)?);
    ControlPlane::open(config, sms, mail).await.map_err(|error| error.to_string())
}

/// Settings of the control plane. The development sender costs nothing and shows its messages on one
/// terminal; its limits are wide.
pub(crate) fn control_config(data: &Path, raw: &Raw) -> Result<Config, String> {
    let limits =
        if raw.sms.is_development() { Limits::for_development() } else { Limits::default() };
    let abnormal = raw.abnormal.policy()?;
    let view = raw.viewing.window().map_err(|error| error.to_string())?;
    Ok(Config {
        data_dir: data.to_owned(),
        master_key: Some(data.join("keys/master.key")),
        server_name: raw.server.name.clone(),
        page_host: raw.server.name.clone(),
        limits: Limits { sms: raw.sms.policy(), abnormal, view, ..limits },
        passwords: raw.passwords.to_config(),
    })
}

/// What clients may know of this server.
pub(crate) fn server_facts(
    raw: &Raw,
    pki: &Pki,
    doors: DoorAddresses,
    relay: BoundAddresses,
    leaves: Arc<Mutex<WebTransportLeaves>>,
) -> ServerFacts {
    ServerFacts {
        server_name: raw.server.name.clone(),
        ca_sha256: pki.ca_sha256.clone(),
        webtransport_hashes: Hashes::new(move || {
            let leaves = leaves.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            leaves.hashes().into()
        }),
        ports: Ports {
            http: doors.http.port(),
            https: doors.https.port(),
            roq: relay.roq.port(),
            relay_threads: u16::try_from(raw.media.worker_count()).unwrap_or(u16::MAX),
            webrtc: relay.webrtc.port(),
            rtsp: relay.rtsp.port(),
            rtsps: relay.rtsps.port(),
        },
        development: raw.sms.is_development(),
    }
}

/// Signaling's view of the facts.
pub(crate) struct ControlDirectory {
    pub(crate) control: ControlPlane,
}

#[async_trait]
impl Directory for ControlDirectory {
    async fn admit(
        &self,
        caller: &Caller,
        serial: &str,
        channel: u16,
        action: Action,
    ) -> Result<Admission, GateRefusal> {
        let admitted = self
            .control
            .admit_session(&caller.access_token, caller.terminal, serial, channel, action)
            .await
            .map_err(gate_refusal)?;
        Ok(Admission {
            subject: admitted.subject,
            session: admitted.session,
            role: admitted.role,
            epochs: admitted.epochs,
            consent_seq: admitted.consent_seq,
        })
    }

    async fn may_see(
        &self,
        caller: &Caller,
        serial: &str,
        channel: u16,
    ) -> Result<(), GateRefusal> {
        let (token, terminal) = (&caller.access_token, caller.terminal);
        let seen = self.control.may_see(token, terminal, serial, channel).await;
        seen.map_err(gate_refusal)
    }

    async fn publisher_by_token(&self, token: &Redacted<String>) -> Option<PublisherFacts> {
        known(self.control.publisher_by_token(token).await).map(publisher_facts)
    }

    async fn publisher_by_key(&self, key: Thumbprint) -> Option<PublisherFacts> {
        known(self.control.publisher_by_identity(key).await).map(publisher_facts)
    }

    async fn ready(&self) -> bool {
        self.control.ready().await
    }
}

fn gate_refusal(refusal: Refusal) -> GateRefusal {
    match refusal {
        Refusal::LoginRequired => GateRefusal::LoginRequired,
        Refusal::WrongTerminal => GateRefusal::WrongTerminal,
        Refusal::PolicyRequired => GateRefusal::PolicyRequired,
        Refusal::NotBound => GateRefusal::NotBound,
        Refusal::ShareClosed => GateRefusal::ShareClosed,
        Refusal::ScopeRequired => GateRefusal::ScopeRequired,
        Refusal::KeyProofRequired => GateRefusal::KeyProofRequired,
        Refusal::SmsRequired => GateRefusal::SmsRequired,
        Refusal::ConsentRequired => GateRefusal::ConsentRequired,
        Refusal::Unavailable(error) => {
            tracing::error!(%error, "the gate cannot read its facts");
            GateRefusal::Unavailable
        }
    }
}

/// A device that cannot be looked up is not known: the door stays shut.
fn known<T, E: std::fmt::Display>(found: Result<Option<T>, E>) -> Option<T> {
    found.unwrap_or_else(|error| {
        tracing::error!(%error, "a publisher cannot be looked up");
        None
    })
}

fn publisher_facts(device: PublishingDevice) -> PublisherFacts {
    PublisherFacts { serial: device.serial, sealed: device.sealed, channels: device.channels }
}

/// The relay's view of the facts.
pub(crate) struct ControlAuthority {
    pub(crate) control: ControlPlane,
}

#[async_trait]
impl Authority for ControlAuthority {
    async fn renew(&self, leases: Vec<LeaseTerms>) -> Result<Vec<LeaseVerdict>, AuthoritySilent> {
        let facts: Vec<_> = leases
            .into_iter()
            .map(|terms| LeaseFacts {
                subject: terms.subject,
                session: terms.session,
                serial: terms.serial,
                epochs: terms.epochs,
            })
            .collect();
        let live = self.control.renew(&facts).await.map_err(|error| {
            tracing::warn!(%error, "leases cannot be renewed");
            AuthoritySilent
        })?;
        let verdict = |live| if live { LeaseVerdict::Renewed } else { LeaseVerdict::Ended };
        Ok(live.into_iter().map(verdict).collect())
    }

    async fn rtsp_publisher(&self, user: String) -> Option<RtspPublisher> {
        let found = known(self.control.rtsp_publisher(&user).await)?;
        let device = DeviceId::new(&found.device.serial).ok()?;
        Some(RtspPublisher {
            publisher: Publisher {
                key: StreamKey::up(device, Channel(0)),
                sealed: found.device.sealed,
            },
            ha1_md5: found.ha1_md5,
            ha1_sha256: found.ha1_sha256,
        })
    }
}

/// The demo camera as the server knows it.
pub(crate) struct DemoDevice {
    /// Its serial.
    pub(crate) serial: String,
    /// Whether it was added to seal.
    pub(crate) sealed: bool,
}

/// Registers the demo camera on the first start.
pub(crate) async fn ensure_demo_device(
    control: &ControlPlane,
    raw: &Raw,
    data: &Path,
    folder: &Path,
) -> Result<DemoDevice, String> {
    let text = |error: &dyn std::fmt::Display| format!("cannot prepare the demo camera: {error}");
    make_private_dir(folder).map_err(|error| text(&error))?;
    let path = folder.join(IDENTITY_FILE);
    let identity =
        Identity::load_or_create(&path, Identity::generate_device).map_err(|error| text(&error))?;
    let thumbprint = identity.thumbprint();
    // One demo camera per installation: its serial says which.
    let serial = format!("DEMO-{}", hex(&thumbprint.0[..3]).to_uppercase());
    let new = NewDevice {
        serial: serial.clone(),
        name: "Demo camera".into(),
        model: "Sightline test card".into(),
        identity: Some(thumbprint),
        seals: raw.demo.mode == DemoMode::Sealed,
        channels: 1,
    };
    match control.add_device(&new).await {
        Ok(texts) => {
            let bind = format!("SL1:{serial}:{}\n", texts.verification_code.expose());
            write_private(&data.join(BIND_FILE), bind.as_bytes()).map_err(|error| text(&error))?;
        }
        Err(AdminError::Exists) => {}
        Err(error) => return Err(text(&error)),
    }
    let device = control.publisher_by_identity(thumbprint).await.map_err(|error| text(&error))?;
    let sealed = device.is_some_and(|device| device.sealed);
    Ok(DemoDevice { serial, sealed })
}
