// The owner's side of sharing: whom a camera is shared with, inviting somebody, letting a guest in,
// changing and ending a share.

import { call } from '../api.js';
import { busy, h, hush, say, toast } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import * as keys from '../keys.js';
import { Host } from '../sealed/introduction.js';
import { sealedTerminal } from '../sealed/terminal.js';
import { SCOPES as LISTED, admit, changeAccount, removeAccount } from '../sealed/viewers.js';
import { ask, problemLine, showProblem, stillHere } from './dialogs.js';
import { proveTyped } from './key_proof.js';
import { agreement, termsForm, termsText } from './share_terms.js';
import { cameraFor, compare, nameOf } from './viewers.js';

/** Pause between two looks at who waits, milliseconds. */
const LOOK_MS = 2500;
/** Longest wait for a guest who shows the digits, milliseconds. */
const MEET_MS = 60_000;
/** What a newcomer is offered unless the owner says otherwise. */
const FIRST_TERMS = { scopes: ['view'], channels: null, schedule: null, ends_at: null };

const path = (serial, id = '') => `/v1/devices/${encodeURIComponent(serial)}/shares${id && `/${encodeURIComponent(id)}`}`;

export function sharesView(context, serial) {
  const error = problemLine('shares-error');
  const list = h('ul', { class: 'list', testid: 'shares' });
  const add = h('button', { class: 'primary', testid: 'share-add' }, icons.plus(), h('span', { t: 'share.add' }));
  const view = { context, serial, error, list, device: null, words: null, shown: '', lost: false, left: false, timer: 0 };
  add.addEventListener('click', () => busy(add, () => attempt(view, () => invite(view))));
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row heading' },
      h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
      h('div', { class: 'grow' }, h('h1', { t: 'share.title' }), h('p', { class: 'muted mono small' }, serial)), add),
    error,
    h('div', { class: 'card' }, h('p', { class: 'hint', t: 'share.lead' }), list));
  return {
    element,
    title: 'share.title',
    entered: () => attempt(view, () => start(view)),
    leave: () => {
      view.left = true;
      clearTimeout(view.timer);
    },
  };
}

async function attempt(view, work) {
  hush(view.error);
  view.lost = false;
  try {
    return await work();
  } catch (problem) {
    showProblem(view.error, problem.reason ? { ...problem, name: `sealed-${problem.reason}`, message: problem.message } : problem);
    return null;
  }
}

async function start(view) {
  const { items } = await call('GET', '/v1/devices');
  view.device = items.find((item) => item.serial === view.serial && item.role === 'owner') ?? null;
  if (!view.device) throw Object.assign(new Error('not bound'), { name: 'device-not-bound' });
  await look(view);
}

/**
 * Shows the shares, and again when a guest has come; nothing is asked while the tab is hidden. A look
 * that fails is told, and the next one that does not takes that back: a lost request ends no wait.
 */
async function look(view) {
  clearTimeout(view.timer);
  try {
    if (document.hidden) return;
    await show(view);
    if (view.lost) hush(view.error);
    view.lost = false;
  } catch (problem) {
    if (view.left) return;
    view.lost = true;
    showProblem(view.error, problem);
  } finally {
    if (!view.left) view.timer = setTimeout(() => look(view), LOOK_MS);
  }
}

async function show(view) {
  const { items, attestation } = await call('GET', path(view.serial));
  if (view.left) return;
  view.words = attestation;
  // Rows that are the same stay, so that nobody's focus is lost.
  const now = JSON.stringify(items);
  if (now === view.shown) return;
  view.shown = now;
  const rows = items.map((item) => row(view, item));
  view.list.replaceChildren(...(rows.length ? rows : [h('li', { class: 'muted', t: 'share.nobody', testid: 'share-none' })]));
}

function row(view, share) {
  const { id, label, state, guest_phone_masked: phone, introduction } = share;
  const button = (what, kind, act) => {
    const made = h('button', { class: kind, t: `share.${what}`, testid: `share-${what}-${id}` });
    made.addEventListener('click', () => busy(made, () => attempt(view, async () => {
      await act();
      await show(view);
    })));
    return made;
  };
  const ending = state === 'invited' ? 'withdraw' : 'end';
  return h('li', { testid: 'share', data: { state, id } },
    h('div', { class: 'grow' },
      h('strong', label ? {} : { t: 'share.unnamed' }, ...(label ? [label] : [])),
      h('p', { class: 'muted small', ...standing(share) }),
      phone ? h('p', { class: 'muted small mono' }, phone) : null,
      ...termsText(share)),
    h('div', { class: 'row wrap' },
      introduction ? button('meet', 'primary', () => letIn(view, share)) : null,
      button('change', 'quiet small', () => change(view, share)),
      button(ending, 'quiet small', () => end(view, share))));
}

const standing = ({ state, accepted_at: at, invite_expires_at: until }) => (state === 'invited'
  ? { t: 'share.invited', tp: { when: moment(until) } }
  : { t: 'share.accepted', tp: { when: moment(at) } });

