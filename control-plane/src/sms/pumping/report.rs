//! The table and the plot of a rehearsal.

use std::fmt::Write;

use super::{Attacker, COST_BAR, Outcome, REFUSED_BAR, SLOT_SECS, Slot};

/// Width of the longest bar, characters.
const WIDTH: u64 = 40;

/// What an operator reads.
pub fn report(attacker: Attacker, outcome: &Outcome) -> String {
    let mut text = String::new();
    let head = match attacker {
        Attacker::Idle => "The attack does no proof of work",
        Attacker::Working => "The attack does every proof of work, at once",
    };
    // Writing to a string does not fail.
    let _ = table(&mut text, head, outcome);
    let _ = plot(&mut text, &outcome.slots);
    text
}

fn table(text: &mut String, head: &str, outcome: &Outcome) -> std::fmt::Result {
    writeln!(text, "{head}")?;
    let per = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let (legitimate, refused) = (outcome.legitimate(), outcome.refused());
    writeln!(
        text,
        "  attack       {} wishes, {} puzzles, {} messages (bar: fewer than {COST_BAR}), {} of them \
         to customers",
        outcome.attack(),
        outcome.puzzles,
        outcome.cost(),
        outcome.to_customers,
    )?;
    writeln!(
        text,
        "  legitimate   {legitimate} wishes, {refused} refused = {:.2} % (bar: less than {} %), {} \
         did work of up to {} bits",
        per(refused, legitimate),
        REFUSED_BAR / 100,
        outcome.worked,
        outcome.most_bits,
    )?;
    for (class, (wishes, refused)) in &outcome.classes {
        writeln!(
            text,
            "    {:<26} {wishes:>6} wishes {refused:>6} refused {:>7.2} %",
            class.name(),
            per(*refused, *wishes),
        )?;
    }
    for (reason, count) in &outcome.reasons {
        writeln!(text, "    refused for want of room: {reason:<10} {count:>6}")?;
    }
    let verdict = if outcome.within_bars() { "both bars hold" } else { "A BAR IS MISSED" };
    writeln!(text, "  {verdict}")
}

fn plot(text: &mut String, slots: &[Slot]) -> std::fmt::Result {
    writeln!(
        text,
        "  time   legitimate (=), refused (x), attack (.)    refused  attack  messages"
    )?;
    let most = slots.iter().map(|slot| slot.legitimate).max().unwrap_or(1).max(1);
    let most_attack = slots.iter().map(|slot| slot.attack).max().unwrap_or(1).max(1);
    for (index, slot) in slots.iter().enumerate() {
        let minutes = index as u64 * SLOT_SECS / 60;
        let good = ((slot.legitimate - slot.refused) * WIDTH).div_ceil(most);
        let bad = (slot.refused * WIDTH).div_ceil(most);
        let attack = (slot.attack * WIDTH / 4).div_ceil(most_attack);
        let bar = ["=", "x", "."]
            .iter()
            .zip([good, bad, attack])
            .fold(String::new(), |bar, (sign, length)| {
                bar + &sign.repeat(usize::try_from(length).unwrap_or(0))
            });
        writeln!(
            text,
            "  {:02}:{:02}  {bar:<52} {:>5} {:>7} {:>9}",
            minutes / 60,
            minutes % 60,
            slot.refused,
            slot.attack,
            slot.cost,
        )?;
    }
    Ok(())
}
