//! An app on the command line, whichever command it is: the server that it talks to, its own folder,
//! and the camera that it is about.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sightline_client::api::Api;
use sightline_client::{Identity, Roots};

use crate::camera::read_roots;
use crate::data_dir::make_private_dir;

/// File with the key of this terminal's login, in the app's folder.
const IDENTITY_FILE: &str = "terminal.key";

/// Arguments of every app.
#[derive(Args)]
pub(crate) struct AppArgs {
    /// Server, e.g. https://cam.example:8443
    #[arg(long, default_value = "https://localhost:8443")]
    pub(crate) server: String,
    /// The server's CA certificate to pin (pki/ca.pem of its data folder)
    #[arg(long)]
    ca: PathBuf,
    /// Folder of this viewer's key and login
    #[arg(long, default_value = "./sightline-viewer")]
    pub(crate) folder: PathBuf,
    /// Serial of the camera
    #[arg(long)]
    pub(crate) serial: String,
}

/// What an app talks to the server with.
pub(crate) struct App {
    /// The server, which this terminal proves its key to.
    pub(crate) api: Api,
    /// The terminal's key.
    pub(crate) identity: Arc<Identity>,
    /// Certificates that the server is checked with.
    pub(crate) roots: Roots,
}

impl AppArgs {
    /// Makes the folder and the key in it, unless they are there, and gets ready to talk to the
    /// server.
    ///
    /// # Errors
    /// A file that cannot be read or made, or an address that is none; the text names it.
    pub(crate) fn start(&self) -> Result<App, String> {
        make_private_dir(&self.folder)
            .map_err(|error| format!("cannot make {}: {error}", self.folder.display()))?;
        let path = self.folder.join(IDENTITY_FILE);
        let identity = Identity::load_or_create(&path, Identity::generate_terminal)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let identity = Arc::new(identity);
        let roots = read_roots(&self.ca)?;
        let api = Api::new(&self.server, Some(&roots), identity.clone())
            .map_err(|error| error.to_string())?;
        Ok(App { api, identity, roots })
    }
}

/// Runs a command that waits for the network, on this thread.
pub(crate) fn run(command: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(command)
}
