//! The command line of the bench.

use super::path::Path;

pub(super) const USAGE: &str = "usage: cargo xtask bench floor [flags]

flags:
  --path NAME          webrtc, rtp, rtsp-tcp, roq, roq-datagrams, webtransport,
                       srtp-sha1, webrtc-audio, webrtc-twcc, roq-sealed or
                       webtransport-sealed; may be repeated (all)
  --viewers N[,N...]   viewers of one camera (1000,100)
  --fps N              frames a second of the camera (30, or 8 for 1000 viewers over QUIC,
                       whose processor can read no more)
  --rounds N           rounds of each case; fewer than 7 are not recorded (7)
  --seconds S          time of each half of a round (2)
  --no-uso             let the kernel cut segments in software, as it does for a network
                       card without UDP segmentation; without paths whose viewers read
  --bare               only the bare loops, without the server

other benches: cargo xtask bench memory, crowd, latency, sealing, gate
";

/// Most viewers of one case: their ports must fit behind the first.
const MAX_VIEWERS: usize = 20_000;

/// Parsed flags.
#[derive(Debug, PartialEq)]
pub(super) struct Options {
    pub(super) paths: Vec<Path>,
    pub(super) viewers: Vec<usize>,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    /// Frames a second; `None`: what suits the path.
    pub(super) rate: Option<u32>,
    /// The kernel cuts segments, not the device.
    pub(super) software: bool,
    pub(super) bare_only: bool,
    words: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            paths: Vec::new(),
            viewers: vec![1000, 100],
            rounds: 7,
            seconds: 2.0,
            rate: None,
            software: false,
            bare_only: false,
            words: words.to_vec(),
        };
        let mut rest = words.iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--no-uso" => options.software = true,
                "--bare" => options.bare_only = true,
                "--help" => return Err(USAGE.to_owned()),
                _ => {
                    let value = rest.next().map_or("", String::as_str);
                    let wrong = || format!("{name} {value} is not understood\n{USAGE}");
                    options.set(name, value).ok_or_else(wrong)?;
                }
            }
        }
        if options.paths.is_empty() {
            let fits = |path: &Path| !options.software || !path.is_read();
            options.paths = Path::ALL.into_iter().filter(fits).collect();
        }
        if options.software && options.paths.iter().any(|path| path.is_read()) {
            return Err(
                "--no-uso is about UDP that nobody reads: leave rtsp-tcp, roq and webtransport \
                 out"
                .to_owned(),
            );
        }
        Ok(options)
    }

    /// `None`: an unknown flag or a value that cannot be.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--path" => self.paths.push(Path::named(value)?),
            "--viewers" => {
                let numbers: Result<Vec<usize>, _> = value.split(',').map(str::parse).collect();
                self.viewers = numbers.ok()?;
                if !self.viewers.iter().all(|number| (1..=MAX_VIEWERS).contains(number)) {
                    return None;
                }
            }
            "--fps" => self.rate = Some(value.parse().ok().filter(|rate| (1..=60).contains(rate))?),
            "--rounds" => self.rounds = value.parse().ok().filter(|rounds| *rounds > 0)?,
            "--seconds" => {
                self.seconds = value.parse().ok().filter(|time| (0.2..=30.0).contains(time))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Frames a second of a case.
    pub(super) fn rate(&self, path: Path, viewers: usize) -> u32 {
        self.rate.unwrap_or_else(|| path.frames_per_second(viewers))
    }

    /// The command as it was given.
    pub(super) fn command(&self) -> String {
        format!("cargo xtask bench floor {}", self.words.join(" ")).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn without_flags_everything_is_measured() {
        let options = parse("").unwrap();
        assert_eq!(options.paths, Path::ALL);
        assert_eq!((options.viewers, options.rounds), (vec![1000, 100], 7));
        assert_eq!(
            parse("--no-uso").unwrap().paths,
            [Path::Webrtc, Path::Rtp, Path::SrtpSha1, Path::WebrtcAudio, Path::WebrtcTwcc]
        );
    }

    #[test]
    fn flags_choose_and_are_kept_for_the_report() {
        let options = parse("--path rtp --viewers 50 --rounds 9 --seconds 0.5").unwrap();
        assert_eq!((&options.paths[..], &options.viewers[..]), (&[Path::Rtp][..], &[50][..]));
        assert_eq!((options.rounds, options.seconds, options.rate), (9, 0.5, None));
        assert_eq!(parse("--fps 15").unwrap().rate, Some(15));
        let command = "cargo xtask bench floor --path rtp --viewers 50 --rounds 9 --seconds 0.5";
        assert_eq!(options.command(), command);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for line in [
            "--path carrier-pigeon",
            "--viewers 0",
            "--fps 0",
            "--seconds 900",
            "--rounds",
            "--loud 1",
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(line.split(' ').next().unwrap()), "{error}");
        }
        assert!(parse("--no-uso --path rtsp-tcp").is_err());
        assert!(parse("--no-uso --path roq").is_err());
    }
}
