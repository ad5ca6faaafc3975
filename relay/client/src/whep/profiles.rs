//! Which SRTP protection profiles are offered (RFC 5764).
//!
//! The DTLS library offers all that it knows and cannot be told otherwise, and servers take the
//! strongest. To offer one alone its number is written over the others in the ClientHello, which
//! keeps its length: on the wire, and in what the handshake's hashes and our signature cover.

use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, HashContext, HashProvider, KeyProvider, SignatureAlgorithm,
    SigningKey, aws_lc_rs,
};
use dimpl::{Config, CryptoError};

use super::WhepError;

/// The extension as the library writes it: type, length, bytes of the list, the list, no MKI.
const ALL: [u8; 13] = [0, 14, 0, 9, 0, 6, 0, 8, 0, 7, 0, 1, 0];
/// Where the list is in it.
const LIST: std::ops::Range<usize> = 6..12;

/// What a viewer offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SrtpOffer {
    /// All profiles.
    #[default]
    All,
    /// `AEAD_AES_128_GCM` alone (RFC 7714).
    Aes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80` alone (RFC 5764).
    Aes128CmSha1,
}

impl SrtpOffer {
    /// Settings of a DTLS client with this offer.
    pub(super) fn config(self) -> Result<Config, WhepError> {
        let mut builder = Config::builder();
        if let Some(only) = self.only() {
            let hash_provider = only;
            let key_provider = only;
            let provider = aws_lc_rs::default_provider();
            let provider = CryptoProvider { hash_provider, key_provider, ..provider };
            builder = builder.with_crypto_provider(provider);
        }
        builder.build().map_err(super::failed)
    }

    /// The datagram as it goes out.
    pub(super) fn on_the_wire(self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.only()?.written(datagram)
    }

    fn only(self) -> Option<&'static Only> {
        match self {
            Self::All => None,
            Self::Aes128Gcm => Some(&Only([0, 7])),
            Self::Aes128CmSha1 => Some(&Only([0, 1])),
        }
    }
}

/// The number of the one profile.
#[derive(Debug)]
struct Only([u8; 2]);

impl Only {
    /// The bytes with this profile in every place of the list; `None` if there is no list.
    fn written(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let at = bytes.windows(ALL.len()).position(|window| window == ALL)?;
        let mut bytes = bytes.to_vec();
        bytes[at..][LIST].chunks_exact_mut(2).for_each(|place| place.copy_from_slice(&self.0));
        Some(bytes)
    }
}

impl HashProvider for Only {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        let inner = aws_lc_rs::default_provider().hash_provider.create_hash(algorithm);
        Box::new(Hash { inner, only: Self(self.0) })
    }
}

impl KeyProvider for Only {
    fn load_private_key(&self, key_der: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let inner = aws_lc_rs::default_provider().key_provider.load_private_key(key_der)?;
        Ok(Box::new(Key { inner, only: Self(self.0) }))
    }
}

#[derive(Debug)]
struct Hash {
    inner: Box<dyn HashContext>,
    only: Only,
}

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.inner.update(self.only.written(data).as_deref().unwrap_or(data));
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        self.inner.clone_and_finalize(out);
    }
}

#[derive(Debug)]
struct Key {
    inner: Box<dyn SigningKey>,
    only: Only,
}

impl SigningKey for Key {
    fn sign(
        &mut self,
        data: &[u8],
        hash_alg: HashAlgorithm,
        out: &mut Buf,
    ) -> Result<(), CryptoError> {
        self.inner.sign(self.only.written(data).as_deref().unwrap_or(data), hash_alg, out)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.inner.hash_algorithm()
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        self.inner.supported_hash_algorithms()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};

    use super::*;

    fn peer(config: Config, active: bool, now: Instant) -> Dtls {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let certificate = DtlsCertificate {
            certificate: certificate.self_signed(&key).unwrap().der().to_vec(),
            private_key: key.serialize_der(),
        };
        let mut dtls = Dtls::new_12(Arc::new(config), certificate, now);
        dtls.set_active(active);
        dtls.handle_timeout(now).unwrap();
        dtls
    }

    /// What a peer sends now, and the profile that it says it has agreed on.
    fn poll(dtls: &mut Dtls, offer: SrtpOffer) -> (Vec<Vec<u8>>, Option<SrtpProfile>) {
        let (mut sent, mut agreed) = (Vec::new(), None);
        let mut buffer = [0; 2048];
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    sent.push(offer.on_the_wire(packet).unwrap_or_else(|| packet.to_vec()));
                }
                Output::KeyingMaterial(_, profile) => agreed = Some(profile),
                Output::Timeout(_) => return (sent, agreed),
                _ => {}
            }
        }
    }

    /// What both ends agree on.
    fn agreed(offer: SrtpOffer) -> [Option<SrtpProfile>; 2] {
        let mut now = Instant::now();
        let mut client = peer(offer.config().unwrap(), true, now);
        let mut server = peer(Config::default(), false, now);
        let mut agreed = [None; 2];
        for _ in 0..10 {
            now += Duration::from_millis(1);
            let (sent, profile) = poll(&mut client, offer);
            agreed[0] = agreed[0].or(profile);
            for packet in sent {
                server.handle_timeout(now).unwrap();
                server.handle_packet(&packet).unwrap();
            }
            let (sent, profile) = poll(&mut server, SrtpOffer::All);
            agreed[1] = agreed[1].or(profile);
            for packet in sent {
                client.handle_timeout(now).unwrap();
                client.handle_packet(&packet).unwrap();
            }
        }
        agreed
    }

    #[test]
    fn a_server_takes_the_one_profile_that_is_offered() {
        for (offer, profile) in [
            (SrtpOffer::All, SrtpProfile::AEAD_AES_256_GCM),
            (SrtpOffer::Aes128Gcm, SrtpProfile::AEAD_AES_128_GCM),
            (SrtpOffer::Aes128CmSha1, SrtpProfile::AES128_CM_SHA1_80),
        ] {
            assert_eq!(agreed(offer), [Some(profile); 2], "{offer:?}");
        }
    }

    #[test]
    fn only_the_extension_is_written_over() {
        let hello = [&[9, 9][..], &ALL, &[0, 8]].concat();
        let one = SrtpOffer::Aes128CmSha1.on_the_wire(&hello).unwrap();
        assert_eq!(one, [9, 9, 0, 14, 0, 9, 0, 6, 0, 1, 0, 1, 0, 1, 0, 0, 8]);
        assert_eq!(SrtpOffer::Aes128Gcm.on_the_wire(&hello[..10]), None);
        assert_eq!(SrtpOffer::All.on_the_wire(&hello), None);
    }
}
