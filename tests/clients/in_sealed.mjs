// Runs inside the page: does what a test asks of the page's modules for sealed video, and tells
// what came out. Bytes travel as hexadecimal texts.

import { concat, equal, labelled, u16, utf8 } from '/assets/sealed/bytes.js';
import { branches } from '/assets/sealed/branches.js';
import { agree, fromSecret, generate } from '/assets/sealed/curves.js';
import { GopReader } from '/assets/sealed/gop_stream.js';
import { Keyring } from '/assets/sealed/keyring.js';
import { FrameOpener } from '/assets/sealed/opener.js';
import * as orders from '/assets/sealed/order.js';
import { FrameKey, SUITES, importBaseKey } from '/assets/sealed/sframe.js';
import { forgetTerminal, pin, pinned, sealedTerminal } from '/assets/sealed/terminal.js';
import { ListKeeper, build, next, open, signed } from '/assets/sealed/viewer_list.js';
import { Window } from '/assets/sealed/window.js';
import { parse as parseSecret } from '/assets/secret.js';
import { VIEW_OPERATIONS } from './in_sealed_view.mjs';

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hex = (array) => Array.from(array, (byte) => byte.toString(16).padStart(2, '0')).join('');
const binding = ({ serial, epoch }) => ({ serial, epoch: BigInt(epoch) });
const plain = ({ viewers, ...list }) => ({
  serial: list.binding.serial,
  epoch: String(list.binding.epoch),
  version: String(list.version),
  viewers: viewers.map((viewer) => ({
    signing: hex(viewer.signing), exchange: hex(viewer.exchange), account: viewer.account,
    scopes: viewer.scopes, expires: Number(viewer.expires),
  })),
});

/** The outcome, or the reason of a refusal. Anything else is a defect and fails the test. */
async function outcome(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== 'SealedError') throw error;
    return { refused: error.reason };
  }
}

/** Whether a private key gives itself away. */
async function readable(key, formats = ['pkcs8', 'jwk']) {
  for (const format of formats) {
    if (await crypto.subtle.exportKey(format, key).then(() => true, () => false)) return true;
  }
  return false;
}

/** A keyring with one generation, for suites that no blob of the vectors has. */
async function oneKey({ serial, generation, suite, base_key }) {
  const held = { suite: SUITES.get(suite), baseKey: await importBaseKey(bytes(base_key)) };
  return {
    binding: { serial, epoch: 0n },
    holds: (one) => one === generation,
    get: (one) => (one === generation ? held : undefined),
  };
}

const hmac = async (key, ...parts) => {
  const raw = key.length ? key : new Uint8Array(32);
  const made = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', made, concat(...parts)));
};

/** The sending side of HPKE, written out on its own: what a server can do that has no key. */
async function seal(recipient, info, message) {
  const [kem, suite] = [concat(utf8('KEM'), u16(0x20)), concat(utf8('HPKE'), u16(0x20), u16(1), u16(1))];
  const extract = (salt, id, label, ikm) => hmac(salt, utf8('HPKE-v1'), id, utf8(label), ikm);
  const expand = async (prk, id, label, context, length) => {
    const block = await hmac(prk, u16(length), utf8('HPKE-v1'), id, utf8(label), context, Uint8Array.of(1));
    return block.subarray(0, length);
  };
  const none = new Uint8Array(0);
  const ephemeral = await generate('X25519');
  const prk = await extract(none, kem, 'eae_prk', await agree(ephemeral.privateKey, recipient));
  const shared = await expand(prk, kem, 'shared_secret', concat(ephemeral.publicKey, recipient), 32);
  const hashes = [await extract(none, suite, 'psk_id_hash', none), await extract(none, suite, 'info_hash', info)];
  const context = concat(Uint8Array.of(0), ...hashes);
  const secret = await extract(shared, suite, 'secret', none);
  const key = await crypto.subtle.importKey('raw', await expand(secret, suite, 'key', context, 16), 'AES-GCM', false, ['encrypt']);
  const iv = await expand(secret, suite, 'base_nonce', context, 12);
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, message);
  return concat(ephemeral.publicKey, new Uint8Array(sealed));
}

