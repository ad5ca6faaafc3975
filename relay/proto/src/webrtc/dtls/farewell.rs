//! What is kept of DTLS once its handshake is over: the keys of the last record of each side,
//! close_notify. The library's instance is tens of times larger and hands no keys out, so its
//! ciphers are wrapped to note them.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use dimpl::CryptoError;
use dimpl::crypto::{
    Aad, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, HashAlgorithm, Nonce,
    SupportedDtls12CipherSuite, TmpBuf, aws_lc_rs,
};

use super::{ALERT, Record};

/// Longest key of a suite, bytes.
const MAX_KEY: usize = 32;
/// Bytes of a nonce.
const NONCE: usize = 12;
/// DTLS 1.2 on the wire (RFC 6347, 4.1).
const VERSION: [u8; 2] = [0xfe, 0xfd];
/// Level warning, close_notify (RFC 5246, 7.2).
const CLOSE_NOTIFY: [u8; 2] = [1, 0];
/// Largest sequence number of an epoch (48 bits).
const MAX_SEQUENCE: u64 = (1 << 48) - 1;

type Suite = &'static dyn SupportedDtls12CipherSuite;

thread_local! {
    /// Ciphers of the handshake that this thread works on: the client's, then the server's.
    static MADE: RefCell<Vec<Arc<Tap>>> = const { RefCell::new(Vec::new()) };
}

/// The default provider, whose DTLS 1.2 suites note keys.
pub(super) fn provider() -> CryptoProvider {
    static NOTING: LazyLock<Vec<Noting>> = LazyLock::new(|| {
        aws_lc_rs::default_provider().cipher_suites.iter().map(|it| Noting(*it)).collect()
    });
    static SUITES: LazyLock<Vec<Suite>> =
        LazyLock::new(|| NOTING.iter().map(|suite| suite as Suite).collect());
    CryptoProvider { cipher_suites: &SUITES, ..aws_lc_rs::default_provider() }
}

/// Both ciphers of a handshake, if one has made them since the last call.
pub(super) fn take_made() -> Option<[Arc<Tap>; 2]> {
    MADE.with_borrow_mut(|made| {
        if made.len() < 2 {
            return None;
        }
        std::mem::take(made).try_into().ok()
    })
}

/// A key and what its records have shown.
pub(super) struct Tap {
    suite: Suite,
    key: [u8; MAX_KEY],
    shown: Mutex<Shown>,
}

#[derive(Clone, Copy, Default)]
struct Shown {
    /// The nonce of a record without the part that is its own.
    fixed: Option<[u8; NONCE]>,
    /// Epoch and sequence number of the last record.
    sequence: u64,
}

