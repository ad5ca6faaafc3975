// Ed25519 and X25519 keys from and to their 32 bytes. WebCrypto takes private ones as PKCS #8 only.

import { equal, labelled } from './bytes.js';
import { fromBase64url } from '../dpop.js';

/** Bytes of a key of either curve. */
export const KEY_LEN = 32;
/** Bytes of a signature. */
export const SIGNATURE_LEN = 64;

// PKCS #8 (RFC 8410) up to the 32 bytes of the key: the last arc of the OID names the curve.
const pkcs8 = (arc) => [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, arc, 4, 0x22, 4, 0x20];
const CURVES = {
  Ed25519: { prefix: pkcs8(0x70), usages: ['sign'] },
  X25519: { prefix: pkcs8(0x6e), usages: ['deriveBits'] },
};

/**
 * A private key that cannot be read back, and its public bytes. `secret` is wiped.
 * @param {'Ed25519' | 'X25519'} curve
 */
export async function fromSecret(curve, secret) {
  const { prefix, usages } = CURVES[curve];
  const wrapped = Uint8Array.from([...prefix, ...secret]);
  secret.fill(0);
  try {
    // The public half is only to be had from a copy that may be exported, which ends here.
    const readable = await crypto.subtle.importKey('pkcs8', wrapped, curve, true, usages);
    const { x } = await crypto.subtle.exportKey('jwk', readable);
    const privateKey = await crypto.subtle.importKey('pkcs8', wrapped, curve, false, usages);
    return { privateKey, publicKey: fromBase64url(x) };
  } finally {
    wrapped.fill(0);
  }
}

/** A new key pair whose private half cannot be read. */
export async function generate(curve) {
  const usages = curve === 'Ed25519' ? ['sign', 'verify'] : CURVES[curve].usages;
  const pair = await crypto.subtle.generateKey(curve, false, usages);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  return { privateKey: pair.privateKey, publicKey };
}

/** Signs `label || 00 || body`. */
export async function sign(privateKey, label, body) {
  return new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, labelled(label, body)));
}

/** Whether the owner of a public key signed `label || 00 || body`. */
export async function verifies(publicKey, label, body, signature) {
  let key;
  try {
    key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
  } catch {
    return false;
  }
  return crypto.subtle.verify('Ed25519', key, signature, labelled(label, body));
}

/** The shared secret of a private and a public X25519 key; null when the public one is no key. */
export async function agree(privateKey, publicKey) {
  try {
    const theirs = await crypto.subtle.importKey('raw', publicKey, 'X25519', false, []);
    const algorithm = { name: 'X25519', public: theirs };
    const shared = new Uint8Array(await crypto.subtle.deriveBits(algorithm, privateKey, 256));
    // RFC 7748, 6.1: a point of small order makes zeroes of every key.
    return equal(shared, new Uint8Array(KEY_LEN)) ? null : shared;
  } catch {
    return null;
  }
}

/** SHA-256. */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}
