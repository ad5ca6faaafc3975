//! What the gate decides in a second, and what an idle control plane keeps in memory. Driven by
//! `cargo xtask bench gate`, one processor at a time:
//!
//! ```text
//! gate fill FOLDER ACCOUNTS       a database in which every account may watch a device of its own
//! gate decide FOLDER SECONDS RATE decisions as fast as they go; by the clock, RATE a second, first of
//!                                 nothing and then decisions
//! gate idle FOLDER                opens the control plane, says `ready` and waits for its end
//! ```
//!
//! A decision is [`ControlPlane::admit`], as `POST /v1/media-grants` calls it: one read of the truth,
//! and once a minute for each viewing window a commit that is on the disk before the answer.

#[path = "gate/fill.rs"]
mod fill;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sightline_control_plane::email::Email;
use sightline_control_plane::limits::Limits;
use sightline_control_plane::mail::{Mail, MailSender};
use sightline_control_plane::password::PasswordConfig;
use sightline_control_plane::sms::{NotSent, SmsMessage, SmsSender};
use sightline_control_plane::{Config, ControlPlane};
use sightline_grant::Action;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Decisions under way at a time when they go as fast as they can.
const CALLERS: usize = 8;
/// Decisions under way at a time, at most, when they go by the clock.
const MOST_WAITING: usize = 4096;
/// Step between two devices that are asked for in turn: no two neighbours, every one of them.
const STRIDE: usize = 7919;

type Failure = Box<dyn std::error::Error>;

/// No message is sent here.
struct Silent;

#[async_trait]
impl SmsSender for Silent {
    async fn send(&self, _: &SmsMessage<'_>) -> Result<(), NotSent> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "silent"
    }
}

#[async_trait]
impl MailSender for Silent {
    async fn send(&self, _: &Email, _: &Mail) -> Result<(), NotSent> {
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match words[..] {
            ["fill", folder, accounts] => {
                open(folder.as_ref()).await?;
                fill::fill(folder.as_ref(), accounts.parse()?).await
            }
            ["decide", folder, seconds, rate] => {
                let seconds = Duration::from_secs(seconds.parse()?);
                decide(folder.as_ref(), seconds, rate.parse()?).await
            }
            ["idle", folder] => idle(folder.as_ref()).await,
            _ => Err("usage: gate fill|decide|idle FOLDER ...; see the head of the file".into()),
        }
    })
}

async fn open(folder: &Path) -> Result<ControlPlane, Failure> {
    let config = Config {
        data_dir: PathBuf::from(folder),
        master_key: None,
        server_name: "bench.example".into(),
        page_host: "bench.example".into(),
        limits: Limits::default(),
        passwords: PasswordConfig::default(),
    };
    Ok(ControlPlane::open(config, Arc::new(Silent), Arc::new(Silent)).await?)
}

async fn idle(folder: &Path) -> Result<(), Failure> {
    let control_plane = open(folder).await?;
    let stop = CancellationToken::new();
    println!("ready");
    // It ends with its process.
    control_plane.run_worker(stop).await;
    Ok(())
}

async fn decide(folder: &Path, time: Duration, rate: u32) -> Result<(), Failure> {
    let control_plane = open(folder).await?;
    let accounts = fill::accounts(folder).await?;
    let mut fast = closed_loop(&control_plane, accounts, time).await?;
    println!("closed {}", line(&mut fast, time));
    // What the machine itself makes of the clock: its own stalls are in every other figure too.
    let mut nothing = open_loop(time, rate, |_| std::future::ready(Ok(()))).await?;
    println!("nothing {}", line(&mut nothing, time));
    let decide = |number: u64| {
        let control_plane = control_plane.clone();
        async move {
            let account = usize::try_from(number).map_err(|error| error.to_string())?;
            admit(&control_plane, account * STRIDE % accounts).await
        }
    };
    let mut paced = open_loop(time, rate, decide).await?;
    println!("open {}", line(&mut paced, time));
    Ok(())
}

/// As many as go: each caller asks again as soon as it has its answer.
async fn closed_loop(
    control_plane: &ControlPlane,
    accounts: usize,
    time: Duration,
) -> Result<Vec<Duration>, Failure> {
    let end = Instant::now() + time;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let control_plane = control_plane.clone();
        callers.spawn(async move {
            let (mut number, mut took) = (caller, Vec::new());
            while Instant::now() < end {
                let asked = Instant::now();
                admit(&control_plane, number * STRIDE % accounts).await?;
                took.push(asked.elapsed());
                number += CALLERS;
            }
            Ok::<_, String>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = callers.join_next().await {
        all.extend(took??);
    }
    Ok(all)
}

/// By the clock, whether the one before is answered or not. A decision's time counts from the moment
/// that it was due, so one that had to wait for others is not made to look fast. A thread of its own
/// keeps the clock: timers of the runtime are only good to a millisecond.
async fn open_loop<D>(
    time: Duration,
    rate: u32,
    decide: impl Fn(u64) -> D,
) -> Result<Vec<Duration>, Failure>
where
    D: Future<Output = Result<(), String>> + Send + 'static,
{
    let (due, mut asked) = mpsc::channel(MOST_WAITING);
    let count = time.as_secs() * u64::from(rate);
    let clock = std::thread::spawn(move || {
        let begin = Instant::now();
        for number in 0..count {
            let at = begin + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if due.try_send((number, at)).is_err() {
                return false;
            }
        }
        true
    });
    let mut under_way = JoinSet::new();
    while let Some((number, at)) = asked.recv().await {
        let decision = decide(number);
        under_way.spawn(async move {
            decision.await?;
            Ok::<_, String>(at.elapsed())
        });
    }
    let mut all = Vec::new();
    while let Some(took) = under_way.join_next().await {
        all.push(took??);
    }
    match clock.join() {
        Ok(true) => Ok(all),
        _ => Err(format!("{MOST_WAITING} decisions wait: {rate} a second is too much").into()),
    }
}

/// One decision; anything but an admission is an error.
async fn admit(control_plane: &ControlPlane, account: usize) -> Result<(), String> {
    let token = fill::token(account);
    let serial = fill::serial(account);
    let admitted =
        control_plane.admit(&token, fill::terminal(account), &serial, 0, Action::Live).await;
    admitted.map(drop).map_err(|refusal| format!("{serial}: {refusal}"))
}

/// `rate a second, p50, p99 and longest in microseconds`.
fn line(took: &mut [Duration], time: Duration) -> String {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_micros();
    let rate = took.len() as f64 / time.as_secs_f64();
    format!("{rate:.0} {} {} {}", at(50), at(99), at(100))
}
