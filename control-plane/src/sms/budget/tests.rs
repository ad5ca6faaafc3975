use super::*;

const NOW: u64 = 1_700_000_000;
const STRANGER: Ask = Ask { of_account: false, known_pair: false, worked: true, dial: 86 };

/// Buckets and numbers as a store would keep them.
#[derive(Default)]
struct Kept(Counts);

impl Kept {
    fn ask(&mut self, policy: &Policy, ask: &Ask, now: u64) -> Verdict {
        let decision = decide(policy, &self.0, ask, now);
        self.0.buckets.extend(decision.buckets);
        decision.verdict
    }

    /// Each wish for another number.
    fn other_number(&mut self, policy: &Policy, ask: &Ask, now: u64) -> Verdict {
        self.0.recent.clear();
        self.ask(policy, ask, now)
    }

    fn answered(&mut self, policy: &Policy, now: u64) {
        for dimension in COMPETING {
            let bucket = self.0.buckets[&dimension];
            self.0.buckets.insert(dimension, answered(policy, dimension, bucket, now));
        }
    }
}

fn only_prefix() -> Policy {
    let wide = Policy::for_development();
    let narrow = Policy::default();
    Policy { prefix: narrow.prefix, dial_codes: vec![86], ..wide }
}

#[test]
fn a_sweep_of_a_prefix_gets_its_bucket_and_ever_rarer_single_places() {
    let policy = only_prefix();
    for pause in [1, 7, 30] {
        let mut kept = Kept::default();
        let sent = (0..10_000)
            .filter(|n| {
                let at = NOW + n * pause;
                matches!(kept.other_number(&policy, &STRANGER, at), Verdict::Send(_))
            })
            .count();
        assert!((6..25).contains(&sent), "{sent} at one in {pause} s");
    }
}

#[test]
fn an_answered_code_gives_its_place_back() {
    let policy = only_prefix();
    let mut kept = Kept::default();
    for n in 0..200 {
        let verdict = kept.other_number(&policy, &STRANGER, NOW + n);
        assert!(matches!(verdict, Verdict::Send(_)), "{n}: {verdict:?}");
        kept.answered(&policy, NOW + n);
    }
}

