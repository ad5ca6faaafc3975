//! Configuration: a TOML file, environment variables and flags, in rising priority.
//!
//! [`Raw`] is what the file may say; an unknown key is refused by name. [`Settings`] is what the
//! server runs on, validated.

mod credentials;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sightline_relay::config::MAX_WORKERS;

pub(crate) mod carrier;
pub(crate) mod identity;
mod passkeys;
pub(crate) mod sms;
pub(crate) mod sso;
mod viewing;
pub(crate) use credentials::MailTls;
use credentials::{Mail, Passwords};

/// Prefix of environment variables: `SIGHTLINE_<SECTION>_<KEY>`, e.g. `SIGHTLINE_LISTEN_HTTP`.
const ENV_PREFIX: &str = "SIGHTLINE_";
/// Variables with our prefix that are no configuration keys.
const ENV_OTHER: [&str; 2] = ["SIGHTLINE_DATA", "SIGHTLINE_CONFIG"];

/// The file's shape. Every key has a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    /// Addresses that the server listens on.
    pub(crate) listen: Listen,
    /// Who the server is to its clients.
    pub(crate) server: Server,
    /// Media rules.
    pub(crate) media: Media,
    /// The demo camera.
    pub(crate) demo: Demo,
    /// Text messages.
    pub(crate) sms: sms::Sms,
    /// Signing in by the phone's own line.
    pub(crate) carrier: carrier::Carrier,
    /// Apps that people sign in to with their account.
    pub(crate) sso: sso::Sso,
    /// Unusual logins.
    pub(crate) abnormal: carrier::Abnormal,
    /// Watching.
    pub(crate) viewing: viewing::Viewing,
    /// Logging.
    pub(crate) log: Log,
    /// Mail.
    pub(crate) mail: Mail,
    /// Passwords.
    pub(crate) passwords: Passwords,
    /// Passkeys.
    pub(crate) passkeys: passkeys::Passkeys,
    /// Stand-in for identity providers.
    pub(crate) federation: identity::Federation,
    /// Identity providers that people sign in by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) identity_providers: Vec<identity::Provider>,
    /// Cameras that the server pulls by RTSP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull: Vec<Pull>,
}

/// `[listen]`: address and port of each door.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// Page and API in clear, for loopback; redirects to https with `--lan`.
    pub(crate) http: SocketAddr,
    /// Page and API over TLS.
    pub(crate) https: SocketAddr,
    /// RTP over QUIC (UDP).
    pub(crate) roq: SocketAddr,
    /// WebRTC (UDP).
    pub(crate) webrtc: SocketAddr,
    /// RTSP (TCP).
    pub(crate) rtsp: SocketAddr,
    /// RTSP over TLS (TCP).
    pub(crate) rtsps: SocketAddr,
    /// RTP of RTSP sessions over UDP; RTCP on the port after it.
    pub(crate) rtsp_udp: SocketAddr,
    /// Prometheus metrics.
    pub(crate) metrics: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            http: at(8080),
            https: at(8443),
            roq: at(8444),
            webrtc: at(8189),
            rtsp: at(8554),
            rtsps: at(8322),
            rtsp_udp: at(8000),
            metrics: at(9464),
        }
    }
}

/// `[server]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Host name in certificates and key proofs.
    pub(crate) name: String,
    /// Addresses that viewers reach the server at, for ICE candidates. Empty: the listen address,
    /// or every address of the machine when that is 0.0.0.0.
    pub(crate) public_addresses: Vec<IpAddr>,
}

impl Default for Server {
    fn default() -> Self {
        Self { name: "localhost".into(), public_addresses: Vec::new() }
    }
}

/// `[media]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    /// Allow RTSP PLAY without TLS from other than loopback addresses.
    pub(crate) plain_rtsp_play: bool,
    /// Relay threads; 0 is one a processor. Each has UDP ports of its own: the first those of
    /// `[listen]`, the next the ports after them.
    pub(crate) workers: usize,
}

impl Media {
    /// Relay threads of this machine.
    pub(crate) fn worker_count(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.workers == 0 { all().min(MAX_WORKERS) } else { self.workers }
    }
}

/// `[demo]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Demo {
    /// Run the demo camera.
    pub(crate) camera: bool,
    /// Whether a demo camera that is added on the first start seals what it sends. One that was added
    /// before stays what it is.
    pub(crate) mode: DemoMode,
}

