//! A thousand guesses at once, over 16 connections of a real server: at a code and at a password. How
//! many were compared is read from the server's own ledger, which has a row for each comparison.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sightline_grant::requirement;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use support::caller::{Caller, entry};
use support::local::Local;

/// Guesses in all.
const GUESSES: usize = 1000;
/// Connections that share them.
const CONNECTIONS: usize = 16;
/// Guesses that are compared at most.
const COMPARED: i64 = 5;
/// A development server sends one message to a number within this time.
const PAUSE: Duration = Duration::from_millis(2100);

/// How long to wait when the server takes no more requests from one address for the moment.
const BREATH: Duration = Duration::from_millis(250);

/// Sends one; `insist`: until it is looked at, whatever the server's limits of requests say.
async fn send(caller: &Caller, body: &Value, insist: bool) -> (u16, Value) {
    loop {
        let (status, answer) = caller.send("POST", "/v1/sessions", body.clone()).await;
        if status != 429 || !insist {
            return (status, answer);
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Makes all guesses; how often each status was answered.
async fn guess(caller: &Caller, guesses: Vec<Value>, insist: bool) -> Vec<(u16, usize)> {
    let (guesses, next) = (Arc::new(guesses), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (caller, guesses, next) = (caller.another_connection(), guesses.clone(), next.clone());
        tasks.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Some(body) = guesses.get(next.fetch_add(1, Ordering::Relaxed)) {
                seen.push(send(&caller, body, insist).await.0);
            }
            seen
        }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.extend(task.await.expect("a task"));
    }
    assert_eq!(statuses.len(), GUESSES);
    statuses.sort_unstable();
    statuses.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect()
}

fn count_of(answers: &[(u16, usize)], status: u16) -> usize {
    answers.iter().find(|(seen, _)| *seen == status).map_or(0, |(_, count)| *count)
}

/// Comparisons of one kind that the server has made.
async fn compared(server: &Local, dimension: &str) -> i64 {
    let path = server.data().join("control-plane.db");
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut database = options.connect().await.expect("the server's database");
    sqlx::query_scalar("SELECT count(*) FROM otp_ledger WHERE dimension = ?1")
        .bind(dimension)
        .fetch_one(&mut database)
        .await
        .expect("the ledger")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_guesses_at_one_code_five_are_compared_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let (caller, phone) = (Caller::new(&server), "+4915110000001");
    let challenge = caller.ask(json!({ "purpose": "login", "target": phone })).await;
    let right = caller.code_after(0, phone);
    let number: usize = right.parse().expect("digits");
    // The right one is among the last.
    let codes = (0..GUESSES).map(|n| match n {
        950 => right.clone(),
        _ => format!("{:06}", (number + 1 + n) % 1_000_000),
    });
    let shown = codes.map(|code| entry(json!({ "challenge_id": challenge, "code": code })));
    let answers = guess(&caller, shown.collect(), true).await;
    println!("answers by status: {answers:?}");
    assert!(count_of(&answers, 201) <= 1, "{answers:?}");
    assert_eq!(count_of(&answers, 201) + count_of(&answers, 403), GUESSES, "{answers:?}");
    assert_eq!(compared(&server, "code-number").await, COMPARED);
    let body = entry(json!({ "challenge_id": challenge, "code": right }));
    let (status, body) = send(&caller, &body, true).await;
    assert_eq!((status, body["type"].as_str()), (403, Some("/problems/code-invalid")), "{body}");
    requirement!("A4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_guesses_at_one_password_five_are_compared_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &["--no-demo"]);
    let (mut owner, phone) = (Caller::new(&server), "+4915110000002");
    owner.sign_in(phone).await;
    tokio::time::sleep(PAUSE).await;
    owner.token = None;
    owner.reset(phone, "gnu lamp oboe fig").await;
    let stranger = Caller::new(&server);
    let words = (0..GUESSES).map(|n| match n {
        950 => "gnu lamp oboe fig".to_owned(),
        _ => format!("gnu lamp oboe {n}"),
    });
    let shown = words.map(|password| entry(json!({ "target": phone, "password": password })));
    let answers = guess(&stranger, shown.collect(), false).await;
    println!("answers by status: {answers:?}");
    assert!(answers.iter().all(|(status, _)| [201, 403, 429].contains(status)), "{answers:?}");
    assert_eq!(count_of(&answers, 201), 0, "{answers:?}");
    assert_eq!(compared(&server, "password-number").await, COMPARED);
    let right = entry(json!({ "target": phone, "password": "gnu lamp oboe fig" }));
    tokio::time::sleep(BREATH).await;
    let (status, _) = send(&owner, &right, true).await;
    assert_eq!(status, 201, "the owner's terminal has guesses of its own");
    requirement!("A3");
}
