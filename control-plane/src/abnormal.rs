//! What is unusual about a login: a terminal or a network that the account never had, places that
//! nobody travels between so fast, codes that were asked for and not answered. Each becomes an event
//! and a message within the app, never an SMS. An installation may hold such logins until another
//! terminal of the account agrees, which is a second factor that a stolen number does not give.
//!
//! Networks are kept as keyed hashes of an IPv4 /16 or an IPv6 /32. Where people are is only known
//! when the operator gives a table of regions ([`regions`]).

pub mod regions;

use std::net::IpAddr;
use std::sync::Arc;

use crate::ControlPlane;
use crate::consent::ConsentError;
use crate::error::Inner;
use crate::ids::{AccountId, TerminalId};
use crate::limits::{PAGE, REGION_CHANGE_SECS};
use crate::random;
use crate::session::SignedIn;
use crate::storage::model::{Alert, LoginSeen, Noticed, Session};
use regions::Regions;

/// Logins that a decision looks back on.
pub const HISTORY: u64 = 50;
/// Networks within [`MANY_NETWORKS_SECS`] from which nobody signs in by themselves.
const MANY_NETWORKS: usize = 4;
/// Span over which networks are counted, seconds.
const MANY_NETWORKS_SECS: u64 = 10 * 60;
/// Messages to the account's number in an hour that nobody answered, from which they are told.
const UNANSWERED: u64 = 4;

/// What an installation wants.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Hold logins on a new terminal that are unusual in another way too.
    pub hold: bool,
    /// Where networks are.
    pub regions: Arc<Regions>,
}

/// What is unusual.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A terminal that the account never had.
    NewTerminal,
    /// A network that the account never had.
    NewNetwork,
    /// Too far from the last login, or too many networks at once.
    Impossible,
    /// Codes were asked for and not answered.
    CodeAbuse,
}

impl Kind {
    /// Every kind, the gravest last.
    pub const ALL: [Self; 4] =
        [Self::NewTerminal, Self::NewNetwork, Self::CodeAbuse, Self::Impossible];

    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewTerminal => "new-terminal",
            Self::NewNetwork => "new-network",
            Self::Impossible => "impossible",
            Self::CodeAbuse => "code-abuse",
        }
    }

    /// From its stored form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A login as it is remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Terminal.
    pub terminal: TerminalId,
    /// Keyed hash of the network.
    pub network: Vec<u8>,
    /// Region, if the table names one.
    pub region: Option<String>,
    /// Unix seconds.
    pub at: u64,
}

/// What is unusual about `login` after `history`, newest first. The first login of an account is not.
pub fn detect(history: &[Seen], login: &Seen, unanswered: u64) -> Vec<Kind> {
    let Some(last) = history.first() else { return Vec::new() };
    let moved = match (&last.region, &login.region) {
        (Some(from), Some(to)) => from != to && login.at < last.at + REGION_CHANGE_SECS,
        _ => false,
    };
    let mut networks: Vec<_> = history
        .iter()
        .filter(|seen| login.at < seen.at + MANY_NETWORKS_SECS)
        .map(|seen| &seen.network)
        .chain([&login.network])
        .collect();
    networks.sort();
    networks.dedup();
    let found = |kind| match kind {
        Kind::NewTerminal => history.iter().all(|seen| seen.terminal != login.terminal),
        Kind::NewNetwork => history.iter().all(|seen| seen.network != login.network),
        Kind::Impossible => moved || networks.len() >= MANY_NETWORKS,
        Kind::CodeAbuse => unanswered >= UNANSWERED,
    };
    Kind::ALL.into_iter().filter(|kind| found(*kind)).collect()
}

/// Whether a login with these signs is held: a new terminal, and something else.
pub fn grave(kinds: &[Kind]) -> bool {
    kinds.contains(&Kind::NewTerminal) && kinds.len() > 1
}

