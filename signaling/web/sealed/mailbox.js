// What the server keeps for owners and viewers of sealed devices: viewer lists and generations. It
// can read neither lists that it did not get from an owner nor any key.

import { call } from '../api.js';
import { base64url, fromBase64url } from '../dpop.js';

const device = (serial) => `/v1/devices/${encodeURIComponent(serial)}`;

/** `{epoch, version, list}`: bigints, and the signed bytes or null without a list. Check them. */
export async function viewerList(serial) {
  const { binding_epoch, version, list } = await call('GET', `${device(serial)}/viewer-list`);
  return { epoch: BigInt(binding_epoch), version: BigInt(version ?? 0), list: list ? fromBase64url(list) : null };
}

/** Puts a signed list into the mailbox. */
export const putViewerList = (serial, list) =>
  call('PUT', `${device(serial)}/viewer-list`, { list: base64url(list) });

/**
 * Blobs with the wrap for `recipient` (X25519 public), or with none: the newest first, or those
 * after a generation, rising.
 */
export async function generations(serial, { channel, recipient, after = 0, limit }) {
  const body = { channel, recipient: base64url(recipient), after, limit };
  const answer = await call('POST', `${device(serial)}/generations`, body);
  return answer.generations.map(({ blob }) => fromBase64url(blob));
}
