//! A rehearsal of SMS pumping: somebody has messages sent to ten thousand numbers of one prefix,
//! while a fifth of the legitimate traffic comes from the same prefix and through the same carrier
//! NAT. The decisions are those of [`super::budget`] on simulated time.
//!
//! What counts: each message that the attack gets is cost. A legitimate wish whose message is held,
//! or that is told to come back later, is refused. Proof of work is neither as long as it is done:
//! legitimate terminals always do it, and the attack is rehearsed twice, once never doing it and
//! once always, at no cost of time. The attack sweeps customers' numbers too, with new terminals,
//! and answers no code; customers answer most of theirs.

mod desk;
mod report;
mod trace;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use self::desk::Desk;
pub use self::report::report;
pub use self::trace::{BadTrace, Class, Trace, Wish};
use super::budget::{Held, Policy, Verdict};

/// The trace that is run unless another is given; [`Trace::committed`] wrote it.
pub const COMMITTED: &str = include_str!("../../../benches/sms-pumping.trace");
/// The attack must cost fewer messages than this.
pub const COST_BAR: u64 = 25;
/// Fewer legitimate wishes than this may be refused, in ten thousand.
pub const REFUSED_BAR: u64 = 100;
/// Width of a slot of the report, seconds.
pub const SLOT_SECS: u64 = 30 * 60;

/// Whether the attack does the work that it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attacker {
    /// Never.
    Idle,
    /// Always, at once.
    Working,
}

/// What happened in one slot of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Legitimate wishes.
    pub legitimate: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Wishes of the attack.
    pub attack: u64,
    /// Messages that it got.
    pub cost: u64,
}

/// What came of a trace.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Over time.
    pub slots: Vec<Slot>,
    /// Legitimate wishes and how many of them were refused, by class.
    pub classes: BTreeMap<Class, (u64, u64)>,
    /// Legitimate refusals by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Legitimate wishes that had to do work.
    pub worked: u64,
    /// Most bits that one of them had to find.
    pub most_bits: u8,
    /// Puzzles that the attack was given.
    pub puzzles: u64,
    /// Messages of the attack to numbers of customers.
    pub to_customers: u64,
}

impl Outcome {
    fn sum(&self, of: impl Fn(&Slot) -> u64) -> u64 {
        self.slots.iter().map(of).sum()
    }

    /// Legitimate wishes.
    pub fn legitimate(&self) -> u64 {
        self.sum(|slot| slot.legitimate)
    }

    /// Legitimate wishes that were refused.
    pub fn refused(&self) -> u64 {
        self.sum(|slot| slot.refused)
    }

    /// Wishes of the attack.
    pub fn attack(&self) -> u64 {
        self.sum(|slot| slot.attack)
    }

    /// Messages that the attack got.
    pub fn cost(&self) -> u64 {
        self.sum(|slot| slot.cost)
    }

    /// Whether both bars hold.
    pub fn within_bars(&self) -> bool {
        self.cost() < COST_BAR && self.refused() * 10_000 < REFUSED_BAR * self.legitimate()
    }
}

/// Runs a trace.
pub fn run(trace: &Trace, policy: &Policy, attacker: Attacker) -> Outcome {
    let mut desk = Desk::new(policy);
    let mut outcome = Outcome::default();
    for wish in trace.wishes.iter().filter(|wish| wish.class.terminal_is_known()) {
        desk.know(wish);
    }
    let customers = trace.customers();
    let mut answers = BinaryHeap::new();
    for (at, wish) in trace.wishes.iter().enumerate() {
        while let Some(Reverse((due, sent))) = answers.peek().copied()
            && due <= wish.at
        {
            answers.pop();
            desk.answer(&trace.wishes[sent], due);
        }
        let verdict = step(&mut desk, wish, attacker, &mut outcome);
        note(&mut outcome, wish, verdict);
        if let (Verdict::Send(goes), Some(after)) = (verdict, wish.answers_after) {
            answers.push(Reverse((goes + after, at)));
        }
        if wish.class == Class::Attack && matches!(verdict, Verdict::Send(_)) {
            outcome.to_customers += u64::from(customers.contains(&wish.number));
        }
    }
    outcome
}

/// One wish, with the work that it takes.
fn step(desk: &mut Desk<'_>, wish: &Wish, attacker: Attacker, outcome: &mut Outcome) -> Verdict {
    let verdict = desk.ask(wish, false);
    let Verdict::Work(bits) = verdict else { return verdict };
    if wish.class == Class::Attack {
        outcome.puzzles += 1;
        return match attacker {
            Attacker::Idle => verdict,
            Attacker::Working => desk.ask(wish, true),
        };
    }
    outcome.worked += 1;
    outcome.most_bits = outcome.most_bits.max(bits);
    desk.ask(wish, true)
}

