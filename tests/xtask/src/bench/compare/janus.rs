//! Janus with one RTP mountpoint of its streaming plugin.

use std::fs;
use std::process::Command;

use super::rival::FEED_PORT;
use crate::bench::network::{Network, SERVER, Side, VIEWERS};
use crate::process::capture;

/// Debian packages that it needs.
pub(super) const PACKAGES: &[&str] = &["janus"];
/// What it says when its API listens.
pub(super) const READY: &str = "HTTP webserver started";

/// Port of its HTTP API.
const API_PORT: u16 = 8088;
/// Threads that send to viewers: one, as there is one processor. Without the setting each viewer
/// has a thread of its own, which costs more.
const EVENT_LOOPS: usize = 1;
/// Number of the mountpoint.
const MOUNTPOINT: &str = "1";

pub(super) fn is_installed() -> bool {
    capture("janus", &["--help"]).is_some()
}

/// The server with a configuration of its own: nothing that the load does not need is loaded.
pub(super) fn server(network: &Network) -> Result<Command, String> {
    let folder = network.folder().join("janus");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text);
    let written = fs::create_dir_all(&folder)
        .and_then(|()| write("janus.jcfg", &core(&folder.to_string_lossy())))
        .and_then(|()| write("janus.transport.http.jcfg", &api()))
        .and_then(|()| write("janus.plugin.streaming.jcfg", &mountpoint()));
    written.map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
    let mut command = network.command(Side::Server, "janus".as_ref());
    command.arg("-C").arg(folder.join("janus.jcfg")).arg("-F").arg(&folder);
    Ok(command)
}

/// Viewers with full handshakes that do not read, like those of our own load.
pub(super) fn viewers(network: &Network, count: usize) -> Command {
    let program = crate::target().join("release/examples/janus_viewers");
    let mut command = network.command(Side::Viewers, &program);
    command.args(["--api", &format!("http://{SERVER}:{API_PORT}/janus")]);
    command.args(["--mountpoint", MOUNTPOINT, "--local", VIEWERS, "--count", &count.to_string()]);
    command
}

fn core(folder: &str) -> String {
    let plugins = [
        "audiobridge",
        "duktape",
        "echotest",
        "lua",
        "nosip",
        "recordplay",
        "sip",
        "textroom",
        "videocall",
        "videoroom",
        "voicemail",
    ];
    let transports = ["mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets"];
    format!(
        "general: {{ configs_folder = \"{folder}\" debug_level = 4 session_timeout = 0 \
         event_loops = {EVENT_LOOPS} }}\n\
         media: {{ rtp_port_range = \"20000-40000\" }}\n\
         nat: {{ ice_lite = true }}\n\
         plugins: {{ disable = \"{}\" }}\n\
         transports: {{ disable = \"{}\" }}\n",
        libraries(&plugins),
        libraries(&transports)
    )
}

fn libraries(names: &[&str]) -> String {
    let files: Vec<String> = names.iter().map(|name| format!("libjanus_{name}.so")).collect();
    files.join(",")
}

fn api() -> String {
    format!(
        "general: {{ json = \"compact\" base_path = \"/janus\" http = true port = {API_PORT} \
         ip = \"{SERVER}\" https = false }}\nadmin: {{ admin_http = false }}\n"
    )
}

fn mountpoint() -> String {
    format!(
        "camera: {{ type = \"rtp\" id = {MOUNTPOINT} audio = false video = true \
         videoport = {FEED_PORT} videopt = 96 videocodec = \"h264\" \
         videofmtp = \"packetization-mode=1;profile-level-id=42e01f\" }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streaming_plugin_and_http_stay() {
        let text = core("/somewhere");
        assert!(text.contains("libjanus_videoroom.so,libjanus_voicemail.so"));
        assert!(!text.contains("libjanus_streaming") && !text.contains("libjanus_http"));
        assert!(mountpoint().contains("videoport = 5004") && api().contains("port = 8088"));
    }
}
