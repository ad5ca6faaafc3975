// The proof of a device key: a challenge of the server, signed here.

import { call } from './api.js';
import { base64url } from './dpop.js';
import { terminalKey } from './keys.js';
import { answer } from './secret.js';

/**
 * Proves a device key with a signing CryptoKey: the secret's, or with `terminal` (its Ed25519 public
 * key) that of a terminal on the viewer list.
 */
export async function proveKey({ serial, channel, serverName }, key, terminal) {
  const path = `/v1/devices/${encodeURIComponent(serial)}`;
  const challenge = await call('POST', `${path}/key-challenge`, { channel });
  const expected = { serverName, terminal: (await terminalKey()).thumbprint, serial, channel };
  const signature = await answer(key, challenge.message, expected);
  const proof = { challenge_id: challenge.challenge_id, signature };
  await call('POST', `${path}/key-proof`, terminal ? { ...proof, terminal: base64url(terminal) } : proof);
}
