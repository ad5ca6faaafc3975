// Clear media of a camera that was sealed here: only on its owner's signed order. A terminal with the
// device secret checks the signature itself, and remembers which order was the newest.

import { Problem } from '../api.js';
import { stepFor } from '../flow.js';
import { deviceVerifier } from '../keys.js';
import * as store from '../store.js';
import { SealedError } from './errors.js';
import { encMode } from './mailbox.js';
import { after, open } from './order.js';
import { pinned } from './terminal.js';

const WORDS = 'owners-word:';
const NONE = { sequence: 0n, open: false };

/** What is known of a binding's orders, and whether an open one still stands. */
async function known({ serial, epoch }, newest) {
  const kept = await store.get(WORDS + serial);
  if (kept?.epoch !== epoch) return NONE;
  // A newer key of the camera was seen since: it seals again, whatever the order said.
  return { sequence: kept.sequence, open: kept.open && kept.newest === newest };
}

/** Number of the newest order known here, 0n without one. */
export const knownSequence = async (binding) => (await known(binding)).sequence;

/** Takes the order that the server shows; resolves to what is known then. Throws what it refuses. */
async function hear(binding, newest, verifier) {
  const { order } = await encMode(binding.serial);
  if (!order) throw new SealedError('not-newer', 'no order');
  const word = after(await known(binding, newest), await open(order, verifier), binding);
  await store.put(WORDS + binding.serial, { ...word, epoch: binding.epoch, newest });
  return word;
}

/** Remembers the newest order of a sealed camera, so that no older one counts later. */
export async function noteOrder({ serial, binding_epoch }) {
  try {
    const [verifier, pin] = [await deviceVerifier(serial), await pinned(serial)];
    const binding = { serial, epoch: BigInt(binding_epoch) };
    if (verifier && pin?.epoch === binding.epoch) await hear(binding, pin.newest, verifier);
  } catch {
    // Without it, what is known stays, and watching sealed pictures needs none of it.
  }
}

/**
 * Whether a device that the server calls open may be watched in clear. Throws `sealed-downgraded`
 * when it was sealed here under this binding and its owner has not switched that off, and
 * `device-key-required` when this terminal cannot tell. No guest's can.
 */
export async function allowClear({ serial, binding_epoch, role }) {
  const [pin, binding] = [await pinned(serial), { serial, epoch: BigInt(binding_epoch) }];
  if (pin?.epoch !== binding.epoch) return;
  const verifier = await deviceVerifier(serial);
  if (!verifier) throw new Problem(role === 'guest' ? 'sealed-downgraded' : 'device-key-required');
  const word = await hear(binding, pin.newest, verifier).catch((problem) => {
    if (stepFor(problem) === 'wait') throw problem;
    return NONE;
  });
  if (!word.open) throw new Problem('sealed-downgraded');
}
