//! A newcomer in Chromium: from the empty page to the live picture of the demo camera, and out
//! again when the terminal is signed out from elsewhere.

mod support;

use support::journey::{Newcomer, Protection};
use support::local::Local;

/// The whole way with the demo camera of a new server.
fn walk(flags: &[&str], protection: Protection) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), flags);
    let (serial, bind_text) = server.demo();
    let secret_file = server.data().join("demo-camera/secret.txt");
    Newcomer { serial, bind_text, secret_file, wrong_secret: None, protection }.walk(&server);
}

#[test]
fn a_newcomer_gets_from_the_empty_page_to_the_live_picture_and_is_signed_out_elsewhere() {
    walk(&[], Protection::Sealed);
}

#[test]
fn a_newcomer_watches_an_open_demo_camera_in_the_same_way_and_is_told_that_it_is_open() {
    walk(&["--set", "demo.mode=open"], Protection::Open);
}
