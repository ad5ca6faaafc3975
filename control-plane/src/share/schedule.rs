//! The hours of the week in which a share is open.
//!
//! Hours are those of a fixed offset from UTC: the server needs no table of time zones, and a share
//! means the same wherever it is read. Where clocks change in summer, the owner moves the hours.

use serde::{Deserialize, Serialize};

const MINUTES_OF_DAY: u16 = 24 * 60;
const MINUTES_OF_WEEK: usize = 7 * MINUTES_OF_DAY as usize;
/// 1 January 1970 was a Thursday: this many minutes after the beginning of its week.
const EPOCH_IN_WEEK: i64 = 3 * MINUTES_OF_DAY as i64;
/// Offsets from UTC that exist, minutes.
const OFFSETS: std::ops::RangeInclusive<i16> = -12 * 60..=14 * 60;
/// Most windows of a schedule.
pub const MAX_WINDOWS: usize = 14;

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A time of the day as `HH:MM`, from `00:00` to `24:00`; minutes since midnight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClockTime(u16);

/// Not a [`ClockTime`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a time of the day is written HH:MM, from 00:00 to 24:00")]
pub struct NotATime;

/// The same hours on some days.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeeklyWindow {
    /// Days on which it begins.
    pub days: Vec<Weekday>,
    /// When it opens.
    pub from: ClockTime,
    /// When it closes: on the next day, unless it is later than `from`.
    pub to: ClockTime,
}

/// When a share is open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How far its clock is ahead of UTC, minutes.
    pub utc_offset_minutes: i16,
    /// Its hours; they may overlap.
    pub windows: Vec<WeeklyWindow>,
}

/// Why a schedule is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSchedule {
    /// No such clock.
    #[error("the clock of a schedule is 12 hours behind UTC to 14 hours ahead of it")]
    Offset,
    /// None, or more than [`MAX_WINDOWS`].
    #[error("a schedule has 1 to 14 windows")]
    Windows,
    /// No day, or one twice.
    #[error("a window names each of its days once, and at least one")]
    Days,
    /// Opens when it closes, or at 24:00.
    #[error("a window opens before 24:00, and closes at another time than it opens")]
    Empty,
}

impl TryFrom<String> for ClockTime {
    type Error = NotATime;

    fn try_from(text: String) -> Result<Self, NotATime> {
        let two = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = text.split_once(':').ok_or(NotATime)?;
        let (hours, minutes) = two(hours).zip(two(minutes)).ok_or(NotATime)?;
        let all = hours * 60 + minutes;
        if minutes < 60 && all <= MINUTES_OF_DAY { Ok(Self(all)) } else { Err(NotATime) }
    }
}

impl From<ClockTime> for String {
    fn from(time: ClockTime) -> Self {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

impl Schedule {
    /// Whether it is one.
    ///
    /// # Errors
    /// See [`BadSchedule`].
    pub fn check(&self) -> Result<(), BadSchedule> {
        if !OFFSETS.contains(&self.utc_offset_minutes) {
            return Err(BadSchedule::Offset);
        }
        if !(1..=MAX_WINDOWS).contains(&self.windows.len()) {
            return Err(BadSchedule::Windows);
        }
        for window in &self.windows {
            let twice = |(at, day)| window.days[..at].contains(day);
            if window.days.is_empty() || window.days.iter().enumerate().any(twice) {
                return Err(BadSchedule::Days);
            }
            if window.from.0 == MINUTES_OF_DAY || window.from == window.to {
                return Err(BadSchedule::Empty);
            }
        }
        Ok(())
    }

    /// Whether it is open at a time, Unix seconds.
    pub fn is_open(&self, now: u64) -> bool {
        self.week()[self.minute_of_week(now)]
    }

    /// When it closes, Unix seconds: at the end of the hours that run at `now`, else of the next ones.
    /// `u64::MAX`: never.
    pub fn next_close(&self, now: u64) -> u64 {
        let (week, minute) = (self.week(), self.minute_of_week(now));
        let open = |ahead: &usize| week[(minute + ahead) % MINUTES_OF_WEEK];
        let Some(opens) = (0..MINUTES_OF_WEEK).find(open) else { return u64::MAX };
        let closes = (opens..opens + MINUTES_OF_WEEK).find(|ahead| !open(ahead));
        closes.map_or(u64::MAX, |ahead| now - now % 60 + ahead as u64 * 60)
    }

    fn minute_of_week(&self, now: u64) -> usize {
        let minutes = i64::try_from(now / 60).unwrap_or(i64::MAX / 2);
        let local = minutes + i64::from(self.utc_offset_minutes) + EPOCH_IN_WEEK;
        local.rem_euclid(MINUTES_OF_WEEK as i64) as usize
    }

    /// For each minute of the week, from Monday 00:00 on, whether it is open.
    fn week(&self) -> [bool; MINUTES_OF_WEEK] {
        let mut week = [false; MINUTES_OF_WEEK];
        for window in &self.windows {
            let mut length = i32::from(window.to.0) - i32::from(window.from.0);
            if length < 0 {
                length += i32::from(MINUTES_OF_DAY);
            }
            for day in &window.days {
                let start =
                    *day as usize * usize::from(MINUTES_OF_DAY) + usize::from(window.from.0);
                for ahead in 0..length as usize {
                    week[(start + ahead) % MINUTES_OF_WEEK] = true;
                }
            }
        }
        week
    }
}

#[cfg(test)]
mod tests;