/// What leaves the demo camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DemoMode {
    /// Frames that only its owner can open.
    #[default]
    Sealed,
    /// Frames that this server can see.
    Open,
}

impl Default for Demo {
    fn default() -> Self {
        Self { camera: true, mode: DemoMode::default() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// Form of the lines.
    pub(crate) format: LogFormat,
    /// Filter, e.g. `info` or `info,sightline_relay=debug`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".into() }
    }
}

/// `[[pull]]`: one camera that the server pulls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// Serial of a device that `admin device add --open` made.
    pub(crate) serial: String,
    /// Channel of the device.
    #[serde(default)]
    pub(crate) channel: u16,
    /// `rtsp://host[:port]/path`, without user and password.
    pub(crate) url: String,
    /// User name at the camera.
    #[serde(default)]
    pub(crate) user: String,
    /// File that holds the password at the camera.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// Allow an address of this machine; private networks are allowed anyway.
    #[serde(default)]
    pub(crate) allow_loopback: bool,
}

/// What the command line may set on top of file and environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `section.key` and value, as TOML or plain text.
    pub(crate) values: Vec<(String, String)>,
}

/// Why a configuration is refused. The text names the key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Syntax, an unknown key or a value of the wrong kind.
    #[error("the configuration is wrong: {0}")]
    Parse(String),
    /// A value that cannot be.
    #[error("the configuration key {key} is wrong: {reason}")]
    Value {
        /// Key at fault.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

/// Reads file, environment and flags into one [`Raw`].
pub(crate) fn load(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Raw, ConfigError> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?,
        None => String::new(),
    };
    // The file is checked by itself first: its errors carry line and column.
    toml::from_str::<Raw>(&text).map_err(|error| ConfigError::Parse(error.to_string()))?;
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|error| ConfigError::Parse(error.to_string()))?;
    let mut env: Vec<_> = env.filter(|(name, _)| is_config(name)).collect();
    env.sort();
    for (name, value) in env {
        let rest = name[ENV_PREFIX.len()..].to_lowercase();
        let Some((section, key)) = rest.split_once('_') else {
            return Err(ConfigError::Parse(format!("{name} names no configuration key")));
        };
        set(&mut table, section, key, &value, &name)?;
    }
    for (name, value) in &overrides.values {
        let Some((section, key)) = name.split_once('.') else {
            return Err(ConfigError::Parse(format!("{name} names no configuration key")));
        };
        set(&mut table, section, key, value, name)?;
    }
    let raw: Raw = toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Parse(error.message().to_owned()))?;
    validate(&raw)?;
    Ok(raw)
}

fn is_config(name: &str) -> bool {
    name.starts_with(ENV_PREFIX) && !ENV_OTHER.contains(&name)
}

fn set(
    table: &mut toml::Table,
    section: &str,
    key: &str,
    value: &str,
    from: &str,
) -> Result<(), ConfigError> {
    let value = as_toml(value);
    let entry = table.entry(section).or_insert_with(|| toml::Table::new().into());
    let Some(section_table) = entry.as_table_mut() else {
        return Err(ConfigError::Parse(format!("{from}: [{section}] is no table")));
    };
    section_table.insert(key.to_owned(), value);
    // Checked at once, so that the message names the variable or flag at fault.
    let probe = toml::Value::Table(table.clone()).try_into::<Raw>();
    probe.map(drop).map_err(|error| ConfigError::Parse(format!("{from}: {}", error.message())))
}

