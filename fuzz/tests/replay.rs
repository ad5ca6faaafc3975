//! Replays the committed seeds and simple variations of them through every target.
//! `SIGHTLINE_FUZZ_ROUNDS` sets the variations of each seed (200).

use std::fs;
use std::path::{Path, PathBuf};

use sightline_fuzz::{TARGETS, Target};

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
