// The proof of a device key to the server: a challenge, signed in this page.

import { call } from '../api.js';
import { base64url } from '../dpop.js';
import * as keys from '../keys.js';
import { answer } from '../secret.js';

/**
 * Proves a device's key for this login. `key` signs: the secret's, or with `listed` (an Ed25519
 * public key) that of a terminal on the viewer list. Throws the server's problem.
 */
export async function prove(server, { serial, channel = 0 }, key, listed) {
  const path = `/v1/devices/${encodeURIComponent(serial)}`;
  const challenge = await call('POST', `${path}/key-challenge`, { channel });
  const expected = {
    serverName: server.server_name,
    terminal: (await keys.terminalKey()).thumbprint,
    serial,
    channel,
  };
  const signature = await answer(key, challenge.message, expected);
  const proof = { challenge_id: challenge.challenge_id, signature };
  await call('POST', `${path}/key-proof`, listed ? { ...proof, terminal: base64url(listed) } : proof);
}