#[test]
fn work_is_asked_for_before_anything_is_held_and_more_as_the_bucket_empties() {
    let policy = only_prefix();
    let mut kept = Kept::default();
    let idle = Ask { worked: false, ..STRANGER };
    let mut bits = Vec::new();
    let mut free = 0;
    for _ in 0..20 {
        match kept.other_number(&policy, &idle, NOW) {
            Verdict::Work(wanted) => {
                bits.push(wanted);
                kept.other_number(&policy, &STRANGER, NOW);
            }
            Verdict::Send(_) => free += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(free, policy.prefix.most - policy.prefix.work_below + 1);
    assert!(bits.is_sorted() && bits.last() > bits.first(), "{bits:?}");
    assert!(bits.iter().all(|bits| (work::MIN_BITS..=work::MAX_BITS).contains(bits)));
}

#[test]
fn who_is_trusted_passes_while_the_prefix_is_empty() {
    let policy = only_prefix();
    let mut kept = Kept::default();
    while matches!(kept.other_number(&policy, &STRANGER, NOW), Verdict::Send(_)) {}
    let held = kept.other_number(&policy, &STRANGER, NOW);
    assert_eq!(held, Verdict::Hold(Held::Empty(Dimension::Prefix)));
    let returning = Ask { known_pair: true, worked: false, ..STRANGER };
    let signed_in = Ask { of_account: true, worked: false, ..STRANGER };
    for ask in [returning, signed_in] {
        assert_eq!(kept.other_number(&policy, &ask, NOW), Verdict::Send(NOW));
    }
}

#[test]
fn a_prefix_recovers_in_about_a_third_of_the_time_that_it_was_under_attack() {
    let policy = only_prefix();
    for hours in [1, 3, 6] {
        let mut kept = Kept::default();
        let end = NOW + hours * HOUR;
        for at in NOW..end {
            kept.other_number(&policy, &STRANGER, at);
        }
        let open = (end..)
            .find(|at| matches!(kept.other_number(&policy, &STRANGER, *at), Verdict::Send(_)));
        let waited = open.unwrap() - end;
        assert!(
            waited <= hours * HOUR * 3 / 10 + 4 * policy.prefix.gap,
            "{waited} s after {hours} h"
        );
        // Answers bring the places back one by one.
        kept.answered(&policy, end + waited);
        let next = kept.other_number(&policy, &STRANGER, end + waited);
        assert!(matches!(next, Verdict::Send(_)));
    }
}

#[test]
fn a_number_waits_for_a_short_pause_and_is_held_by_a_full_window() {
    let policy = Policy { number: Policy::default().number, ..only_prefix() };
    let trusted = Ask { known_pair: true, ..STRANGER };
    let with =
        |recent: Vec<u64>| Kept(Counts { recent, ..Counts::default() }).ask(&policy, &trusted, NOW);
    assert_eq!(with(vec![]), Verdict::Send(NOW));
    assert_eq!(with(vec![NOW - 60]), Verdict::Send(NOW));
    assert_eq!(with(vec![NOW - 20]), Verdict::Send(NOW + 40));
    assert_eq!(with(vec![NOW + 40]), Verdict::Hold(Held::Number), "one waits already");
    let hour = |count: u64| (1..=count).map(|n| NOW - n * 100).collect();
    assert_eq!(with(hour(4)), Verdict::Send(NOW));
    assert_eq!(with(hour(5)), Verdict::Hold(Held::Number));
    let day = |count: u64| (1..=count).map(|n| NOW - n * 7200).collect();
    assert_eq!(with(day(9)), Verdict::Send(NOW));
    assert_eq!(with(day(10)), Verdict::Hold(Held::Number));
}

#[test]
fn strangers_have_a_part_of_a_numbers_windows_and_who_is_trusted_the_whole() {
    let Policy { number, strangers, .. } = Policy::default();
    let policy = Policy { number, strangers, ..only_prefix() };
    let trusted = Ask { known_pair: true, ..STRANGER };
    let after = |ask: &Ask, strangers: Vec<u64>| {
        let counts = Counts { recent: strangers.clone(), strangers, ..Counts::default() };
        decide(&policy, &counts, ask, NOW).verdict
    };
    let sent = |count: u64, apart: u64| (1..=count).map(|n| NOW - n * apart).collect::<Vec<_>>();
    assert_eq!(after(&STRANGER, sent(1, 100)), Verdict::Send(NOW));
    assert_eq!(after(&STRANGER, sent(2, 100)), Verdict::Hold(Held::Number), "of the hour");
    assert_eq!(after(&trusted, sent(2, 100)), Verdict::Send(NOW));
    assert_eq!(after(&STRANGER, sent(3, 7200)), Verdict::Send(NOW));
    assert_eq!(after(&STRANGER, sent(4, 7200)), Verdict::Hold(Held::Number), "of the day");
    assert_eq!(after(&trusted, sent(4, 7200)), Verdict::Send(NOW));
    let answered = Counts { recent: sent(4, 100), ..Counts::default() };
    assert_eq!(decide(&policy, &answered, &STRANGER, NOW).verdict, Verdict::Send(NOW));
}

#[test]
fn what_is_held_for_its_number_costs_no_money() {
    let policy = Policy {
        number: Policy::default().number,
        other_price: 10 * PLACE,
        money_per_hour: Some(2000 * PLACE),
        ..Policy::for_development()
    };
    let recent = (1..=5).map(|n| NOW - n * 100).collect();
    let decision = decide(&policy, &Counts { recent, ..Counts::default() }, &STRANGER, NOW);
    assert_eq!(decision.verdict, Verdict::Hold(Held::Number));
    assert!(decision.buckets.iter().all(|(dimension, _)| *dimension == Dimension::Asks));
}

#[test]
fn no_hour_costs_more_than_its_money_and_the_last_of_it_is_for_who_is_trusted() {
    let policy = Policy {
        other_price: 10 * PLACE,
        money_per_hour: Some(2000 * PLACE),
        ..Policy::for_development()
    };
    let mut kept = Kept::default();
    let trusted = Ask { known_pair: true, ..STRANGER };
    let mut sent = Vec::new();
    for at in NOW..NOW + 3 * HOUR {
        let stranger = kept.other_number(&policy, &STRANGER, at);
        if at == NOW + 200 {
            assert_eq!(stranger, Verdict::Hold(Held::Money), "the breaker is open");
            assert_eq!(kept.other_number(&policy, &trusted, at), Verdict::Send(at));
            sent.push(at);
        }
        if matches!(stranger, Verdict::Send(_)) {
            sent.push(at);
        }
    }
    assert!(sent.len() > 100, "{}", sent.len());
    for start in &sent {
        let within = sent.iter().filter(|at| (*start..start + HOUR).contains(at)).count();
        assert!(within as u64 * 10 <= 2000, "{within}");
    }
    assert_eq!(policy.price(49), 10 * PLACE);
}

#[test]
fn a_network_may_ask_so_often_and_hears_when_to_come_back() {
    let policy = Policy {
        asks: Shape { most: 3, gap: 10, gap_most: 10, earned: 0, work_below: 0 },
        ..Policy::for_development()
    };
    let mut kept = Kept::default();
    for _ in 0..3 {
        assert!(matches!(kept.other_number(&policy, &STRANGER, NOW), Verdict::Send(_)));
    }
    assert_eq!(kept.other_number(&policy, &STRANGER, NOW), Verdict::TooMany(10));
    assert!(matches!(kept.other_number(&policy, &STRANGER, NOW + 10), Verdict::Send(_)));
}

#[test]
fn a_policy_that_is_not_enforced_sends_and_says_what_it_would_have_held() {
    let policy = Policy { enforce: false, ..only_prefix() };
    let mut kept = Kept::default();
    for _ in 0..10 {
        kept.other_number(&policy, &STRANGER, NOW);
    }
    let decision = decide(&policy, &kept.0, &STRANGER, NOW);
    assert_eq!(decision.verdict, Verdict::Send(NOW));
    assert_eq!(decision.instead_of, Some(Held::Empty(Dimension::Prefix)));
}

#[test]
fn dial_codes_are_served_as_listed() {
    assert!(Policy::default().serves(86) && !Policy::default().serves(49));
    assert!(Policy::for_development().serves(49));
}
