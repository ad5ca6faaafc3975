use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::client::*;
use super::sessions::delivery;
use crate::hub::{Delivery, Resend};
use crate::ids::TrackIndex;
use crate::webrtc::answer::{Server, write};
use crate::webrtc::negotiate::{ABS_SEND_TIME, Feedback, Stamp, TRANSPORT_SEQUENCE};
use crate::webrtc::sdp::Offer;
use crate::webrtc::*;
use crate::wire::rtcp::ReceptionReport;
use crate::wire::{remb, rtcp, rtp, twcc};

const REMB: &str = "a=rtcp-fb:96 goog-remb\r\n";
const COUNTER: &str = "a=rtcp-fb:96 transport-cc\r\n";

/// `extmap` lines of both stamps, as browsers have them.
fn extensions() -> String {
    format!("a=extmap:2 {ABS_SEND_TIME}\r\na=extmap:3 {TRANSPORT_SEQUENCE}\r\n")
}

fn agreed(lines: &str) -> (Feedback, Option<Stamp>) {
    let offer = Offer::parse(&offer_with(lines)).unwrap();
    let plan = ViewPlan::new(&offer, &tracks()).unwrap();
    (plan.agreed[0].feedback, plan.agreed[0].stamp)
}

#[test]
fn remb_is_preferred_and_each_feedback_brings_its_own_stamp() {
    let extensions = extensions();
    for (lines, remb, transport_cc, stamp) in [
        (format!("{REMB}{COUNTER}{extensions}"), true, false, Some(Stamp::SendTime(2))),
        (format!("{COUNTER}{extensions}"), false, true, Some(Stamp::Sequence(3))),
        (REMB.to_owned(), true, false, None),
        (COUNTER.to_owned(), false, false, None),
        (extensions.clone(), false, false, None),
    ] {
        let (feedback, found) = agreed(&lines);
        let all = (feedback.remb, feedback.transport_cc, found);
        assert_eq!(all, (remb, transport_cc, stamp), "{lines}");
    }
}

#[test]
fn without_rtx_no_packet_is_stamped_and_a_publisher_is_promised_no_estimate() {
    let lines = format!("{REMB}{COUNTER}{}", extensions());
    let plain = offer("actpass", "recvonly", false).replace("m=audio", &format!("{lines}m=audio"));
    let plan = ViewPlan::new(&Offer::parse(&plain).unwrap(), &tracks()).unwrap();
    assert_eq!((plan.agreed[0].feedback.remb, plan.agreed[0].stamp), (true, None));
    let sends = offer_with(&lines).replace("recvonly", "sendonly");
    let plan = PublishPlan::new(&Offer::parse(&sends).unwrap()).unwrap();
    let feedback = plan.agreed[0].feedback;
    assert_eq!((feedback.remb, feedback.transport_cc, plan.agreed[0].stamp), (false, false, None));
}

#[test]
fn the_answer_names_the_agreed_estimate_and_no_other() {
    let offer = Offer::parse(&offer_with(&format!("{REMB}{COUNTER}{}", extensions()))).unwrap();
    let plan = ViewPlan::new(&offer, &tracks()).unwrap();
    let (credentials, identity) = (credentials(), identity());
    let (fingerprint, candidates) = (identity.fingerprint(), &[addr(SERVER)]);
    let server = Server { session: 1, credentials: &credentials, fingerprint, candidates };
    let text = write(&offer, &plan.agreed, &[VIDEO, AUDIO], server);
    assert!(text.contains("a=rtcp-fb:96 goog-remb\r\n"));
    assert!(text.contains(&format!("a=extmap:2 {ABS_SEND_TIME}\r\n")));
    assert!(!text.contains("transport-cc") && !text.contains(TRANSPORT_SEQUENCE));
}

/// Three packets of a size, and a short one.
fn frame(pair: &Pair, seq: u16) -> Delivery {
    delivery(pair, seq, &[&[1; 1000], &[2; 1000], &[3; 1000], &[4; 10]])
}

/// The stamps of packets, by extension id.
fn stamps(packets: &[Vec<u8>], id: u8) -> Vec<u32> {
    let value = |packet: &Vec<u8>| {
        let (profile, range) = rtp::parse(packet).unwrap().extension.unwrap();
        assert_eq!(profile, 0xbede);
        let mut data = &packet[range];
        loop {
            let len = usize::from(data[0] & 15) + 1;
            if data[0] >> 4 == id {
                return data[1..=len].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            }
            data = &data[1 + len..];
        }
    };
    packets.iter().map(value).collect()
}