fn note(outcome: &mut Outcome, wish: &Wish, verdict: Verdict) {
    let index = usize::try_from(wish.at / SLOT_SECS).unwrap_or(usize::MAX);
    if outcome.slots.len() <= index {
        outcome.slots.resize(index + 1, Slot::default());
    }
    let slot = &mut outcome.slots[index];
    let sent = matches!(verdict, Verdict::Send(_));
    if wish.class == Class::Attack {
        slot.attack += 1;
        slot.cost += u64::from(sent);
        return;
    }
    slot.legitimate += 1;
    let class = outcome.classes.entry(wish.class).or_default();
    class.0 += 1;
    if !sent {
        slot.refused += 1;
        class.1 += 1;
        let reason = match verdict {
            Verdict::Hold(held) => held.as_str(),
            _ => Held::Empty(super::budget::Dimension::Asks).as_str(),
        };
        *outcome.reasons.entry(reason).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::budget::bucket::PLACE;

    #[test]
    fn the_committed_trace_is_what_its_generator_writes() {
        let written = Trace::committed().to_string();
        assert!(
            written == COMMITTED,
            "renew it: sightline admin simulate sms-pumping --write-trace benches/sms-pumping.trace"
        );
    }

    #[test]
    fn the_trace_has_a_fifth_of_the_legitimate_traffic_in_the_attacked_prefix_and_nat() {
        let trace: Trace = COMMITTED.parse().unwrap();
        let (attack, legitimate): (Vec<&Wish>, Vec<&Wish>) =
            trace.wishes.iter().partition(|wish| wish.class == Class::Attack);
        let numbers: std::collections::BTreeSet<_> =
            attack.iter().map(|wish| wish.number).collect();
        assert_eq!((attack.len(), numbers.len()), (10_000, 10_000));
        assert!(attack.iter().all(|wish| wish.prefix() == attack[0].prefix()));
        let shared = legitimate
            .iter()
            .filter(|wish| wish.prefix() == attack[0].prefix() && wish.network == trace::NAT);
        assert_eq!(shared.count() * 5, legitimate.len());
        let from_nat = attack.iter().filter(|wish| wish.network == trace::NAT).count();
        assert!((4000..6000).contains(&from_nat), "{from_nat}");
    }

    #[test]
    fn pumping_ten_thousand_numbers_of_one_prefix_costs_less_than_25_messages() {
        let trace: Trace = COMMITTED.parse().unwrap();
        for attacker in [Attacker::Idle, Attacker::Working] {
            let outcome = run(&trace, &Policy::default(), attacker);
            let (cost, refused) = (outcome.cost(), outcome.refused());
            assert!(outcome.attack() == 10_000 && outcome.legitimate() == 5_000);
            assert!((1..COST_BAR).contains(&cost), "{attacker:?}: {cost} messages");
            assert!(refused * 100 < outcome.legitimate(), "{attacker:?}: {refused} refused");
            assert!(outcome.within_bars());
        }
    }

    #[test]
    fn the_bars_fail_without_the_bucket_of_the_prefix_and_with_one_for_everybody() {
        let trace: Trace = COMMITTED.parse().unwrap();
        let mut policy = Policy::default();
        policy.prefix.most = 10_000;
        policy.dial.most = 10_000;
        let open = run(&trace, &policy, Attacker::Working);
        assert!(open.cost() >= COST_BAR && !open.within_bars(), "{}", open.cost());
        let policy = Policy { money_per_hour: Some(200 * PLACE), ..Policy::default() };
        let shut = run(&trace, &policy, Attacker::Working);
        assert!(!shut.within_bars(), "{} refused", shut.refused());
    }

    #[test]
    fn without_an_attack_nobody_is_refused() {
        let mut trace: Trace = COMMITTED.parse().unwrap();
        trace.wishes.retain(|wish| wish.class != Class::Attack);
        let outcome = run(&trace, &Policy::default(), Attacker::Idle);
        assert_eq!(outcome.refused(), 0, "{:?}", outcome.reasons);
    }

    #[test]
    fn other_seeds_keep_the_bars_too() {
        for seed in 1..=5 {
            let outcome = run(&Trace::generate(seed), &Policy::default(), Attacker::Working);
            assert!(outcome.within_bars(), "{seed}: {} {}", outcome.cost(), outcome.refused());
        }
    }
}
