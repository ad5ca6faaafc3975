// The proof of a device key to the server: a challenge, signed in this page.

import { call } from '../api.js';
import * as keys from '../keys.js';
import { answer } from '../secret.js';

/** Proves a device's key for this login. `key` signs; throws the server's problem. */
export async function prove(server, { serial, channel = 0 }, key) {
  const path = `/v1/devices/${encodeURIComponent(serial)}`;
  const challenge = await call('POST', `${path}/key-challenge`, { channel });
  const expected = {
    serverName: server.server_name,
    terminal: (await keys.terminalKey()).thumbprint,
    serial,
    channel,
  };
  const signature = await answer(key, challenge.message, expected);
  await call('POST', `${path}/key-proof`, { challenge_id: challenge.challenge_id, signature });
}
