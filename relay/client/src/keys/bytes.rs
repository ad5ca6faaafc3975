//! Canonical bytes: big-endian integers, texts behind their length, nothing optional. A document
//! has one encoding, so that what is signed cannot be written in two ways.

use sightline_relay_proto::ids::DeviceId;

use super::Binding;

/// The bytes are not the one encoding of a document.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

/// What is signed or hashed: a label says what for, and cannot run into what follows.
pub(super) fn labelled(label: &str, body: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], body].concat()
}

/// Appends a text of at most 255 bytes behind its length.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    let len = u8::try_from(text.len()).expect("texts in documents are bounded below 256 bytes");
    out.push(len);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a binding.
pub(super) fn put_binding(binding: &Binding, out: &mut Vec<u8>) {
    put_text(binding.serial.as_str(), out);
    out.extend_from_slice(&binding.epoch.to_be_bytes());
}

/// Reads a document from its start.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were taken"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let len = self.u8()?;
        let bytes = self.take(usize::from(len))?;
        std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
    }

    pub(super) fn binding(&mut self) -> Result<Binding, Malformed> {
        let serial = self.text()?;
        let serial = DeviceId::new(serial).map_err(|_| Malformed("the serial is not one"))?;
        Ok(Binding { serial, epoch: self.u64()? })
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow its end")) }
    }
}
