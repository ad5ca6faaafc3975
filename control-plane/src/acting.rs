//! Who acts: what each line of the operation log says besides what was done.
//!
//! A request, or a command of the operator, runs within a scope. Whatever it changes is logged in the
//! transaction of the change, and the line takes actor, terminal and network from the scope; so no
//! operation has to hand them on, and none can leave them out.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{AccountId, TerminalId};
use crate::storage::model::Session;
use crate::vault::SubjectKey;

/// Column of the network in lines of the log and in details of terminals.
pub(crate) const NETWORK: &str = "network";
/// Bits of an IPv4 address that are kept.
const V4_BITS: u32 = 24;
/// Bits of an IPv6 address that are kept.
const V6_BITS: u32 = 48;

tokio::task_local! {
    static ACTING: Arc<Acting>;
}

/// Who acts within a scope.
#[derive(Debug)]
pub struct Acting {
    /// The client's network; `None` without a client.
    network: Option<String>,
    who: Mutex<Who>,
    lines: AtomicU32,
}

#[derive(Debug)]
enum Who {
    /// Not known yet: whoever signs in, or upkeep.
    Server,
    /// A camera.
    Device,
    /// The operator's command line.
    Operator,
    /// Somebody who is signed in.
    Person { account: AccountId, terminal: Option<TerminalId>, network_enc: Option<Vec<u8>> },
}

/// What a line takes from the scope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) actor: &'static str,
    pub(crate) terminal: Option<String>,
    pub(crate) network_enc: Option<Vec<u8>>,
}

impl Acting {
    /// A request from an address. `device`: it comes from a camera.
    pub fn request(from: IpAddr, device: bool) -> Arc<Self> {
        Self::new(Some(network(from)), if device { Who::Device } else { Who::Server })
    }

    /// A command of the operator.
    pub fn operator() -> Arc<Self> {
        Self::new(None, Who::Operator)
    }

    fn new(network: Option<String>, who: Who) -> Arc<Self> {
        Arc::new(Self { network, who: Mutex::new(who), lines: AtomicU32::new(0) })
    }

    /// Runs within the scope.
    pub async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        ACTING.scope(self, work).await
    }

    /// Lines logged so far.
    pub fn lines(&self) -> u32 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Account of the person that acts.
    pub fn account(&self) -> Option<AccountId> {
        match &*self.who() {
            Who::Person { account, .. } => Some(account.clone()),
            _ => None,
        }
    }

    fn who(&self) -> MutexGuard<'_, Who> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, logged: &str) -> Mark {
        let bare = |actor| Mark { actor, terminal: None, network_enc: None };
        match &*self.who() {
            Who::Server => bare("server"),
            Who::Device => bare("device"),
            Who::Operator => bare("operator"),
            Who::Person { account, terminal, network_enc } if account.as_str() == logged => Mark {
                actor: "self",
                terminal: terminal.as_ref().map(|terminal| terminal.0.clone()),
                network_enc: network_enc.clone(),
            },
            // Somebody else's terminal and network are nobody's business.
            Who::Person { .. } => bare("other"),
        }
    }
}

/// Runs work in a task of its own, within the scope of whoever acts here: a task inherits none.
pub(crate) fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match ACTING.try_with(Arc::clone) {
        Ok(acting) => tokio::spawn(acting.scope(work)),
        Err(_) => tokio::spawn(work),
    }
}

/// What a line of this account's log takes from the scope; counts the line.
pub(crate) fn mark(account: &str) -> Mark {
    let within = ACTING.try_with(|acting| {
        acting.lines.fetch_add(1, Ordering::Relaxed);
        acting.mark(account)
    });
    within.unwrap_or(Mark { actor: "server", terminal: None, network_enc: None })
}

/// The client's network under a subject's key; `None` outside of a request.
pub(crate) fn sealed_network(
    key: &SubjectKey,
    account: &AccountId,
    random: &dyn crate::random::Random,
) -> Option<Vec<u8>> {
    let within = ACTING.try_with(|acting| acting.network.clone());
    let network = within.ok().flatten()?;
    Some(key.seal(NETWORK, account.as_str(), &network, random))
}

/// From here on this person acts.
pub(crate) fn person(
    account: &AccountId,
    terminal: Option<&TerminalId>,
    network_enc: Option<Vec<u8>>,
) {
    // Outside of a scope nothing asks who acts.
    let _ = ACTING.try_with(|acting| {
        *acting.who() =
            Who::Person { account: account.clone(), terminal: terminal.cloned(), network_enc };
    });
}

impl ControlPlane {
    /// From here on the holder of this login acts.
    pub(crate) async fn acts(&self, session: &Session) -> Result<(), Inner> {
        let Some(account) = self.store().account(&session.account).await? else { return Ok(()) };
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key)?;
        let network = sealed_network(&key, &account.id, self.random());
        person(&account.id, Some(&session.terminal), network);
        Ok(())
    }
}

/// The network of an address: enough to tell home from abroad, too little to tell one from another.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let kept = u32::from(address) & (u32::MAX << (32 - V4_BITS));
            format!("{}/{V4_BITS}", std::net::Ipv4Addr::from(kept))
        }
        IpAddr::V6(address) => {
            let kept = u128::from(address) & (u128::MAX << (128 - V6_BITS));
            format!("{}/{V6_BITS}", std::net::Ipv6Addr::from(kept))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_the_network_is_kept() {
        for (address, kept) in [
            ("198.51.100.77", "198.51.100.0/24"),
            ("::ffff:198.51.100.77", "198.51.100.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(address.parse().unwrap()), kept);
        }
    }

    #[tokio::test]
    async fn a_line_says_who_acted_and_tells_nobody_of_anothers_terminal() {
        let acting = Acting::request("198.51.100.77".parse().unwrap(), false);
        let (anna, terminal) = (AccountId("a".into()), TerminalId("t".into()));
        let inner = acting.clone();
        let marks = inner.scope(async {
            let before = mark("a");
            person(&anna, Some(&terminal), Some(vec![1]));
            (before, mark("a"), mark("b"))
        });
        let (before, own, other) = marks.await;
        assert_eq!((before.actor, before.terminal), ("server", None));
        assert_eq!((own.actor, own.terminal.as_deref()), ("self", Some("t")));
        assert_eq!(own.network_enc, Some(vec![1]));
        assert_eq!(other, Mark { actor: "other", terminal: None, network_enc: None });
        assert_eq!((acting.lines(), acting.account()), (3, Some(anna)));
        assert_eq!(mark("a").actor, "server", "outside of a scope");
        let operator = Acting::operator().scope(async { mark("a").actor }).await;
        assert_eq!(operator, "operator");
    }

    #[tokio::test]
    async fn a_task_acts_as_whoever_started_it() {
        let acting = Acting::operator();
        let started = acting.clone().scope(async { spawn(async { mark("a").actor }).await });
        assert_eq!((started.await.unwrap(), acting.lines()), ("operator", 1));
        let outside = spawn(async { mark("a").actor }).await;
        assert_eq!(outside.unwrap(), "server", "without a scope there is none to hand on");
    }
}
