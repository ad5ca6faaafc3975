//! What a former owner ever received is worth nothing: he unbinds a camera, somebody else binds it,
//! and he plays everything again, every request that once succeeded and every text that an answer
//! ever held, in every place that the description of the API has for it.

#[path = "ex_owner/kept.rs"]
mod kept;
mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use sightline_client::DeviceSecret;
use sightline_client::keys::{Binding, SealingOrder, ViewerList};
use sightline_client::rtsp::{Lower, Rtsp};
use sightline_client::whep::WhepOffer;
use sightline_grant::requirement;
use sightline_relay_proto::ids::DeviceId;
use tokio::net::TcpStream;

use self::kept::{Keeper, Shown};
use self::support::gate::Handle;
use self::support::network;
use self::support::process::wait_for;
use self::support::publishers::Publisher;
use self::support::server::{Device, RTSP, Server};
use self::support::terminal::{Terminal, Token};

/// Operations on a device that the former owner does not play through, each with the reason.
const NOT_PLAYED: [(&str, &str, &str); 2] = [
    ("delete", "/v1/bindings/{serial}", "it is how he stops being the owner"),
    (
        "post",
        "/v1/devices/{serial}/wraps",
        "needs a generation of the camera; KEYS.md, mailbox tests",
    ),
];
/// Operations that anybody with a login may ask for about any serial, and what that is worth.
const OPEN_TO_ALL: [(&str, &str); 1] = [(
    "/v1/devices/{serial}/key-challenge",
    "told for any serial; worth nothing without a binding",
)];

/// Everything that an owner can do with a camera that he owns.
async fn live_as_owner(keeper: &mut Keeper, server: &Server, device: &mut Device) {
    let serial = device.serial.clone();
    let path = |rest: &str| format!("/v1/devices/{serial}{rest}");
    for purpose in ["device.location", "device.hardware", "device.provision", "device.bind"] {
        let consent = json!({ "purpose": purpose, "version": 1, "decision": "granted" });
        keeper.ask("POST", "/v1/consents", Shown::Login, Some(consent)).await;
    }
    let bind = json!({ "serial": serial, "code": device.code });
    keeper.ask("POST", "/v1/bindings", Shown::Login, Some(bind)).await;
    device.password = keeper.terminal.agent_secret(device).await;
    keeper.prove(device).await;
    keeper.step_up(server, &serial).await;
    for channel in ["", "/0"] {
        keeper.ask("GET", &format!("/v1/live/{serial}{channel}"), Shown::Login, None).await;
    }
    let names = json!({ "name": "My gate", "channel_names": { "0": "Front" } });
    keeper.ask("PATCH", &path(""), Shown::Login, Some(names)).await;
    let detail = keeper.ask("GET", &path(""), Shown::Login, None).await;
    let place = json!({ "city": "Munich", "latitude": 48.137, "longitude": 11.575 });
    keeper.ask("PUT", &path("/location"), Shown::Login, Some(place)).await;
    keeper.ask("GET", &path("/location"), Shown::Login, None).await;
    keeper.ask("DELETE", &path("/location"), Shown::Login, None).await;
    let network = json!({ "ssid": "Home of Anna", "access_mode": "wifi" });
    let sealed = json!({ "serial": serial, "network": network, "sealed": "AAAA" });
    keeper.ask("POST", "/v1/provisionings", Shown::Login, Some(sealed)).await;
    if device.sealed {
        documents(keeper, device, detail["binding_epoch"].as_u64().expect("an epoch")).await;
    }
    keeper.ask("POST", &path("/codes"), Shown::Login, None).await;
    keeper.ask("DELETE", &path("/codes"), Shown::Login, None).await;
    keeper.ask("POST", &path("/codes"), Shown::Login, None).await;
    let share = json!({ "scopes": ["view"], "label": "Guest", "attestation": 1 });
    let invited = keeper.ask("POST", &path("/shares"), Shown::Login, Some(share.clone())).await;
    let of_share = path(&format!("/shares/{}", invited["id"].as_str().expect("an id")));
    keeper.ask("GET", &path("/shares"), Shown::Login, None).await;
    let label = json!({ "label": "Neighbour" });
    keeper.ask("PATCH", &of_share, Shown::Login, Some(label)).await;
    keeper.ask("DELETE", &of_share, Shown::Login, None).await;
    keeper.ask("POST", &path("/shares"), Shown::Login, Some(share)).await;
    let token = json!({ "serial": serial });
    keeper.ask("POST", "/v1/bind-tokens", Shown::Login, Some(token)).await;
    keeper.ask("POST", &format!("/v1/lan-grants/{serial}/0"), Shown::Login, None).await;
}

/// What the owner of a sealed camera signs.
async fn documents(keeper: &mut Keeper, device: &Device, epoch: u64) {
    let secret = DeviceSecret::parse(&device.password).expect("the agent's secret");
    let auth = secret.auth_key().expect("derived");
    let serial = DeviceId::new(&device.serial).expect("a serial");
    let binding = Binding { serial, epoch };
    let path = |rest: &str| format!("/v1/devices/{}{rest}", device.serial);
    let list = ViewerList::new(binding.clone(), 1, Vec::new()).expect("a list").sign(&auth);
    let put = json!({ "list": B64.encode(list.bytes()) });
    keeper.ask("PUT", &path("/viewer-list"), Shown::Login, Some(put)).await;
    keeper.ask("GET", &path("/viewer-list"), Shown::Login, None).await;
    let order = SealingOrder { binding, sequence: 1, sealed: true }.sign(&auth);
    let put = json!({ "mode": "sealed", "order": B64.encode(order) });
    keeper.ask("PUT", &path("/enc-mode"), Shown::Login, Some(put)).await;
    keeper.ask("GET", &path("/enc-mode"), Shown::Login, None).await;
    let archive = secret.archive_key().expect("derived").public().0;
    let wanted = json!({ "channel": 0, "recipient": B64.encode(archive), "after": 0, "limit": 8 });
    keeper.ask("POST", &path("/generations"), Shown::Login, Some(wanted)).await;
}

