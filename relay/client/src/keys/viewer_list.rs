//! The viewer list: which terminals may open a device's video, signed by whoever holds its secret.

use super::bytes::{Malformed, Reader, labelled, put_binding, put_text};
use super::{Binding, ExchangePublic, SigningPublic, TerminalPublic, verifies};
use crate::secret::AuthKey;

/// Most terminals of one list.
pub const MAX_VIEWERS: usize = 64;
/// Longest name of an account, bytes.
pub const MAX_ACCOUNT: usize = 64;
/// Longest signed list, bytes.
pub const MAX_LIST: usize = HEAD_LEN + MAX_VIEWERS * VIEWER_LEN + SIGNATURE_LEN;

const FORMAT: u8 = 1;
const LABEL: &str = "sightline/v1/viewer-list";
const SIGNATURE_LEN: usize = 64;
/// Longest head: format, serial, epoch, version, count.
const HEAD_LEN: usize = 1 + 65 + 8 + 8 + 2;
/// Longest entry: two keys, account, scopes, expiry.
const VIEWER_LEN: usize = 64 + 1 + MAX_ACCOUNT + 2 + 8;

/// What a terminal may see or do. The camera wraps keys for those that may see; what a server
/// lets through is the gate's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Live video.
    pub const LIVE: Self = Self(1);
    /// Recordings.
    pub const PLAYBACK: Self = Self(1 << 1);
    /// Downloads of recordings.
    pub const DOWNLOAD: Self = Self(1 << 2);
    /// Voice to the device.
    pub const TALK: Self = Self(1 << 3);
    const KNOWN: u16 = 0b1111;

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether everything of `other` is in it.
    pub const fn allow(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a terminal with it needs the keys of pictures.
    pub const fn see(self) -> bool {
        self.0 & (Self::LIVE.0 | Self::PLAYBACK.0 | Self::DOWNLOAD.0) != 0
    }

    fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::KNOWN == 0).then_some(Self(bits))
    }
}

/// One terminal on the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Viewer {
    /// Its keys.
    pub terminal: TerminalPublic,
    /// Whose it is: the server's name of the account, 1 to [`MAX_ACCOUNT`] visible ASCII characters.
    pub account: String,
    /// What it may.
    pub scopes: Scopes,
    /// When it ends, Unix seconds; `None`: not by itself.
    pub expires: Option<u64>,
}

/// A list before it is signed, in its one order: by Ed25519 key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewerList {
    binding: Binding,
    version: u64,
    viewers: Vec<Viewer>,
}

/// A list as its owner signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedList {
    list: ViewerList,
    bytes: Vec<u8>,
}

/// A list cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ListError {
    /// Not the one encoding of a list.
    #[error("viewer list: {0}")]
    Malformed(#[from] Malformed),
    /// More than [`MAX_VIEWERS`].
    #[error("a viewer list has at most {MAX_VIEWERS} terminals; remove one first")]
    TooMany,
    /// Two entries share a key.
    #[error("two entries of the viewer list have the same key")]
    Twice,
    /// No account, a long one, or characters that are not visible ASCII.
    #[error("an account on the viewer list is 1 to {MAX_ACCOUNT} visible ASCII characters")]
    Account,
    /// An expiry of 0, which the format reads as none.
    #[error("an entry of the viewer list cannot expire in 1970")]
    Expiry,
    /// Not signed with the device secret of this binding.
    #[error("the viewer list is not signed with this device's secret")]
    Signature,
}

impl Viewer {
    /// Whether keys of pictures are wrapped for it at `now`, Unix seconds.
    pub fn may_open(&self, now: u64) -> bool {
        self.scopes.see() && self.expires.is_none_or(|at| now < at)
    }
}

impl ViewerList {
    /// A list of these viewers, in any order. Versions start at 1 and rise.
    ///
    /// # Errors
    /// A bound or a rule of [`ListError`] is broken.
    pub fn new(
        binding: Binding,
        version: u64,
        mut viewers: Vec<Viewer>,
    ) -> Result<Self, ListError> {
        viewers.sort_by_key(|viewer| viewer.terminal.signing);
        let list = Self { binding, version, viewers };
        list.check()?;
        Ok(list)
    }

