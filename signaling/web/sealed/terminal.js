// This terminal's keys for sealed video: Ed25519 for viewer lists and proofs, X25519 to open
// generations. No private half can be read, by this page or by any other.

import * as store from '../store.js';
import { generate } from './curves.js';

const KEPT = 'sealed-terminal';
let terminal;

/**
 * `{signing, exchange, kept}`, each key `{privateKey, publicKey}`. `kept` is false where the
 * browser cannot store such keys: they then end with the page, and the owner has to let the
 * terminal in again.
 */
export function sealedTerminal() {
  terminal ??= navigator.locks.request('sightline-sealed-terminal', async () => {
    const known = await store.get(KEPT).catch(() => null);
    if (known) return { ...known, kept: true };
    const made = { signing: await generate('Ed25519'), exchange: await generate('X25519') };
    const kept = await store.put(KEPT, made).then(() => true, () => false);
    return { ...made, kept };
  });
  return terminal;
}

/** Forgets the keys: the next ones are another terminal's. */
export async function forgetTerminal() {
  terminal = undefined;
  await store.remove(KEPT);
}

const PINS = 'sealed-camera:';

/**
 * What this terminal knows of a camera: `{epoch, camera, newest}` with the binding epoch (bigint),
 * its identity (32 bytes) and the newest generation that was taken; null for a camera never seen.
 */
export const pinned = (serial) => store.get(PINS + serial);

/** Remembers it. */
export const pin = (serial, facts) => store.put(PINS + serial, facts);

/** Forgets a camera, as after unbinding. */
export const unpin = (serial) => store.remove(PINS + serial);
