//! What a run has shown: a table for people, one JSON object for scripts, and the verdict.

mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Egress;
use super::crowd::Watched;
use super::histogram::Histogram;
use super::viewer::Seen;

/// Failed viewers that are named; the reasons of all are counted.
const MAX_NAMED: usize = 20;

/// What the report is made from.
pub(super) struct Facts<'a> {
    /// Viewers that were asked for.
    pub(super) viewers: usize,
    /// Media was not read.
    pub(super) scripted: bool,
    /// Length of the measured time, seconds.
    pub(super) seconds: f64,
    /// Missing packets that are let pass.
    pub(super) max_gaps: u64,
    /// Ways out in the order of the lines.
    pub(super) via: &'a [Egress],
    /// Viewers.
    pub(super) watched: &'a [Watched],
    /// Frames that each camera sent in the measured time.
    pub(super) sent: &'a [u64],
    /// What the cameras did.
    pub(super) cameras: Cameras,
    /// Requests that had to wait for a limit.
    pub(super) limited: u64,
    /// Handshakes that were tried again.
    pub(super) retried: u64,
    /// Delays by [`Egress::index`].
    pub(super) delays: &'a [Histogram; Egress::ALL.len()],
}

/// All cameras together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Cameras {
    /// Cameras.
    pub(super) count: usize,
    /// Frames of the measured time.
    pub(super) sent: u64,
    /// Frames given up because the connection was too slow.
    pub(super) dropped: u64,
    /// Frames whose time was over before the camera came to them.
    pub(super) skipped: u64,
    /// Attempts to publish after the first of each camera.
    pub(super) reconnects: u64,
}

/// The whole report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    verdict: &'static str,
    reasons: Vec<String>,
    viewers: usize,
    connected: usize,
    failed: usize,
    /// Viewers whose turn to connect had not come when the run was interrupted.
    unseated: usize,
    scripted: bool,
    seconds: f64,
    limited_requests: u64,
    retried_handshakes: u64,
    cameras: Cameras,
    egress: Vec<Line>,
    errors: BTreeMap<String, usize>,
    failures: Vec<Named>,
}

/// One way out. What was not measured is absent.
#[derive(Debug, Serialize)]
struct Line {
    egress: &'static str,
    viewers: usize,
    connected: usize,
    failed: usize,
    #[serde(flatten)]
    media: Option<Media>,
}

#[derive(Debug, Serialize)]
struct Media {
    first_picture_p50_ms: Option<f64>,
    first_picture_p99_ms: Option<f64>,
    frames: u64,
    frames_expected: u64,
    frame_share: Option<f64>,
    /// Frames of the least-served viewer as a share of the mean.
    least_share: Option<f64>,
    gaps: u64,
    foreign: u64,
    damaged: u64,
    packets: u64,
    bytes: u64,
    delay_p50_ms: Option<f64>,
    delay_p99_ms: Option<f64>,
    delay_max_ms: Option<f64>,
    mbit_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Named {
    viewer: usize,
    egress: &'static str,
    reason: String,
}

impl Report {
    /// Sums everything up and judges it.
    pub(super) fn new(facts: &Facts<'_>) -> Self {
        let reason_of = |watched: &Watched| failure(watched, facts.scripted);
        let mut errors = BTreeMap::new();
        let mut failures = Vec::new();
        for watched in facts.watched {
            let Some(reason) = reason_of(watched) else { continue };
            *errors.entry(reason.clone()).or_default() += 1;
            let (viewer, egress) = (watched.seat.number, watched.seat.egress.name());
            failures.push(Named { viewer, egress, reason });
        }
        let failed = failures.len();
        failures.truncate(MAX_NAMED);
        let egress: Vec<_> = facts.via.iter().map(|egress| Line::new(*egress, facts)).collect();
        let connected = facts.watched.iter().filter(|watched| watched.seen.is_some()).count();
        let mut report = Self {
            verdict: "pass",
            reasons: Vec::new(),
            viewers: facts.viewers,
            connected,
            failed,
            unseated: facts.viewers.saturating_sub(facts.watched.len()),
            scripted: facts.scripted,
            seconds: round(facts.seconds, 3),
            limited_requests: facts.limited,
            retried_handshakes: facts.retried,
            cameras: facts.cameras,
            egress,
            errors,
            failures,
        };
        report.judge(facts.max_gaps);
        report
    }

