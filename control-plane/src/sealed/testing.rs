//! Documents as owners and cameras make them, for tests.

use aws_lc_rs::signature::Ed25519KeyPair;

/// An owner's list with `viewers` entries, the account of each `account` bytes long.
#[derive(Clone, Copy)]
pub(crate) struct ListOf<'a> {
    pub(crate) serial: &'a str,
    pub(crate) epoch: u64,
    pub(crate) version: u64,
    pub(crate) viewers: u16,
    pub(crate) account: u8,
}

impl ListOf<'_> {
    pub(crate) fn signed(self, auth: &Ed25519KeyPair) -> Vec<u8> {
        let mut body = vec![1];
        put_binding(&mut body, self.serial, self.epoch);
        body.extend_from_slice(&self.version.to_be_bytes());
        body.extend_from_slice(&self.viewers.to_be_bytes());
        for viewer in 0..self.viewers {
            body.extend_from_slice(&key_of(viewer));
            body.extend_from_slice(&key_of(viewer + 1000));
            body.push(self.account);
            body.extend(std::iter::repeat_n(b'a', usize::from(self.account)));
            body.extend_from_slice(&3u16.to_be_bytes());
            body.extend_from_slice(&0u64.to_be_bytes());
        }
        sign(auth, "sightline/v1/viewer-list", body)
    }
}

/// An entry of a list: Ed25519 key, account, scopes, expiry.
pub(crate) type EntryOf<'a> = (&'a [u8], &'a str, u16, u64);

/// An owner's list of these terminals.
pub(crate) fn list_of(
    (serial, epoch, version): (&str, u64, u64),
    entries: &[EntryOf<'_>],
    auth: &Ed25519KeyPair,
) -> Vec<u8> {
    let mut body = vec![1];
    put_binding(&mut body, serial, epoch);
    body.extend_from_slice(&version.to_be_bytes());
    body.extend_from_slice(&(entries.len() as u16).to_be_bytes());
    for (at, (signing, account, scopes, expires)) in entries.iter().enumerate() {
        body.extend_from_slice(signing);
        body.extend_from_slice(&key_of(at as u16));
        body.push(account.len() as u8);
        body.extend_from_slice(account.as_bytes());
        body.extend_from_slice(&scopes.to_be_bytes());
        body.extend_from_slice(&expires.to_be_bytes());
    }
    sign(auth, "sightline/v1/viewer-list", body)
}

/// A camera's generation, wrapped for recipients 0 to `wraps` - 1.
#[derive(Clone, Copy)]
pub(crate) struct BlobOf<'a> {
    pub(crate) serial: &'a str,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) suite: u16,
    pub(crate) wraps: u16,
}

impl BlobOf<'_> {
    pub(crate) fn signed(self, identity: &Ed25519KeyPair) -> Vec<u8> {
        let mut header = vec![1];
        header.extend_from_slice(&self.suite.to_be_bytes());
        put_binding(&mut header, self.serial, self.epoch);
        for number in [self.number, self.number, 7] {
            header.extend_from_slice(&number.to_be_bytes());
        }
        header.extend_from_slice(&[9; 32]);
        let mut blob = sign(identity, "sightline/v1/generation", header);
        blob.extend_from_slice(&self.wraps.to_be_bytes());
        for recipient in 0..self.wraps {
            blob.extend_from_slice(&wrap_for(recipient, 0));
        }
        blob
    }
}

/// A recipient's public key; rises with `number`.
pub(crate) fn key_of(number: u16) -> [u8; 32] {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    key
}

/// A wrap whose ciphertext is filled with `fill`.
pub(crate) fn wrap_for(recipient: u16, fill: u8) -> Vec<u8> {
    [&key_of(recipient)[..], &[fill; 80]].concat()
}

/// A sealing order; 0 is open, 1 is sealed.
pub(crate) fn order_of(
    serial: &str,
    epoch: u64,
    sequence: u64,
    mode: u8,
    auth: &Ed25519KeyPair,
) -> Vec<u8> {
    let mut body = vec![1];
    put_binding(&mut body, serial, epoch);
    body.extend_from_slice(&sequence.to_be_bytes());
    body.push(mode);
    sign(auth, "sightline/v1/sealing", body)
}

fn put_binding(out: &mut Vec<u8>, serial: &str, epoch: u64) {
    out.push(serial.len() as u8);
    out.extend_from_slice(serial.as_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
}

fn sign(key: &Ed25519KeyPair, label: &str, mut body: Vec<u8>) -> Vec<u8> {
    let message = [label.as_bytes(), &[0], &body].concat();
    body.extend_from_slice(key.sign(&message).as_ref());
    body
}