/// Why a login is not opened.
#[derive(Debug, thiserror::Error)]
pub enum LoginHeld {
    /// Another terminal of the account has to agree.
    #[error(
        "this login is unusual: open Account on a terminal that is signed in, agree to it there, \
         and sign in here again"
    )]
    Held,
    /// What the login agrees to is not taken.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Looks at a login that was just opened. A login that is held is over when this returns; what
    /// another one agreed to is recorded.
    ///
    /// # Errors
    /// See [`LoginHeld`].
    pub async fn notice_login(&self, login: &SignedIn, ip: IpAddr) -> Result<(), LoginHeld> {
        let policy = &self.config().limits.abnormal;
        let seen = LoginSeen {
            id: random::hex_id(self.random()),
            account: login.account.clone(),
            hold: policy.hold,
            seen: Seen {
                terminal: login.terminal.clone(),
                network: self.vault().lookup("wide-network", &wide_network(ip)),
                region: policy.regions.of(ip).map(str::to_owned),
                at: self.now(),
            },
        };
        let noticed = self.store().login_seen(&seen).await.map_err(Inner::from)?;
        let Noticed { kinds, held, ended } = noticed;
        for kind in &kinds {
            metrics::counter!("sightline_abnormal_logins_total", "kind" => kind.as_str())
                .increment(1);
        }
        if !kinds.is_empty() {
            self.0.outbox.notify_one();
        }
        if !held {
            return Ok(self.record_arrival(login).await?);
        }
        for session in ended {
            self.announce(sightline_grant::Revocation::Session { session: session.0 });
        }
        Err(LoginHeld::Held)
    }

    /// What was unusual about logins of the account, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn alerts(&self, session: &Session) -> Result<Vec<Alert>, Inner> {
        Ok(self.store().alerts(&session.account, PAGE).await?)
    }

    /// Agrees to a login that is held. `false`: there is none of this id, or it is this terminal's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approve_login(&self, session: &Session, alert: &str) -> Result<bool, Inner> {
        let (account, terminal): (&AccountId, &TerminalId) = (&session.account, &session.terminal);
        Ok(self.store().alert_approve(account, terminal, alert, self.now()).await?)
    }
}

/// The IPv4 /16 or the IPv6 /32 of an address, as text to hash.
fn wide_network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("{:?}", &ip.octets()[..2]),
        IpAddr::V6(ip) => format!("v6 {:?}", &ip.segments()[..2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(terminal: &str, network: u8, region: &str, at: u64) -> Seen {
        Seen {
            terminal: TerminalId(terminal.into()),
            network: vec![network],
            region: (!region.is_empty()).then(|| region.to_owned()),
            at,
        }
    }

    const NOW: u64 = 1_000_000;

    #[test]
    fn the_first_login_and_a_usual_one_are_nothing() {
        assert_eq!(detect(&[], &seen("t", 1, "", NOW), 9), []);
        let history = [seen("t", 1, "A", NOW - 10)];
        assert_eq!(detect(&history, &seen("t", 1, "A", NOW), UNANSWERED - 1), []);
    }

    #[test]
    fn a_new_terminal_and_a_new_network_are_told_apart() {
        let history = [seen("t", 1, "", NOW - 10), seen("u", 2, "", NOW - 20)];
        assert_eq!(detect(&history, &seen("v", 2, "", NOW), 0), [Kind::NewTerminal]);
        assert_eq!(detect(&history, &seen("u", 3, "", NOW), 0), [Kind::NewNetwork]);
        let both = detect(&history, &seen("v", 3, "", NOW), 0);
        assert_eq!(both, [Kind::NewTerminal, Kind::NewNetwork]);
        assert!(grave(&both) && !grave(&both[..1]) && !grave(&both[1..]));
    }

    #[test]
    fn nobody_is_in_two_regions_within_the_hour() {
        let login = seen("t", 1, "B", NOW);
        let at = |at: u64| detect(&[seen("t", 1, "A", at)], &login, 0);
        assert_eq!(at(NOW - REGION_CHANGE_SECS + 1), [Kind::Impossible]);
        assert_eq!(at(NOW - REGION_CHANGE_SECS), []);
        assert_eq!(detect(&[seen("t", 1, "", NOW - 1)], &login, 0), [], "an unknown region");
    }

    #[test]
    fn four_networks_in_ten_minutes_are_not_one_person() {
        let history = |count: u8, at: u64| -> Vec<Seen> {
            (1..=count).map(|network| seen("t", network, "", at)).collect()
        };
        let of = |history: &[Seen]| {
            detect(history, &seen("t", 1, "", NOW), 0).contains(&Kind::Impossible)
        };
        assert!(of(&history(4, NOW - MANY_NETWORKS_SECS + 1)));
        assert!(!of(&history(3, NOW - MANY_NETWORKS_SECS + 1)));
        assert!(!of(&history(4, NOW - MANY_NETWORKS_SECS)));
    }

    #[test]
    fn codes_that_nobody_answered_are_told() {
        let history = [seen("t", 1, "", NOW - 10)];
        let login = seen("t", 1, "", NOW);
        assert_eq!(detect(&history, &login, UNANSWERED), [Kind::CodeAbuse]);
    }

    #[test]
    fn a_wide_network_is_a_16_or_a_32() {
        let of = |ip: &str| wide_network(ip.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.99.1"));
        assert_ne!(of("192.0.2.1"), of("192.1.2.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8:ffff::1"));
        assert_ne!(of("2001:db8::1"), of("2001:db9::1"));
    }
}
