// What the server keeps for owners and viewers of sealed devices: viewer lists, sealing orders and
// generations. It can make neither lists nor orders in an owner's place, and read no key.

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

/**
 * `{mode, epoch, sequence, order, history}` of a device of the account: epoch and sequence are bigints,
 * the order its signed bytes, or null without one. Check them. History is newest first.
 */
export async function encMode(serial) {
  const held = await call('GET', `${device(serial)}/enc-mode`);
  return {
    mode: held.mode,
    epoch: BigInt(held.binding_epoch),
    sequence: BigInt(held.sequence),
    order: held.order ? fromBase64url(held.order) : null,
    history: held.history,
  };
}

/** Hands in a signed order of this mode (`open`, `sealed`). */
export const putEncMode = (serial, mode, order) =>
  call('PUT', `${device(serial)}/enc-mode`, { mode, order: base64url(order) });
