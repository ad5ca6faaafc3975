use std::net::IpAddr;

use sightline_grant::requirement;

use super::rig::{ANNA, BEN, IP, Rig, terminal};
use crate::limits::Limits;
use crate::otp::OtpError;
use crate::sms::budget::work::{MAX_BITS, MIN_BITS, solve};
use crate::sms::budget::{Policy, bucket::Shape};
use crate::sms::open::{Asking, Work, Worked};
use crate::storage::SmsStore;

/// Numbers of one prefix.
fn swept(n: u32) -> String {
    format!("+4915112{n:04}")
}

/// Whether the message to the number went.
async fn goes(rig: &Rig, number: &str) -> bool {
    rig.cp.deliver_outbox().await.unwrap();
    rig.sms.texts().iter().any(|(to, _)| to == number)
}

async fn ask(rig: &Rig, number: &str, seed: u8, ip: IpAddr) -> Option<Work> {
    let asked = rig.cp.request_login_code(number, terminal(seed), ip).await.unwrap();
    let work = asked.work?;
    let answer = solve(&work.puzzle).unwrap();
    let worked = Worked { puzzle: work.puzzle.clone(), answer };
    let again = rig
        .cp
        .request_login_code(number, terminal(seed), Asking { ip, worked: Some(worked) })
        .await
        .unwrap();
    assert_eq!(again.work, None);
    Some(work)
}

#[tokio::test]
async fn a_swept_prefix_costs_its_bucket_and_its_neighbours_notice_nothing() {
    let rig = Rig::new().await;
    let known = rig.sign_in(ANNA, 1).await;
    let mut bits = Vec::new();
    for n in 0..60 {
        let ip = IpAddr::from([203, 0, u8::try_from(n).unwrap(), 9]);
        let seed = 10 + u8::try_from(n).unwrap();
        bits.extend(ask(&rig, &swept(n), seed, ip).await.map(|work| work.bits));
    }
    rig.cp.deliver_outbox().await.unwrap();
    let sent = rig.sms.texts().iter().filter(|(to, _)| *to != ANNA).count();
    assert_eq!(sent as u64, Policy::default().prefix.most);
    assert!(bits.len() > 50 && bits.is_sorted(), "{bits:?}");
    assert!(bits.iter().all(|bits| (MIN_BITS..=MAX_BITS).contains(bits)));
    assert_eq!(ask(&rig, BEN, 2, IP).await, None, "another prefix, without work");
    assert!(goes(&rig, BEN).await);
    drop(known);
}

#[tokio::test]
async fn a_held_message_answers_like_one_that_goes() {
    let rig = Rig::new().await;
    let mut shapes = Vec::new();
    for n in 0..40 {
        let seed = 10 + u8::try_from(n).unwrap();
        ask(&rig, &swept(n), seed, IpAddr::from([203, 0, seed, 9])).await;
        rig.clock.advance(1);
    }
    let decisions = rig.store.sms_decisions(100).await.unwrap();
    let held = decisions.iter().filter(|one| one.decision == "held").count();
    assert!(held >= 20, "{held}");
    for number in [BEN, &swept(900)] {
        let work = ask(&rig, number, 3, IP).await;
        rig.clock.advance(60);
        let asked = rig.cp.request_login_code(number, terminal(3), IP).await.unwrap();
        shapes.push((asked.challenge.0.len(), asked.resend_after, work.is_some()));
    }
    assert!(goes(&rig, BEN).await && !goes(&rig, &swept(900)).await);
    assert_eq!((shapes[0].0, shapes[0].1), (shapes[1].0, shapes[1].1));
}

#[tokio::test]
async fn work_of_another_terminal_or_number_buys_nothing() {
    let limits =
        Limits { sms: Policy { always_work: true, ..Policy::default() }, ..Limits::default() };
    let rig = Rig::with(limits).await;
    let wish = async |number: &str, seed: u8, worked: Option<&Worked>| {
        rig.cp
            .request_login_code(number, terminal(seed), Asking { ip: IP, worked: worked.cloned() })
            .await
            .unwrap()
            .work
    };
    let work = wish(ANNA, 1, None).await.expect("work");
    assert_eq!(work.bits, MIN_BITS);
    let worked = Worked { answer: solve(&work.puzzle).unwrap(), puzzle: work.puzzle };
    assert!(wish(BEN, 1, Some(&worked)).await.is_some(), "another number");
    assert!(wish(ANNA, 2, Some(&worked)).await.is_some(), "another terminal");
    assert!(!goes(&rig, ANNA).await);
    assert!(wish(ANNA, 1, Some(&worked)).await.is_none());
    assert!(goes(&rig, ANNA).await);
}

#[tokio::test]
async fn an_account_hears_that_its_own_share_is_used_up() {
    let narrow = Shape { most: 1, gap: 600, gap_most: 600, earned: 0, work_below: 0 };
    let sms = Policy { account: narrow, ..Policy::default() };
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.unwrap();
    rig.clock.advance(60);
    let refused = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await;
    assert!(matches!(refused, Err(OtpError::Limited(wait)) if wait.0 == 600));
}

#[tokio::test]
async fn a_country_that_is_not_served_is_refused_in_words() {
    let rig = Rig::new().await;
    let refused = rig.cp.request_login_code("+33612345678", terminal(1), IP).await;
    assert!(matches!(refused, Err(OtpError::NotServed)));
    assert!(rig.cp.request_login_code("+8613800138000", terminal(1), IP).await.is_ok());
}

#[tokio::test]
async fn a_number_gets_five_codes_an_hour_and_ten_a_day() {
    let sms = Policy { number: Policy::default().number, ..Policy::for_development() };
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let mut sent = Vec::new();
    for minute in 0..24 * 60 {
        let before = rig.sms.texts().len();
        // Another terminal each time: the same one would have to pause.
        let seed = 1 + u8::try_from(minute % 200).unwrap();
        rig.cp.request_login_code(ANNA, terminal(seed), IP).await.unwrap();
        rig.cp.deliver_outbox().await.unwrap();
        if rig.sms.texts().len() > before {
            sent.push(minute);
        }
        rig.clock.advance(60);
    }
    assert_eq!(sent, [0, 1, 2, 3, 4, 60, 61, 62, 63, 64]);
    requirement!("A1");
}

#[tokio::test]
async fn strangers_who_ask_for_an_owners_codes_keep_nobody_from_watching() {
    let Policy { number, strangers, .. } = Policy::default();
    let sms = Policy { number, strangers, ..Policy::for_development() };
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    // Once a minute for most of an hour, then every ten minutes for most of a day.
    for (seeds, pause, most) in [(10..60, 60, 2), (60..190, 600, 2)] {
        let before = rig.sms.texts().len();
        for seed in seeds {
            rig.cp.request_login_code(ANNA, terminal(seed), IP).await.unwrap();
            rig.cp.deliver_outbox().await.unwrap();
            rig.clock.advance(pause);
        }
        assert_eq!(rig.sms.texts().len() - before, most);
        rig.open_window(&anna, ANNA, "CAM-1").await;
        rig.confirm(&anna, ANNA).await;
    }
}

#[tokio::test]
async fn two_terminals_of_one_number_get_their_codes_a_pause_apart() {
    let rig = Rig::new().await;
    for seed in [1, 2] {
        rig.cp.request_login_code(ANNA, terminal(seed), IP).await.unwrap();
    }
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.sms.texts().len(), 1);
    rig.clock.advance(60);
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.sms.texts().len(), 2);
}
