//! Replays the committed seeds and simple variations of them through every target.
//! `SIGHTLINE_FUZZ_ROUNDS` sets the variations of each seed (200).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sightline_fuzz::{TARGETS, Target};
use sightline_relay_proto::rtsp::Event;
use sightline_relay_proto::rtsp::digest::Secret;
use sightline_relay_proto::webrtc::BindingRequest;
use sightline_relay_proto::webrtc::srtp::Profile;

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a seed"))).collect()
}

#[test]
fn every_target_has_seeds_and_replays_them() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for (path, seed) in seeds {
            println!("{}", path.display());
            target(&seed);
        }
    }
}

#[test]
fn every_truncation_of_a_seed_is_survived() {
    for (name, target) in TARGETS {
        for (_, seed) in seeds(name) {
            for len in 0..seed.len().min(600) {
                target(&seed[..len]);
            }
        }
    }
}

#[test]
fn changed_seeds_are_survived() {
    let rounds =
        std::env::var("SIGHTLINE_FUZZ_ROUNDS").map_or(200, |text| text.parse().expect("a number"));
    for (name, target) in TARGETS {
        let seeds: Vec<_> = seeds(name).into_iter().map(|(_, seed)| seed).collect();
        for (index, seed) in seeds.iter().enumerate() {
            for round in 0..rounds {
                vary(target, seed, &seeds, (index as u64) << 32 | round);
            }
        }
    }
}

/// Runs one variation; its number is printed, and shown when the target panics.
fn vary(target: Target, seed: &[u8], others: &[Vec<u8>], number: u64) {
    println!("variation {number}");
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound.max(1) as u64) as usize
    };
    let mut data = seed.to_vec();
    for _ in 0..1 + next(6) {
        let at = next(data.len());
        match next(5) {
            0 if !data.is_empty() => data[at] = next(256) as u8,
            1 if !data.is_empty() => data[at] ^= 1 << next(8),
            2 if !data.is_empty() => drop(data.drain(at..(at + 1 + next(8)).min(data.len()))),
            3 => data
                .splice(at..at, (0..next(8)).map(|_| next(256) as u8).collect::<Vec<_>>())
                .for_each(drop),
            _ => data.extend_from_slice(&others[next(others.len())]),
        }
    }
    data.truncate(4096);
    target(&data);
}

#[test]
fn seeds_of_transports_are_authentic() {
    let named = |target: &str, name: &str| {
        let found = seeds(target).into_iter().find(|(path, _)| path.ends_with(name));
        found.expect("the seed is committed").1
    };
    let check = named("stun", "check");
    let request = BindingRequest::parse(&check).expect("a binding request");
    assert!(request.is_authentic(sightline_fuzz::credentials().pwd()));

    let session = named("rtsp", "record");
    let now = Instant::now();
    let mut connection = sightline_fuzz::rtsp_connection(now);
    let (mut announced, mut media) = (0, 0);
    connection.handle_input(&session[1..]);
    while let Some(event) = connection.poll_event(now) {
        match event {
            Event::Login { user, .. } => {
                let (realm, password) = (sightline_fuzz::REALM, sightline_fuzz::RTSP_PASSWORD);
                let secret = Secret::from_password(&user, realm, password);
                connection.answer_login(now, Some(secret));
            }
            Event::Announce { .. } => {
                announced += 1;
                connection.accept();
            }
            Event::Media { .. } => media += 1,
            _ => {}
        }
    }
    assert_eq!((announced, media, connection.setups().len()), (1, 1, 1));

    let sealed = named("srtp", "gcm128-rtp");
    let mut receiver = sightline_fuzz::srtp_pair(Profile::AeadAes128Gcm).0.receiver;
    assert!(receiver.open_rtp(&sealed, &mut Vec::new()));
}
