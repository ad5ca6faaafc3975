// HPKE (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.

import { concat, u16, utf8 } from './bytes.js';
import { KEY_LEN, agree } from './curves.js';

/** Bytes of the encapsulated key. */
export const ENC_LEN = KEY_LEN;
/** Bytes that sealing adds. */
export const TAG_LEN = 16;

const [KEM, KDF, AEAD] = [0x0020, 0x0001, 0x0001];
const MODE_BASE = Uint8Array.of(0);
const KEY_BITS = 128;
const NONCE_BITS = 96;
const EMPTY = new Uint8Array(0);
const VERSION = utf8('HPKE-v1');
const KEM_SUITE = concat(utf8('KEM'), u16(KEM));
const SUITE = concat(utf8('HPKE'), u16(KEM), u16(KDF), u16(AEAD));

const labelledIkm = (suite, label, ikm) => concat(VERSION, suite, utf8(label), ikm);
const labelledInfo = (suite, label, info, bits) => concat(u16(bits / 8), VERSION, suite, utf8(label), info);

/** LabeledExtract with an empty salt (section 4): HMAC under zeroes, as an empty key is padded. */
async function extract(label, ikm) {
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', new Uint8Array(32), hmac, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, labelledIkm(SUITE, label, ikm)));
}

/** LabeledExtract, kept for several LabeledExpand. */
async function secretOf(salt, ikm) {
  const key = await crypto.subtle.importKey('raw', ikm, 'HKDF', false, ['deriveBits']);
  ikm.fill(0);
  return async (info, bits) => {
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt, info };
    return new Uint8Array(await crypto.subtle.deriveBits(hkdf, key, bits));
  };
}

/** Decap (section 4.1): the secret that both sides share, or null. */
async function decapsulate({ privateKey, publicKey }, enc) {
  const dh = await agree(privateKey, enc);
  if (!dh) return null;
  const expand = await secretOf(EMPTY, labelledIkm(KEM_SUITE, 'eae_prk', dh));
  dh.fill(0);
  const context = concat(enc, publicKey);
  return expand(labelledInfo(KEM_SUITE, 'shared_secret', context, 256), 256);
}

/**
 * Opens a message that was sealed for `recipient` with empty associated data; null when it was
 * sealed for another key or `info`, or was changed.
 * @param {{privateKey: CryptoKey, publicKey: Uint8Array}} recipient X25519
 */
export async function open(recipient, enc, info, sealed) {
  const shared = await decapsulate(recipient, enc);
  if (!shared) return null;
  const hashes = [await extract('psk_id_hash', EMPTY), await extract('info_hash', info)];
  const context = concat(MODE_BASE, ...hashes);
  const expand = await secretOf(shared, labelledIkm(SUITE, 'secret', EMPTY));
  const raw = await expand(labelledInfo(SUITE, 'key', context, KEY_BITS), KEY_BITS);
  const iv = await expand(labelledInfo(SUITE, 'base_nonce', context, NONCE_BITS), NONCE_BITS);
  shared.fill(0);
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
  raw.fill(0);
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, sealed));
  } catch {
    return null;
  }
}
