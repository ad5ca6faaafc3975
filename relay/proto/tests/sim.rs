//! The relay core on simulated cameras, links and viewers, in virtual time.
//!
//! Scenarios are data: steps with a sentence each, run on several seeds. Every seed is printed; a
//! failure repeats with `SIGHTLINE_SIM_SEED=<seed>`. `SIGHTLINE_SIM_SEEDS` sets how many are run.

#[path = "sim/bounds.rs"]
mod bounds;
#[path = "sim/camera.rs"]
mod camera;
#[path = "sim/keyframes.rs"]
mod keyframes;
#[path = "sim/late_viewer.rs"]
mod late_viewer;
#[path = "sim/link.rs"]
mod link;
#[path = "sim/needless.rs"]
mod needless;
#[path = "sim/pacing.rs"]
mod pacing;
#[path = "sim/publishers.rs"]
mod publishers;
#[path = "sim/quality.rs"]
mod quality;
#[path = "sim/random.rs"]
mod random;
#[path = "sim/sealing.rs"]
mod sealing;
#[path = "sim/slow_viewer.rs"]
mod slow_viewer;
#[path = "sim/viewer.rs"]
mod viewer;
#[path = "sim/world.rs"]
mod world;
