//! The DTLS certificate: self-signed, new at every start. Peers pin it through the SDP answer.

use std::io;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use sightline_relay_proto::webrtc::DtlsIdentity;

/// Makes an ECDSA P-256 key and certificate.
pub(super) fn make() -> io::Result<DtlsIdentity> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, "sightline");
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    DtlsIdentity::new(certificate.der().to_vec(), key.serialize_der()).map_err(io::Error::other)
}
