//! What the operator reads when the server has started.

use std::io::Write;
use std::net::SocketAddr;

use super::DoorAddresses;
use crate::config::Raw;
use crate::config::sms::Carrier;
use crate::data_dir::DataDir;

/// File with the demo device's bind text, for people who start the server in the background.
pub(crate) const BIND_FILE: &str = "demo-bind.txt";

/// Ports of what stands in for servers that are not ours.
#[derive(Clone, Copy)]
pub(crate) struct StandIns {
    /// The carrier.
    pub(crate) carrier: Option<u16>,
    /// The identity provider.
    pub(crate) identity: Option<u16>,
}

/// Prints where everything is. Standard output, so that logs can go elsewhere.
pub(crate) fn print(data: &DataDir, raw: &Raw, at: DoorAddresses, lan: bool, there: StandIns) {
    let mut out = std::io::stdout().lock();
    let state = if data.is_new() { "new" } else { "existing" };
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!("Sightline {} is ready.", env!("CARGO_PKG_VERSION")));
    line(format!("  data     {} ({state})", data.path().display()));
    if lan {
        let port = at.https.port();
        let mut addresses = super::public_addresses(raw);
        addresses.retain(|address| !address.is_loopback());
        for address in &addresses {
            line(format!("  page     https://{}/", SocketAddr::new(*address, port)));
        }
        if addresses.is_empty() {
            line(format!(
                "  page     https port {port} of this machine; set server.public_addresses"
            ));
        }
        line(format!("  trust    {} (the local CA)", data.path().join("pki/ca.pem").display()));
    } else {
        line(format!("  page     http://localhost:{}/", at.http.port()));
    }
    line(format!("  metrics  http://{}/metrics", at.metrics));
    line(match raw.mail.host.as_str() {
        "" => format!(
            "  mail     DEVELOPMENT MAIL: appears here and in {} of the data folder",
            super::mail::MAIL_FILE
        ),
        host => format!("  mail     by {host}"),
    });
    line(match raw.sms.carrier {
        Carrier::Development => {
            "  SMS      DEVELOPMENT SMS: codes appear here and in dev-sms.txt of the data folder"
                .into()
        }
        carrier => format!("  SMS      {carrier:?}"),
    });
    if let Some(port) = there.carrier {
        line(format!(
            "  carrier  DEVELOPMENT CARRIER on 127.0.0.1:{port}: anybody can be any number"
        ));
    }
    if let Some(port) = there.identity {
        line(format!(
            "  identity DEVELOPMENT IDENTITY on 127.0.0.1:{port}: anybody can be anybody"
        ));
    }
    if raw.demo.camera
        && let Ok(text) = std::fs::read_to_string(data.path().join(BIND_FILE))
        && let Some((serial, code)) = split_bind_text(text.trim())
    {
        line(format!("  demo     serial {serial}, verification code {code}   ({})", text.trim()));
    }
    let _ = out.flush();
}

/// Serial and code of `SL1:<serial>:<code>`.
fn split_bind_text(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("SL1:")?.split_once(':')
}
