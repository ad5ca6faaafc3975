//! What a camera stores of its keys. There is no secret in it, and the list in it is verified anew.
//! Whoever can change the rest has the camera: he could as well read its lens.

use super::CameraKeys;
use crate::keys::bytes::{Malformed, Reader, put_binding};
use crate::keys::order::Mode;
use crate::keys::{ExchangePublic, Generation, ListKeeper, ListRefused, MAX_LIST};
use crate::sframe::Suite;

const FORMAT: u8 = 1;

/// The stored state is of no use.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum StateError {
    /// Not the one encoding of a state.
    #[error("the camera's stored keys: {0}")]
    Malformed(#[from] Malformed),
    /// The list in it is not the owner's.
    #[error("the camera's stored keys: {0}")]
    List(#[from] ListRefused),
}

/// What is kept beside the binding and its public keys.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) last: Option<Generation>,
    pub(super) mode: Mode,
    /// Signed bytes; empty without a list.
    pub(super) list: &'a [u8],
}

impl CameraKeys {
    /// The state as it is.
    pub fn state(&self) -> Vec<u8> {
        self.write(self.kept())
    }

    pub(super) fn kept(&self) -> Kept<'_> {
        let list = self.lists.list().map_or(&[][..], |list| list.bytes());
        Kept { last: self.last, mode: self.mode, list }
    }

    pub(super) fn write(&self, Kept { last, mode, list }: Kept<'_>) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_binding(self.lists.binding(), &mut out);
        out.extend_from_slice(self.lists.verifier());
        out.extend_from_slice(&self.archive.0);
        out.extend_from_slice(&last.map_or(0, Generation::number).to_be_bytes());
        out.extend_from_slice(&mode.sequence.to_be_bytes());
        out.push(u8::from(mode.sealed));
        out.extend_from_slice(&(list.len() as u32).to_be_bytes());
        out.extend_from_slice(list);
        out
    }

    /// Reads a state, and verifies the list in it.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn restore(bytes: &[u8], suite: Suite) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != FORMAT {
            return Err(Malformed("another version of the format").into());
        }
        let (binding, auth) = (reader.binding()?, reader.array()?);
        let archive = ExchangePublic(reader.array()?);
        let last = match reader.u64()? {
            0 => None,
            number => Some(Generation::new(number).ok_or(Malformed("its generation"))?),
        };
        let mode = Mode {
            sequence: reader.u64()?,
            // Whatever is not a plain "open" seals.
            sealed: reader.u8()? != 0,
        };
        let len = reader.u32()? as usize;
        if len > MAX_LIST {
            return Err(Malformed("its list is longer than any").into());
        }
        let list = reader.take(len)?;
        reader.end()?;
        let mut lists = ListKeeper::new(binding, auth);
        if !list.is_empty() {
            let newer = lists.check(list)?;
            lists.adopt(newer);
        }
        Ok(Self { lists, archive, suite, last, mode, current: None })
    }
}
