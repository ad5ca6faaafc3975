// How an owner and a guest get each other's keys through a server that could change them: the guest
// is bound first, and both compare eight digits that follow from all that was said (KEYS.md).

import { Problem, call } from '../api.js';
import { base64url, fromBase64url } from '../dpop.js';
import { stepFor } from '../flow.js';
import { Reader, bindingBytes, concat, equal, labelled } from './bytes.js';
import { KEY_LEN, sha256 } from './curves.js';

const COMMITMENT_LABEL = 'sightline/v1/guest-commitment';
const CODE_LABEL = 'sightline/v1/confirmation';
const NONCE_LEN = 16;
const DIGITS = 8;
/** Pause between two looks at what the other side said, milliseconds. */
const PAUSE_MS = 700;
/** An introduction is over by then at the server; nobody waits for longer, milliseconds. */
const LIFE_MS = 600_000;

const path = (code, what = '') => `/v1/introductions/${encodeURIComponent(code)}${what}`;
const nonce = () => crypto.getRandomValues(new Uint8Array(NONCE_LEN));
const keysOf = ({ signing, exchange }) => concat(signing.publicKey, exchange.publicKey);
const terminalFrom = (reader) => ({ signing: reader.copy(KEY_LEN), exchange: reader.copy(KEY_LEN) });

/** What binds a guest to what it will reveal. */
export const commitmentOf = (reveal) => sha256(labelled(COMMITMENT_LABEL, reveal));

/** The digits that both sides compare, in two groups. */
export async function digitsOf(reply, reveal) {
  const hash = await sha256(labelled(CODE_LABEL, reply, reveal));
  const number = new DataView(hash.buffer).getBigUint64(0) % 10n ** BigInt(DIGITS);
  const digits = String(number).padStart(DIGITS, '0');
  return `${digits.slice(0, DIGITS / 2)} ${digits.slice(DIGITS / 2)}`;
}

/** An owner's message: `{binding, camera, owner}`. */
export function readReply(bytes) {
  const reader = new Reader(bytes);
  const reply = { binding: reader.binding(), camera: reader.copy(KEY_LEN), owner: terminalFrom(reader) };
  reader.take(NONCE_LEN);
  reader.end();
  return reply;
}

/** What a guest revealed: both its public keys. */
export function readReveal(bytes) {
  const reader = new Reader(bytes);
  const guest = terminalFrom(reader);
  reader.take(NONCE_LEN);
  reader.end();
  return guest;
}

/** The guest's side. */
export class Guest {
  #reveal;
  /** What the owner types. */
  code;

  /** Opens an introduction for a terminal's keys; with a share, the one that its owner looks for. */
  static async open(terminal, share) {
    const guest = new Guest();
    guest.#reveal = concat(keysOf(terminal), nonce());
    const commitment = await commitmentOf(guest.#reveal);
    const body = { commitment: base64url(commitment) };
    const where = share ? `/v1/shares/${encodeURIComponent(share)}/introduction` : '/v1/introductions';
    guest.code = (await call('POST', where, body)).code;
    return guest;
  }

  /** Waits for the owner; then `{digits, binding, camera}`. One reply is answered, and no second. */
  async meet(signal) {
    const bytes = fromBase64url(await heard(this.code, 'reply', signal));
    const reply = readReply(bytes);
    const digits = await digitsOf(bytes, this.#reveal);
    await call('POST', path(this.code, '/reveal'), { reveal: base64url(this.#reveal) });
    return { digits, binding: reply.binding, camera: reply.camera };
  }

  /** Waits for the owner's decision: true when this terminal was let in. */
  async outcome(signal) {
    const added = await heard(this.code, 'added', signal);
    await this.end();
    return added;
  }

  /** Gives up. */
  end() {
    return call('DELETE', path(this.code)).catch(() => {});
  }
}

/** The owner's side. */
export class Host {
  #code;
  #commitment;
  #reply;
  #account;

  /**
   * Answers the guest with this code. What binds the guest is there before anything is said: a
   * server that hears the reply first could choose keys to match the digits.
   */
  static async answer(code, { binding, camera, terminal }) {
    const host = new Host();
    const held = await call('GET', path(code));
    if (!held.commitment) throw new Problem('introduction-unknown');
    host.#code = code;
    host.#account = held.guest_account;
    host.#commitment = fromBase64url(held.commitment);
    host.#reply = concat(bindingBytes(binding), camera, keysOf(terminal), nonce());
    await call('POST', path(code, '/reply'), { reply: base64url(host.#reply) });
    return host;
  }

  /** Waits for the guest; then `{digits, guest: {signing, exchange, account}}`. */
  async meet(signal) {
    const reveal = fromBase64url(await heard(this.#code, 'reveal', signal));
    if (!equal(await commitmentOf(reveal), this.#commitment)) {
      await this.decide(false).catch(() => {});
      throw new Problem('sealed-other-keys');
    }
    const guest = { ...readReveal(reveal), account: this.#account };
    return { digits: await digitsOf(this.#reply, reveal), guest };
  }

  /** Tells the guest how it ended. */
  decide(added) {
    return call('POST', path(this.#code, '/outcome'), { added });
  }
}

/** Waits until the other side has said something. A server that does not answer meanwhile is asked again. */
async function heard(code, what, signal) {
  const until = performance.now() + LIFE_MS;
  for (;;) {
    signal.throwIfAborted();
    const { held, problem } = await asked(code);
    if (held && held[what] !== null) return held[what];
    // Over, or out of time by the server's clock: then it is not found any more.
    if (held && held.added !== null) throw new Problem('introduction-unknown');
    if (problem && performance.now() > until) throw problem;
    await rest(Math.max(PAUSE_MS, (problem?.retryAfter ?? 0) * 1000), signal);
  }
}

/** What the server holds now, or the problem that goes away by waiting. */
async function asked(code) {
  try {
    return { held: await call('GET', path(code)) };
  } catch (problem) {
    if (stepFor(problem) !== 'wait') throw problem;
    return { problem };
  }
}

/** Waits, but no longer than until somebody gives up. */
function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    return signal.addEventListener('abort', over);
  });
}
