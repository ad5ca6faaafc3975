//! How this service shows a provider who it is.

use reqwest::RequestBuilder;
use sightline_grant::Redacted;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::apple::AppleKey;

/// What this service shows at the endpoints of a provider.
pub enum ClientAuth {
    /// `client_secret_basic`.
    Basic(Redacted<String>),
    /// `client_secret_post`.
    Post(Redacted<String>),
    /// A word signed for each request.
    Apple(AppleKey),
}

impl ClientAuth {
    /// Puts it on a request or into its form.
    pub(super) fn show(
        &self,
        request: RequestBuilder,
        form: &mut Serializer<'_, String>,
        issuer: &str,
        client_id: &str,
        now: u64,
    ) -> Result<RequestBuilder, String> {
        let secret = match self {
            Self::Basic(secret) => {
                // Both are encoded as in a form first (RFC 6749, 2.3.1).
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let secret = Redacted::new(encoded(secret.expose()));
                return Ok(request.basic_auth(encoded(client_id), Some(secret.expose())));
            }
            Self::Post(secret) => secret.clone(),
            Self::Apple(key) => Redacted::new(key.secret(issuer, client_id, now)?),
        };
        form.append_pair("client_id", client_id);
        form.append_pair("client_secret", secret.expose());
        Ok(request)
    }
}
