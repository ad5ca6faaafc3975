// The keys of this terminal. No private half can be read, by this page or by any other.

import { thumbprint } from './dpop.js';
import * as store from './store.js';

const TERMINAL = 'terminal-key';
const DEVICE = 'device-key:';
const ARCHIVE = 'archive-key:';
const CHECK = 'camera-check:';
const VERIFIER = 'device-verifier:';
const PLACE = 'sealed-place:';
let terminal;

/** This terminal's P-256 key, made at the first visit: {privateKey, jwk, thumbprint}. */
export function terminalKey() {
  terminal ??= navigator.locks.request('sightline-terminal-key', async () => {
    const known = await store.get(TERMINAL);
    if (known) return known;
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const pair = await crypto.subtle.generateKey(algorithm, false, ['sign']);
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const made = { privateKey: pair.privateKey, jwk, thumbprint: await thumbprint(jwk) };
    await store.put(TERMINAL, made);
    return made;
  });
  return terminal;
}

/** The key derived from a device's secret, if it was entered here: a signing CryptoKey. */
export const deviceKey = (serial) => store.get(DEVICE + serial);
export const keepDeviceKey = (serial, key) => store.put(DEVICE + serial, key);
export async function forgetDeviceKey(serial) {
  await store.remove(DEVICE + serial);
  await store.remove(ARCHIVE + serial);
  await store.remove(VERIFIER + serial);
  await store.remove(CHECK + serial);
  await losePlace(serial);
}

/** Remembers that an owner let this terminal in, under a binding. */
export const takePlace = ({ serial, epoch }) => store.put(PLACE + serial, epoch);

/** Whether this terminal may stand on the viewer list of a device. */
export const hasPlace = async ({ serial, binding_epoch }) =>
  (await store.get(PLACE + serial)) === BigInt(binding_epoch);

/** It does not any more. */
export const losePlace = (serial) => store.remove(PLACE + serial);

/** Public half (32 bytes) of the key derived from a device's secret, if it was entered here. */
export const deviceVerifier = (serial) => store.get(VERIFIER + serial);

/** `{privateKey, publicKey}` of a sealed device's secret, which signs for its owner; null without. */
export async function ownerKey(serial) {
  const [privateKey, publicKey] = [await deviceKey(serial), await deviceVerifier(serial)];
  return privateKey && publicKey ? { privateKey, publicKey } : null;
}

/** Keeps both keys of a sealed device's secret, and the check of the camera that showed it. */
export async function keepOwnerKeys(serial, { auth, archive, check = null }) {
  await store.put(CHECK + serial, check);
  await store.put(VERIFIER + serial, auth.publicKey);
  await store.put(ARCHIVE + serial, archive);
  await store.put(DEVICE + serial, auth.privateKey);
}

/** Keeps the key of an open device's secret. */
export async function keepOpenKeys(serial, { auth }) {
  await store.put(VERIFIER + serial, auth.publicKey);
  await store.put(DEVICE + serial, auth.privateKey);
}

/** What the camera showed of its identity with the secret; null without. */
export const cameraCheck = async (serial) => (await store.get(CHECK + serial)) ?? null;

/** The X25519 key of a sealed device's secret, if it was entered here: {privateKey, publicKey}. */
export const archiveKey = (serial) => store.get(ARCHIVE + serial);

/** Serials whose key is kept here. */
export async function devicesWithKey() {
  const all = await store.names();
  return all.filter((name) => name.startsWith(DEVICE)).map((name) => name.slice(DEVICE.length));
}

/** Forgets every device key: the next person at this browser starts without them. */
export async function forgetAllDeviceKeys() {
  for (const serial of await devicesWithKey()) await forgetDeviceKey(serial);
  const all = await store.names();
  for (const name of all.filter((one) => one.startsWith(PLACE))) await store.remove(name);
}
