//! A newcomer in Chromium: from the empty page to the live picture of the demo camera, and out
//! again when the terminal is signed out from elsewhere.

mod support;

use support::journey::{Newcomer, Protection};
use support::local::Local;

/// What the demo camera sends.
const DEMO: Protection = Protection::Sealed;

#[test]
fn a_newcomer_gets_from_the_empty_page_to_the_live_picture_and_is_signed_out_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Local::start(folder.path(), &[]);
    let (serial, bind_text) = server.demo();
    let secret_file = server.data().join("demo-camera/secret.txt");
    let newcomer =
        Newcomer { serial, bind_text, secret_file, wrong_secret: None, protection: DEMO };
    newcomer.walk(&server);
}
