//! Figures of a sealed view: what the page saw joined with what the agent says that it sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Ticks of the RTP clock of pictures in a millisecond.
const TICKS_A_MS: u64 = 90;
/// A sample of sound tells what is heard for this long, milliseconds.
const SOUND_HOLD_MS: f64 = 100.0;
/// Least number of pictures, and of comparisons with sound, of a measurement.
const LEAST: usize = 200;

/// A picture of the agent's send log, milliseconds since 1970.
struct Sent {
    captured: f64,
    handed: f64,
}

/// What the agent sent, by number of the picture.
pub(crate) struct SendLog(BTreeMap<u64, Sent>);

impl SendLog {
    /// From its lines: RTP timestamp from zero, capture and hand-over in Unix microseconds.
    pub(crate) fn parse(text: &str, fps: u64) -> Self {
        let ticks = TICKS_A_MS * 1000 / fps;
        let line = |line: &str| {
            let mut numbers =
                line.split(' ').map(|number| number.parse::<u64>().expect("a number"));
            let mut next = || numbers.next().expect("three numbers");
            let (timestamp, captured, handed) = (next(), next(), next());
            assert_eq!(timestamp % ticks, 0, "timestamps are whole pictures");
            let ms = |micros: u64| micros as f64 / 1000.0;
            (timestamp / ticks, Sent { captured: ms(captured), handed: ms(handed) })
        };
        // The last line may be in the middle of being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Self(whole.lines().map(line).collect())
    }
}

/// What is bounded, in milliseconds where it is a time.
#[derive(Debug)]
pub(crate) struct Figures {
    /// From the answer with the grant to a readable picture, each start.
    pub(crate) first: Vec<f64>,
    /// From the hand-over at the camera to the canvas, each picture, sorted.
    pub(crate) delay: Vec<f64>,
    /// Pictures from the first to the last that was seen.
    pub(crate) sent: usize,
    /// Those of them that were not painted, or never handed over.
    pub(crate) lost: usize,
    /// Pictures seen on the canvas by whoever looks at each refresh.
    pub(crate) seen: usize,
    /// Looks at the canvas that found no strip.
    pub(crate) unreadable: usize,
    /// How far ahead of the shown picture the sound was that was heard with it, sorted.
    pub(crate) ahead: Vec<f64>,
    /// What the page itself says of lost pictures.
    pub(crate) page_lost: String,
}

impl Figures {
    /// Joins the lines of `sealed_live.mjs` with the send log.
    pub(crate) fn of(lines: &[Value], log: &SendLog) -> Self {
        let firsts = lines.iter().map(|line| &line["first"]).filter(|first| first.is_object());
        let first = firsts.map(|first| number(&first["painted"]) - number(&first["granted"]));
        let first: Vec<f64> = first.collect();
        let measured = super::part(lines, "measured");
        let pictures = list(&measured["pictures"]);
        assert!(pictures.len() >= LEAST, "only {} pictures", pictures.len());
        let rising = pictures.windows(2).all(|pair| number(&pair[0][0]) < number(&pair[1][0]));
        assert!(rising, "pictures out of order");
        let played: Vec<(f64, f64)> = list(&measured["played"])
            .iter()
            .map(|one| (number(&one[0]), number(&one[1])))
            .collect();
        let (mut delay, mut ahead) = (Vec::new(), Vec::new());
        for picture in pictures {
            let (n, at) = (picture[0].as_u64().expect("a number"), number(&picture[2]));
            let sent = log.0.get(&n).unwrap_or_else(|| panic!("picture {n} was never sent"));
            delay.push(at - sent.handed);
            ahead.extend(heard_at(&played, at).map(|captured| captured - sent.captured));
        }
        assert!(ahead.len() >= LEAST, "sound was heard with {} pictures only", ahead.len());
        delay.sort_by(f64::total_cmp);
        ahead.sort_by(f64::total_cmp);
        let numbers = pictures.iter().map(|picture| number(&picture[0]) as u64).collect();
        let (sent, lost) = lost(&numbers, list(&measured["paints"]), log);
        Self {
            first,
            delay,
            sent,
            lost,
            seen: pictures.len(),
            unreadable: number(&measured["unreadable"]) as usize,
            ahead,
            page_lost: measured["lost"].as_str().expect("a text").to_owned(),
        }
    }

    /// Farthest that sound and picture were apart.
    pub(crate) fn apart(&self) -> f64 {
        self.ahead.iter().fold(0.0, |most, ahead| ahead.abs().max(most))
    }
}

/// Capture time of the sample that is heard at a moment.
fn heard_at(played: &[(f64, f64)], at: f64) -> Option<f64> {
    let (since, captured) = played[..played.partition_point(|(since, _)| *since <= at)].last()?;
    (at - since <= SOUND_HOLD_MS).then_some(captured + at - since)
}

/// Pictures sent from the first that was seen to the last, and how many of them the worker did not paint.
fn lost(seen: &BTreeSet<u64>, paints: &[Value], log: &SendLog) -> (usize, usize) {
    let painted: BTreeSet<i64> = paints.iter().map(|paint| number(&paint[0]) as i64).collect();
    let (first, last) = (seen.first().expect("pictures"), seen.last().expect("pictures"));
    let sent: Vec<_> = log.0.range(first..=last).collect();
    let is_painted = |sent: &Sent| painted.contains(&((sent.captured * 1000.0).round() as i64));
    let whole = (last - first) as usize + 1;
    (whole, whole - sent.iter().filter(|(_, sent)| is_painted(sent)).count())
}

/// The value that this share of a sorted list does not exceed.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
