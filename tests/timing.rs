//! Whether the time of an answer tells that a number has an account.
//!
//! A real server on loopback, argon2 at its configured cost, one connection. Numbers with an account
//! and a password, and as many without, are asked about in pairs, in an order that a seeded generator
//! shuffles, so that whatever else the machine does falls on both alike. Three requests are measured:
//! for a sign-in code, for a code for a new password, and a login by a wrong password. Statuses and
//! the shape of the bodies must be the same.
//!
//! The claim is equivalence, not the absence of a difference that happens to be found: two one-sided
//! tests (TOST) on the difference of the medians at 5 % each, with the bounds of [`MARGIN_US`]. They
//! hold when the 90 % interval of that difference, by a percentile bootstrap of [`RESAMPLES`] seeded
//! draws of whole pairs, lies within the bounds. So too few samples, or a machine too busy to tell, fail.
//!
//! `SIGHTLINE_TIMING_SAMPLES` (default 1000) is the number of samples for each kind of number and
//! request; it is rounded up to whole rounds of [`ROUNDS`].

mod support;
#[path = "timing/tost.rs"]
mod tost;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sightline_grant::requirement;
use support::caller::{Caller, entry};
use support::local::Local;
use tost::{Generator, interval};

/// Bound of the difference of the medians, microseconds.
const MARGIN_US: f64 = 1000.0;
/// Draws of the bootstrap.
const RESAMPLES: usize = 2000;
/// How often each number is asked about: as many wrong passwords as are compared before a lock.
const ROUNDS: usize = 5;
/// A development server sends one message to a number within this time.
const PAUSE: Duration = Duration::from_millis(2100);
/// Pause between two requests: one address may make a hundred a second.
const STEP: Duration = Duration::from_millis(11);
/// What everybody's password is.
const PASSWORD: &str = "gnu lamp oboe fig";

/// Requests that are measured.
const REQUESTS: [&str; 3] = ["sign-in code", "code for a new password", "wrong password"];

fn samples() -> usize {
    let given = std::env::var("SIGHTLINE_TIMING_SAMPLES").ok();
    given.map_or(1000, |text| text.parse().expect("SIGHTLINE_TIMING_SAMPLES is a number"))
}

/// Microseconds of both kinds of number, by request.
type Times = BTreeMap<&'static str, [Vec<f64>; 2]>;

/// Asks once; status, shape of the body, and microseconds.
async fn measure(caller: &Caller, request: &'static str, phone: &str) -> (u16, Vec<String>, f64) {
    let (path, body) = match request {
        "sign-in code" => ("/v1/otp", json!({ "purpose": "login", "target": phone })),
        "code for a new password" => ("/v1/otp", json!({ "purpose": "reset", "target": phone })),
        _ => ("/v1/sessions", entry(json!({ "target": phone, "password": "gnu lamp oboe fog" }))),
    };
    let started = Instant::now();
    let (status, body) = caller.send("POST", path, body).await;
    let took = started.elapsed().as_secs_f64() * 1e6;
    (status, shape(&body), took)
}

/// Names of the members, and what is told by them but for random names.
fn shape(body: &Value) -> Vec<String> {
    let members = body.as_object().expect("an object").iter();
    members
        .map(|(name, value)| match name.as_str() {
            "challenge_id" => format!("{name} of {}", value.as_str().map_or(0, str::len)),
            _ => format!("{name}: {value}"),
        })
        .collect()
}

/// Numbers with an account and a password.
async fn registered(server: &Local, count: usize) -> Vec<String> {
    let phones: Vec<_> =
        (0..count).map(|n| format!("+49151{:08}", 20_000_000 + n * 7919)).collect();
    for phone in &phones {
        Caller::new(server).sign_in(phone).await;
    }
    tokio::time::sleep(PAUSE).await;
    let caller = Caller::new(server);
    for phone in &phones {
        caller.reset(phone, PASSWORD).await;
    }
    tokio::time::sleep(PAUSE).await;
    phones
}

async fn all_times(server: &Local, count: usize) -> Times {
    let known = registered(server, count).await;
    let unknown: Vec<_> =
        (0..count).map(|n| format!("+49151{:08}", 60_000_000 + n * 7919)).collect();
    let (caller, mut order) = (Caller::new(server), Generator::new(7));
    let mut times = Times::new();
    for round in 0..ROUNDS {
        for request in REQUESTS {
            let started = Instant::now();
            let mut shapes = Vec::new();
            for at in 0..count {
                let first = usize::from(order.next() % 2 == 0);
                for kind in [first, 1 - first] {
                    let phone = if kind == 0 { &known[at] } else { &unknown[at] };
                    let (status, shape, took) = measure(&caller, request, phone).await;
                    tokio::time::sleep(STEP).await;
                    times.entry(request).or_default()[kind].push(took);
                    shapes.push((status, shape));
                }
            }
            assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{request}: {shapes:?}");
            let wanted = if request == "wrong password" { 403 } else { 202 };
            assert_eq!(shapes[0].0, wanted, "{request}, round {round}: {:?}", shapes[0]);
            tokio::time::sleep(PAUSE.saturating_sub(started.elapsed())).await;
        }
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_take_the_same_time_with_and_without_an_account() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let times = all_times(&server, samples().div_ceil(ROUNDS)).await;
    let mut failed = Vec::new();
    println!(
        "| request | samples each | p50 known, ms | p50 unknown, ms | 90 % interval of the difference, ms |"
    );
    for (request, [known, unknown]) in &times {
        let (low, high) = interval(known, unknown, RESAMPLES, &mut Generator::new(11));
        println!(
            "| {request} | {} | {:.3} | {:.3} | {:+.3} to {:+.3} |",
            known.len(),
            tost::median(known) / 1e3,
            tost::median(unknown) / 1e3,
            low / 1e3,
            high / 1e3,
        );
        if low <= -MARGIN_US || high >= MARGIN_US {
            failed.push(*request);
        }
    }
    assert!(failed.is_empty(), "not shown to be the same within 1 ms: {failed:?}");
    requirement!("A1", "A3", "A6");
}
