//! Every bound of a lease on both sides, in virtual time.

use sightline_grant::Epochs;

use super::revocations::{MAX_REVOCATIONS, REVOCATION_MEMORY};
use super::*;

const STEP: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn terms(role: Role) -> LeaseTerms {
    LeaseTerms {
        subject: "subject-1".into(),
        session: "session-1".into(),
        serial: "CAM-1".into(),
        role,
        epochs: Epochs { binding: 5, key: 5, share: 5, consent: 5, session: 5, proof: 5 },
    }
}

/// The authority of a [`Play`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Authority {
    Answers,
    Refuses,
    /// Says at once that it cannot answer.
    Fails,
    /// Says nothing.
    Hangs,
}

/// A table, its shell and its authority, in steps of one millisecond at most.
struct Play {
    table: LeaseTable,
    start: Instant,
    now: Instant,
    beats: bool,
    authority: Authority,
    ended: Vec<(LeaseId, EndCause, Duration)>,
    /// Times and sizes of questions.
    asked: Vec<(Duration, usize)>,
}

impl Play {
    fn new() -> Self {
        let start = Instant::now();
        let mut table = LeaseTable::default();
        table.feed_beat(start);
        Self {
            table,
            start,
            now: start,
            beats: true,
            authority: Authority::Answers,
            ended: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn open(&mut self, role: Role) -> LeaseId {
        self.table.open(self.now, terms(role)).expect("accepted")
    }

    fn at(&self) -> Duration {
        self.now - self.start
    }

    fn run_to(&mut self, at: Duration) {
        let end = self.start + at;
        while self.now < end {
            let passed = self.at();
            let beat = Duration::from_secs(passed.as_secs() + 1);
            let timeout = self.table.poll_timeout().map_or(end, |due| due.max(self.now + STEP));
            self.now = timeout.min(end).min(self.start + beat);
            if self.beats && self.at() == beat {
                self.table.feed_beat(self.now);
            }
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.table.handle_timeout(self.now);
        while let Some(batch) = self.table.poll_renewals(self.now) {
            assert!(batch.len() <= RENEWAL_BATCH);
            self.asked.push((self.at(), batch.len()));
            let verdict = match self.authority {
                Authority::Answers => LeaseVerdict::Renewed,
                Authority::Refuses => LeaseVerdict::Ended,
                Authority::Fails => {
                    self.table.handle_silence(self.now);
                    continue;
                }
                Authority::Hangs => continue,
            };
            let verdicts = batch.into_iter().map(|(id, _)| (id, verdict)).collect();
            self.table.handle_renewed(self.now, verdicts);
        }
        while let Some((id, cause)) = self.table.poll_ended() {
            self.ended.push((id, cause, self.at()));
        }
    }
}

#[test]
fn a_living_lease_is_renewed_every_twenty_seconds_and_goes_on() {
    let mut play = Play::new();
    play.open(Role::Guest);
    play.run_to(RENEW_AFTER - STEP);
    assert_eq!(play.asked, []);
    play.run_to(RENEW_AFTER * 6);
    let times: Vec<_> = (1..=6).map(|turn| (RENEW_AFTER * turn, 1)).collect();
    assert_eq!(play.asked, times);
    assert_eq!(play.ended, []);
}

#[test]
fn a_lease_whose_transport_is_not_alive_runs_out_at_its_bound() {
    let mut play = Play::new();
    let id = play.open(Role::Owner);
    play.table.set_alive(id, false);
    play.run_to(LEASE - STEP);
    assert_eq!(play.ended, []);
    play.run_to(LEASE);
    assert_eq!(play.ended, [(id, EndCause::Expired, LEASE)]);
    assert_eq!(play.asked, []);
    assert!(play.table.is_empty());
}

#[test]
fn a_transport_that_comes_alive_again_is_renewed_at_once() {
    let mut play = Play::new();
    let id = play.open(Role::Owner);
    play.table.set_alive(id, false);
    play.run_to(Duration::from_secs(30));
    play.table.set_alive(id, true);
    play.run_to(LEASE * 2);
    assert_eq!(play.asked[0].0, Duration::from_secs(30) + STEP);
    assert_eq!(play.ended, []);
}

#[test]
fn a_refused_renewal_ends_the_lease() {
    let mut play = Play::new();
    let id = play.open(Role::Owner);
    play.authority = Authority::Refuses;
    play.run_to(LEASE);
    assert_eq!(play.ended, [(id, EndCause::NotRenewed, RENEW_AFTER)]);
}

#[test]
fn a_closed_lease_is_heard_of_no_more() {
    let mut play = Play::new();
    let id = play.open(Role::Guest);
    play.table.close(id);
    play.run_to(LEASE * 2);
    assert_eq!((play.ended.len(), play.asked.len(), play.table.len()), (0, 0, 0));
}

#[test]
fn renewals_go_in_batches_up_to_the_bound() {
    for (leases, sizes) in
        [(RENEWAL_BATCH, vec![RENEWAL_BATCH]), (RENEWAL_BATCH + 1, vec![RENEWAL_BATCH, 1])]
    {
        let mut play = Play::new();
        for _ in 0..leases {
            play.open(Role::Guest);
        }
        play.run_to(RENEW_AFTER);
        assert_eq!(play.asked.iter().map(|(_, size)| *size).collect::<Vec<_>>(), sizes);
    }
}

#[test]
fn a_silent_feed_is_answered_by_polling_every_two_seconds() {
    let mut play = Play::new();
    play.open(Role::Guest);
    play.open(Role::Owner);
    play.beats = false;
    play.run_to(FEED_SILENCE - STEP);
    assert_eq!(play.asked, []);
    play.run_to(FEED_SILENCE + POLL_INTERVAL * 2);
    let times = [0, 1, 2].map(|turn| (FEED_SILENCE + POLL_INTERVAL * turn, 2));
    assert_eq!(play.asked, times);
    play.run_to(OWNER_SILENCE * 2);
    assert_eq!(play.ended, [], "an authority that answers keeps everyone");
    assert!(play.table.accepts_new(play.now));
    play.beats = true;
    play.table.feed_beat(play.now);
    let asked = play.asked.len();
    play.run_to(OWNER_SILENCE * 2 + Duration::from_secs(10));
    assert_eq!(play.asked.len(), asked, "polling stops when the feed beats");
}

#[test]
fn under_a_silent_authority_guests_end_after_5_s_and_owners_after_120_s() {
    for silence in [Authority::Fails, Authority::Hangs] {
        let mut play = Play::new();
        let guest = play.open(Role::Guest);
        let owner = play.open(Role::Owner);
        play.run_to(Duration::from_secs(130));
        let last = play.at();
        play.beats = false;
        play.authority = silence;
        play.run_to(last + GUEST_SILENCE - STEP);
        assert_eq!(play.ended, []);
        play.run_to(last + GUEST_SILENCE);
        assert_eq!(play.ended, [(guest, EndCause::AuthoritySilent, last + GUEST_SILENCE)]);
        play.run_to(last + OWNER_SILENCE - STEP);
        assert_eq!(play.ended.len(), 1);
        play.run_to(last + OWNER_SILENCE);
        let end = (owner, EndCause::AuthoritySilent, last + OWNER_SILENCE);
        assert_eq!(play.ended[1..], [end]);
        assert!(play.table.is_empty());
    }
}

#[test]
fn an_authority_that_answers_just_in_time_keeps_the_guests() {
    let mut play = Play::new();
    play.open(Role::Guest);
    play.beats = false;
    play.authority = Authority::Fails;
    play.run_to(GUEST_SILENCE - STEP);
    play.authority = Authority::Answers;
    play.table.handle_renewed(play.now, Vec::new());
    play.run_to(GUEST_SILENCE * 3);
    assert_eq!(play.ended, []);
}

#[test]
fn while_the_feed_beats_but_renewals_fail_guests_run_out_and_owners_have_their_time() {
    let mut play = Play::new();
    let guest = play.open(Role::Guest);
    let owner = play.open(Role::Owner);
    play.authority = Authority::Fails;
    play.run_to(LEASE - STEP);
    assert_eq!(play.ended, []);
    play.run_to(RENEW_AFTER + OWNER_SILENCE);
    let ends = [
        (guest, EndCause::Expired, LEASE),
        (owner, EndCause::Expired, RENEW_AFTER + OWNER_SILENCE),
    ];
    assert_eq!(play.ended, ends);
    let rounds = play.asked.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert!(rounds.windows(2).all(|pair| pair[1] - pair[0] == POLL_INTERVAL), "{rounds:?}");
}

#[test]
fn no_session_starts_before_the_first_sign_of_life_or_while_the_authority_is_silent() {
    let now = Instant::now();
    let mut table = LeaseTable::default();
    let open = |table: &mut LeaseTable, now| table.open(now, terms(Role::Owner));
    assert_eq!(open(&mut table, now), Err(LeaseRefused::AuthoritySilent));
    table.feed_beat(now);
    assert!(open(&mut table, now + FEED_SILENCE - STEP).is_ok());
    assert_eq!(open(&mut table, now + FEED_SILENCE), Err(LeaseRefused::AuthoritySilent));
    table.feed_beat(now + FEED_SILENCE);
    assert!(open(&mut table, now + FEED_SILENCE).is_ok());
    table.handle_silence(now + FEED_SILENCE);
    assert_eq!(open(&mut table, now + FEED_SILENCE), Err(LeaseRefused::AuthoritySilent));
}

#[test]
fn an_empty_table_still_learns_that_the_authority_is_back() {
    let mut play = Play::new();
    play.beats = false;
    play.authority = Authority::Fails;
    play.run_to(SECOND * 30);
    assert!(!play.table.accepts_new(play.now));
    play.authority = Authority::Answers;
    play.run_to(SECOND * 33);
    assert!(play.table.accepts_new(play.now));
    play.authority = Authority::Hangs;
    play.run_to(SECOND * 60);
    assert!(!play.table.accepts_new(play.now));
    play.beats = true;
    play.authority = Authority::Answers;
    play.run_to(SECOND * 66);
    assert!(play.table.accepts_new(play.now));
}

#[test]
fn each_revocation_ends_the_leases_below_its_epoch_and_no_other() {
    let (serial, subject) = (String::from("CAM-1"), String::from("subject-1"));
    let other = String::from("other");
    let binding = |serial: &String, epoch| Revocation::Binding { serial: serial.clone(), epoch };
    let key = |serial: &String, epoch| Revocation::Key { serial: serial.clone(), epoch };
    let consent = |subject: &String, epoch| Revocation::Consent { subject: subject.clone(), epoch };
    let session = |session: &str| Revocation::Session { session: session.into() };
    let proof = |serial: &String, session: &str, epoch| Revocation::Proof {
        serial: serial.clone(),
        session: session.into(),
        epoch,
    };
    let share = |serial: &String, subject: &String, epoch| Revocation::Share {
        serial: serial.clone(),
        subject: subject.clone(),
        epoch,
    };
    // Revocation, ends a guest's lease of epochs 5, ends an owner's.
    let cases = [
        (binding(&serial, 6), true, true),
        (binding(&serial, 5), false, false),
        (binding(&other, 6), false, false),
        (proof(&serial, "session-1", 6), true, true),
        (proof(&serial, "session-1", 5), false, false),
        (proof(&serial, "session-2", 6), false, false),
        (proof(&other, "session-1", 6), false, false),
        (key(&serial, 6), true, true),
        (key(&serial, 5), false, false),
        (key(&other, 6), false, false),
        (consent(&subject, 6), true, true),
        (consent(&subject, 5), false, false),
        (consent(&other, 6), false, false),
        (session("session-1"), true, true),
        (session("session-2"), false, false),
        (share(&serial, &subject, 6), true, false),
        (share(&serial, &subject, 5), false, false),
        (share(&other, &subject, 6), false, false),
        (share(&serial, &other, 6), false, false),
    ];
    for (revocation, ends_guest, ends_owner) in cases {
        for (role, ends) in [(Role::Guest, ends_guest), (Role::Owner, ends_owner)] {
            let mut play = Play::new();
            let id = play.open(role);
            play.table.revoke(play.now, &revocation);
            let expected = ends.then_some((id, EndCause::Revoked));
            assert_eq!(play.table.poll_ended(), expected, "{revocation:?} {role:?}");
            let again = play.table.open(play.now, terms(role));
            let refused = again == Err(LeaseRefused::Revoked);
            assert_eq!(refused, ends, "a grant from before it: {revocation:?} {role:?}");
        }
    }
}

#[test]
fn a_grant_from_after_a_revocation_is_taken() {
    let mut play = Play::new();
    play.table.revoke(play.now, &Revocation::Binding { serial: "CAM-1".into(), epoch: 6 });
    let mut newer = terms(Role::Owner);
    newer.epochs.binding = 6;
    assert!(play.table.open(play.now, newer).is_ok());
}

#[test]
fn a_revocation_is_remembered_for_its_time_and_no_longer() {
    for (age, remembered) in [(REVOCATION_MEMORY - STEP, true), (REVOCATION_MEMORY, false)] {
        let mut play = Play::new();
        play.table.revoke(play.now, &Revocation::Session { session: "session-1".into() });
        play.run_to(age);
        let opened = play.table.open(play.now, terms(Role::Owner));
        assert_eq!(opened == Err(LeaseRefused::Revoked), remembered);
        assert_eq!(opened.is_ok(), !remembered);
    }
}

#[test]
fn an_overflow_of_revocations_refuses_rather_than_forgets() {
    let mut play = Play::new();
    let revoke = |play: &mut Play, count: usize| {
        let session = format!("session-x{count}");
        play.table.revoke(play.now, &Revocation::Session { session });
    };
    for count in 0..MAX_REVOCATIONS {
        revoke(&mut play, count);
    }
    assert!(play.table.open(play.now, terms(Role::Owner)).is_ok());
    revoke(&mut play, MAX_REVOCATIONS);
    let refused = Err(LeaseRefused::Full);
    assert_eq!(play.table.open(play.now, terms(Role::Owner)), refused);
    play.run_to(REVOCATION_MEMORY - STEP);
    assert_eq!(play.table.open(play.now, terms(Role::Owner)), refused);
    play.run_to(REVOCATION_MEMORY);
    assert!(play.table.open(play.now, terms(Role::Owner)).is_ok());
}

#[test]
fn the_table_takes_its_bound_of_leases_and_not_one_more() {
    let mut play = Play::new();
    for _ in 0..MAX_LEASES {
        play.open(Role::Owner);
    }
    assert_eq!(play.table.open(play.now, terms(Role::Owner)), Err(LeaseRefused::Full));
    play.table.close(LeaseId(1));
    assert!(play.table.open(play.now, terms(Role::Owner)).is_ok());
}

#[test]
fn an_answer_is_as_old_as_its_question() {
    let mut play = Play::new();
    let id = play.open(Role::Guest);
    play.authority = Authority::Hangs;
    play.run_to(RENEW_AFTER + Duration::from_millis(1900));
    play.table.handle_renewed(play.now, vec![(id, LeaseVerdict::Renewed)]);
    play.run_to(RENEW_AFTER + LEASE - STEP);
    assert_eq!(play.ended, []);
    play.run_to(RENEW_AFTER + LEASE);
    assert_eq!(play.ended, [(id, EndCause::Expired, RENEW_AFTER + LEASE)]);
}

#[test]
fn an_answer_nobody_asked_for_renews_nothing() {
    let mut play = Play::new();
    let id = play.open(Role::Guest);
    play.table.set_alive(id, false);
    play.run_to(Duration::from_secs(10));
    play.table.handle_renewed(play.now, vec![(id, LeaseVerdict::Renewed)]);
    play.run_to(LEASE);
    assert_eq!(play.ended, [(id, EndCause::Expired, LEASE)]);
}

/// Random acts; whatever happens, no lease outlives its bounds and no book contradicts another.
#[test]
fn random_acts_break_no_bound() {
    for seed in 1..=20_u64 {
        println!("seed {seed}");
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % most
        };
        let mut play = Play::new();
        let mut last_sign = Duration::ZERO;
        for _ in 0..300 {
            match draw(8) {
                0 => play.beats = !play.beats,
                1 => play.authority = Authority::Answers,
                2 => play.authority = Authority::Fails,
                3 => play.authority = Authority::Hangs,
                4 => {
                    let serial = String::from("CAM-1");
                    play.table.revoke(play.now, &Revocation::Key { serial, epoch: draw(7) });
                    let stale = play.table.leases.values().any(|l| l.terms.epochs.key < 5);
                    assert!(!stale);
                }
                5 => play.table.close(LeaseId(draw(100))),
                _ => {
                    let role = if draw(2) == 0 { Role::Owner } else { Role::Guest };
                    let mut fresh = terms(role);
                    fresh.epochs.key = 5 + draw(3);
                    let _ = play.table.open(play.now, fresh);
                }
            }
            let to = play.at() + Duration::from_millis(draw(4000));
            play.run_to(to);
            if let Some(sign) = play.table.signs.last() {
                last_sign = last_sign.max(sign - play.start);
            }
            let silent = play.at() - last_sign;
            let table = &play.table;
            assert!(table.guests == 0 || silent < GUEST_SILENCE);
            assert!(table.is_empty() || silent < OWNER_SILENCE);
            assert_eq!(table.expiries.len(), table.len());
            assert_eq!(table.renewals.len() + table.asked.len(), table.len());
        }
    }
}

#[test]
fn in_doubt_every_lease_is_asked_about_at_once_alive_or_not() {
    let mut play = Play::new();
    play.open(Role::Owner);
    let stalled = play.open(Role::Guest);
    play.table.set_alive(stalled, false);
    play.run_to(SECOND);
    play.authority = Authority::Refuses;
    play.table.renew_all(play.now);
    play.turn();
    assert_eq!(play.asked, [(SECOND, 2)]);
    assert_eq!(play.ended.len(), 2);
}

#[test]
fn a_question_in_doubt_lengthens_no_lease_whose_transport_is_not_alive() {
    let mut play = Play::new();
    let stalled = play.open(Role::Owner);
    play.table.set_alive(stalled, false);
    play.run_to(SECOND * 30);
    play.table.renew_all(play.now);
    play.run_to(LEASE * 2);
    assert_eq!(play.asked, [(SECOND * 30 + STEP, 1)]);
    assert_eq!(play.ended, [(stalled, EndCause::Expired, LEASE)]);
}

#[test]
fn a_lease_from_a_grant_of_before_the_doubt_is_asked_about_when_it_starts() {
    for (age, at_once) in [(REVOCATION_MEMORY - STEP, true), (REVOCATION_MEMORY, false)] {
        let mut play = Play::new();
        play.table.renew_all(play.now);
        play.run_to(age);
        play.open(Role::Owner);
        play.turn();
        assert_eq!(play.asked.len(), usize::from(at_once), "{age:?}");
    }
}

#[test]
fn an_answer_to_a_question_of_before_the_doubt_does_not_settle_it() {
    let mut play = Play::new();
    let id = play.open(Role::Owner);
    play.run_to(RENEW_AFTER - STEP);
    let asked = play.start + RENEW_AFTER;
    assert_eq!(play.table.poll_renewals(asked).map(|batch| batch.len()), Some(1));
    play.table.renew_all(asked + STEP);
    play.now = asked + STEP * 2;
    play.table.handle_renewed(play.now, vec![(id, LeaseVerdict::Renewed)]);
    assert_eq!(play.table.poll_renewals(play.now).map(|batch| batch.len()), Some(1));
    play.table.handle_renewed(play.now, vec![(id, LeaseVerdict::Renewed)]);
    assert_eq!(play.table.poll_renewals(play.now), None);
}
