//! What a process has used, from /proc (proc(5)).

use std::collections::BTreeMap;
use std::fs;

/// Time on a processor of each thread of a process, ns.
pub(super) type Threads = BTreeMap<u32, u64>;

/// Reads the threads of a process.
pub(super) fn threads(process: u32) -> Result<Threads, String> {
    let times: Threads = tasks(process)?
        .filter_map(|task| {
            let text = fs::read_to_string(format!("/proc/{process}/task/{task}/schedstat")).ok()?;
            Some((task, time_on_processor(&text)?))
        })
        .collect();
    if times.is_empty() {
        return Err("no /proc/PID/task/*/schedstat; the kernel lacks CONFIG_SCHED_INFO".to_owned());
    }
    Ok(times)
}

/// Time that was used between two looks, ns. A thread that ended in between is left out: only idle
/// helpers end while a server runs.
pub(super) fn used(before: &Threads, after: &Threads) -> u64 {
    let since = |(task, time): (&u32, &u64)| {
        time.saturating_sub(before.get(task).copied().unwrap_or_default())
    };
    after.iter().map(since).sum()
}

/// How often the threads whose names begin with `prefix` went to sleep by themselves; each sleep
/// ends with a wake.
pub(super) fn sleeps(process: u32, prefix: &str) -> Result<u64, String> {
    let named = |task: &u32| {
        fs::read_to_string(format!("/proc/{process}/task/{task}/comm"))
            .is_ok_and(|name| name.starts_with(prefix))
    };
    let counts: Vec<u64> = tasks(process)?
        .filter(named)
        .filter_map(|task| {
            let text = fs::read_to_string(format!("/proc/{process}/task/{task}/status")).ok()?;
            voluntary_switches(&text)
        })
        .collect();
    if counts.is_empty() {
        return Err(format!("the server has no thread named {prefix}*"));
    }
    Ok(counts.iter().sum())
}

fn tasks(process: u32) -> Result<impl Iterator<Item = u32>, String> {
    let folder = format!("/proc/{process}/task");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("cannot read {folder}: {error}"))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// First number of `schedstat`: ns on a processor.
fn time_on_processor(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn voluntary_switches(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_thread_are_read() {
        assert_eq!(time_on_processor("8812345 1200 42\n"), Some(8_812_345));
        let status =
            "Name:\trelay-0\nvoluntary_ctxt_switches:\t312\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(voluntary_switches(status), Some(312));
        assert_eq!(time_on_processor(""), None);
    }

    #[test]
    fn threads_that_came_count_and_threads_that_went_do_not() {
        let before = Threads::from([(1, 100), (2, 50)]);
        let after = Threads::from([(1, 130), (3, 7)]);
        assert_eq!(used(&before, &after), 37);
    }

    #[test]
    fn our_own_threads_are_seen() {
        let process = std::process::id();
        assert!(threads(process).unwrap().values().sum::<u64>() > 0);
        assert!(sleeps(process, "no such thread").is_err());
    }
}
