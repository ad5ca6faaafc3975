//! A camera with its owner, whose permission is taken back again and again.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use sightline_client::api::ShareTerms;

use crate::native::Egress;
use crate::native::camera::Camera;
use crate::native::server::Server;
use crate::native::terminal::{Terminal, patiently};
use crate::native::watching::{Stalled, Watching, wait_until_live};

/// Packets that a viewer has before the permission is taken back.
const WARM: u64 = 10;
/// A stream that was silent for this long has ended: the camera sends every 40 ms.
const QUIET: Duration = Duration::from_millis(400);
/// Longest time that the end is waited for.
const PATIENCE: Duration = Duration::from_secs(8);
/// A zero-window probe of the server may carry some bytes into a full buffer.
const PROBES: usize = 64;

/// What guests may do.
const SCOPES: [&str; 2] = ["view", "talk"];
/// What is left of a share that runs out.
const LEFT: Duration = Duration::from_secs(2);

/// What takes the permission back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Unbind,
    SignOutElsewhere,
    ConsentWithdrawn,
    KeyRotated,
    ShareEnded,
    ShareNarrowed,
    ShareOver,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Unbind,
        Self::SignOutElsewhere,
        Self::ConsentWithdrawn,
        Self::KeyRotated,
        Self::ShareEnded,
        Self::ShareNarrowed,
        Self::ShareOver,
    ];

    /// Whether the viewer is a guest, of the owner at another terminal.
    fn is_of_guests(self) -> bool {
        matches!(self, Self::ShareEnded | Self::ShareNarrowed | Self::ShareOver)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unbind => "unbind",
            Self::SignOutElsewhere => "sign-out elsewhere",
            Self::ConsentWithdrawn => "consent withdrawn",
            Self::KeyRotated => "key rotated",
            Self::ShareEnded => "share ended",
            Self::ShareNarrowed => "share narrowed",
            Self::ShareOver => "share over",
        }
    }

    /// A camera may be bound 5 times an hour, invitations be tried 20 times in ten minutes; a phone
    /// gets 120 messages an hour.
    pub(crate) fn rounds_per_stage(self) -> usize {
        match self {
            Self::Unbind => 4,
            Self::ShareEnded | Self::ShareOver => 8,
            _ => 20,
        }
    }
}

/// How long one stream went on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) egress: Egress,
    /// From the request that takes back to the last packet that the viewer got.
    pub(crate) to_last_packet: Duration,
}

pub(crate) struct Stage {
    kind: Kind,
    camera: Arc<Camera>,
    viewer: Arc<Terminal>,
    /// Another terminal: of the same account, which signs the viewer out, or of the owner of whom the
    /// viewer is a guest.
    elsewhere: Option<Arc<Terminal>>,
}

impl Stage {
    pub(crate) async fn new(server: &Arc<Server>, kind: Kind, number: usize) -> Self {
        let serial = format!("REVOKE-{}-{number}", kind as usize);
        let phone = format!("+49151{}{number:06}", 20 + kind as usize);
        let camera = Camera::start(server, &serial).await;
        let viewer = Terminal::new(server, &phone, "viewer");
        let elsewhere = match kind {
            Kind::SignOutElsewhere => {
                let terminal = Terminal::new(server, &phone, "elsewhere");
                terminal.sign_in().await;
                Some(terminal)
            }
            _ if kind.is_of_guests() => {
                let phone = format!("+49152{}{number:06}", 20 + kind as usize);
                Some(Terminal::new(server, &phone, "owner"))
            }
            _ => None,
        };
        if let Some(owner) = elsewhere.as_ref().filter(|_| kind.is_of_guests()) {
            owner.pass(&camera).await;
            viewer.be_guest_of(owner, &SCOPES);
        }
        viewer.pass(&camera).await;
        wait_until_live(&viewer, &camera).await;
        Self { kind, camera, viewer, elsewhere }
    }

