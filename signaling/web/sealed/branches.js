// What becomes of a device secret: a key that signs for its owner, and one that opens generations.

import { utf8 } from './bytes.js';
import { KEY_LEN, fromSecret } from './curves.js';

/**
 * Both branches, private halves not readable: `auth` (Ed25519) and `archive` (X25519), each
 * `{privateKey, publicKey}`. The secret's bytes are wiped.
 */
export async function branches(secret) {
  const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  secret.fill(0);
  const branch = async (name, curve) => {
    const info = utf8(`sightline/v1/${name}`);
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
    const seed = await crypto.subtle.deriveBits(hkdf, material, KEY_LEN * 8);
    return fromSecret(curve, new Uint8Array(seed));
  };
  return { auth: await branch('auth', 'Ed25519'), archive: await branch('archive', 'X25519') };
}
