//! The results as a picture: a bar a case, its height the median ratio, with whiskers from the
//! smallest to the largest and a line at the goal.

use std::fmt::Write;

use super::figures::{Round, Spread};

/// Sizes in pixels.
const BAR: f64 = 56.0;
const GAP: f64 = 34.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 30.0;
const HEIGHT: f64 = 240.0;
const BOTTOM: f64 = 58.0;
/// Room for the title.
const LEAST_WIDTH: f64 = 520.0;
/// Least ratio at the top of the picture.
const LEAST_TOP: f64 = 2.0;

/// Draws the cases from left to right.
pub(super) fn svg(cases: &[Vec<Round>]) -> String {
    let spreads: Vec<Spread> = cases.iter().map(|case| Spread::over(case, Round::ratio)).collect();
    let top = spreads.iter().map(|spread| spread.max).fold(LEAST_TOP, f64::max).ceil();
    let width = (LEFT + cases.len() as f64 * (BAR + GAP) + GAP).max(LEAST_WIDTH);
    let height = TOP + HEIGHT + BOTTOM;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\" text-anchor=\"middle\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" text-anchor=\"start\" font-size=\"13\">\
         Server CPU a packet in bare loops: median, smallest to largest; dashes: goal</text>\n"
    );
    axis(&mut out, top, width);
    for (number, (case, spread)) in cases.iter().zip(&spreads).enumerate() {
        let x = LEFT + GAP + number as f64 * (BAR + GAP);
        bar(&mut out, x, top, &case[0], spread);
    }
    out.push_str("</svg>\n");
    out
}

/// Height of a ratio in the picture.
fn y(ratio: f64, top: f64) -> f64 {
    TOP + HEIGHT * (1.0 - ratio / top)
}

// Writing to a string cannot fail.

fn axis(out: &mut String, top: f64, width: f64) {
    let mut ratio = 0.0;
    while ratio <= top {
        let (at, end) = (y(ratio, top), width - GAP / 2.0);
        let colour = if ratio == 1.0 { "#444" } else { "#ddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{end}\" y2=\"{at:.1}\" stroke=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{ratio:.1}</text>",
            LEFT - 6.0,
            at + 4.0
        );
        ratio += 0.5;
    }
}

fn bar(out: &mut String, x: f64, top: f64, first: &Round, spread: &Spread) {
    let goal = first.path.goal(first.viewers);
    let goal = goal.filter(|_| !first.software);
    let good = goal.is_none_or(|goal| spread.median <= goal);
    let colour = if good { "#3b7f5c" } else { "#b0493a" };
    let (middle, floor) = (x + BAR / 2.0, y(0.0, top));
    let (median, low, high) = (y(spread.median, top), y(spread.min, top), y(spread.max, top));
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{median:.1}\" width=\"{BAR}\" height=\"{:.1}\" fill=\"{colour}\"/>\
         <path d=\"M{middle:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h12M{:.1} {high:.1}h12\" stroke=\"#000\"/>\
         <text x=\"{middle:.1}\" y=\"{:.1}\">{:.2}</text>",
        floor - median,
        middle - 6.0,
        middle - 6.0,
        high - 5.0,
        spread.median
    );
    if let Some(goal) = goal {
        let at = y(goal, top);
        let _ = writeln!(
            out,
            "<line x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#000\" \
             stroke-width=\"2\" stroke-dasharray=\"5 3\"/>",
            x - 8.0,
            x + BAR + 8.0
        );
    }
    let cut = if first.software { "no USO" } else { "" };
    for (line, text) in [first.path.name(), &format!("x {}", first.viewers), cut].iter().enumerate()
    {
        let _ = writeln!(
            out,
            "<text x=\"{middle:.1}\" y=\"{:.1}\">{text}</text>",
            floor + 16.0 + 14.0 * line as f64
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::sample;
    use crate::bench::path::Path;

    #[test]
    fn every_case_has_a_bar_and_a_goal() {
        let cases = vec![
            vec![sample(Path::Webrtc, 1000, 1, 1.2)],
            vec![sample(Path::Rtp, 100, 1, 3.4)],
            vec![Round { software: true, ..sample(Path::Rtp, 100, 1, 1.4) }],
        ];
        let picture = svg(&cases);
        assert_eq!(picture.matches("<rect").count(), 1 + cases.len());
        assert_eq!(picture.matches("stroke-dasharray").count(), 2);
        assert!(picture.contains(">webrtc<") && picture.contains(">3.40<"), "{picture}");
        assert!(picture.trim_end().ends_with("</svg>"));
        assert!(!picture.contains("NaN"));
    }

    #[test]
    fn the_highest_ratio_stays_inside() {
        assert!((y(4.0, 4.0) - TOP).abs() < 1e-9);
        assert!((y(0.0, 4.0) - TOP - HEIGHT).abs() < 1e-9);
        assert!(svg(&[]).contains("</svg>"));
    }
}