    /// Watches on every egress and stalls one reader, takes back, and looks when it ends.
    pub(crate) async fn round(&self, what: &str) -> Vec<Sample> {
        let (viewer, camera) = (&*self.viewer, &*self.camera);
        // One by one, as every missing step of the gate may be done once only.
        viewer.pass(camera).await;
        let start = |egress| Watching::start(egress, viewer, camera, None);
        let all = [
            Egress::Whep,
            Egress::RtspTcp,
            Egress::RtspUdp,
            Egress::Roq,
            Egress::WebTransport,
            Egress::WebSocket,
        ]
        .map(start);
        let (watching, stalled) = tokio::join!(join_all(all), Stalled::start(viewer, camera));
        join_all(watching.iter().map(|one| one.flows(WARM))).await;
        let held = stalled.held().await;

        let acted = self.take_back().await;
        let answered = acted.elapsed();
        tokio::time::sleep(QUIET).await;
        let last = |one: &Watching| one.seen().last.expect("it has begun");
        // The goodbye of a lossy transport may be lost, and is said again when the viewer asks.
        let over = |one: &Watching| last(one).elapsed() >= QUIET && one.seen().ended.is_some();
        while !watching.iter().all(over) && acted.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for one in &watching {
            let seen = one.seen();
            let name = one.egress.name();
            assert!(seen.ended.is_some(), "{what}, {name}: not told: {seen:?}, {answered:?}");
            if one.egress == Egress::WebSocket {
                let told = seen.ended.as_deref();
                assert_eq!(told, Some("4001 the permission to watch has ended"), "{what}");
            }
        }
        self.check_stalled(what, stalled, held).await;
        let sample = |one: &Watching| Sample {
            kind: self.kind,
            egress: one.egress,
            to_last_packet: last(one).saturating_duration_since(acted),
        };
        watching.iter().map(sample).collect()
    }

    /// The stalled reader gets a reset, and before it what its own kernel held.
    async fn check_stalled(&self, what: &str, stalled: Stalled, held: usize) {
        let read = tokio::time::timeout(PATIENCE, stalled.read_on()).await;
        let (read, end) = read.unwrap_or_else(|_| panic!("{what}: the stalled reader goes on"));
        let end = end.expect_err("a reset, no end in good order").kind();
        assert_eq!(end, ErrorKind::ConnectionReset, "{what}");
        assert!(read <= held + PROBES, "{what}: {read} bytes came, {held} were there");
    }

    /// Takes the permission back; when that was to take effect.
    async fn take_back(&self) -> Instant {
        let acted = Instant::now();
        let (api, access) = (&self.viewer.api, self.viewer.access());
        match self.kind {
            Kind::Unbind => api.unbind(&access, &self.camera.serial).await.expect("unbound"),
            Kind::ConsentWithdrawn => {
                api.withdraw_consent(&access, "media.view").await.expect("withdrawn");
            }
            Kind::KeyRotated => self.camera.renew_secret().await,
            Kind::SignOutElsewhere => self.sign_viewer_out().await,
            Kind::ShareEnded | Kind::ShareNarrowed => self.take_from_guest().await,
            Kind::ShareOver => return self.let_share_run_out().await,
        }
        acted
    }

    /// The owner gives the share an end, which comes; when it came.
    async fn let_share_run_out(&self) -> Instant {
        let owner = self.elsewhere.as_ref().expect("made for this kind");
        let (access, serial) = (owner.access(), &self.camera.serial);
        let shares = owner.api.shares_of(&access, serial).await.expect("the owner's").items;
        let share = shares.iter().find(|share| share.state == "accepted").expect("a guest");
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let end = clock() + LEFT;
        let terms = ShareTerms { ends_at: Some(end.as_secs()), ..share.terms.clone() };
        owner.api.change_share(&access, serial, &share.id, &terms).await.expect("changed");
        let left = Duration::from_secs(end.as_secs()).saturating_sub(clock());
        tokio::time::sleep(left).await;
        Instant::now()
    }

    /// The owner ends the share, or takes one thing away and gives it back at once.
    async fn take_from_guest(&self) {
        let owner = self.elsewhere.as_ref().expect("made for this kind");
        let (access, serial) = (owner.access(), &self.camera.serial);
        let shares = owner.api.shares_of(&access, serial).await.expect("the owner's").items;
        let share = shares.iter().find(|share| share.state == "accepted").expect("a guest");
        if self.kind == Kind::ShareEnded {
            return owner.api.revoke_share(&access, serial, &share.id).await.expect("ended");
        }
        for scopes in [&SCOPES[..1], &SCOPES] {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let terms = ShareTerms { scopes, ..ShareTerms::default() };
            owner.api.change_share(&access, serial, &share.id, &terms).await.expect("changed");
        }
    }

    async fn sign_viewer_out(&self) {
        let elsewhere = self.elsewhere.as_ref().expect("made for this kind");
        let access = elsewhere.access();
        let terminals = patiently(|| elsewhere.api.terminals(&access)).await.expect("a list");
        let viewer = terminals.iter().find(|one| one.name == "viewer" && !one.current);
        let viewer = viewer.expect("the viewer is signed in");
        elsewhere.api.sign_out_terminal(&access, &viewer.id).await.expect("signed out");
    }
}