    fn judge(&mut self, max_gaps: u64) {
        let media = || self.egress.iter().filter_map(|line| line.media.as_ref());
        let foreign: u64 = media().map(|media| media.foreign).sum();
        let damaged: u64 = media().map(|media| media.damaged).sum();
        let gaps: u64 = media().map(|media| media.gaps).sum();
        let mut reasons = Vec::new();
        if self.failed > 0 {
            reasons.push(format!("{} of {} viewers failed", self.failed, self.viewers));
        }
        if self.unseated > 0 {
            let (unseated, viewers) = (self.unseated, self.viewers);
            reasons.push(format!("{unseated} of {viewers} viewers had not connected yet"));
        }
        if foreign > 0 {
            reasons.push(format!("{foreign} frames of other cameras reached a viewer"));
        }
        if damaged > 0 {
            reasons.push(format!("{damaged} frames were damaged"));
        }
        if gaps > max_gaps {
            reasons.push(format!("{gaps} packets are missing, more than --max-gaps {max_gaps}"));
        }
        self.verdict = if reasons.is_empty() { "pass" } else { "fail" };
        self.reasons = reasons;
    }

    /// Why the run failed, in one line.
    pub(super) fn failure(&self) -> Option<String> {
        (!self.reasons.is_empty()).then(|| self.reasons.join("; "))
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }
}

/// Why a viewer counts as failed.
fn failure(watched: &Watched, scripted: bool) -> Option<String> {
    let blind = |seen: Seen| !scripted && seen.first_picture.is_none();
    let no_picture = watched.seen.is_some_and(blind).then(|| "no picture came".to_owned());
    watched.failure.clone().or(no_picture)
}

impl Line {
    fn new(egress: Egress, facts: &Facts<'_>) -> Self {
        let here = || facts.watched.iter().filter(|watched| watched.seat.egress == egress);
        let failed = here().filter(|watched| failure(watched, facts.scripted).is_some()).count();
        Self {
            egress: egress.name(),
            viewers: here().count(),
            connected: here().filter(|watched| watched.seen.is_some()).count(),
            failed,
            media: (!facts.scripted).then(|| Media::new(egress, facts)),
        }
    }
}

impl Media {
    fn new(egress: Egress, facts: &Facts<'_>) -> Self {
        let here: Vec<_> = facts
            .watched
            .iter()
            .filter(|watched| watched.seat.egress == egress)
            .filter_map(|watched| Some((facts.sent[watched.seat.camera], watched.seen?)))
            .collect();
        let sum = |part: fn(&Seen) -> u64| here.iter().map(|(_, it)| part(it)).sum();
        let mut pictures: Vec<_> = here.iter().filter_map(|(_, seen)| seen.first_picture).collect();
        pictures.sort();
        let frames: u64 = sum(|seen| seen.frames);
        let expected: u64 = here.iter().map(|(sent, _)| sent).sum();
        let share = |(sent, seen): &(u64, Seen)| ratio(seen.frames, *sent);
        let least = here.iter().filter_map(share).reduce(f64::min);
        let mean = ratio(frames, expected).filter(|mean| *mean > 0.0);
        let delays = &facts.delays[egress.index()];
        let delay = |share| delays.quantile(share).map(|micros| round(micros as f64 / 1e3, 2));
        let bytes = sum(|seen| seen.bytes);
        let seconds = if facts.seconds > 0.0 { facts.seconds } else { f64::INFINITY };
        Self {
            first_picture_p50_ms: rank(&pictures, 0.5),
            first_picture_p99_ms: rank(&pictures, 0.99),
            frames,
            frames_expected: expected,
            frame_share: ratio(frames, expected).map(|share| round(share, 5)),
            least_share: least.zip(mean).map(|(least, mean)| round(least / mean, 5)),
            gaps: sum(|seen| seen.missing),
            foreign: sum(|seen| seen.foreign),
            damaged: sum(|seen| seen.damaged),
            packets: sum(|seen| seen.packets),
            bytes,
            delay_p50_ms: delay(0.5),
            delay_p99_ms: delay(0.99),
            delay_max_ms: delay(1.0),
            mbit_per_s: round(bytes as f64 * 8.0 / 1e6 / seconds, 2),
        }
    }
}

/// The time that this share of all stays at or below, milliseconds. `sorted` rises.
fn rank(sorted: &[Duration], share: f64) -> Option<f64> {
    let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(at).map(|time| round(time.as_secs_f64() * 1e3, 1))
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::super::crowd::Seat;
    use super::*;

    fn watched(number: usize, egress: Egress, frames: u64) -> Watched {
        let seen = Seen {
            first_picture: Some(Duration::from_millis(10 * (number as u64 + 1))),
            frames,
            packets: frames * 14,
            bytes: frames * 16_660,
            ..Seen::default()
        };
        Watched { seat: Seat { number, egress, camera: 0 }, seen: Some(seen), failure: None }
    }

    fn report(watched: &[Watched], scripted: bool) -> Report {
        let delays: [Histogram; Egress::ALL.len()] = Default::default();
        delays[Egress::Whep.index()].add(1500);
        Report::new(&Facts {
            viewers: watched.len(),
            scripted,
            seconds: 10.0,
            max_gaps: 2,
            via: &[Egress::Whep, Egress::Roq],
            watched,
            sent: &[300],
            cameras: Cameras { count: 1, sent: 300, ..Cameras::default() },
            limited: 0,
            retried: 0,
            delays: &delays,
        })
    }

    #[test]
    fn a_line_sums_its_viewers_and_names_the_least_served() {
        let all = [watched(0, Egress::Whep, 300), watched(1, Egress::Whep, 150)];
        let json: serde_json::Value = serde_json::from_str(&report(&all, false).json()).unwrap();
        let line = &json["egress"][0];
        assert_eq!((&line["egress"], &line["viewers"]), (&"whep".into(), &2.into()));
        assert_eq!((&line["frames"], &line["frames_expected"]), (&450.into(), &600.into()));
        assert_eq!((&line["frame_share"], &line["least_share"]), (&0.75.into(), &0.66667.into()));
        assert_eq!(line["first_picture_p50_ms"], 10.0);
        assert_eq!(line["first_picture_p99_ms"], 20.0);
        assert_eq!((&line["delay_p50_ms"], &line["mbit_per_s"]), (&1.5.into(), &6.0.into()));
        assert_eq!(json["egress"][1]["frame_share"], serde_json::Value::Null);
        assert_eq!((&json["verdict"], &json["connected"]), (&"pass".into(), &2.into()));
    }

    #[test]
    fn every_fault_fails_the_run_with_its_reason() {
        let with = |change: fn(&mut Seen)| {
            let mut one = watched(0, Egress::Whep, 300);
            change(one.seen.as_mut().unwrap());
            report(&[one], false).failure()
        };
        assert_eq!(with(|seen| seen.missing = 2), None);
        assert!(with(|seen| seen.missing = 3).unwrap().contains("3 packets"));
        assert!(with(|seen| seen.foreign = 1).unwrap().contains("other cameras"));
        assert!(with(|seen| seen.damaged = 1).unwrap().contains("damaged"));
        assert!(with(|seen| seen.first_picture = None).unwrap().contains("1 of 1 viewers failed"));
    }

    #[test]
    fn failed_viewers_are_counted_by_reason_and_only_some_are_named() {
        let failed = |number| Watched {
            seen: None,
            failure: Some("rate-limited".into()),
            ..watched(number, Egress::Roq, 0)
        };
        let all: Vec<_> = (0..MAX_NAMED + 5).map(failed).collect();
        let report = report(&all, true);
        assert_eq!(report.errors["rate-limited"], all.len());
        let text = report.text();
        assert!(text.contains("viewer 19 (roq): rate-limited") && !text.contains("viewer 20"));
        assert!(text.contains("and 5 more") && text.contains("FAIL: 25 of 25 viewers failed"));
    }

    #[test]
    fn scripted_viewers_need_no_picture_and_report_no_media() {
        let mut one = watched(0, Egress::Whep, 0);
        one.seen.as_mut().unwrap().first_picture = None;
        let report = report(&[one], true);
        assert_eq!(report.failure(), None);
        assert!(!report.json().contains("frame_share") && report.text().ends_with("PASS"));
    }
}