/// Grants and all that they are traded for.
async fn watch(keeper: &mut Keeper, device: &Device) -> Option<Handle> {
    let serial = &device.serial;
    keeper.terminal.wait_until_live(serial).await;
    let mut ways = vec!["roq-sessions", "webtransport-sessions", "websocket-sessions"];
    if !device.sealed {
        ways.push("rtsp-handles");
    }
    let mut handle = None;
    for way in ways {
        let grant = keeper.grant(serial).await;
        let path = format!("/v1/{way}/{serial}/0");
        let traded = keeper.ask("POST", &path, Shown::Grant(grant), None).await;
        if let (Some(user), Some(password)) = (traded["user"].as_str(), traded["password"].as_str())
        {
            let path = traded["path"].as_str().expect("a path").to_owned();
            handle = Some(Handle { user: user.into(), password: password.into(), path });
        }
    }
    if !device.sealed {
        let grant = keeper.grant(serial).await;
        let offer = WhepOffer::new("127.0.0.1:0".parse().expect("an address")).await;
        let sdp = offer.expect("an offer").sdp().expect("an offer");
        keeper.offer(&format!("/v1/whep/{serial}/0"), &grant, &sdp).await;
    }
    // One more, unused.
    keeper.grant(serial).await;
    handle
}

async fn plays(handle: &Handle) -> bool {
    let at = format!("127.0.0.1:{RTSP}").parse().expect("an address");
    let Ok(stream) = TcpStream::connect(at).await else { return false };
    let login = Some((handle.user.clone(), handle.password.clone()));
    matches!(Rtsp::new(stream, at, &handle.path, login).play(Lower::Interleaved).await, Ok(Ok(())))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_former_owner_ever_received_is_taken_once_somebody_else_owns_the_camera() {
    const NAME: &str =
        "nothing_that_a_former_owner_ever_received_is_taken_once_somebody_else_owns_the_camera";
    if !network::inside(NAME) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start();
    let mut anna = Terminal::new("+4915110000051");
    anna.sign_in(&server).await;
    anna.consent_to_viewing().await.ok();
    let mut keeper = Keeper::new(anna).await;
    let mut ben = Terminal::new("+4915110000052");
    ben.sign_in(&server).await;
    ben.consent_to_viewing().await.ok();

    let mut devices = [server.add_sealed_agent(), server.add_agent()];
    let kinds = [Publisher::AgentSealed, Publisher::Agent];
    let _cameras: Vec<_> = std::iter::zip(kinds, &devices)
        .map(|(kind, device)| kind.start(device, folder.path()))
        .collect();
    let mut handles = Vec::new();
    for device in &mut devices {
        live_as_owner(&mut keeper, &server, device).await;
        handles.extend(watch(&mut keeper, device).await);
    }
    for device in &mut devices {
        let unused = keeper.grant(&device.serial).await;
        let secret = device.agent.as_deref().expect("an agent").join("secret.txt");
        let former = std::fs::read_to_string(&secret).expect("the former secret");
        keeper.terminal.unbind(&device.serial).await.ok();
        ben.bind(device).await.ok();
        wait_for("the new owner's secret", std::time::Duration::from_secs(20), || {
            let now = std::fs::read_to_string(&secret).unwrap_or_default();
            (now != former && now.lines().count() >= 2).then_some(())
        });
        device.password = ben.agent_secret(device).await;
        ben.prove_key(device).await.ok();
        ben.step_up(&server, &device.serial).await.ok();
        ben.wait_until_live(&device.serial).await;
        ben.ask_grant(&device.serial).await.ok();
        let grant = Shown::Grant(unused);
        let path = format!("/v1/roq-sessions/{}/0", device.serial);
        let refused = keeper.patiently("POST", &path, &grant, None).await.problem();
        // Refused for what it is, not for being late.
        assert_eq!(refused, (401, "grant-invalid".into()));
    }

    keeper.terminal.refresh().await.ok();
    let serials: Vec<&str> = devices.iter().map(|device| device.serial.as_str()).collect();
    keeper.check_that_all_were_played(&NOT_PLAYED);
    let replayed = keeper.replay(&serials, &OPEN_TO_ALL).await;
    let tried = keeper.try_everything_everywhere(&serials).await;
    assert!(replayed > 40 && tried > 300, "only {replayed} requests and {tried} texts");
    for handle in &handles {
        assert!(!plays(handle).await, "an RTSP login of the former owner");
    }
    let mine = keeper.terminal.send("GET", "/v1/devices", Token::Login, None).await.ok();
    assert_eq!(mine["items"], json!([]));
    let log = server.log();
    for private in ["48.137", "11.575", "Home of Anna", "Munich"] {
        assert!(!log.contains(private), "{private} in the log");
    }
    println!("{replayed} requests and {tried} texts of the former owner were refused");
    requirement!("B3", "B4", "B10");
}