async function invite(view) {
  // What is shown is what is agreed to, even if a look brings a newer version meanwhile.
  const words = view.words;
  const form = termsForm(FIRST_TERMS, view.device.channels);
  const label = h('input', { id: 'share-label', testid: 'share-label', maxlength: '64', autocomplete: 'off' });
  const word = agreement('share-attest', words);
  const made = await ask({
    title: 'share.addTitle', testid: 'invite', submitKey: 'share.makeLink',
    body: [
      h('p', { class: 'hint', t: 'share.addLead' }),
      h('label', { for: 'share-label', t: 'share.label' }), label,
      ...form.body, word.label,
    ],
    submit: async () => {
      const terms = form.read();
      if (!word.input.checked) throw { key: 'share.attestNeeded' };
      return call('POST', path(view.serial), { ...terms, label: label.value.trim(), attestation: words.version });
    },
  });
  if (!made) return;
  await show(view);
  await handOver(made);
}

/** Shows the link, once. */
async function handOver({ code, expires_at: until }) {
  const link = h('input', { id: 'share-link', testid: 'share-link', class: 'mono', readonly: true, value: `${location.origin}/#/share/${code}` });
  const copied = h('p', { class: 'hint', role: 'status' });
  const copy = h('button', { type: 'button', class: 'quiet', t: 'share.copy', testid: 'share-copy' });
  copy.addEventListener('click', async () => {
    link.select();
    const done = await navigator.clipboard?.writeText(link.value).then(() => true, () => false);
    say(copied, done ? 'share.copied' : 'share.copyByHand');
  });
  await ask({
    title: 'share.linkTitle', testid: 'handover', submitKey: 'share.linkDone',
    body: [
      h('p', { class: 'hint', t: 'share.linkLead', tp: { when: moment(until) } }),
      h('label', { for: 'share-link', t: 'share.link' }), link, copy, copied,
      h('p', { class: 'assurance', t: 'share.linkSafe' }),
    ],
    submit: async () => true,
  });
}

async function change(view, share) {
  const form = termsForm(share, view.device.channels);
  const label = h('input', { id: 'share-label', testid: 'share-label', maxlength: '64', autocomplete: 'off', value: share.label });
  const changed = await ask({
    title: 'share.changeTitle', testid: 'change', submitKey: 'share.save',
    body: [h('label', { for: 'share-label', t: 'share.label' }), label, ...form.body],
    submit: () => call('PATCH', path(view.serial, share.id), { ...form.read(), label: label.value.trim() }),
  });
  if (!changed) return;
  toast('share.changed');
  // What a terminal may open stands in the signed list too.
  const auth = share.guest_account && (await keys.ownerKey(view.serial));
  if (auth) await changeAccount(view.device, auth, share.guest_account, listTerms(changed)).catch(() => toast('share.listLater'));
}

async function end(view, share) {
  const invited = share.state === 'invited';
  const key = invited ? 'share.withdraw' : 'share.end';
  const done = await ask({
    title: `${key}Title`, titleParameters: { name: share.label || '…' }, testid: 'end-share', submitKey: key, danger: true,
    body: [h('p', { t: `${key}Lead` })],
    submit: async () => {
      await call('DELETE', path(view.serial, share.id));
      return true;
    },
  });
  if (!done) return;
  toast('share.ended');
  if (invited) return;
  // The server refuses the guest already; the camera's next keys leave the guest out too.
  const auth = await keys.ownerKey(view.serial);
  const removed = auth && (await removeAccount(view.device, auth, share.guest_account).then(() => true, () => false));
  if (!removed) toast('share.listLater');
}

/** Compares digits with a guest who waits, and signs the guest's terminal into the list. */
async function letIn(view, share) {
  const { context, serial, device } = view;
  const still = stillHere();
  const auth = (await keys.ownerKey(serial)) ?? (await proveTyped(context.server, { serial }, keys.keepOwnerKeys, still))?.auth;
  if (!auth) return;
  const { signing, exchange } = await sealedTerminal();
  const { epoch, camera } = await cameraFor(device);
  const facts = { binding: { serial, epoch }, camera, terminal: { signing, exchange } };
  const host = await Host.answer(share.introduction, facts);
  const { digits, guest } = await meet(host);
  let added = false;
  try {
    // Whose terminal it is was agreed on with the share; another account's is not let in by it.
    if (guest.account === share.guest_account && (await compare(digits, 'viewers.compareGuest', still))) {
      await admit(device, auth, { ...guest, ...listTerms(share) });
      if (share.label) await nameOf(guest.signing, share.label);
      added = true;
      toast('viewers.added');
    }
  } finally {
    await host.decide(added).catch(() => {});
  }
}

/** Waits for the guest; one who does not come has a problem of its own, unlike a request that is lost. */
async function meet(host) {
  try {
    return await host.meet(AbortSignal.timeout(MEET_MS));
  } catch (problem) {
    // The guest need not wait for somebody who has given up.
    await host.decide(false).catch(() => {});
    throw problem.name === 'TimeoutError' ? Object.assign(new Error('no answer'), { name: 'guest-silent' }) : problem;
  }
}

/** What a share says in the words of a viewer list. */
function listTerms({ scopes, ends_at: endsAt }) {
  const bits = { view: LISTED.live, playback: LISTED.playback, download: LISTED.download, talk: LISTED.talk };
  return { scopes: scopes.reduce((sum, scope) => sum | (bits[scope] ?? 0), 0), expires: BigInt(endsAt ?? 0) };
}
