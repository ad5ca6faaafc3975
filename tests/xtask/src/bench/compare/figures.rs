//! Rows of `benches/results/compare.csv`, and the table of the newest run of each load.

use std::fmt::Write;
use std::fs;

use crate::bench::figures::Spread;
use crate::bench::page;

/// Names of the columns.
const COLUMNS: &str =
    "run,load,server,version,viewers,round,ns_per_packet,packets_per_frame,server_busy";
/// Name of the part of RESULTS.md.
const PART: &str = "compare";

/// One turn of one server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// When the comparison began, UTC; the same for its rows.
    pub(super) run: String,
    /// Our name of the way to the viewers.
    pub(super) load: String,
    pub(super) server: String,
    pub(super) version: String,
    pub(super) viewers: usize,
    pub(super) round: usize,
    /// Processor time of the whole server a delivered packet.
    pub(super) ns: f64,
    /// Packets that a viewer got, a frame.
    pub(super) packets_per_frame: f64,
    /// Share of one processor.
    pub(super) busy: f64,
}

impl Row {
    /// For the terminal.
    pub(super) fn line(&self) -> String {
        format!(
            "{:<10} {:.0} ns a packet, {:.1} packets a frame, {:.0} % busy",
            self.server,
            self.ns,
            self.packets_per_frame,
            self.busy * 100.0
        )
    }

    fn csv(&self) -> String {
        format!(
            "{},{},{},{},{},{},{:.1},{:.2},{:.3}",
            self.run,
            self.load,
            self.server,
            self.version,
            self.viewers,
            self.round,
            self.ns,
            self.packets_per_frame,
            self.busy
        )
    }

    /// Reads a row; `None` for the head and for what is no row.
    fn parse(row: &str) -> Option<Self> {
        let cells: Vec<&str> = row.trim().split(',').collect();
        let [run, load, server, version, viewers, round, ns, packets, busy] = cells[..] else {
            return None;
        };
        Some(Self {
            run: run.to_owned(),
            load: load.to_owned(),
            server: server.to_owned(),
            version: version.to_owned(),
            viewers: viewers.parse().ok()?,
            round: round.parse().ok()?,
            ns: ns.parse().ok()?,
            packets_per_frame: packets.parse().ok()?,
            busy: busy.parse().ok()?,
        })
    }
}

/// Appends the rows to the table of all runs and writes the newest of each load into RESULTS.md.
pub(super) fn record(rows: &[Row], machine: &str, command: &str) -> Result<(), String> {
    let csv = page::in_benches("results/compare.csv");
    let mut text = fs::read_to_string(&csv).unwrap_or_else(|_| format!("{COLUMNS}\n"));
    for row in rows {
        text.push_str(&row.csv());
        text.push('\n');
    }
    page::write(&csv, &text)?;
    let table = table(&newest(&text));
    let part = format!("Machine: {machine}.\nLast command: `{command}`.\n\n{table}");
    page::write_part(PART, &part)
}

/// Rows of the newest run of each load and number of viewers.
fn newest(csv: &str) -> Vec<Row> {
    let rows: Vec<Row> = csv.lines().filter_map(Row::parse).collect();
    let key = |row: &Row| (row.load.clone(), row.viewers);
    let is_newest = |row: &&Row| {
        let last = rows.iter().rev().find(|other| key(other) == key(row));
        last.is_some_and(|last| last.run == row.run)
    };
    rows.iter().filter(is_newest).cloned().collect()
}

/// A Markdown table: a line for each server under each load.
pub(super) fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| load | viewers | server | version | ns a packet min / median / max | times ours | \
         packets a frame | busy | run |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut seen: Vec<(&str, usize, &str)> = Vec::new();
    for row in rows {
        let key = (row.load.as_str(), row.viewers, row.server.as_str());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let of = |server: &str| -> Vec<&Row> {
            let same = |it: &&Row| (it.load.as_str(), it.viewers) == (key.0, key.1);
            rows.iter().filter(same).filter(|it| it.server == server).collect()
        };
        let (theirs, ours) = (of(key.2), of(super::OURS));
        let over = |rows: &[&Row], figure: fn(&Row) -> f64| {
            Spread::of(&rows.iter().map(|row| figure(row)).collect::<Vec<_>>())
        };
        let ns = over(&theirs, |row| row.ns);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {ns} | {:.1} | {:.1} | {:.0} % | {} |",
            row.load,
            row.viewers,
            row.server,
            row.version,
            ns.median / over(&ours, |row| row.ns).median,
            over(&theirs, |row| row.packets_per_frame).median,
            over(&theirs, |row| row.busy).median * 100.0,
            row.run
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(run: &str, server: &str, round: usize, ns: f64) -> Row {
        Row {
            run: run.to_owned(),
            load: "webrtc".to_owned(),
            server: server.to_owned(),
            version: "1.2-3".to_owned(),
            viewers: 100,
            round,
            ns,
            packets_per_frame: 14.0,
            busy: 0.25,
        }
    }

    #[test]
    fn a_row_reads_back() {
        let one = row("2030-01-02T03:04:05Z", "Janus", 3, 4500.0);
        assert_eq!(Row::parse(&one.csv()), Some(one.clone()));
        assert_eq!(one.csv().split(',').count(), COLUMNS.split(',').count());
        assert_eq!(Row::parse(COLUMNS), None);
    }

    #[test]
    fn each_server_has_a_line_with_its_multiple_of_ours() {
        let rows = [
            row("b", super::super::OURS, 1, 1000.0),
            row("b", "Janus", 1, 4000.0),
            row("b", "Janus", 2, 5000.0),
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains("| 4000 / 4500 / 5000 | 4.5 | 14.0 | 25 % |"), "{text}");
    }

    #[test]
    fn only_the_newest_run_is_shown() {
        let rows = [row("a", "Janus", 1, 1.0), row("b", "Janus", 1, 2.0), row("b", "X", 1, 3.0)];
        let csv: String = rows.iter().map(|row| format!("{}\n", row.csv())).collect();
        assert_eq!(newest(&csv), rows[1..]);
    }
}
