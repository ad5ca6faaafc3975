//! Putting a backup back.
//!
//! A backup is older than what was lost, and in between people were erased, cameras changed hands and
//! terminals were signed out. None of that may be undone, though nobody knows any more what it was:
//!
//! - **Erased people stay erased.** Whoever stands in a journal of erasures ([`crate::erasures`]), or has
//!   no key in the newest `subject-keys.db`, is erased from the backup before it is served.
//! - **Counters do not go back.** Epochs, numbers of proofs and the consent chain go on above the present
//!   Unix time. They count acts, one by one, so what was lost cannot have come that far; and the next
//!   restore finds them below its own time again. Cameras number generations themselves and keep the
//!   last one, so that counter needs no help.
//! - **Nobody is let in on old facts.** Every login, code, password and proof is over, and every consent but
//!   the one to having an account is asked for anew. Numbers and addresses are those of the backup: there
//!   is no other way to sign in. Logins at identity providers open nothing until their holder, signed in
//!   by a code, binds them again; those of an account without number or address hold, unless the journal
//!   of unbindings ([`crate::federation::unbound`]) names them. Apps that people sign in to lose their
//!   secrets; those without one wait until the operator confirms them.
//! - **No former owner comes back.** Bindings of cameras with an identity are suspended until the camera
//!   itself says, with its key, that it knows no later one; if it does, the binding is over. Until then
//!   the printed code binds it for nobody, not for the owner of the backup either. A camera that has lost
//!   its memory cannot say so: that owner adds it by a user token that it presents or by a code of the
//!   operator's, who may also release it. A camera with a publish password cannot say so either: its
//!   binding is over, and its owner adds it again.
//!
//! Who stopped the server before the backup and has not started it since may say so (`unchanged`):
//! then nothing was lost but what the journal knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::DATABASE_FILE;
use crate::admin::{AdminError, refuse_existing};
use crate::clock::{Clock, SystemClock};
use crate::erasures::{self, ERASURES_FILE};
use crate::federation::unbound::{self, UNBOUND_FILE};
use crate::ids::AccountId;
use crate::storage::sqlite::migrate::copies_of;
use crate::storage::sqlite::{SqliteStore, private, upkeep::join_backup};

/// What is put back, and how.
#[derive(Clone, Debug)]
pub struct Restore {
    /// Database of the backup.
    pub database: PathBuf,
    /// The newest `subject-keys.db` that there is.
    pub subject_keys: PathBuf,
    /// The newest journal of erasures, besides the one that lies beside the database. The journal of
    /// unbindings is looked for beside both.
    pub erasures: Option<PathBuf>,
    /// The server was stopped before the backup and has not run since.
    pub unchanged: bool,
}

/// What a restore did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// People who were erased after the backup, and are again.
    pub erased: u64,
    /// Bindings that wait for their camera's word.
    pub suspended: u64,
    /// Bindings that ended, since their camera cannot give its word.
    pub released: u64,
}

/// Puts a backup into a data folder that has no database. The master key must be put there too, by
/// hand. Whoever calls this holds the folder's lock.
///
/// # Errors
/// See [`AdminError`]; a failed restore leaves no database behind.
pub async fn restore(what: &Restore, data_dir: &Path) -> Result<Restored, AdminError> {
    let target = data_dir.join(DATABASE_FILE);
    refuse_existing(&target)?;
    private::folder(data_dir).map_err(|e| AdminError::File(data_dir.to_owned(), e))?;
    if let Err(error) = std::fs::metadata(&what.subject_keys) {
        return Err(AdminError::File(what.subject_keys.clone(), error));
    }
    let erased = all_erased(what, data_dir)?;
    let gone = all_unbound(what, data_dir)?;
    let partial = target.with_extension("restoring");
    std::fs::copy(&what.database, &partial)
        .map_err(|e| AdminError::File(what.database.clone(), e))?;
    private::file(&partial).map_err(|e| AdminError::File(partial.clone(), e))?;
    let done = prepare(&partial, what, &erased, &gone).await;
    for copy in copies_of(&partial) {
        // Made by the migration of a file that is a copy itself.
        let _ = std::fs::remove_file(copy);
    }
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            // What is left is not a database that anybody opens.
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    put_in_place(&partial, &target, data_dir, &erased, &gone)?;
    Ok(done)
}

/// Everybody that any journal at hand names.
fn all_erased(what: &Restore, data_dir: &Path) -> Result<BTreeSet<AccountId>, AdminError> {
    let beside = what.database.with_file_name(ERASURES_FILE);
    let mut erased = BTreeSet::new();
    if let Some(given) = &what.erasures {
        std::fs::metadata(given).map_err(|e| AdminError::File(given.clone(), e))?;
    }
    let journals = [Some(beside), what.erasures.clone(), Some(data_dir.join(ERASURES_FILE))];
    for journal in journals.into_iter().flatten() {
        erased.extend(erasures::read(&journal).map_err(|e| AdminError::File(journal, e))?);
    }
    Ok(erased)
}

/// Every identity that any journal at hand says was unbound.
fn all_unbound(what: &Restore, data_dir: &Path) -> Result<BTreeSet<String>, AdminError> {
    let mut gone = BTreeSet::new();
    let beside = [Some(&what.database), what.erasures.as_ref()].into_iter().flatten();
    let beside = beside.map(|file| file.with_file_name(UNBOUND_FILE));
    for journal in beside.chain([data_dir.join(UNBOUND_FILE)]) {
        gone.extend(unbound::read(&journal).map_err(|e| AdminError::File(journal, e))?);
    }
    Ok(gone)
}

/// Works on a copy that nobody else has open.
async fn prepare(
    partial: &Path,
    what: &Restore,
    erased: &BTreeSet<AccountId>,
    gone: &BTreeSet<String>,
) -> Result<Restored, AdminError> {
    let inner = |error: crate::storage::StoreError| AdminError::Inner(error.into());
    join_backup(partial, &what.subject_keys).await.map_err(inner)?;
    let store = SqliteStore::open(partial).await?;
    let done = store.after_restore(erased, gone, what.unchanged, SystemClock.now()).await;
    store.close().await;
    done.map_err(inner)
}

/// The journals first: a database without them would be served as it is.
fn put_in_place(
    partial: &Path,
    target: &Path,
    data_dir: &Path,
    erased: &BTreeSet<AccountId>,
    gone: &BTreeSet<String>,
) -> Result<(), AdminError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| AdminError::File(path, error)
    };
    let fresh = |name| {
        let journal = data_dir.join(name);
        let new = journal.with_extension("new");
        // Left behind by a restore that was cut off.
        let _ = std::fs::remove_file(&new);
        (journal, new)
    };
    let (journal, new) = fresh(ERASURES_FILE);
    erasures::write(&new, erased).map_err(at(&new))?;
    std::fs::rename(&new, &journal).map_err(at(&journal))?;
    let (journal, new) = fresh(UNBOUND_FILE);
    unbound::write(&new, gone).map_err(at(&new))?;
    std::fs::rename(&new, &journal).map_err(at(&journal))?;
    let synced = |path: &Path| std::fs::File::open(path).and_then(|file| file.sync_all());
    synced(partial).map_err(at(partial))?;
    std::fs::rename(partial, target).map_err(at(target))?;
    synced(data_dir).map_err(at(data_dir))
}
