// Who may open a sealed camera: the terminals on its list, letting one in, removing one.

import { call } from '../api.js';
import { base64url } from '../dpop.js';
import { busy, h, hush, toast } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import * as keys from '../keys.js';
import { equal } from '../sealed/bytes.js';
import { KEY_LEN } from '../sealed/curves.js';
import { Host } from '../sealed/introduction.js';
import { allowClear } from '../sealed/owners_word.js';
import { trusted } from '../sealed/player.js';
import { sealedTerminal } from '../sealed/terminal.js';
import { GUEST_SCOPES, admit, admitThis, remove, viewersOf } from '../sealed/viewers.js';
import * as store from '../store.js';
import { ask, problemLine, showProblem, stillHere } from './dialogs.js';
import { proveTyped } from './key_proof.js';

/** Names that the owner gave terminals; they stay in this browser. */
const NAME = 'viewer-name:';
const DAY = 24 * 3600;
const CODE = /^[A-Z2-7]{8}$/;

export function viewersView(context, serial) {
  const error = problemLine('viewers-error');
  const list = h('ul', { class: 'list', testid: 'viewers' });
  const add = h('button', { class: 'primary', testid: 'add-viewer' }, icons.plus(), h('span', { t: 'viewers.add' }));
  const view = { context, serial, error, list, device: null, auth: null, still: stillHere() };
  add.addEventListener('click', () => busy(add, () => attempt(view, async () => {
    if (await letIn(view)) await show(view);
  })));
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row heading' },
      h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
      h('div', { class: 'grow' }, h('h1', { t: 'viewers.title' }), h('p', { class: 'muted mono small' }, serial)), add),
    error,
    h('div', { class: 'card' }, h('p', { class: 'hint', t: 'viewers.lead' }), list));
  return { element, title: 'viewers.title', entered: () => attempt(view, () => start(view)) };
}

async function attempt(view, work) {
  hush(view.error);
  try {
    return await work();
  } catch (problem) {
    showProblem(view.error, problem.reason ? { ...problem, name: `sealed-${problem.reason}`, message: problem.message } : problem);
    return null;
  }
}

/** Only whoever has the device secret reads and changes the list. */
async function start(view) {
  const { items } = await call('GET', '/v1/devices');
  view.device = items.find((item) => item.serial === view.serial) ?? null;
  if (view.device?.role !== 'owner') throw Object.assign(new Error('not bound'), { name: 'device-not-bound' });
  view.auth = (await keys.ownerKey(view.serial))
    ?? (await proveTyped(view.context.server, { serial: view.serial }, keys.keepOwnerKeys, view.still))?.auth;
  if (!view.auth) return;
  // An open camera encrypts for nobody, and its owner has the password.
  if (view.device.can_seal) await admitThis(view.device, view.auth);
  await show(view);
}

async function show(view) {
  const { list, device, auth } = view;
  const [viewers, { signing }] = [await viewersOf(device, auth), await sealedTerminal()];
  const named = await Promise.all(viewers.map(async (viewer) =>
    ({ viewer, name: await store.get(NAME + base64url(viewer.signing)) })));
  list.replaceChildren(...named.map(({ viewer, name }) => {
    const here = equal(viewer.signing, signing.publicKey);
    const out = h('button', { class: 'quiet small', t: 'viewers.remove', testid: `remove-${base64url(viewer.signing)}` });
    out.addEventListener('click', () => busy(out, () => attempt(view, async () => {
      await remove(device, auth, viewer.signing);
      await store.remove(NAME + base64url(viewer.signing));
      toast('viewers.removed');
      await show(view);
    })));
    return h('li', { testid: 'viewer', data: { account: viewer.account, current: String(here) } }, icons.screen(),
      h('div', { class: 'grow' }, h('strong', { class: name ? '' : 'mono small' }, name || viewer.account),
        viewer.expires === 0n ? null
          : h('p', { class: 'muted small', t: 'viewers.until', tp: { when: moment(Number(viewer.expires)) } })),
      here ? h('span', { class: 'tag', t: 'account.current' }) : out);
  }));
}

/** The owner's side of an introduction; true when a terminal was let in. */
async function letIn({ device, auth, still }) {
  const { signing, exchange } = await sealedTerminal();
  const { epoch, camera } = await cameraFor(device);
  const abort = new AbortController();
  const asked = await askCode(async (code) => {
    const facts = { binding: { serial: device.serial, epoch }, camera, terminal: { signing, exchange } };
    const host = await Host.answer(code, facts);
    const met = await host.meet(abort.signal).catch((problem) => {
      // The guest need not wait for an owner who does not go on.
      host.decide(false).catch(() => {});
      throw problem;
    });
    return { host, met };
  }, () => abort.abort(), still);
  if (!asked) return false;
  const { host, met } = asked.result;
  let added = false;
  try {
    if (await compare(met.digits, 'viewers.compareGuest', still)) {
      const expires = asked.days ? BigInt(Math.floor(Date.now() / 1000) + asked.days * DAY) : 0n;
      await admit(device, auth, { ...met.guest, scopes: GUEST_SCOPES, expires });
      if (asked.name) await nameOf(met.guest.signing, asked.name);
      added = true;
      toast('viewers.added');
    }
  } finally {
    // Whatever became of it, the guest is told.
    await host.decide(added).catch(() => {});
  }
  return added;
}

function askCode(answer, leave, still) {
  const field = (id, more) => h('input', { id, testid: id, autocomplete: 'off', spellcheck: 'false', ...more });
  const code = field('guest-code', { class: 'mono', maxlength: '20', autocapitalize: 'characters' });
  const name = field('guest-name', { maxlength: '64' });
  const days = field('guest-days', { type: 'number', min: '1', max: '3650' });
  return ask({
    title: 'viewers.addTitle', testid: 'guest', submitKey: 'viewers.next', leave, still, endless: true,
    body: [
      h('p', { class: 'hint', t: 'viewers.addLead' }),
      h('label', { for: 'guest-code', t: 'viewers.code' }), code,
      h('label', { for: 'guest-name', t: 'viewers.name' }), name,
      h('label', { for: 'guest-days', t: 'viewers.days' }), days,
      h('p', { class: 'hint', t: 'viewers.account' }),
    ],
    submit: async () => {
      const typedCode = code.value.toUpperCase().replace(/[\s-]/g, '');
      if (!CODE.test(typedCode)) throw { key: 'viewers.badCode' };
      const result = await answer(typedCode);
      return { result, name: name.value.trim(), days: Number.parseInt(days.value, 10) || 0 };
    },
  });
}

/**
 * What a guest is to remember of a camera, as this owner knows it: `{epoch, camera}`. One that cannot
 * seal has no identity, which zeros say.
 */
export async function cameraFor(device) {
  if (device.can_seal) return trusted(device);
  await allowClear(device);
  return { epoch: BigInt(device.binding_epoch), camera: new Uint8Array(KEY_LEN) };
}

/** Remembers here what the owner calls a terminal. */
export const nameOf = (signing, name) => store.put(NAME + base64url(signing), name);

/** Shows the digits; true when the person says that the other side reads the same. */
export async function compare(digits, lead, still = stillHere()) {
  const done = await ask({
    title: 'viewers.compareTitle', testid: 'compare', submitKey: 'viewers.same', still,
    body: [
      h('p', { class: 'hint', t: lead }),
      h('p', { class: 'digits mono', testid: 'digits' }, digits),
      h('p', { class: 'assurance', t: 'viewers.compareWhy' }),
    ],
    submit: async () => true,
  });
  return Boolean(done);
}
