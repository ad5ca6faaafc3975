//! Clients that send requests without waiting for answers.

use super::*;

const REQUEST: &str = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
/// Requests of one write.
const BATCH: usize = 1000;
/// Turns with a full socket after which nothing more goes in.
const FULL: usize = 200;
/// More than what all buffers on the way hold, bytes.
const ENDLESS: usize = 200_000_000;

fn is_overfull(harness: &Harness) -> bool {
    harness.port.peers.iter().any(|(_, peer)| peer.output.is_overfull())
}

/// Sends requests until neither side takes more; how many bytes went in.
fn fill(harness: &mut Harness, camera: &mut Client) -> usize {
    let requests = REQUEST.repeat(BATCH);
    let (mut sent, mut full) = (0, 0);
    // The socket can be full for a moment while the kernel carries bytes to the server.
    while (full < FULL || !is_overfull(harness)) && sent < ENDLESS {
        match camera.tcp.write(&requests.as_bytes()[sent % REQUEST.len()..]) {
            Ok(written) => {
                sent += written;
                full = 0;
            }
            Err(_) => full += 1,
        }
        harness.turn();
    }
    sent
}

#[test]
fn a_pipelining_client_that_never_reads_is_bounded() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    let sent = fill(&mut harness, &mut camera);
    assert!(sent < ENDLESS && is_overfull(&harness), "the server reads on without end");
    assert!(!harness.directory.publishers.is_empty());
}

#[test]
fn a_pipelining_client_that_reads_at_last_gets_every_answer() {
    let mut harness = Harness::new();
    let mut camera = harness.camera();
    let requests = fill(&mut harness, &mut camera) / REQUEST.len();
    let mut answers = 0;
    let mut rest = Vec::new();
    until(&mut harness, |_| {
        camera.read();
        rest.append(&mut camera.received);
        let ends = rest.windows(4).enumerate().filter(|(_, four)| four == b"\r\n\r\n");
        let ends: Vec<usize> = ends.map(|(at, _)| at + 4).collect();
        answers += ends.len();
        rest.drain(..ends.last().copied().unwrap_or(0));
        answers >= requests
    });
    assert_eq!(answers, requests);
}
