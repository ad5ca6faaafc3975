//! `sightline share`: whom an owner's camera is shared with. A share lets nobody look yet: the guest's
//! terminal is let in with `sightline viewers add`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use sightline_client::api::{Api, ApiError, OwnersShare, ShareTerms};
use sightline_grant::Redacted;

use crate::app::{self, App, AppArgs};
use crate::watch::gate::{GateArgs, sign_in};
use crate::watch::introduction::agrees;

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// Arguments of `share`.
#[derive(Args)]
pub(crate) struct ShareArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Show guests and open invitations
    List,
    /// Make an invitation: a code that works once, within a day
    Invite {
        /// What the guest may do: view, playback, download, talk, ptz, events
        #[arg(long, value_delimiter = ',', default_value = "view")]
        scopes: Vec<String>,
        /// Channels, unless all are shared
        #[arg(long, value_delimiter = ',')]
        channels: Option<Vec<u16>>,
        /// End after this many days
        #[arg(long)]
        days: Option<u64>,
        /// What you call the guest
        #[arg(long, default_value = "")]
        label: String,
    },
    /// End a share at once, or withdraw an invitation
    End {
        /// The share, as `list` shows it
        id: String,
    },
}

/// Shows or changes shares.
pub(crate) fn run(args: &ShareArgs) -> Result<(), String> {
    app::run(act(args))
}

async fn act(args: &ShareArgs) -> Result<(), String> {
    let App { api, .. } = args.app.start()?;
    let AppArgs { folder, serial, .. } = &args.app;
    let access = sign_in(&api, &args.gate, folder).await?;
    match &args.act {
        Act::List => {
            let shares = api.shares_of(&access, serial).await.map_err(text)?;
            for share in &shares.items {
                println!("{}", line(share));
            }
            Ok(())
        }
        Act::Invite { scopes, channels, days, label } => {
            let ends_at = days.map(|days| now() + days.saturating_mul(DAY));
            let (scopes, channels) = (scopes.clone(), channels.clone());
            let terms = ShareTerms { scopes, channels, schedule: None, ends_at };
            invite(&api, &access, serial, &terms, label, args.gate.agreed()).await
        }
        Act::End { id } => {
            api.revoke_share(&access, serial, id).await.map_err(text)?;
            println!(
                "ended; take the guest's terminals off the list with `sightline viewers remove`"
            );
            Ok(())
        }
    }
}

async fn invite(
    api: &Api,
    access: &Redacted<String>,
    serial: &str,
    terms: &ShareTerms,
    label: &str,
    agreed: bool,
) -> Result<(), String> {
    let words = api.shares_of(access, serial).await.map_err(text)?.attestation;
    if !agreed {
        eprintln!("{}", words.text.en);
        if !agrees("Is that so?")? {
            return Err("without that nothing is shared".into());
        }
    }
    let made = api.invite(access, serial, terms, label, words.version).await.map_err(text)?;
    println!("{}", made.code.expose());
    eprintln!(
        "Give this code to your guest: `sightline watch --invitation`, or #/share on the page"
    );
    Ok(())
}

/// A share on one line: id, state, scopes, guest, name.
fn line(share: &OwnersShare) -> String {
    let guest = share.guest_account.as_deref().unwrap_or("-");
    let scopes = share.terms.scopes.join(",");
    format!("{}  {}  {scopes}  account {guest}  {}", share.id, share.state, share.label)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn text(error: ApiError) -> String {
    error.to_string()
}
