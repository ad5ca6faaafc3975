//! Reading bytes of documents: big-endian, bounded, nothing left over.

use super::DocumentBinding;
use crate::ids::MAX_SERIAL_LEN;

/// Why a document cannot be read. Says which rule it breaks, and nothing of what it holds.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// What is left of a document.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, left) = self.0.split_at_checked(len).ok_or(Malformed("it ends early"))?;
        self.0 = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as long as was asked for"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A length byte and so many bytes, from 1 to `longest`.
    pub(super) fn short(&mut self, longest: usize) -> Result<&'a [u8], Malformed> {
        let len = usize::from(self.u8()?);
        if len == 0 || len > longest {
            return Err(Malformed("a text in it is empty or too long"));
        }
        self.take(len)
    }

    /// The version byte of the only format there is.
    pub(super) fn format(&mut self) -> Result<(), Malformed> {
        match self.u8()? {
            1 => Ok(()),
            _ => Err(Malformed("it has another version of the format")),
        }
    }

    pub(super) fn binding(&mut self) -> Result<DocumentBinding, Malformed> {
        let serial = std::str::from_utf8(self.short(MAX_SERIAL_LEN)?);
        let serial = serial.map_err(|_| Malformed("its serial is not UTF-8"))?.to_owned();
        Ok(DocumentBinding { serial, epoch: self.u64()? })
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow its end")) }
    }
}
