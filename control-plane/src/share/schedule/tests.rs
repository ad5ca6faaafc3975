use super::*;

/// Monday, 1 January 2024, 00:00 UTC.
const MONDAY: u64 = 1_704_067_200;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn window(days: &[Weekday], from: &str, to: &str) -> WeeklyWindow {
    let time = |text: &str| ClockTime::try_from(text.to_owned()).unwrap();
    WeeklyWindow { days: days.to_vec(), from: time(from), to: time(to) }
}

fn schedule(utc_offset_minutes: i16, windows: &[WeeklyWindow]) -> Schedule {
    Schedule { utc_offset_minutes, windows: windows.to_vec() }
}

#[test]
fn a_window_is_open_from_its_first_second_to_the_one_before_its_last() {
    let tuesday = schedule(0, &[window(&[Weekday::Tue], "09:00", "11:30")]);
    let opens = MONDAY + DAY + 9 * HOUR;
    let closes = opens + 2 * HOUR + HOUR / 2;
    for (at, open) in [
        (opens - 1, false),
        (opens, true),
        (closes - 1, true),
        (closes, false),
        (opens + DAY, false),
        (opens + 7 * DAY, true),
        (opens - 7 * DAY, true),
    ] {
        assert_eq!(tuesday.is_open(at), open, "{at}");
    }
    for at in [MONDAY, opens - 1, opens, closes - 1] {
        assert_eq!(tuesday.next_close(at), closes, "{at}");
    }
    assert_eq!(tuesday.next_close(closes), closes + 7 * DAY, "of the next week");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let night = schedule(0, &[window(&[Weekday::Sun], "22:00", "06:00")]);
    let opens = MONDAY - 2 * HOUR;
    for (at, open) in [
        (opens - 1, false),
        (opens, true),
        (MONDAY - 1, true),
        (MONDAY, true),
        (MONDAY + 6 * HOUR - 1, true),
        (MONDAY + 6 * HOUR, false),
        (MONDAY + 22 * HOUR, false),
    ] {
        assert_eq!(night.is_open(at), open, "{at}");
    }
    assert_eq!(night.next_close(opens), MONDAY + 6 * HOUR, "not at midnight");
}

#[test]
fn midnight_itself_is_the_end_of_one_day_and_the_beginning_of_the_next() {
    let until = schedule(0, &[window(&[Weekday::Mon], "20:00", "24:00")]);
    let (before, at) = (MONDAY + DAY - 1, MONDAY + DAY);
    assert_eq!((until.is_open(before), until.is_open(at)), (true, false));
    let zero = schedule(0, &[window(&[Weekday::Mon], "20:00", "00:00")]);
    assert_eq!((zero.is_open(before), zero.is_open(at)), (true, false), "the same, said otherwise");
    let from = schedule(0, &[window(&[Weekday::Tue], "00:00", "01:00")]);
    assert_eq!((from.is_open(before), from.is_open(at)), (false, true));
    let both = schedule(0, &[until.windows[0].clone(), from.windows[0].clone()]);
    assert_eq!(both.next_close(MONDAY + 21 * HOUR), MONDAY + 25 * HOUR, "one time, no gap");
}

#[test]
fn hours_are_those_of_the_owners_clock() {
    let days = [window(&[Weekday::Mon], "00:00", "01:00")];
    for (offset, opens) in [(60, MONDAY - HOUR), (-330, MONDAY + 5 * HOUR + HOUR / 2)] {
        let there = schedule(offset, &days);
        assert_eq!((there.is_open(opens - 1), there.is_open(opens)), (false, true), "{offset}");
        assert_eq!(there.next_close(opens), opens + HOUR, "{offset}");
    }
}

#[test]
fn a_whole_week_never_closes() {
    let all = [
        Weekday::Mon,
        Weekday::Tue,
        Weekday::Wed,
        Weekday::Thu,
        Weekday::Fri,
        Weekday::Sat,
        Weekday::Sun,
    ];
    let always = schedule(0, &[window(&all, "00:00", "24:00")]);
    assert!(always.is_open(MONDAY) && always.is_open(MONDAY + 6 * DAY));
    assert_eq!(always.next_close(MONDAY), u64::MAX);
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    let good = window(&[Weekday::Mon], "08:00", "09:00");
    let of = |windows: Vec<WeeklyWindow>| Schedule { utc_offset_minutes: 0, windows };
    for (bad, why) in [
        (schedule(841, std::slice::from_ref(&good)), BadSchedule::Offset),
        (schedule(-721, std::slice::from_ref(&good)), BadSchedule::Offset),
        (of(vec![]), BadSchedule::Windows),
        (of(vec![good.clone(); MAX_WINDOWS + 1]), BadSchedule::Windows),
        (of(vec![window(&[], "08:00", "09:00")]), BadSchedule::Days),
        (of(vec![window(&[Weekday::Mon, Weekday::Mon], "08:00", "09:00")]), BadSchedule::Days),
        (of(vec![window(&[Weekday::Mon], "08:00", "08:00")]), BadSchedule::Empty),
        (of(vec![window(&[Weekday::Mon], "24:00", "08:00")]), BadSchedule::Empty),
    ] {
        assert_eq!(bad.check(), Err(why), "{bad:?}");
    }
    for fits in
        [schedule(840, std::slice::from_ref(&good)), schedule(-720, &vec![good; MAX_WINDOWS])]
    {
        assert_eq!(fits.check(), Ok(()));
    }
}

#[test]
fn times_are_read_and_written_as_people_write_them() {
    for text in ["00:00", "07:05", "23:59", "24:00"] {
        assert_eq!(String::from(ClockTime::try_from(text.to_owned()).unwrap()), text);
    }
    for bad in ["", "7:05", "07:5", "24:01", "07:60", "25:00", "0705", "07:05:00", "+7:05", "ab:cd"]
    {
        assert!(ClockTime::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}
