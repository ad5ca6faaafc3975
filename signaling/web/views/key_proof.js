// The proof of a device key to the server: a challenge, signed in this page.

import { call } from '../api.js';
import { base64url } from '../dpop.js';
import * as keys from '../keys.js';
import { answer } from '../secret.js';
import { secretDialog, stillHere } from './dialogs.js';

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

/**
 * Asks for a device's secret until it proves the device's key, and keeps what follows from it by
 * `keep`. Resolves to the keys, null when given up; throws the server's problem, but for a wrong
 * secret, which the dialog says.
 */
export async function proveTyped(server, device, keep = keys.keepOwnerKeys, still = stillHere()) {
  const refuse = (problem) => {
    throw problem.status === 400 || problem.status === 403 ? { key: 'secret.refused' } : problem;
  };
  const tried = (key) => prove(server, device, key).catch(refuse);
  const made = await secretDialog(device.serial, tried, server.development, still);
  if (made) await keep(device.serial, made);
  return made;
}
