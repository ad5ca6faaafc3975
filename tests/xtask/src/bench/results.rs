//! Where results go: the terminal, `benches/results/floor.csv`, the plot and `benches/RESULTS.md`.

use std::fmt::Write;
use std::fs;

use super::figures::{COLUMNS, Round, Spread};
use super::page::{in_benches, write, write_part};
use super::plot;

/// Name of the part of RESULTS.md that a run of the floor writes anew.
const PART: &str = "floor";

/// Appends the rounds to the table of all runs, and draws table and plot from the newest run of
/// each case.
pub(super) fn record(rounds: &[Round], machine: &str, command: &str) -> Result<(), String> {
    let csv = in_benches("results/floor.csv");
    let old = fs::read_to_string(&csv).unwrap_or_default();
    let text = append(&old, rounds);
    let cases = newest(&text);
    let all: Vec<Round> = cases.iter().flatten().cloned().collect();
    write(&csv, &text)?;
    write(&in_benches("results/floor.svg"), &plot::svg(&cases))?;
    let part = format!(
        "Machine: {machine}.\nLast command: `{command}`.\n\n{}\n![R by path](results/floor.svg)",
        table(&all)
    );
    write_part(PART, &part)
}

fn append(old: &str, rounds: &[Round]) -> String {
    let mut text = if old.trim().is_empty() { format!("{COLUMNS}\n") } else { old.to_owned() };
    for round in rounds {
        text.push_str(&round.csv());
        text.push('\n');
    }
    text
}

/// Rounds of the newest run of each case. Runs are in the file in the order of their time.
fn newest(csv: &str) -> Vec<Vec<Round>> {
    let mut cases: Vec<Vec<Round>> = Vec::new();
    for round in csv.lines().filter_map(Round::parse) {
        match cases.iter_mut().find(|case| key(&case[0]) == key(&round)) {
            Some(case) if case[0].run == round.run => case.push(round),
            Some(case) => *case = vec![round],
            None => cases.push(vec![round]),
        }
    }
    cases.sort_by_key(|case| key(&case[0]));
    cases
}

/// What makes a case: device before kernel, path, many viewers before few.
fn key(round: &Round) -> (bool, super::path::Path, std::cmp::Reverse<usize>) {
    (round.software, round.path, std::cmp::Reverse(round.viewers))
}

/// A Markdown table, one row a case.
pub(super) fn table(rounds: &[Round]) -> String {
    let mut out = String::from(
        "| path | viewers | segments cut by | R min / median / max | goal | R at camera's rate | \
         server ns | bare ns | bare ns at camera's rate | wakes a frame | packets a frame | frames/s | \
         unread by viewers | run |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut rest = rounds;
    while let Some(first) = rest.first() {
        let same = |round: &&Round| key(round) == key(first) && round.run == first.run;
        let (case, after) = rest.split_at(rest.iter().take_while(same).count());
        rest = after;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", row(first, case));
    }
    out
}

fn row(first: &Round, case: &[Round]) -> String {
    let ratio = Spread::over(case, Round::ratio);
    let goal = first.path.goal(first.viewers);
    // The goals are for devices that cut segments themselves.
    let verdict = match goal.filter(|_| !first.software) {
        None => "none".to_owned(),
        Some(goal) if ratio.median <= goal => format!("{goal:.2} met"),
        Some(goal) => format!("{goal:.2} **missed**"),
    };
    let sound = Spread::over(case, |round| round.sound_per_frame).median;
    let sound = if sound > 0.0 { format!(" and {sound:.1} of sound") } else { String::new() };
    format!(
        "| {} | {} | {} | {ratio:.2} | {verdict} | {:.2} | {} | {} | {} | {:.2} | {:.1}{sound} | {} | {:.1} % | {} |",
        first.path.name(),
        first.viewers,
        if first.software { "kernel" } else { "device" },
        Spread::over(case, Round::paced_ratio),
        Spread::over(case, |round| round.server_ns),
        Spread::over(case, |round| round.bare_ns),
        Spread::over(case, |round| round.paced_ns),
        Spread::over(case, |round| round.wakes_per_frame).median,
        Spread::over(case, |round| round.packets_per_frame).median,
        first.frames_per_second,
        Spread::over(case, |round| round.unread).median * 100.0,
        first.run
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::sample;
    use crate::bench::path::Path;

    #[test]
    fn a_table_has_one_row_a_case_with_its_verdict() {
        let mut rounds: Vec<Round> = [1.1, 1.3, 1.2]
            .into_iter()
            .zip(1..)
            .map(|(ratio, number)| sample(Path::Webrtc, 1000, number, ratio))
            .collect();
        rounds.push(sample(Path::Rtp, 100, 1, 2.0));
        let text = table(&rounds);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows[0].starts_with("| webrtc | 1000 | device | 1.10 / 1.20 / 1.30 | 1.30 met |"));
        assert!(rows[1].contains("| 1.80 **missed** |"), "{text}");
    }

    #[test]
    fn only_the_newest_run_of_a_case_is_shown() {
        let old = sample(Path::Webrtc, 1000, 1, 3.0);
        let text = append("", &[old, sample(Path::Rtp, 1000, 1, 1.4)]);
        let new = Round { run: "2031".to_owned(), ..sample(Path::Webrtc, 1000, 1, 1.2) };
        let text = append(&text, &[new.clone(), Round { number: 2, ..new.clone() }]);
        let cases = newest(&text);
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].len(), &cases[0][0]), (2, &new));
        assert_eq!(text.matches(COLUMNS).count(), 1);
    }
}
