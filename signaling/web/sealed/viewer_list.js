// The viewer list: which terminals may open a device's video, signed with the device secret.

import { Reader, bindingBytes, compare, concat, equal, text, u16, u64 } from './bytes.js';
import { KEY_LEN, SIGNATURE_LEN, sign, verifies } from './curves.js';
import { SealedError, malformed } from './errors.js';

/** Most terminals of one list. */
export const MAX_VIEWERS = 64;
/** Longest name of an account, bytes. */
export const MAX_ACCOUNT = 64;
/** Longest signed list, bytes. */
export const MAX_LIST = 9044;
/** What a terminal may: sums of these. */
export const SCOPES = Object.freeze({ live: 1, playback: 2, download: 4, talk: 8 });

const FORMAT = 1;
const LABEL = 'sightline/v1/viewer-list';
const KNOWN_SCOPES = 15;
const SEE = SCOPES.live | SCOPES.playback | SCOPES.download;
const ACCOUNT = /^[\x21-\x7e]{1,64}$/;

/** Whether keys of pictures are wrapped for a viewer at `now`, Unix seconds. */
export const mayOpen = (viewer, now) =>
  (viewer.scopes & SEE) !== 0 && (viewer.expires === 0n || BigInt(now) < viewer.expires);

/**
 * A list of viewers in any order, checked and put into its one order.
 * A viewer is `{signing, exchange, account, scopes, expires}`: two public keys, a text, a sum of
 * `SCOPES`, Unix seconds as bigint (0n: never).
 */
export function build(binding, version, viewers) {
  const sorted = [...viewers].sort((a, b) => compare(a.signing, b.signing));
  const list = { binding, version: BigInt(version), viewers: sorted };
  check(list);
  return list;
}

/** The next version of a list with other viewers. */
export const next = (list, viewers) => build(list.binding, list.version + 1n, viewers);

/** The signed bytes of a list. `auth` is the private key of that branch. */
export async function signed(list, auth) {
  const bytes = body(list);
  return concat(bytes, await sign(auth, LABEL, bytes));
}

/** Reads a list and checks its signature against the public half of `auth`. */
export async function open(bytes, verifier) {
  if (bytes.length > MAX_LIST) throw malformed('it is longer than any list');
  const reader = new Reader(bytes);
  const list = read(reader);
  const what = reader.read();
  const signature = reader.take(SIGNATURE_LEN);
  reader.end();
  if (!(await verifies(verifier, LABEL, what, signature))) throw new SealedError('signature');
  return list;
}

/** Holds the list in force: the newest one of a binding that its owner signed. */
export class ListKeeper {
  #binding;
  #verifier;
  #bytes = null;
  /** The list in force, or null. */
  list = null;

  constructor(binding, verifier) {
    this.#binding = binding;
    this.#verifier = verifier;
  }

  /** Version of the list in force as bigint, 0n without one. */
  get version() {
    return this.list?.version ?? 0n;
  }

  /**
   * Puts a newer list into force. `store` is called with its bytes before, so that a restart does
   * not go back; when it fails, nothing has changed. Refusals change nothing either.
   */
  async offer(bytes, store = async () => {}) {
    if (this.#bytes && equal(this.#bytes, bytes)) throw new SealedError('held');
    const offered = await open(bytes, this.#verifier);
    if (offered.binding.serial !== this.#binding.serial) throw new SealedError('other-camera');
    if (offered.binding.epoch !== this.#binding.epoch) throw new SealedError('other-binding');
    this.#newer(offered);
    await store(bytes);
    this.#newer(offered);
    this.list = offered;
    this.#bytes = bytes.slice();
  }

  #newer({ version }) {
    if (version <= this.version) throw new SealedError('not-newer', `${version} after ${this.version}`);
  }
}

function body({ binding, version, viewers }) {
  const entry = (viewer) => concat(
    viewer.signing, viewer.exchange, text(viewer.account), u16(viewer.scopes), u64(viewer.expires),
  );
  const head = [Uint8Array.of(FORMAT), bindingBytes(binding), u64(version), u16(viewers.length)];
  return concat(...head, ...viewers.map(entry));
}

function read(reader) {
  if (reader.u8() !== FORMAT) throw malformed('another version of the format');
  const binding = reader.binding();
  const version = reader.u64();
  const count = reader.u16();
  if (count > MAX_VIEWERS) throw new SealedError('too-many');
  const viewers = Array.from({ length: count }, () => ({
    signing: reader.copy(KEY_LEN),
    exchange: reader.copy(KEY_LEN),
    account: reader.text(),
    scopes: reader.u16(),
    expires: reader.u64(),
  }));
  const list = { binding, version, viewers };
  const rising = viewers.every((one, at) => at === 0 || compare(viewers[at - 1].signing, one.signing) <= 0);
  if (!rising) throw malformed('its entries are not in order');
  check(list);
  return list;
}

function check({ version, viewers }) {
  if (viewers.length > MAX_VIEWERS) throw new SealedError('too-many');
  if (version === 0n) throw malformed('versions start at 1');
  viewers.forEach((viewer, at) => {
    if (!ACCOUNT.test(viewer.account)) throw new SealedError('account');
    if ((viewer.scopes & ~KNOWN_SCOPES) !== 0) throw malformed('an unknown scope');
    const same = (other) => equal(other.signing, viewer.signing) || equal(other.exchange, viewer.exchange);
    if (viewers.slice(0, at).some(same)) throw new SealedError('twice');
  });
}
