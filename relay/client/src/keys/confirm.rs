//! How an owner makes sure that a guest's keys are the guest's: a short code that both read out.
//!
//! A code that is only a hash of the keys would be found by trying keys: 10^8 of them take seconds.
//! So the guest is bound before the owner speaks: it sends a hash of its keys and a nonce
//! ([`GuestCommitment`]), the owner answers with its own keys and nonce ([`OwnerReply`]), and only
//! then the guest shows what it hashed ([`Reveal`]). Whoever sits between them has one guess.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use super::bytes::{Malformed, Reader, labelled, put_binding};
use super::{Binding, ExchangePublic, SigningPublic, TerminalPublic};
use crate::secret::CryptoFailed;

/// Digits of a code: a chance of one in a hundred million for each attempt.
pub const CODE_DIGITS: usize = 8;

const NONCE_LEN: usize = 16;
const COMMIT_LABEL: &str = "sightline/v1/guest-commitment";
const CODE_LABEL: &str = "sightline/v1/confirmation";

/// First message, guest to owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestCommitment(pub [u8; 32]);

/// Second message, owner to guest: the owner's keys, and what the guest shall pin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnerReply {
    /// Camera and owner.
    pub binding: Binding,
    /// The camera's identity, pinned by the owner.
    pub camera: SigningPublic,
    /// The owner's terminal.
    pub owner: TerminalPublic,
    nonce: [u8; NONCE_LEN],
}

/// Third message, guest to owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reveal {
    /// The guest's terminal.
    pub guest: TerminalPublic,
    nonce: [u8; NONCE_LEN],
}

/// The guest's side, from the first message to the code.
#[derive(Debug)]
pub struct GuestOffer(Reveal);

/// What both sides show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmation {
    /// [`CODE_DIGITS`] digits in two groups. Both must read the same.
    pub code: String,
}

/// The guest's keys must not be added.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ConfirmError {
    /// Not what the guest bound itself to.
    #[error("the guest's keys are not those that it announced; start again and add nobody")]
    OtherKeys,
    /// Not a message of these.
    #[error("confirmation: {0}")]
    Malformed(#[from] Malformed),
}

impl GuestOffer {
    /// Starts on the guest's terminal.
    ///
    /// # Errors
    /// The random source failed.
    pub fn new(guest: TerminalPublic) -> Result<Self, CryptoFailed> {
        Ok(Self(Reveal { guest, nonce: nonce()? }))
    }

    /// The first message.
    pub fn commitment(&self) -> GuestCommitment {
        self.0.commitment()
    }

    /// Shows the keys, now that the owner has spoken, and computes the code. This ends the offer: a
    /// second answer would be a second guess for whoever sits between.
    pub fn answer(self, reply: &OwnerReply) -> (Reveal, Confirmation) {
        (self.0, code(reply, &self.0))
    }
}

impl OwnerReply {
    /// Answers on the owner's terminal.
    ///
    /// # Errors
    /// The random source failed.
    pub fn new(
        binding: Binding,
        camera: SigningPublic,
        owner: TerminalPublic,
    ) -> Result<Self, CryptoFailed> {
        Ok(Self { binding, camera, owner, nonce: nonce()? })
    }

    /// Checks what the guest showed against its first message, and computes the code. The keys go
    /// on the viewer list when the owner says that both codes are the same.
    ///
    /// # Errors
    /// [`ConfirmError::OtherKeys`].
    pub fn check(
        self,
        commitment: &GuestCommitment,
        reveal: &Reveal,
    ) -> Result<Confirmation, ConfirmError> {
        verify_slices_are_equal(&reveal.commitment().0, &commitment.0)
            .map_err(|_| ConfirmError::OtherKeys)?;
        Ok(code(&self, reveal))
    }

    /// The second message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_binding(&self.binding, &mut out);
        out.extend_from_slice(&self.camera);
        put_terminal(&self.owner, &mut out);
        out.extend_from_slice(&self.nonce);
        out
    }

    /// Reads the second message.
    ///
    /// # Errors
    /// Not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfirmError> {
        let mut reader = Reader::new(bytes);
        let reply = Self {
            binding: reader.binding()?,
            camera: reader.array()?,
            owner: read_terminal(&mut reader)?,
            nonce: reader.array()?,
        };
        reader.end()?;
        Ok(reply)
    }
}

impl Reveal {
    pub(super) fn commitment(&self) -> GuestCommitment {
        GuestCommitment(hash(COMMIT_LABEL, &self.to_bytes()))
    }

    /// The third message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_terminal(&self.guest, &mut out);
        out.extend_from_slice(&self.nonce);
        out
    }

    /// Reads the third message.
    ///
    /// # Errors
    /// Not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfirmError> {
        let mut reader = Reader::new(bytes);
        let reveal = Self { guest: read_terminal(&mut reader)?, nonce: reader.array()? };
        reader.end()?;
        Ok(reveal)
    }
}

/// The code of everything that both sides said.
fn code(reply: &OwnerReply, reveal: &Reveal) -> Confirmation {
    let hash = hash(CODE_LABEL, &[reply.to_bytes(), reveal.to_bytes()].concat());
    let number = u64::from_be_bytes(hash[..8].try_into().expect("eight of 32 bytes"));
    let number = number % 10u64.pow(CODE_DIGITS as u32);
    let digits = format!("{number:0CODE_DIGITS$}");
    let (first, second) = digits.split_at(CODE_DIGITS / 2);
    Confirmation { code: format!("{first} {second}") }
}

fn hash(label: &str, body: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, &labelled(label, body));
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn nonce() -> Result<[u8; NONCE_LEN], CryptoFailed> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| CryptoFailed)?;
    Ok(nonce)
}

fn put_terminal(terminal: &TerminalPublic, out: &mut Vec<u8>) {
    out.extend_from_slice(&terminal.signing);
    out.extend_from_slice(&terminal.exchange.0);
}

fn read_terminal(reader: &mut Reader<'_>) -> Result<TerminalPublic, Malformed> {
    Ok(TerminalPublic { signing: reader.array()?, exchange: ExchangePublic(reader.array()?) })
}
