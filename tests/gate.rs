//! The gate: whatever is missing, its own problem says so, and not one media packet leaves on any
//! egress.

#[path = "gate/attempt.rs"]
mod attempt;
mod native;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use sightline_client::DeviceSecret;
use sightline_client::api::{Api, OtpRequest};
use sightline_grant::{Action, Epochs, Grant, GrantId, GrantSigner, Redacted, Role};

use self::attempt::{Attempt, Outcome, play, roq_packets};
use self::native::Egress;
use self::native::camera::Camera;
use self::native::server::Server;
use self::native::terminal::{Terminal, patiently};
use self::native::watching::{Watching, wait_until_live};

/// A grant lives 30 s, and is good in its last second.
const GRANT_LIFE: Duration = Duration::from_millis(31_500);
/// Wrong device keys after which not even the right one is looked at for a while.
const KEY_TRIES: usize = 5;
/// Packets of a viewer that passed the gate.
const SOME: u64 = 25;

/// What was seen, for the table.
#[derive(Default)]
struct Table(Vec<(String, BTreeMap<Egress, String>)>);

impl Table {
    fn note(&mut self, row: &str, egress: Egress, outcome: &Outcome) {
        let cell = format!("{} {} / {} packets", outcome.status, outcome.problem, outcome.packets);
        if self.0.last().is_none_or(|(last, _)| last != row) {
            self.0.push((row.to_owned(), BTreeMap::new()));
        }
        self.0.last_mut().expect("pushed").1.insert(egress, cell);
    }

    fn print(&self) {
        let columns = Egress::ALL.map(|egress| format!("{:<36}", egress.name()));
        println!("{:<40} {}", "", columns.join(" "));
        for (row, cells) in &self.0 {
            let cell = |egress| cells.get(&egress).map_or("-", String::as_str);
            let cells = Egress::ALL.map(|egress| format!("{:<36}", cell(egress)));
            println!("{row:<40} {}", cells.join(" "));
        }
    }
}

struct World {
    server: Arc<Server>,
    table: Table,
}

impl World {
    /// Presents one grant to every egress at once: each says no in the same words, and is silent.
    async fn refuses_everywhere(
        &mut self,
        row: &str,
        api: &Api,
        grants: [&Redacted<String>; Egress::ALL.len()],
        serial: &str,
        expected: (u16, &str),
    ) {
        let server = &self.server;
        let attempts = Egress::ALL.into_iter().zip(grants).map(|(egress, grant)| async move {
            (egress, Attempt { server, api, grant, serial }.on(egress).await)
        });
        for (egress, outcome) in join_all(attempts).await {
            self.table.note(row, egress, &outcome);
            let (status, problem) = expected;
            let wanted = Outcome { status, problem: problem.into(), packets: 0 };
            assert_eq!(outcome, wanted, "{row}, {}", egress.name());
        }
    }
}

/// A grant with every claim right, signed by somebody else.
fn forged(terminal: &Terminal, serial: &str) -> Redacted<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let grant = Grant {
        id: GrantId(1),
        subject: "subject".into(),
        session: "session".into(),
        terminal: terminal.api.identity().thumbprint(),
        serial: serial.to_owned(),
        channel: 0,
        actions: vec![Action::Live],
        role: Role::Owner,
        epochs: Epochs { binding: 1, key: 1, ..Epochs::default() },
        consent_seq: 1,
        issued_at: now,
        expires_at: now + 30,
    };
    let signer = GrantSigner::from_seed(&[9; 32]).expect("a seed has 32 bytes");
    Redacted::new(signer.sign(&grant))
}

