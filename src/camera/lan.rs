//! Preview within the camera's own network: an own door, which the agent opens when it is told to.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use clap::Args;
use sightline_client::api::Api;
use sightline_client::lan::LanHub;
use sightline_client::lan::camera::LanTerms;
use sightline_grant::GrantVerifier;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::CameraArgs;
use crate::data_dir::write_private;

/// File with the server's grant key. Not secret, but who may change it lets terminals in.
const SERVER_KEY_FILE: &str = "server-grant.key";

/// Flags about viewers nearby.
#[derive(Args)]
pub(crate) struct LanArgs {
    /// Let terminals with a LAN grant preview the sealed picture at this address, such as
    /// 0.0.0.0:8555, also while the server is away
    #[arg(long)]
    lan: Option<SocketAddr>,
}

impl LanArgs {
    /// Opens the door, if there is to be one.
    pub(super) async fn start(
        &self,
        camera: &CameraArgs,
        api: &Api,
        keyframes: &watch::Sender<u64>,
        stop: &CancellationToken,
    ) -> Result<Option<LanHub>, String> {
        let Some(address) = self.lan else { return Ok(None) };
        if camera.mode != "sealed" {
            return Err(
                "--lan shows sealed pictures only; run the camera with --mode sealed".into()
            );
        }
        let server = server_key(&camera.folder.join(SERVER_KEY_FILE), api).await?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("--lan {address}: {error}"))?;
        let (serial, channel) = (camera.serial.clone(), camera.channel);
        let hub = LanHub::new(keyframes.clone());
        let local = listener.local_addr().map_err(|error| error.to_string())?;
        println!("[camera {serial}] preview within this network at {local}");
        let terms = LanTerms { serial, channel, server };
        tokio::spawn(hub.clone().serve(listener, terms, stop.clone()));
        Ok(Some(hub))
    }
}

/// The key that verifies grants: the one that the camera has kept, else the server's own word, given
/// over the connection that the pinned CA vouches for.
async fn server_key(path: &Path, api: &Api) -> Result<GrantVerifier, String> {
    if let Ok(text) = std::fs::read_to_string(path) {
        let broken = || format!("{} is not a grant key; delete it", path.display());
        return verifier(&text).ok_or_else(broken);
    }
    let server = api.server().await.map_err(|error| {
        format!("the server's grant key is not known yet, and the server cannot be asked: {error}")
    })?;
    let text = server.grant_key.unwrap_or_default();
    let key = verifier(&text).ok_or("the server has no grant key for previews")?;
    write_private(path, text.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(key)
}

fn verifier(text: &str) -> Option<GrantVerifier> {
    let key: [u8; 32] = B64.decode(text.trim()).ok()?.try_into().ok()?;
    Some(GrantVerifier::new(&key))
}
