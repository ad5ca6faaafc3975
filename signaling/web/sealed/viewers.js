// An owner's way to say who may open a camera: the next viewer list, signed with the device secret,
// built on the newest one that this terminal has ever seen.

import { call } from '../api.js';
import { takePlace } from '../keys.js';
import * as store from '../store.js';
import { equal } from './bytes.js';
import { SealedError } from './errors.js';
import { putViewerList, viewerList } from './mailbox.js';
import { sealedTerminal } from './terminal.js';
import { ListKeeper, SCOPES, build, next, signed } from './viewer_list.js';

export { SCOPES };

const SEEN = 'sealed-list:';
/** Tries, when the list is changed from elsewhere at the same time. */
const TRIES = 3;
/** What a guest may: see. */
export const GUEST_SCOPES = SCOPES.live | SCOPES.playback;

const bindingOf = ({ serial, binding_epoch }) => ({ serial, epoch: BigInt(binding_epoch) });

/** The viewers of a device, checked. `auth` holds at least the public half of that branch. */
export const viewersOf = async (device, auth) => (await keeper(device, auth)).list?.viewers ?? [];

/**
 * Puts the next list in force. `act` gets a copy of the viewers and returns the new ones, or null to
 * change nothing.
 */
export function change(device, auth, act) {
  return navigator.locks.request(`sightline-list-${device.serial}`, async () => {
    for (let left = TRIES; ; left -= 1) {
      const { list } = await keeper(device, auth);
      const viewers = act([...(list?.viewers ?? [])]);
      if (!viewers) return;
      const made = list ? next(list, viewers) : build(bindingOf(device), 1n, viewers);
      const bytes = await signed(made, auth.privateKey);
      try {
        await putViewerList(device.serial, bytes);
        await store.put(SEEN + device.serial, bytes);
        return;
      } catch (problem) {
        if (problem.name !== 'list-not-newer' || left <= 1) throw problem;
      }
    }
  });
}

/** Lets a terminal in, or replaces what the list says of it. */
export const admit = (device, auth, viewer) => change(device, auth, (viewers) => [
  ...viewers.filter((other) => !equal(other.signing, viewer.signing)), viewer,
]);

/** Removes a terminal by its Ed25519 key. */
export const remove = (device, auth, signing) => change(device, auth, (viewers) =>
  viewers.filter((other) => !equal(other.signing, signing)));

/** Removes every terminal of an account. */
export const removeAccount = (device, auth, account) => change(device, auth, (viewers) =>
  (viewers.some((one) => one.account === account) ? viewers.filter((one) => one.account !== account) : null));

/** Says anew what the terminals of an account may, `{scopes, expires}`; none, if that is nothing. */
export const changeAccount = (device, auth, account, given) => (given.scopes
  ? change(device, auth, (viewers) => (viewers.some((one) => one.account === account)
    ? viewers.map((one) => (one.account === account ? { ...one, ...given } : one)) : null))
  : removeAccount(device, auth, account));

/**
 * Lets this terminal itself in, so that it needs the device secret no more. Where the browser
 * cannot keep its keys it would only fill the list.
 */
export async function admitThis(device, auth) {
  const { signing, exchange, kept } = await sealedTerminal();
  if (!kept) return;
  const { id: account } = await call('GET', '/v1/me');
  const scopes = SCOPES.live | SCOPES.playback | SCOPES.download | SCOPES.talk;
  const viewer = { signing: signing.publicKey, exchange: exchange.publicKey, account, scopes, expires: 0n };
  const isThis = (other) => equal(other.signing, viewer.signing) && equal(other.exchange, viewer.exchange)
    && other.account === account && other.scopes === scopes && other.expires === 0n;
  await change(device, auth, (viewers) => (viewers.some(isThis) ? null : [
    ...viewers.filter((other) => !equal(other.signing, viewer.signing)), viewer,
  ]));
  await takePlace(bindingOf(device));
}

/** The list in force: the server's, unless this terminal has seen a newer one. */
async function keeper(device, { publicKey }) {
  const held = new ListKeeper(bindingOf(device), publicKey);
  const seen = await store.get(SEEN + device.serial);
  // What was seen under another owner or secret counts for nothing.
  if (seen) await held.offer(seen).catch(ifSealed);
  const { list } = await viewerList(device.serial);
  if (!list && held.list) throw new SealedError('list-lost');
  if (list) {
    await held.offer(list, (bytes) => store.put(SEEN + device.serial, bytes)).catch((error) => {
      if (error.reason !== 'held') throw error;
    });
  }
  return held;
}

function ifSealed(error) {
  if (!(error instanceof SealedError)) throw error;
}