#[test]
fn every_packet_is_stamped_and_runs_stay_runs() {
    for lines in [format!("{REMB}{}", extensions()), format!("{COUNTER}{}", extensions())] {
        let mut pair = Pair::viewer_with(&lines);
        pair.connect();
        let mut whole = frame(&pair, 10);
        Arc::get_mut(&mut whole.frame).unwrap().descriptor.keyframe = false;
        pair.peer.send(pair.now, &whole, &mut pair.arena);
        pair.arena.clear();
        let next = Delivery { seq: 14, ..whole };
        pair.peer.send(pair.now, &next, &mut pair.arena);
        assert_eq!(pair.arena.runs().count(), 1, "the first second's extensions are out");
        let sizes: Vec<usize> = pair.opened().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1020, 1020, 1020, 30]);
    }
}

#[test]
fn sending_times_follow_the_clock_and_counters_count_every_packet() {
    let mut pair = Pair::viewer_with(&format!("{REMB}{}", extensions()));
    pair.connect();
    let first = frame(&pair, 1);
    pair.peer.send(pair.now, &first, &mut pair.arena);
    let before = stamps(&pair.opened(), 2);
    assert_eq!(before[0], before[3], "one burst, one time");
    pair.now += Duration::from_millis(1500);
    let second = frame(&pair, 5);
    pair.peer.send(pair.now, &second, &mut pair.arena);
    let after = stamps(&pair.opened(), 2);
    assert_eq!(after[0] - before[0], 3 << 17, "6.18 bits");
    let mut pair = Pair::viewer_with(&format!("{COUNTER}{}", extensions()));
    pair.connect();
    let first = frame(&pair, 1);
    pair.peer.send(pair.now, &first, &mut pair.arena);
    let again = Resend { payload: Bytes::from_static(b"x"), timestamp: 1, marker: false };
    pair.peer.resend(pair.now, TrackIndex(0), 2, &again, &mut pair.arena);
    let found = stamps(&pair.opened(), 3);
    assert_eq!(found, [0, 1, 2, 3, 4], "the resent one too");
}

fn budgets(pair: &mut Pair) -> Vec<Option<u64>> {
    let events = std::iter::from_fn(|| pair.peer.poll_event());
    let budget = |event| match event {
        PeerEvent::Budget { bits_per_second } => Some(bits_per_second),
        _ => None,
    };
    events.filter_map(budget).collect()
}

/// Sends half a megabit a second for some seconds, with feedback after each.
fn watch(pair: &mut Pair, seconds: u16, mut feedback: impl FnMut(&mut Pair, u16)) {
    for second in 0..seconds {
        for part in 0..20 {
            let frame = frame(pair, second * 80 + part * 4);
            pair.peer.send(pair.now, &frame, &mut pair.arena);
            pair.now += Duration::from_millis(50);
        }
        pair.arena.clear();
        feedback(pair, second);
    }
}

#[test]
fn a_falling_remb_is_told_as_the_budget_and_a_forged_one_is_not() {
    let mut pair = Pair::viewer_with(&format!("{REMB}{}", extensions()));
    pair.connect();
    watch(&mut pair, 6, |pair, second| {
        let bits = if second < 3 { 600_000 } else { 200_000 };
        pair.put_rtcp(|out| remb::write(out, 1, bits, &[1000]));
    });
    let found = budgets(&mut pair);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|bits| bits.is_some_and(|bits| bits.abs_diff(200_000) < 2)));
    let mut forged = Vec::new();
    rtcp::write_receiver_report(&mut forged, 1, None, "x");
    remb::write(&mut forged, 1, 1000, &[1000]);
    assert_eq!(pair.put(&forged), None);
    assert_eq!(budgets(&mut pair), []);
}

#[test]
fn heavy_loss_in_transport_feedback_or_reports_is_told_as_the_budget() {
    let by_counter = |pair: &mut Pair, second: u16| {
        let arrived: Vec<bool> = (0..80).map(|at| at % 2 == 0).collect();
        pair.put_rtcp(|out| twcc::write(out, 1, second * 80, &arrived));
    };
    let by_report = |pair: &mut Pair, second: u16| {
        let highest_seq = u32::from(second + 1) * 80;
        let report =
            ReceptionReport { ssrc: 1000, fraction_lost: 128, highest_seq, ..Default::default() };
        pair.put_rtcp(|out| rtcp::write_receiver_report(out, 1, Some(report), "x"));
    };
    type Feed = fn(&mut Pair, u16);
    let cases: [(&str, Feed); 2] = [(COUNTER, by_counter), ("", by_report)];
    for (lines, feedback) in cases {
        let mut pair = Pair::viewer_with(&format!("{lines}{}", extensions()));
        pair.connect();
        watch(&mut pair, 5, feedback);
        let last = budgets(&mut pair).pop().flatten().expect("a budget");
        assert!(last.abs_diff(240_000) < 30_000, "half of what is sent: {last}");
    }
}