async fn grants_for_all(
    terminal: &Terminal,
    serial: &str,
) -> [Redacted<String>; Egress::ALL.len()] {
    let mut grants = Vec::new();
    for _ in Egress::ALL {
        grants.push(terminal.ask_grant(serial).await.expect("the gate is passed"));
    }
    grants.try_into().expect("one for each")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_missing_no_egress_lets_a_packet_out() {
    let server = Arc::new(Server::start().await);
    let (camera, other_camera) =
        (Camera::start(&server, "GATE-1").await, Camera::start(&server, "GATE-2").await);
    let terminal = Terminal::new(&server, "+4915112340001", "viewer");
    let mut world = World { server: server.clone(), table: Table::default() };

    conditions(&mut world, &terminal, &camera).await;
    wait_until_live(&terminal, &camera).await;
    wait_until_live(&terminal, &other_camera).await;
    let to_expire = grants_for_all(&terminal, &camera.serial).await;
    let late_handle = handle(&terminal, &camera).await;
    let fetched = Instant::now();

    replayed(&mut world, &terminal, &camera).await;
    reused_handle(&mut world, &terminal, &camera, &other_camera).await;
    let grants = grants_for_all(&terminal, &camera.serial).await;
    let serial = &other_camera.serial;
    let (api, expected) = (&terminal.api, (403, "grant-other-device"));
    world.refuses_everywhere("another device's", api, grants.each_ref(), serial, expected).await;
    other_terminals(&mut world, &terminal, &camera).await;
    withdrawn(&mut world, &terminal, &camera).await;

    tokio::time::sleep(GRANT_LIFE.saturating_sub(fetched.elapsed())).await;
    let (serial, expected) = (&camera.serial, (401, "grant-expired"));
    world.refuses_everywhere("expired grant", api, to_expire.each_ref(), serial, expected).await;
    for egress in [Egress::RtspTcp, Egress::RtspUdp, Egress::Rtsps] {
        let (path, login) = late_handle.clone();
        let outcome = play(&server, egress, &path, Some(login)).await;
        assert_eq!((outcome.status, outcome.packets), (401, 0), "an expired handle");
    }

    codes_open_what_they_are_for(&terminal, &camera).await;
    wrong_keys_lock(&terminal, &other_camera).await;

    // The silence above means something only if the same ways carry media once all is in place.
    for egress in Egress::ALL {
        Watching::start(egress, &terminal, &camera, None).await.flows(SOME).await;
    }
    world.table.print();
    sightline_grant::requirement!("M1", "M2", "M3", "A23");
}

/// The five conditions, each missing while those before it are there.
async fn conditions(world: &mut World, terminal: &Terminal, camera: &Camera) {
    let serial = &camera.serial;
    for (row, status, problem) in [
        ("no login", 401, "login-required"),
        ("no binding", 404, "device-not-bound"),
        ("no key proof", 403, "device-key-required"),
        ("no SMS window", 403, "sms-required"),
        ("no consent", 403, "consent-required"),
    ] {
        let refusal = terminal.ask_grant(serial).await.expect_err(row);
        assert_eq!(refusal.problem(), Some(problem), "{row}");
        let sightline_client::api::ApiError::Problem(document) = &refusal else { panic!("{row}") };
        assert_eq!(document.status, status, "{row}");
        let row = &format!("{row} (gate: {status} {problem})");
        let forged = forged(terminal, serial);
        let expected = (401, "grant-invalid");
        world
            .refuses_everywhere(row, &terminal.api, [&forged; Egress::ALL.len()], serial, expected)
            .await;
        match problem {
            "login-required" => terminal.sign_in().await,
            "device-not-bound" => terminal.bind(camera).await,
            "device-key-required" => terminal.prove_key(camera).await,
            "sms-required" => terminal.step_up(camera).await,
            _ => terminal.consent().await,
        }
    }
}

async fn replayed(world: &mut World, terminal: &Terminal, camera: &Camera) {
    let grants = grants_for_all(terminal, &camera.serial).await;
    let (server, api, serial) = (&world.server, &terminal.api, &camera.serial);
    let first = Egress::ALL.into_iter().zip(&grants).map(|(egress, grant)| async move {
        let used = Attempt { server, api, grant, serial }.on(egress).await;
        assert_eq!(used.problem, "admitted", "{}", egress.name());
        assert!(egress == Egress::Whep || used.packets > 0, "{}", egress.name());
    });
    join_all(first).await;
    let expected = (401, "grant-replayed");
    world.refuses_everywhere("replayed grant", api, grants.each_ref(), serial, expected).await;
}

/// Path and login of a fresh handle.
async fn handle(terminal: &Terminal, camera: &Camera) -> (String, (String, String)) {
    let grant = terminal.ask_grant(&camera.serial).await.expect("the gate is passed");
    let handle = patiently(|| terminal.api.rtsp_handle(&grant, &camera.serial, 0)).await;
    let handle = handle.expect("a handle for a grant");
    (handle.path, (handle.user, handle.password.into_inner()))
}

/// A handle opens one stream of one camera on one connection.
async fn reused_handle(world: &mut World, terminal: &Terminal, camera: &Camera, other: &Camera) {
    let server = &world.server;
    for egress in [Egress::RtspTcp, Egress::RtspUdp, Egress::Rtsps] {
        let (path, login) = handle(terminal, camera).await;
        let elsewhere = format!("/{}/0", other.serial);
        let first = play(server, egress, &path, Some(login.clone())).await;
        assert!(first.status == 0 && first.packets > 0, "{first:?}");
        let again = play(server, egress, &path, Some(login)).await;
        assert_eq!((again.status, again.packets), (401, 0), "a used handle");
        world.table.note("handle reused", egress, &again);
        let (_, login) = handle(terminal, camera).await;
        let astray = play(server, egress, &elsewhere, Some(login)).await;
        assert_eq!((astray.status, astray.packets), (401, 0), "a handle of another camera");
    }
}

/// A grant, and a session made with it, in the hands of another terminal.
async fn other_terminals(world: &mut World, terminal: &Terminal, camera: &Camera) {
    let stranger = Terminal::new(&world.server, "+4915112340002", "stranger");
    stranger.sign_in().await;
    let grants = grants_for_all(terminal, &camera.serial).await;
    let (serial, expected) = (&camera.serial, (403, "grant-other-terminal"));
    let row = "another terminal's";
    world.refuses_everywhere(row, &stranger.api, grants.each_ref(), serial, expected).await;
    let session = patiently(|| terminal.api.roq_session(&grants[0], serial, 0)).await;
    let session = session.expect("a stranger cannot burn the grant");
    assert_eq!(roq_packets(&world.server, &stranger.api, session.clone()).await, 0);
    assert!(roq_packets(&world.server, &terminal.api, session).await > 0, "nor the session");
}

/// Grants and handles of before a consent was withdrawn are worth nothing after it.
async fn withdrawn(world: &mut World, terminal: &Terminal, camera: &Camera) {
    let grants = grants_for_all(terminal, &camera.serial).await;
    let (path, login) = handle(terminal, camera).await;
    let access = terminal.access();
    terminal.api.withdraw_consent(&access, "media.view").await.expect("withdrawn");
    let refusal = terminal.ask_grant(&camera.serial).await.expect_err("no consent");
    assert_eq!(refusal.problem(), Some("consent-required"));
    for (egress, grant) in Egress::ALL.into_iter().zip(&grants) {
        let (server, api, serial) = (&*world.server, &terminal.api, &camera.serial[..]);
        let outcome = Attempt { server, api, grant, serial }.on(egress).await;
        world.table.note("consent withdrawn", egress, &outcome);
        let name = egress.name();
        assert!(outcome.status >= 400 && outcome.packets == 0, "{name}: {outcome:?}");
    }
    let outcome = play(&world.server, Egress::RtspTcp, &path, Some(login)).await;
    assert!(outcome.status >= 400 && outcome.packets == 0, "an old handle: {outcome:?}");
    terminal.consent().await;
}

/// A code opens the window of its purpose, terminal and camera, once.
async fn codes_open_what_they_are_for(terminal: &Terminal, camera: &Camera) {
    let stranger = Terminal::new(&terminal.server, &terminal.phone, "second terminal");
    stranger.sign_in().await;
    let (api, access) = (&terminal.api, terminal.access());
    let login = OtpRequest::Login { target: Redacted::new(terminal.phone.clone()) };
    let (challenge, code) = terminal.code(&login, None).await;
    let code = Redacted::new(code);
    let refused = api.step_up(&access, &challenge.challenge_id, &code).await;
    assert_eq!(refused.expect_err("a login code").problem(), Some("code-invalid"));

    let view = OtpRequest::View { serial: camera.serial.clone() };
    let (challenge, code) = terminal.code(&view, Some(&access)).await;
    let code = Redacted::new(code);
    let elsewhere = stranger.api.step_up(&stranger.access(), &challenge.challenge_id, &code).await;
    assert_eq!(elsewhere.expect_err("another terminal").problem(), Some("code-invalid"));
    let opened = api.step_up(&access, &challenge.challenge_id, &code).await;
    assert_eq!(opened.expect("the right terminal").serial, camera.serial);
    let again = api.step_up(&access, &challenge.challenge_id, &code).await;
    assert_eq!(again.expect_err("a used code").problem(), Some("code-invalid"));
}

/// Wrong keys are counted, and then the right one waits as well.
async fn wrong_keys_lock(terminal: &Terminal, camera: &Camera) {
    for _ in 0..KEY_TRIES {
        let wrong = DeviceSecret::generate().expect("randomness");
        let refused = terminal.prove_key_with(camera, &wrong).await.expect_err("a wrong key");
        assert_eq!(refused.problem(), Some("device-key-invalid"));
    }
    let locked = terminal.prove_key_with(camera, &camera.secret()).await.expect_err("a lock");
    assert_eq!(locked.problem(), Some("rate-limited"));
}
