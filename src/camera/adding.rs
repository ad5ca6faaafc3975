//! What somebody at the camera does before it runs: hand it a user token, so that it is added to the
//! account that asked for the token, and reset it, so that its former owner's binding ends.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use sightline_client::api::{Api, DeviceKnown};
use sightline_grant::Redacted;
use zeroize::Zeroizing;

use super::secret::SECRET_FILE;

/// Longest token file, bytes.
const MAX_TOKEN_FILE: u64 = 1024;

/// Flags about the camera's owner.
#[derive(Args)]
pub(crate) struct AddingArgs {
    /// File that holds a user token of the app, `-` for standard input: the camera is added to the
    /// account that asked for it
    #[arg(long)]
    user_token_file: Option<PathBuf>,
    /// Reset: the present owner's binding ends, and he is told. The camera can be added anew
    #[arg(long)]
    reset_owner: bool,
}

impl AddingArgs {
    /// Does what the flags say, if anything.
    pub(crate) async fn run(&self, serial: &str, folder: &Path, api: &Api) -> Result<(), String> {
        if self.reset_owner {
            reset(serial, folder, api).await?;
        }
        let Some(path) = &self.user_token_file else { return Ok(()) };
        let token = read_token(path)?;
        let bound = api.device_bind(&token).await;
        let bound = bound.map_err(|error| format!("the camera is not added: {error}"))?;
        if bound.serial != serial {
            return Err(format!("this identity is the camera {}, not {serial}", bound.serial));
        }
        println!("[camera {serial}] added to the account that made the token");
        Ok(())
    }
}

async fn reset(serial: &str, folder: &Path, api: &Api) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("the camera is not reset: {error}");
    // No binding has this epoch, so that the poll does not wait.
    let known = DeviceKnown { binding_epoch: u64::MAX, ..DeviceKnown::default() };
    let state = api.device_poll(&known).await.map_err(|error| failed(&error))?;
    if !state.bound {
        println!("[camera {serial}] has no owner");
        return Ok(());
    }
    api.device_reset(state.binding_epoch).await.map_err(|error| failed(&error))?;
    match std::fs::remove_file(folder.join(SECRET_FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("the former secret cannot be deleted: {error}"));
        }
        _ => {}
    }
    println!("[camera {serial}] reset: it has no owner any more");
    Ok(())
}

fn read_token(path: &Path) -> Result<Redacted<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        // The token alone, up to the end of its line: what follows may be meant for the camera.
        std::io::stdin().read_line(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_TOKEN_FILE).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(Redacted::new(text.trim().to_owned()))
}