    /// The next version, with other viewers.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn next(&self, viewers: Vec<Viewer>) -> Result<Self, ListError> {
        let version = self.version.checked_add(1).ok_or(Malformed("versions have run out"))?;
        Self::new(self.binding.clone(), version, viewers)
    }

    /// The device and its owner's epoch.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Rises with each list of a binding.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The entries, by Ed25519 key.
    pub fn viewers(&self) -> &[Viewer] {
        &self.viewers
    }

    /// Signs it with the device secret's `auth` key.
    pub fn sign(self, auth: &AuthKey) -> SignedList {
        let mut bytes = self.body();
        let signature = auth.sign_document(&labelled(LABEL, &bytes));
        bytes.extend_from_slice(&signature);
        SignedList { list: self, bytes }
    }

    fn body(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_binding(&self.binding, &mut out);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&(self.viewers.len() as u16).to_be_bytes());
        for viewer in &self.viewers {
            out.extend_from_slice(&viewer.terminal.signing);
            out.extend_from_slice(&viewer.terminal.exchange.0);
            put_text(&viewer.account, &mut out);
            out.extend_from_slice(&viewer.scopes.0.to_be_bytes());
            out.extend_from_slice(&viewer.expires.unwrap_or(0).to_be_bytes());
        }
        out
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ListError> {
        if reader.u8()? != FORMAT {
            return Err(Malformed("another version of the format").into());
        }
        let (binding, version) = (reader.binding()?, reader.u64()?);
        let count = usize::from(reader.u16()?);
        if count > MAX_VIEWERS {
            return Err(ListError::TooMany);
        }
        let viewers = (0..count).map(|_| read_viewer(reader)).collect::<Result<Vec<_>, _>>()?;
        if !viewers.is_sorted_by_key(|viewer| viewer.terminal.signing) {
            return Err(Malformed("its entries are not in order").into());
        }
        let list = Self { binding, version, viewers };
        list.check()?;
        Ok(list)
    }

    fn check(&self) -> Result<(), ListError> {
        if self.viewers.len() > MAX_VIEWERS {
            return Err(ListError::TooMany);
        }
        if self.version == 0 {
            return Err(Malformed("versions start at 1").into());
        }
        for (at, viewer) in self.viewers.iter().enumerate() {
            let account = viewer.account.as_bytes();
            if account.is_empty()
                || account.len() > MAX_ACCOUNT
                || !account.iter().all(u8::is_ascii_graphic)
            {
                return Err(ListError::Account);
            }
            if viewer.expires == Some(0) {
                return Err(ListError::Expiry);
            }
            let same = |other: &Viewer| {
                other.terminal.signing == viewer.terminal.signing
                    || other.terminal.exchange == viewer.terminal.exchange
            };
            if self.viewers[..at].iter().any(same) {
                return Err(ListError::Twice);
            }
        }
        Ok(())
    }
}

fn read_viewer(reader: &mut Reader<'_>) -> Result<Viewer, ListError> {
    let terminal =
        TerminalPublic { signing: reader.array()?, exchange: ExchangePublic(reader.array()?) };
    let account = reader.text()?.to_owned();
    let scopes = Scopes::from_bits(reader.u16()?).ok_or(Malformed("an unknown scope"))?;
    let expires = reader.u64()?;
    Ok(Viewer { terminal, account, scopes, expires: (expires != 0).then_some(expires) })
}

impl SignedList {
    /// Reads a list and checks its signature against the public half of `auth`.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn open(bytes: &[u8], verifier: &SigningPublic) -> Result<Self, ListError> {
        if bytes.len() > MAX_LIST {
            return Err(Malformed("it is longer than any list").into());
        }
        let mut reader = Reader::new(bytes);
        let list = ViewerList::read(&mut reader)?;
        let body = &bytes[..bytes.len() - reader.left()];
        let signature: [u8; SIGNATURE_LEN] = reader.array()?;
        reader.end()?;
        if !verifies(verifier, LABEL, body, &signature) {
            return Err(ListError::Signature);
        }
        Ok(Self { list, bytes: bytes.to_vec() })
    }

    /// What was signed.
    pub fn list(&self) -> &ViewerList {
        &self.list
    }

    /// The signed bytes, for the server and for the camera's file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
