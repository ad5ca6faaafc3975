//! Frames that no other refers to: a viewer with too little does without them first.

use std::time::Duration;

use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::hub::{Hub, PLENTY, SHORTAGE};
use sightline_relay_proto::limits::MAX_WHOLE_LAG;

use crate::camera::{LONG_GOP, Media, SUB, VIDEO};
use crate::link::CLEAN;
use crate::viewer::Got;
use crate::world::Step::{Block, Check, Conditions, Join, Narrow, Publish, Run};
use crate::world::{World, seeds, simulate};

/// 12 of 25 pictures a second are needless: of about 185 kbit/s with sound some 70 kbit/s, and of
/// 215 kbit/s when sealed.
const HALF_NEEDLESS: Media = Media { gop: 25, needless: 1, obeys_requests: true, ..LONG_GOP };
/// The same with a lower tier, of about 60 kbit/s with sound or 90 kbit/s sealed.
const TWO_TIERS: Media = Media { sub_gop: Some(40), ..HALF_NEEDLESS };
/// Nothing is needless.
const ALL_NEEDED: Media = Media { needless: 0, ..HALF_NEEDLESS };
/// Enough for the pictures that others refer to, and not for all.
const BETWEEN: u64 = 160_000;
/// Enough for the lower tier at most.
const LITTLE: u64 = 105_000;
/// More than all, with the headroom.
const AMPLE: u64 = 330_000;
/// Time between two words of a viewer's estimator.
const FEEDBACK: Duration = Duration::from_millis(200);
/// Until a level is decided on, and its keyframe has come.
const SETTLED: Duration = Duration::from_secs(2);
/// How long what a viewer gets is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// What a viewer's pictures are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gets {
    All,
    Needed,
    LowerTier,
    Keyframes,
}

impl Gets {
    /// Pictures of ten seconds.
    fn count(self) -> usize {
        match self {
            Self::All | Self::LowerTier => 250,
            Self::Needed => 130,
            Self::Keyframes => 10,
        }
    }

    fn has(self, got: &Got) -> bool {
        match self {
            Self::All => got.source == VIDEO,
            Self::Needed => got.source == VIDEO && !got.discardable,
            Self::LowerTier => got.source == SUB,
            Self::Keyframes => got.source == VIDEO && got.keyframe,
        }
    }
}

fn start(mode: Mode, seed: u64, media: Media) -> World {
    println!("{}, seed {seed}", mode.name());
    let mut world = World::new(seed, Hub::new(seed));
    world.mode = mode;
    world.publish(media);
    world.join(&[0, 1]);
    world.join(&[0, 1]);
    world.run(Duration::from_secs(4));
    world
}

/// Time passes, and the second viewer's estimator says what its way carries.
fn limit(world: &mut World, time: Duration, budget: u64) {
    let end = world.at() + time;
    while world.at() < end {
        world.hub.set_budget(world.now(), world.viewers[1].id, Some(budget));
        world.run(FEEDBACK);
    }
}

/// Pictures that a viewer got since `from`.
fn pictures(world: &World, viewer: usize, from: Duration) -> Vec<Got> {
    world.viewers[viewer].pictures().filter(|got| got.at >= from).copied().collect()
}

/// The first viewer misses nothing, and the second only what no picture of its refers to.
fn check_decodes(world: &mut World) {
    let (quick, slow) = (&world.viewers[0], &world.viewers[1]);
    quick.check_numbering();
    quick.check_keyframes();
    slow.check_numbering();
    assert!(quick.got.iter().all(|got| got.at - got.captured <= Duration::from_millis(30)));
    let sent: Vec<_> = quick.pictures().collect();
    let mut own = slow.pictures().filter(|got| got.source == VIDEO);
    let mut last = own.next().expect("pictures came").canonical;
    for got in own {
        let between = sent.iter().filter(|one| (last + 1..got.canonical).contains(&one.canonical));
        let missed = between.filter(|one| !one.discardable).count();
        assert!(got.keyframe || missed == 0, "{missed} references are missing: {got:?}");
        last = got.canonical;
    }
}

#[test]
fn a_budget_takes_what_is_needless_first_and_nothing_else_if_that_is_enough() {
    for (text, media, budget, gets) in [
        ("more than all", HALF_NEEDLESS, AMPLE, Gets::All),
        ("enough for what is needed", HALF_NEEDLESS, BETWEEN, Gets::Needed),
        ("too little for that", HALF_NEEDLESS, LITTLE, Gets::Keyframes),
        ("the same of two tiers", TWO_TIERS, BETWEEN, Gets::Needed),
        ("too little for that of two tiers", TWO_TIERS, LITTLE, Gets::LowerTier),
        ("nothing is needless", ALL_NEEDED, BETWEEN, Gets::Keyframes),
    ] {
        for (mode, seed) in [Mode::Open, Mode::Sealed].into_iter().zip(seeds()) {
            println!("{text}");
            let mut world = start(mode, seed, media);
            limit(&mut world, SHORTAGE + SETTLED, budget);
            let settled = world.at();
            limit(&mut world, LOOK, budget);
            let got = pictures(&world, 1, settled);
            assert!(got.iter().all(|got| gets.has(got)), "{text}: {got:?}");
            assert!(got.len().abs_diff(gets.count()) <= 1, "{text}: {}", got.len());
            assert_eq!(world.hub.stats().lowered, u64::from(gets != Gets::All), "{text}");
            assert_eq!((world.hub.stats().skips, world.hub.stats().needless_left_out), (0, 0));
            check_decodes(&mut world);
        }
    }
}

