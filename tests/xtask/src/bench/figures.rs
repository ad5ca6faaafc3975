//! What is measured, as rows of `benches/results/floor.csv`.

use std::fmt;

use super::path::Path;

/// Names of the columns.
pub(super) const COLUMNS: &str = "run,path,viewers,segments_cut_by,round,packets_per_frame,\
server_ns,bare_ns,bare_at_camera_rate_ns,ratio,ratio_at_camera_rate,wakes_per_frame,server_busy,bare_share_of_per_packet,frames_per_second,unread,sound_per_frame";

/// One round of one case.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    /// When the case began, UTC; the same for its rounds.
    pub(super) run: String,
    pub(super) path: Path,
    pub(super) viewers: usize,
    /// The kernel cut segmented messages, not the device.
    pub(super) software: bool,
    pub(super) number: usize,
    /// Packets that a viewer got, a frame.
    pub(super) packets_per_frame: f64,
    /// Packets of sound that a viewer got, a frame.
    pub(super) sound_per_frame: f64,
    /// Processor time of the whole server a delivered packet, sound included, ns.
    pub(super) server_ns: f64,
    /// The same of the bare loop at full speed.
    pub(super) bare_ns: f64,
    /// The same of the bare loop at the camera's rate: it sleeps between frames as the server does.
    pub(super) paced_ns: f64,
    /// Sleeps of all workers a frame.
    pub(super) wakes_per_frame: f64,
    /// Processor time of the server, share of one processor.
    pub(super) busy: f64,
    /// Cost of the SRTP loop as a share of one call a packet, in the same run.
    pub(super) share: f64,
    /// Rate of the camera.
    pub(super) frames_per_second: u32,
    /// Share of the messages that the viewers' sockets had no room for.
    pub(super) unread: f64,
}

impl Round {
    /// The server's cost in bare loops, which the goals are about. Where somebody reads, the loop
    /// runs at the camera's rate: at full speed the receivers never sleep, and waking them is most
    /// of the difference.
    pub(super) fn ratio(&self) -> f64 {
        if self.path.is_read() { self.paced_ratio() } else { self.picture_ns() / self.bare_ns }
    }

    /// The server's cost in bare loops at the camera's rate.
    pub(super) fn paced_ratio(&self) -> f64 {
        self.picture_ns() / self.paced_ns
    }

    /// Processor time of the whole server a packet of the picture: sound costs and brings nothing.
    fn picture_ns(&self) -> f64 {
        self.server_ns * (1.0 + self.sound_per_frame / self.packets_per_frame.max(1.0))
    }

    /// For the terminal.
    pub(super) fn line(&self) -> String {
        format!(
            "R {:.2}  server {:.0} ns  bare {:.0} ns, at camera's rate {:.0} ns  {:.2} wakes a frame  {:.0} % busy",
            self.ratio(),
            self.server_ns,
            self.bare_ns,
            self.paced_ns,
            self.wakes_per_frame,
            self.busy * 100.0
        )
    }

    /// As a row.
    pub(super) fn csv(&self) -> String {
        let cut = if self.software { "kernel" } else { "device" };
        format!(
            "{},{},{},{cut},{},{:.2},{:.1},{:.1},{:.1},{:.3},{:.3},{:.2},{:.3},{:.3},{},{:.4},{:.2}",
            self.run,
            self.path.name(),
            self.viewers,
            self.number,
            self.packets_per_frame,
            self.server_ns,
            self.bare_ns,
            self.paced_ns,
            self.ratio(),
            self.paced_ratio(),
            self.wakes_per_frame,
            self.busy,
            self.share,
            self.frames_per_second,
            self.unread,
            self.sound_per_frame
        )
    }

    /// Reads a row; `None` for the head and for what is no row.
    pub(super) fn parse(row: &str) -> Option<Self> {
        let cells: Vec<&str> = row.trim().split(',').collect();
        let [
            run,
            path,
            viewers,
            cut,
            number,
            packets,
            server,
            bare,
            paced,
            _,
            _,
            wakes,
            busy,
            share,
            rate,
            unread,
            sound,
        ] = cells[..]
        else {
            return None;
        };
        Some(Self {
            run: run.to_owned(),
            path: Path::named(path)?,
            viewers: viewers.parse().ok()?,
            software: cut == "kernel",
            number: number.parse().ok()?,
            packets_per_frame: packets.parse().ok()?,
            server_ns: server.parse().ok()?,
            bare_ns: bare.parse().ok()?,
            paced_ns: paced.parse().ok()?,
            wakes_per_frame: wakes.parse().ok()?,
            busy: busy.parse().ok()?,
            share: share.parse().ok()?,
            frames_per_second: rate.parse().ok()?,
            unread: unread.parse().ok()?,
            sound_per_frame: sound.parse().ok()?,
        })
    }
}

/// Smallest, middle and largest of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of at least one figure; zeros of none.
    pub(super) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Self { min: 0.0, median: 0.0, max: 0.0 };
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self { min, median, max }
    }

    /// Of one figure of each round.
    pub(super) fn over(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Self {
        Self::of(&rounds.iter().map(figure).collect::<Vec<_>>())
    }
}

impl fmt::Display for Spread {
    /// `min / median / max`, without decimals unless asked for.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = out.precision().unwrap_or(0);
        let Self { min, median, max } = self;
        write!(out, "{min:.digits$} / {median:.digits$} / {max:.digits$}")
    }
}

#[cfg(test)]
pub(super) fn sample(path: Path, viewers: usize, number: usize, ratio: f64) -> Round {
    Round {
        run: "2030-01-02T03:04:05Z".to_owned(),
        path,
        viewers,
        software: false,
        number,
        packets_per_frame: 14.0,
        sound_per_frame: 0.0,
        server_ns: 300.0 * ratio,
        bare_ns: 300.0,
        paced_ns: 400.0,
        wakes_per_frame: 1.0,
        busy: 0.25,
        share: 0.21,
        frames_per_second: 30,
        unread: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back() {
        let round = sample(Path::Rtp, 1000, 3, 1.5);
        assert_eq!(Round::parse(&round.csv()), Some(round.clone()));
        assert_eq!(round.csv().split(',').count(), COLUMNS.split(',').count());
        assert_eq!(Round::parse(COLUMNS), None);
        assert_eq!(Round::parse(""), None);
    }

    #[test]
    fn sound_costs_and_brings_nothing() {
        let mute = sample(Path::WebrtcAudio, 1000, 1, 2.0);
        let round = Round { sound_per_frame: 1.4, ..mute.clone() };
        assert!((round.ratio() - 1.1 * mute.ratio()).abs() < 1e-9);
    }

    #[test]
    fn where_somebody_reads_the_goal_is_about_the_loop_at_the_cameras_rate() {
        let udp = sample(Path::Rtp, 1000, 1, 2.0);
        assert_eq!((udp.ratio(), udp.paced_ratio()), (2.0, 1.5));
        assert_eq!(sample(Path::RtspTcp, 1000, 1, 2.0).ratio(), 1.5);
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(format!("{spread:.1}"), "1.0 / 2.0 / 3.0");
        assert_eq!(Spread::of(&[]).max, 0.0);
    }
}
