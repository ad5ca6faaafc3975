//! One-use logins of viewers.

use std::collections::HashMap;
use std::time::Instant;

use sightline_grant::Redacted;
use sightline_relay_proto::ids::StreamKey;
use sightline_relay_proto::rtsp::digest::Secret;

use crate::api::{Admitted, RTSP_REALM};

/// Logins that wait for their use, at most. Further ones are refused.
pub(super) const MAX_HANDLES: usize = 4096;

struct Handle {
    secret: Secret,
    admitted: Admitted,
    expires: Instant,
}

/// Logins that nobody has used yet.
#[derive(Default)]
pub(super) struct Handles {
    waiting: HashMap<String, Handle>,
}

impl Handles {
    /// Keeps a login until it is used or expires; `false` if there are too many.
    pub(super) fn add(
        &mut self,
        user: String,
        password: &Redacted<String>,
        admitted: Admitted,
        expires: Instant,
    ) -> bool {
        if self.waiting.len() >= MAX_HANDLES {
            return false;
        }
        let secret = Secret::from_password(&user, RTSP_REALM, password.expose());
        self.waiting.insert(user, Handle { secret, admitted, expires });
        true
    }

    /// The secret of a living login for this stream.
    pub(super) fn secret(&self, now: Instant, user: &str, key: &StreamKey) -> Option<Secret> {
        let handle = self.waiting.get(user)?;
        let living = handle.expires > now && handle.admitted.key == *key;
        living.then(|| handle.secret.clone())
    }

    /// Uses a login up.
    pub(super) fn take(&mut self, now: Instant, user: &str) -> Option<Admitted> {
        let handle = self.waiting.remove(user)?;
        (handle.expires > now).then_some(handle.admitted)
    }

    /// Forgets what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        self.waiting.retain(|_, handle| handle.expires > now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