#[test]
fn what_is_needless_comes_back_without_a_keyframe() {
    for seed in seeds() {
        let mut world = start(Mode::Open, seed, HALF_NEEDLESS);
        limit(&mut world, SHORTAGE + SETTLED, BETWEEN);
        let (recovers, asked) = (world.at(), world.asked.len());
        limit(&mut world, PLENTY + LOOK, AMPLE);
        let first = pictures(&world, 1, recovers).into_iter().find(|got| got.discardable);
        let waited = first.expect("they came back").at - recovers;
        assert!(waited <= PLENTY + Duration::from_millis(160), "{waited:?}");
        assert_eq!(world.asked.len(), asked);
        assert_eq!((world.hub.stats().lowered, world.hub.stats().raised), (1, 1));
        assert_eq!(pictures(&world, 1, world.at() - Duration::from_secs(2)).len(), 50);
        check_decodes(&mut world);
    }
}

#[test]
fn a_viewer_without_the_needless_gets_all_of_the_last_second_again() {
    let mut world = start(Mode::Open, 5, HALF_NEEDLESS);
    limit(&mut world, SHORTAGE + SETTLED, BETWEEN);
    let (now, id) = (world.now(), world.viewers[1].id);
    let recent = pictures(&world, 1, world.at() - Duration::from_millis(950));
    assert!((11..=13).contains(&recent.len()), "{}", recent.len());
    for got in recent {
        let again = world.hub.resend(now, id, VIDEO, got.seq).expect("sent lately");
        assert_eq!(again.timestamp, got.timestamp);
    }
}

#[test]
fn a_way_a_little_too_narrow_loses_what_is_needless_and_never_skips() {
    simulate(
        "a narrow way",
        &[
            Conditions("a good link", CLEAN),
            Publish("a camera of which half is needless", HALF_NEEDLESS),
            Join("a quick viewer"),
            Join("a viewer that tells nothing of its way"),
            Run("both watch", Duration::from_secs(3)),
            Narrow("the way carries what is needed", 1, BETWEEN),
            Run("the lag settles", Duration::from_secs(10)),
            Run("a minute passes", Duration::from_secs(60)),
            Check("nothing was skipped", |world| {
                assert_eq!(world.hub.stats().skips, 0);
                assert!(world.hub.stats().needless_left_out > 60);
            }),
            Check("all that is needed came, not much later than the bound", needed_came),
            Check("everything decodes", check_decodes),
        ],
    );
}

#[test]
fn a_way_too_narrow_where_nothing_is_needless_skips() {
    simulate(
        "a narrow way without the needless",
        &[
            Publish("a camera of which everything is needed", ALL_NEEDED),
            Join("a quick viewer"),
            Join("a viewer that tells nothing of its way"),
            Run("both watch", Duration::from_secs(3)),
            Narrow("the way carries less than all", 1, BETWEEN),
            Run("a minute passes", Duration::from_secs(60)),
            Check("it skipped", |world| {
                assert!(world.hub.stats().skips > 0);
                assert_eq!(world.hub.stats().needless_left_out, 0);
            }),
        ],
    );
}

#[test]
fn a_stall_costs_what_is_needless_beyond_the_bound_and_nothing_within_it() {
    simulate(
        "a stall",
        &[
            Publish("a camera of which half is needless", HALF_NEEDLESS),
            Join("a quick viewer"),
            Join("a viewer that stalls"),
            Run("both watch", Duration::from_secs(3)),
            Block("the stall is within the bound", 1, MAX_WHOLE_LAG - Duration::from_millis(20)),
            Run("it goes on", Duration::from_secs(2)),
            Check("it got everything", |world| {
                assert_eq!(world.hub.stats().needless_left_out, 0);
                assert_eq!(world.viewers[0].got.len(), world.viewers[1].got.len());
            }),
            Block("the stall is beyond it", 1, MAX_WHOLE_LAG + Duration::from_millis(400)),
            Run("it goes on", Duration::from_secs(2)),
            Check("it did without five late pictures, and skipped none", |world| {
                let stats = world.hub.stats();
                assert!((4..=6).contains(&stats.needless_left_out), "{stats:?}");
                assert_eq!(stats.skips, 0);
                let (all, some) = (world.viewers[0].got.len(), world.viewers[1].got.len());
                assert_eq!((all - some) as u64, stats.needless_left_out);
            }),
            Check("everything decodes", check_decodes),
        ],
    );
}

/// Since the lag has settled.
fn needed_came(world: &mut World) {
    let (from, to) = (Duration::from_secs(13), world.at() - Duration::from_secs(1));
    let of = |viewer: usize| {
        let pictures = world.viewers[viewer].pictures();
        let needed = pictures.filter(|got| !got.discardable && (from..to).contains(&got.captured));
        needed.map(|got| got.captured).collect::<Vec<_>>()
    };
    assert_eq!(of(0), of(1));
    let slow = world.viewers[1].got.iter().filter(|got| got.captured >= from);
    let latest = slow.map(|got| got.at - got.captured).max().expect("frames came");
    assert!(latest < MAX_WHOLE_LAG + Duration::from_millis(300), "{latest:?}");
}