/// A TOML value if it is one (numbers, booleans, arrays), else a string.
fn as_toml(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    parsed
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn validate(raw: &Raw) -> Result<(), ConfigError> {
    let bad = |key, reason: &str| Err(ConfigError::Value { key, reason: reason.to_owned() });
    if raw.server.name.is_empty() || raw.server.name.len() > 253 {
        return bad("server.name", "a host name has 1 to 253 characters");
    }
    if raw.server.public_addresses.iter().any(IpAddr::is_unspecified) {
        return bad("server.public_addresses", "0.0.0.0 is no address that a viewer can reach");
    }
    if raw.server.public_addresses.len() > MAX_PUBLIC_ADDRESSES {
        return bad("server.public_addresses", "at most 16 addresses");
    }
    if raw.media.workers > MAX_WORKERS {
        return bad("media.workers", "at most 64; 0 is one a processor");
    }
    sms::validate(&raw.sms)?;
    carrier::validate(&raw.carrier)?;
    passkeys::validate(raw)?;
    identity::validate(&raw.identity_providers)?;
    sso::validate(&raw.sso)?;
    raw.viewing.window()?;
    for (key, first, each) in [
        ("listen.webrtc", raw.listen.webrtc.port(), 1),
        ("listen.roq", raw.listen.roq.port(), 1),
        ("listen.rtsp_udp", raw.listen.rtsp_udp.port(), 2),
    ] {
        let last = usize::from(first) + each * raw.media.worker_count() - 1;
        if first != 0 && last > usize::from(u16::MAX) {
            return bad(key, "each relay thread needs the ports after it, and they end at 65535");
        }
    }
    raw.mail.validate()?;
    raw.passwords.validate()?;
    let rtp = raw.listen.rtsp_udp.port();
    if rtp != 0 && !rtp.is_multiple_of(2) {
        return bad("listen.rtsp_udp", "RTP needs an even port, RTCP takes the next one");
    }
    Ok(())
}

/// Bound on `server.public_addresses`: each one is a candidate in every answer.
pub(crate) const MAX_PUBLIC_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Raw, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sightline.toml");
        std::fs::write(&path, text).unwrap();
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let overrides = Overrides { values: own(flags) };
        load(Some(&path), own(env).into_iter(), &overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let file =
            "[listen]\nhttp = \"127.0.0.1:1\"\nhttps = \"127.0.0.1:2\"\nrtsp = \"127.0.0.1:3\"";
        let env =
            [("SIGHTLINE_LISTEN_HTTPS", "127.0.0.1:20"), ("SIGHTLINE_LISTEN_RTSP", "127.0.0.1:30")];
        let raw = load_text(file, &env, &[("listen.rtsp", "127.0.0.1:300")]).unwrap();
        let ports = [raw.listen.http, raw.listen.https, raw.listen.rtsp].map(|at| at.port());
        assert_eq!(ports, [1, 20, 300]);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_wherever_it_comes_from() {
        let file = load_text("[listen]\nhtpp = \"127.0.0.1:1\"", &[], &[]).unwrap_err();
        assert!(file.contains("htpp") && file.contains("line 2"), "{file}");
        let env = load_text("", &[("SIGHTLINE_LISTEN_HTPP", "1")], &[]).unwrap_err();
        assert!(env.contains("SIGHTLINE_LISTEN_HTPP") && env.contains("htpp"), "{env}");
        let flag = load_text("", &[], &[("nowhere.key", "1")]).unwrap_err();
        assert!(flag.contains("nowhere"), "{flag}");
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let text = load_text("", &[("SIGHTLINE_LISTEN_HTTP", "8080")], &[]).unwrap_err();
        assert!(text.contains("SIGHTLINE_LISTEN_HTTP"), "{text}");
        let odd = load_text("[listen]\nrtsp_udp = \"127.0.0.1:8001\"", &[], &[]).unwrap_err();
        assert!(odd.contains("listen.rtsp_udp"), "{odd}");
    }

    #[test]
    fn public_addresses_are_bounded_on_both_sides() {
        let with = |count: usize| {
            let list = vec!["\"192.0.2.1\""; count].join(",");
            load_text(&format!("[server]\npublic_addresses = [{list}]"), &[], &[])
        };
        assert!(with(MAX_PUBLIC_ADDRESSES).is_ok());
        assert!(with(MAX_PUBLIC_ADDRESSES + 1).is_err());
    }

    #[test]
    fn relay_threads_are_bounded_and_their_ports_exist() {
        let with = |workers: usize, port: u16| {
            let text =
                format!("[media]\nworkers = {workers}\n[listen]\nwebrtc = \"127.0.0.1:{port}\"");
            load_text(&text, &[], &[])
        };
        assert!(with(MAX_WORKERS, 8189).is_ok());
        assert!(with(MAX_WORKERS + 1, 8189).unwrap_err().contains("media.workers"));
        assert!(with(4, 65_532).is_ok());
        assert!(with(5, 65_532).unwrap_err().contains("listen.webrtc"));
        assert_eq!(with(3, 0).unwrap().media.worker_count(), 3);
        assert!(with(0, 0).unwrap().media.worker_count() >= 1);
    }

    #[test]
    fn what_print_shows_is_what_check_takes() {
        let shown = toml::to_string(&Raw::default()).unwrap();
        let again: Raw = toml::from_str(&shown).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), shown);
    }
}
