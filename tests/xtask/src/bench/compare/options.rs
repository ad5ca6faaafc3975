//! The command line of the comparison.

use super::rival::Contest;

pub(in crate::bench) const USAGE: &str = "usage: cargo xtask bench compare [flags]

flags:
  --with NAME          janus or gstreamer; may be repeated (both)
  --viewers N          viewers of one camera (100)
  --rounds N           rounds; fewer than 7 are not recorded (7)
  --seconds S          time of each half of a round (3)
";

/// Most viewers: Janus has a UDP port for each.
const MAX_VIEWERS: usize = 2000;

/// Parsed flags.
#[derive(Debug, PartialEq)]
pub(super) struct Options {
    pub(super) contests: Vec<Contest>,
    pub(super) viewers: usize,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    words: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            contests: Vec::new(),
            viewers: 100,
            rounds: 7,
            seconds: 3.0,
            words: words.to_vec(),
        };
        for pair in words.chunks(2) {
            let value = pair.get(1).map_or("", String::as_str);
            let wrong = || format!("{} {value} is not understood\n{USAGE}", pair[0]);
            options.set(&pair[0], value).ok_or_else(wrong)?;
        }
        if options.contests.is_empty() {
            options.contests = Contest::ALL.to_vec();
        }
        Ok(options)
    }

    /// `None`: an unknown flag or a value that cannot be.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--with" => self.contests.push(Contest::named(value)?),
            "--viewers" => {
                self.viewers = value.parse().ok().filter(|it| (1..=MAX_VIEWERS).contains(it))?;
            }
            "--rounds" => self.rounds = value.parse().ok().filter(|rounds| *rounds > 0)?,
            "--seconds" => {
                self.seconds = value.parse().ok().filter(|time| (0.2..=10.0).contains(time))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The command as it was given.
    pub(super) fn command(&self) -> String {
        format!("cargo xtask bench compare {}", self.words.join(" ")).trim_end().to_owned()
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
    fn flags_choose_and_are_kept_for_the_report() {
        assert_eq!(parse("").unwrap().contests, Contest::ALL);
        let options = parse("--with janus --rounds 2").unwrap();
        assert_eq!((&options.contests[..], options.rounds), (&[Contest::Janus][..], 2));
        assert_eq!(options.command(), "cargo xtask bench compare --with janus --rounds 2");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for line in ["--with mail", "--viewers 0", "--viewers 2001", "--seconds 11", "--rounds"] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(line.split(' ').next().unwrap()), "{error}");
        }
        assert_eq!(parse("--viewers 2000 --seconds 10").unwrap().viewers, 2000);
    }
}
