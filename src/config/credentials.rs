//! `[mail]` and `[passwords]`: where mail is handed in, and what a password costs.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sightline_control_plane::email::Email;
use sightline_control_plane::password::{
    DEFAULT_PARALLEL, DEFAULT_QUEUE, HashCost, PasswordConfig,
};

use super::ConfigError;

/// Most hashes at a time: each takes the memory of its cost.
pub(crate) const MAX_PARALLEL: usize = 64;
/// Most logins that wait for a hash.
pub(crate) const MAX_QUEUE: usize = 4096;

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailTls {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after STARTTLS, or nothing.
    Starttls,
    /// No TLS: a server on this machine only.
    None,
}

/// `[mail]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// Submission server. Empty: the development sender, which shows mail on the operator's terminal.
    pub(crate) host: String,
    /// TCP port; 0 is the usual one: 465 for `tls`, 587 for `starttls`, 25 for `none`.
    pub(crate) port: u16,
    /// Protection of the connection.
    pub(crate) tls: MailTls,
    /// User at the server; empty: the server takes mail without a login.
    pub(crate) user: String,
    /// File that holds the user's password.
    pub(crate) password_file: Option<PathBuf>,
    /// Sender of the messages.
    pub(crate) from: String,
    /// File with the certificates (PEM) to trust instead of the public ones.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Mail {
    /// Port in use.
    pub(crate) fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, MailTls::Tls) => 465,
            (0, MailTls::Starttls) => 587,
            (0, MailTls::None) => 25,
            (port, _) => port,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.host.is_empty() {
            let set =
                !self.user.is_empty() || !self.from.is_empty() || self.password_file.is_some();
            return if set {
                bad("mail.host", "the other keys of [mail] need a host")
            } else {
                Ok(())
            };
        }
        if Email::parse(&self.from).is_none() {
            return bad("mail.from", "messages need a sender such as cameras@example.org");
        }
        if self.user.is_empty() != self.password_file.is_none() {
            return bad("mail.user", "mail.user and mail.password_file belong together");
        }
        let here = self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if self.tls == MailTls::None && !here {
            return bad("mail.tls", "without TLS only a server on this machine is used");
        }
        Ok(())
    }
}

/// `[passwords]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Passwords {
    /// Memory of a hash (argon2id), KiB. Stored hashes follow at the next login.
    pub(crate) memory_kib: u32,
    /// Passes of a hash.
    pub(crate) passes: u32,
    /// Hashes at a time.
    pub(crate) parallel: usize,
    /// Logins that wait for a hash; more are told to come back.
    pub(crate) queue: usize,
    /// Breached passwords: a sorted file of SHA-1 hashes in hex, one a line.
    pub(crate) breached_file: Option<PathBuf>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            parallel: DEFAULT_PARALLEL,
            queue: DEFAULT_QUEUE,
            breached_file: None,
        }
    }
}

impl Passwords {
    /// As the control plane takes them.
    pub(crate) fn to_config(&self) -> PasswordConfig {
        PasswordConfig {
            // `validate` has seen the file and the flags; a cost out of bounds never gets here.
            cost: HashCost::new(self.memory_kib, self.passes).unwrap_or_default(),
            parallel: self.parallel,
            queue: self.queue,
            breached: self.breached_file.clone(),
            ..PasswordConfig::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if let Err(error) = HashCost::new(self.memory_kib, self.passes) {
            return bad("passwords.memory_kib", &error.to_string());
        }
        if !(1..=MAX_PARALLEL).contains(&self.parallel) {
            return bad("passwords.parallel", "1 to 64 hashes at a time");
        }
        if self.queue > MAX_QUEUE {
            return bad("passwords.queue", "at most 4096 logins wait");
        }
        if let Some(path) = self.breached_file.as_ref().filter(|path| !path.is_file()) {
            return bad("passwords.breached_file", &format!("{} is no file", path.display()));
        }
        Ok(())
    }
}

fn bad(key: &'static str, reason: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            host: "mail.example".into(),
            from: "cameras@example.org".into(),
            user: "cloud".into(),
            password_file: Some("secret".into()),
            ..Mail::default()
        }
    }

    fn key_of(result: Result<(), ConfigError>) -> Option<&'static str> {
        match result {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn mail_needs_a_sender_a_whole_login_and_protection_beyond_this_machine() {
        assert_eq!(key_of(Mail::default().validate()), None, "the development sender");
        assert_eq!(key_of(mail().validate()), None);
        let wrong = [
            ("mail.host", Mail { host: String::new(), ..mail() }),
            ("mail.from", Mail { from: "cameras".into(), ..mail() }),
            ("mail.user", Mail { password_file: None, ..mail() }),
            ("mail.user", Mail { user: String::new(), ..mail() }),
            ("mail.tls", Mail { tls: MailTls::None, ..mail() }),
        ];
        for (key, mail) in wrong {
            assert_eq!(key_of(mail.validate()), Some(key), "{mail:?}");
        }
        for host in ["localhost", "127.0.0.1", "::1"] {
            let mail = Mail { host: host.into(), tls: MailTls::None, ..mail() };
            assert_eq!((key_of(mail.validate()), mail.port()), (None, 25));
        }
        assert_eq!(mail().port(), 465);
        assert_eq!(Mail { tls: MailTls::Starttls, ..mail() }.port(), 587);
        assert_eq!(Mail { port: 2525, ..mail() }.port(), 2525);
    }

    #[test]
    fn the_cost_of_a_password_is_bounded_on_both_sides() {
        let usual = Passwords::default();
        assert_eq!(key_of(usual.validate()), None);
        assert_eq!(usual.to_config().cost, HashCost::default());
        let floor = Passwords { memory_kib: 19 * 1024, passes: 2, ..usual.clone() };
        assert_eq!(key_of(floor.validate()), None);
        for wrong in [
            Passwords { memory_kib: 19 * 1024 - 1, ..usual.clone() },
            Passwords { passes: 1, ..usual.clone() },
        ] {
            assert_eq!(key_of(wrong.validate()), Some("passwords.memory_kib"));
        }
        for (parallel, fits) in
            [(0, false), (1, true), (MAX_PARALLEL, true), (MAX_PARALLEL + 1, false)]
        {
            let passwords = Passwords { parallel, ..usual.clone() };
            assert_eq!(passwords.validate().is_ok(), fits, "{parallel}");
        }
        for (queue, fits) in [(0, true), (MAX_QUEUE, true), (MAX_QUEUE + 1, false)] {
            assert_eq!(Passwords { queue, ..usual.clone() }.validate().is_ok(), fits, "{queue}");
        }
        let missing = Passwords { breached_file: Some("/nowhere/list".into()), ..usual };
        assert_eq!(key_of(missing.validate()), Some("passwords.breached_file"));
    }
}
