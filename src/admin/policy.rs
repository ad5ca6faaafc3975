//! `sightline admin policy`: what is laid down for a product in place of the general text of a purpose.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use sightline_control_plane::ControlPlane;

use super::Output;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Put a policy of a product in force; consents to what was in force before hold no longer
    Put {
        /// JSON: id, product, purpose, version, and any of text (en, zh), fields, retention, optional
        file: PathBuf,
    },
    /// List policies of products
    List,
    /// Take a policy of a product out of force; the general one is in force again
    Remove {
        /// Id
        id: String,
    },
}

pub(super) async fn run(
    control: &ControlPlane,
    command: &PolicyCommand,
    out: Output,
) -> Result<(), String> {
    match command {
        PolicyCommand::Put { file } => {
            let text = std::fs::read(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let put = control.put_product_policy(&text).await.map_err(|error| error.to_string())?;
            let (id, version) = (&put.id, put.version);
            let text = format!(
                "{id}, version {version}, is in force for {} on {}",
                put.purpose, put.product
            );
            out.line(json!({ "put": id, "version": version }), &text);
        }
        PolicyCommand::List => {
            for policy in control.product_policies().await.map_err(|error| error.to_string())? {
                let (id, product, purpose) = (&policy.id, &policy.product, &policy.purpose);
                let text = policy.text.as_ref().map(|(en, zh)| json!({ "en": en, "zh": zh }));
                let value = json!({
                    "id": id, "product": product, "purpose": purpose, "version": policy.version,
                    "optional": policy.optional, "fields": policy.fields,
                    "retention": policy.retention, "text": text,
                });
                let line = format!("{id:<24} {:<6} {purpose:<20} {product}", policy.version);
                out.line(value, &line);
            }
        }
        PolicyCommand::Remove { id } => {
            let removed =
                control.remove_product_policy(id).await.map_err(|error| error.to_string())?;
            if !removed {
                return Err(format!("there is no policy {id}"));
            }
            out.line(json!({ "removed": id }), &format!("{id} is out of force"));
        }
    }
    Ok(())
}
