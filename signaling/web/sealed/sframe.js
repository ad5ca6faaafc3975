// SFrame (RFC 9605) with the suites that are offered: key schedule and opening.

import { concat, u16, u64, utf8 } from './bytes.js';

/** Bytes of the tag behind the ciphertext, of either suite. */
export const TAG_LEN = 16;

const NONCE_LEN = 12;
const KEY_LABEL = utf8('SFrame 1.0 Secret key ');
const SALT_LABEL = utf8('SFrame 1.0 Secret salt ');

/** The cipher suites by their number in the registry (section 8.1). */
export const SUITES = new Map([
  [4, Object.freeze({ id: 4, hash: 'SHA-256', keyBits: 128 })],
  [5, Object.freeze({ id: 5, hash: 'SHA-512', keyBits: 256 })],
]);

/** A base key for `FrameKey.derive` that cannot be read back; the bytes are wiped. */
export async function importBaseKey(bytes) {
  const key = await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveBits', 'deriveKey']);
  bytes.fill(0);
  return key;
}

/** Key and salt of one base key and KID (section 4.4.2). */
export class FrameKey {
  #key;
  #salt;

  constructor(key, salt) {
    this.#key = key;
    this.#salt = salt;
  }

  /** `kid` is a bigint. */
  static async derive(suite, baseKey, kid) {
    const hkdf = (label) => ({
      name: 'HKDF', hash: suite.hash, salt: new Uint8Array(0), info: concat(label, u64(kid), u16(suite.id)),
    });
    const aes = { name: 'AES-GCM', length: suite.keyBits };
    const [key, salt] = await Promise.all([
      crypto.subtle.deriveKey(hkdf(KEY_LABEL), baseKey, aes, false, ['decrypt']),
      crypto.subtle.deriveBits(hkdf(SALT_LABEL), baseKey, NONCE_LEN * 8),
    ]);
    return new FrameKey(key, new Uint8Array(salt));
  }

  /** The plaintext; null when header, metadata, ciphertext or tag were changed, or the key is another. */
  async open(ctr, header, metadata, sealed) {
    const iv = this.#salt.slice();
    u64(ctr).forEach((byte, at) => {
      iv[NONCE_LEN - 8 + at] ^= byte;
    });
    const algorithm = { name: 'AES-GCM', iv, additionalData: concat(header, metadata) };
    try {
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.#key, sealed));
    } catch {
      return null;
    }
  }
}