const OPERATIONS = {
  /** A blob whose only wrap is for `recipient` and holds `base_key`. */
  async rewrap({ header, signature, recipient, base_key }) {
    const info = labelled('sightline/v1/generation-key', bytes(header), bytes(recipient));
    const wrap = concat(bytes(recipient), await seal(bytes(recipient), info, bytes(base_key)));
    return hex(concat(bytes(header), bytes(signature), u16(1), wrap));
  },

  /** Signs a header of a generation as the camera of the vectors would. */
  async sign_header({ header, seed }) {
    const { privateKey } = await fromSecret('Ed25519', bytes(seed));
    const said = labelled('sightline/v1/generation', bytes(header));
    return hex(new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, said)));
  },

  async branches({ text }) {
    const secret = parseSecret(text);
    const { auth, archive } = await branches(secret);
    return {
      auth: hex(auth.publicKey), archive: hex(archive.publicKey), wiped: secret.every((byte) => byte === 0),
      readable: (await readable(auth.privateKey)) || (await readable(archive.privateKey)),
    };
  },

  list: ({ list, verifier }) => outcome(async () => plain(await open(bytes(list), bytes(verifier)))),

  async sign_list({ text, version, viewers, ...rest }) {
    const { auth } = await branches(parseSecret(text));
    const all = viewers.map((viewer) => ({
      ...viewer, signing: bytes(viewer.signing), exchange: bytes(viewer.exchange), expires: BigInt(viewer.expires),
    }));
    return outcome(async () => {
      const list = build(binding(rest), version, all);
      return [hex(await signed(list, auth.privateKey)), hex(await signed(next(list, []), auth.privateKey))];
    });
  },

  order: ({ order, verifier }) => outcome(async () => {
    const { binding: { serial, epoch }, sequence, sealed } = await orders.open(bytes(order), bytes(verifier));
    return { serial, epoch: String(epoch), sequence: String(sequence), sealed };
  }),

  async sign_order({ text, sequence, sealed, ...rest }) {
    const { auth } = await branches(parseSecret(text));
    return hex(await orders.signed({ binding: binding(rest), sequence, sealed }, auth.privateKey));
  },

  /** What is known after an order of `binding`, `[sequence, open]`. */
  after_order: ({ word: [known, stands], order: [sequence, sealed], ...rest }) => outcome(async () => {
    const order = { binding: binding(rest.binding ?? rest), sequence: BigInt(sequence), sealed };
    const word = orders.after({ sequence: BigInt(known), open: stands }, order, binding(rest));
    return [Number(word.sequence), word.open];
  }),

  next_order: async ({ known, told, now }) => Number(orders.nextSequence(BigInt(known), BigInt(told), BigInt(now))),

  async offer({ verifier, lists, store = true, ...rest }) {
    const keeper = new ListKeeper(binding(rest), bytes(verifier));
    const stored = [];
    const results = [];
    for (const list of lists) {
      const keep = async (one) => {
        if (!store) throw Object.assign(new Error('no room'), { name: 'SealedError', reason: 'store' });
        stored.push(hex(one));
      };
      results.push(await outcome(async () => {
        await keeper.offer(bytes(list), keep);
        return { taken: true };
      }));
    }
    return { results, stored: stored.length, version: String(keeper.version) };
  },

  async blobs({ blobs, camera, secret, newest = 0, recordings = false, now, ...rest }) {
    const remembered = [];
    const facts = { binding: binding(rest), camera: bytes(camera), newest, remember: async (one) => remembered.push(one) };
    const keyring = recordings ? Keyring.recordings(facts) : Keyring.live(facts);
    const recipient = await fromSecret('X25519', bytes(secret));
    const results = await Promise.all(blobs.map((blob) => outcome(() => keyring.accept(bytes(blob), recipient, now))));
    const held = results.filter((one) => typeof one === 'number' && keyring.holds(one));
    const keys = held.map((one) => keyring.get(one).baseKey);
    return { results, held, remembered, newest: keyring.newest, readable: (await Promise.all(keys.map((key) => readable(key, ['raw'])))).includes(true) };
  },

  async frames({ frames, channel, now, ...key }) {
    const opener = await FrameOpener.of(await oneKey(key), channel);
    const results = [];
    for (const frame of frames) {
      results.push(await outcome(async () => {
        const { unit, ...said } = await opener.open(bytes(frame), now);
        return { unit: hex(unit), ...said };
      }));
    }
    return results;
  },

  async at_once({ frame, copies, channel, now, ...key }) {
    const opener = await FrameOpener.of(await oneKey(key), channel);
    const tries = Array.from({ length: copies }, () => outcome(() => opener.open(bytes(frame), now)));
    const results = await Promise.all(tries);
    return results.map((one) => one.refused ?? hex(one.unit));
  },

  async blob_and_frames({ blob, camera, secret, frames, channel, now, ...rest }) {
    const keyring = Keyring.live({ binding: binding(rest), camera: bytes(camera) });
    const opener = await FrameOpener.of(keyring, channel);
    const before = await outcome(() => opener.open(bytes(frames[0]), now));
    await keyring.accept(bytes(blob), await fromSecret('X25519', bytes(secret)), now / 1000);
    const units = [];
    for (const frame of frames) units.push(hex((await opener.open(bytes(frame), now)).unit));
    return { before, units };
  },

  async sframe({ suite, base_key, kid, ctr, header, metadata, sealed }) {
    const key = await FrameKey.derive(SUITES.get(suite), await importBaseKey(bytes(base_key)), BigInt(kid));
    const unit = await key.open(BigInt(ctr), bytes(header), bytes(metadata), bytes(sealed));
    return unit && hex(unit);
  },

  window({ steps }) {
    const window = new Window();
    return steps.map((ctr) => {
      const verdict = window.check(ctr);
      if (verdict === 'fresh') window.record(ctr);
      return verdict;
    });
  },

  stream({ pieces }) {
    const reader = new GopReader();
    const items = [];
    const read = async () => {
      for (const piece of pieces) {
        reader.push(bytes(piece));
        for (let item = reader.next(); item; item = reader.next()) items.push({ ...item, payload: hex(item.payload) });
      }
    };
    return outcome(read).then((end) => ({ items, held: reader.held, refused: end?.refused ?? null }));
  },

  async terminal() {
    const first = await sealedTerminal();
    const both = [first.signing.privateKey, first.exchange.privateKey];
    const given = (await Promise.all(both.map((key) => readable(key)))).includes(true);
    const signature = await crypto.subtle.sign('Ed25519', first.signing.privateKey, new Uint8Array(1));
    return {
      signing: hex(first.signing.publicKey), exchange: hex(first.exchange.publicKey),
      kept: first.kept, readable: given, signature: signature.byteLength,
    };
  },

  async forget_terminal() {
    await forgetTerminal();
    return true;
  },

  async pin({ serial, camera, newest }) {
    await pin(serial, { epoch: 3n, camera: bytes(camera), newest });
    const known = await pinned(serial);
    return { same: equal(known.camera, bytes(camera)), epoch: String(known.epoch), newest: known.newest, other: await pinned(`${serial}-2`) ?? null };
  },
};

const ALL = { ...OPERATIONS, ...VIEW_OPERATIONS };

/** The outcomes of a list of operations, one after the other. */
export async function run(operations) {
  const outcomes = [];
  for (const { op, ...facts } of operations) outcomes.push(await ALL[op](facts));
  return outcomes;
}
