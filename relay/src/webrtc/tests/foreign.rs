//! Other implementations against the port: aiortc publishes over WHIP; aiortc and Chromium watch
//! over WHEP.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::lossy;
use super::rig::Rig;

/// Longest time for the whole round trip.
const PATIENCE: Duration = Duration::from_secs(60);
/// Frames that the viewer must have decoded.
const FRAMES: u64 = 50;

/// The next message of the client: a word, and text with its line ends as `\n`.
fn message(rig: &mut Rig, lines: &Receiver<String>, until: Instant) -> (String, String) {
    loop {
        assert!(Instant::now() < until, "the client went silent");
        rig.turn(Duration::from_millis(20));
        if let Ok(line) = lines.try_recv() {
            let (word, text) = line.split_once(' ').unwrap_or((&line, ""));
            return (word.to_owned(), text.replace("\\r\\n", "\r\n"));
        }
    }
}

fn answer(to: &mut ChildStdin, sdp: &str) {
    writeln!(to, "{}", sdp.replace("\r\n", "\\r\\n")).expect("the client reads");
}

/// `loss`: one datagram in so many is lost each way; 0 for a direct path.
fn round_trip(script: &str, arguments: &[&str], loss: u32) {
    let ip = std::env::var("SIGHTLINE_TEST_IP").expect("an address other than loopback");
    let mut rig = Rig::new(ip.parse().expect("an address"));
    let port = rig.port.local_addr();
    let path = if loss > 0 { lossy::path(port.ip(), port, loss) } else { port };
    let over_path = |sdp: &str| sdp.replace(&port.port().to_string(), &path.port().to_string());
    let script = format!("{}/src/webrtc/tests/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut client = Command::new("python3")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with aiortc");
    let mut to = client.stdin.take().expect("piped");
    let from = BufReader::new(client.stdout.take().expect("piped"));
    let (sender, lines) = channel();
    std::thread::spawn(move || from.lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
    let until = Instant::now() + PATIENCE;
    let (word, offer) = message(&mut rig, &lines, until);
    assert_eq!(word, "whip");
    let whip = rig.publish(&offer, false).expect("a good offer");
    answer(&mut to, &over_path(&whip.sdp));
    let (word, offer) = message(&mut rig, &lines, until);
    assert_eq!(word, "whep");
    let whep = rig.view(&offer).expect("live by now");
    answer(&mut to, &over_path(&whep.sdp));
    let (word, facts) = message(&mut rig, &lines, until);
    println!("{word} {facts} {:?}", rig.hub.stats());
    assert_eq!(word, "frames");
    assert!(facts.parse::<u64>().expect("a number") >= FRAMES);
    rig.delete(whep.session).expect("still there");
    let (word, facts) = message(&mut rig, &lines, until);
    assert_eq!((&word[..], &facts[..]), ("closed", "viewer"));
    drop(to);
    client.wait().expect("the client ends");
}

#[test]
#[ignore = "needs python3 with aiortc, and SIGHTLINE_TEST_IP"]
fn aiortc_publishes_and_watches() {
    round_trip("aiortc_client.py", &["actpass", "any"], 0);
}

#[test]
#[ignore = "needs python3 with aiortc, and SIGHTLINE_TEST_IP"]
fn a_publisher_that_insists_on_the_server_role_and_sha1_works() {
    round_trip("aiortc_client.py", &["passive", "sha1"], 0);
}

#[test]
#[ignore = "needs python3 with aiortc, chromium, and SIGHTLINE_TEST_IP"]
fn chromium_watches() {
    round_trip("chromium_client.py", &[], 0);
}

#[test]
#[ignore = "needs python3 with aiortc, chromium, and SIGHTLINE_TEST_IP"]
fn chromium_publishes_and_watches() {
    for codec in ["H264", "AV1"] {
        round_trip("chromium_client.py", &[codec], 0);
    }
}

#[test]
#[ignore = "needs python3 with aiortc, chromium, and SIGHTLINE_TEST_IP"]
fn chromium_watches_itself_over_a_path_that_loses_packets() {
    round_trip("chromium_client.py", &["H264"], 25);
}
