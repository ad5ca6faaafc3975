//! The limit of open files (getrlimit(2)): a socket for each connection adds up.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, which needs no privilege. The limit that holds from now
/// on; `None`: no limit.
pub(crate) fn raise_limit() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    if now.current != now.maximum {
        let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
        // A system that refuses leaves the limit as it is, which is told below.
        let _ = setrlimit(Resource::Nofile, wanted);
    }
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let held = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, held), (now.maximum, now.maximum));
    }
}