impl Tap {
    fn note(&self, aad: &Aad, nonce: &Nonce) {
        let Some(number) = aad.0.first_chunk::<8>() else { return };
        let mut fixed = nonce.0;
        if self.suite.explicit_nonce_len() == 0 {
            xor(&mut fixed[NONCE - number.len()..], number);
        } else {
            fixed[NONCE - self.suite.explicit_nonce_len()..].fill(0);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Shown { fixed: Some(fixed), sequence: u64::from_be_bytes(*number) };
    }

    fn shown(&self) -> Shown {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys are secret.
impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

#[derive(Debug)]
struct Noting(Suite);

impl SupportedDtls12CipherSuite for Noting {
    fn suite(&self) -> Dtls12CipherSuite {
        self.0.suite()
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.0.hash_algorithm()
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        self.0.key_lengths()
    }

    fn explicit_nonce_len(&self) -> usize {
        self.0.explicit_nonce_len()
    }

    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }

    fn min_protected_fragment_len(&self) -> usize {
        self.0.min_protected_fragment_len()
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        let cipher = self.0.create_cipher(key)?;
        let mut kept = [0; MAX_KEY];
        // Ciphers with longer keys go unnoted, and so keep their whole instance.
        let Some(place) = kept.get_mut(..key.len()) else { return Ok(cipher) };
        place.copy_from_slice(key);
        let tap = Arc::new(Tap { suite: self.0, key: kept, shown: Mutex::default() });
        MADE.with_borrow_mut(|made| {
            if made.len() == 2 {
                made.clear();
            }
            made.push(Arc::clone(&tap));
        });
        Ok(Box::new(Tapped { cipher, tap }))
    }
}

#[derive(Debug)]
struct Tapped {
    cipher: Box<dyn Cipher>,
    tap: Arc<Tap>,
}

impl Cipher for Tapped {
    fn encrypt(&mut self, plain: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        self.tap.note(&aad, &nonce);
        self.cipher.encrypt(plain, aad, nonce)
    }

    fn decrypt(
        &mut self,
        sealed: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let noted = (aad.clone(), nonce);
        self.cipher.decrypt(sealed, aad, nonce)?;
        self.tap.note(&noted.0, &noted.1);
        Ok(())
    }
}

/// The keys for the last words of both sides.
pub(super) struct Farewell {
    suite: Suite,
    ours: Half,
    theirs: Half,
    /// Epoch and sequence number of our last record.
    sequence: u64,
}

struct Half {
    key: [u8; MAX_KEY],
    fixed: [u8; NONCE],
}

impl Farewell {
    /// From the ciphers of a finished handshake: each side has sealed a record. `client`: we are.
    pub(super) fn new([of_client, of_server]: &[Arc<Tap>; 2], client: bool) -> Option<Self> {
        let (ours, theirs) = if client { (of_client, of_server) } else { (of_server, of_client) };
        let half = |tap: &Tap| Some(Half { key: tap.key, fixed: tap.shown().fixed? });
        let sequence = ours.shown().sequence;
        Some(Self { suite: ours.suite, ours: half(ours)?, theirs: half(theirs)?, sequence })
    }

    /// Our close_notify, a new record at each call. `None` when the numbers are used up.
    pub(super) fn close_notify(&mut self) -> Option<Vec<u8>> {
        if self.sequence & MAX_SEQUENCE == MAX_SEQUENCE {
            return None;
        }
        self.sequence += 1;
        let number = self.sequence.to_be_bytes();
        let mut sealed = Buf::new();
        sealed.extend_from_slice(&CLOSE_NOTIFY);
        let aad = aad(number, ALERT, CLOSE_NOTIFY.len());
        let nonce = self.nonce(&self.ours, &number, &number);
        self.cipher(&self.ours)?.encrypt(&mut sealed, aad, nonce).ok()?;
        let explicit = &number[number.len() - self.suite.explicit_nonce_len()..];
        let len = (explicit.len() + sealed.len()) as u16;
        let head = [&[ALERT][..], &VERSION, &number, &len.to_be_bytes()];
        Some([head.concat().as_slice(), explicit, &sealed].concat())
    }

    /// Whether a record is the peer's authentic close_notify.
    pub(super) fn is_close_notify(&self, record: &Record<'_>) -> bool {
        let opened = || {
            let (explicit, sealed) =
                record.body.split_at_checked(self.suite.explicit_nonce_len())?;
            let plain = sealed.len().checked_sub(self.suite.tag_len())?;
            let mut sealed = sealed.to_vec();
            let mut text = TmpBuf::new(&mut sealed);
            let aad = aad(record.number, record.kind, plain);
            let nonce = self.nonce(&self.theirs, explicit, &record.number);
            self.cipher(&self.theirs)?.decrypt(&mut text, aad, nonce).ok()?;
            // The level of close_notify does not matter.
            Some(text.as_ref().get(1) == Some(&CLOSE_NOTIFY[1]))
        };
        record.kind == ALERT && record.epoch > 0 && opened().unwrap_or(false)
    }

    fn cipher(&self, half: &Half) -> Option<Box<dyn Cipher>> {
        let (_, key, _) = self.suite.key_lengths();
        self.suite.create_cipher(half.key.get(..key)?).ok()
    }

    fn nonce(&self, half: &Half, explicit: &[u8], number: &[u8; 8]) -> Nonce {
        let mut nonce = half.fixed;
        let own = if self.suite.explicit_nonce_len() == 0 { &number[..] } else { explicit };
        xor(&mut nonce[NONCE - own.len()..], own);
        Nonce(nonce)
    }
}

fn aad(number: [u8; 8], kind: u8, len: usize) -> Aad {
    let len = (len as u16).to_be_bytes();
    let parts = [&number[..], &[kind], &VERSION, &len];
    Aad(parts.concat().into_iter().collect())
}

fn xor(target: &mut [u8], with: &[u8]) {
    for (byte, other) in target.iter_mut().zip(with) {
        *byte ^= other;
    }
}
