// One device: its names, what it is, where it stands, giving it away, and removing it.

import { call } from '../api.js';
import { busy, h, hush, say, toast, translateAll } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import { forgetDeviceKey, keepOpenKeys, keepOwnerKeys } from '../keys.js';
import { pictureCode } from '../picture_code.js';
import { ask, consentDialog, problemLine, showProblem, smsDialog, stillHere } from './dialogs.js';
import { proveTyped } from './key_proof.js';

const pathOf = (serial) => `/v1/devices/${encodeURIComponent(serial)}`;
const field = (id, value = '', more = {}) => h('input', { id, testid: id, value: value ?? '', maxlength: '64', autocomplete: 'off', ...more });

export function deviceView(context, serial) {
  const error = problemLine('device-error');
  const body = h('div', { testid: 'device-detail' });
  const view = { context, serial, error, body, device: null, cards: {} };
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row heading' },
      h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
      h('div', { class: 'grow' }, h('h1', { t: 'device.title' }), h('p', { class: 'muted mono small' }, serial))),
    error, body);
  return { element, title: 'device.title', entered: () => attempt(view, () => load(view)) };
}

async function attempt(view, work) {
  hush(view.error);
  try {
    return await work();
  } catch (problem) {
    if (problem.key) say(view.error, problem.key);
    else showProblem(view.error, problem);
    view.error.scrollIntoView({ block: 'nearest' });
    return null;
  }
}

/** Cards by name, in their order. */
const CARDS = { names, facts, place, giveAway, removal };

async function load(view) {
  view.device = await call('GET', pathOf(view.serial));
  view.cards = Object.fromEntries(Object.entries(CARDS).map(([name, make]) => [name, make(view)]));
  view.body.replaceChildren(...Object.values(view.cards));
  translateAll(view.body);
}

/** Makes one card anew; what was typed into the others, or is shown there only once, stays. */
function redraw(view, name) {
  const made = CARDS[name](view);
  view.cards[name].replaceWith(made);
  view.cards[name] = made;
  translateAll(made);
}

/** Looks at the device again for one card. */
async function refresh(view, name) {
  view.device = await call('GET', pathOf(view.serial));
  redraw(view, name);
}

/** Does `work`; asks for a consent that is missing, and does it once more. */
async function withConsent(purpose, work) {
  const still = stillHere();
  try {
    return await work();
  } catch (problem) {
    if (problem.name !== 'consent-required') throw problem;
    if (!(await consentDialog(purpose, 'purpose', still))) return null;
    return work();
  }
}

function form(view, testid, fields, submitKey, submit) {
  const ok = h('button', { class: 'primary', type: 'submit', t: submitKey, testid: `${testid}-submit` });
  const element = h('form', { testid, novalidate: true }, ...fields, h('div', { class: 'row end' }, ok));
  element.addEventListener('submit', (event) => {
    event.preventDefault();
    busy(ok, () => attempt(view, submit));
  });
  return element;
}

function names(view) {
  const { device, serial } = view;
  const name = field('device-name', device.name, { required: true });
  const channels = device.channel_names.length > 1
    ? device.channel_names.map(({ channel, name: given }) => ({ channel, input: field(`channel-name-${channel}`, given) }))
    : [];
  const rows = channels.flatMap(({ channel, input }) =>
    [h('label', { for: input.id, t: 'device.channelName', tp: { channel } }), input]);
  return h('div', { class: 'card' }, h('h2', { t: 'device.names' }),
    form(view, 'rename', [h('label', { for: 'device-name', t: 'device.name' }), name, ...rows], 'device.rename', async () => {
      if (!name.value.trim()) throw { key: 'device.nameEmpty' };
      const given = channels.filter(({ input }) => input.value.trim());
      const channel_names = Object.fromEntries(given.map(({ channel, input }) => [channel, input.value.trim()]));
      view.device = await call('PATCH', pathOf(serial), { name: name.value.trim(), channel_names });
      name.value = view.device.name ?? '';
      toast('device.renamed');
    }));
}

function facts(view) {
  const { device } = view;
  const { hardware } = device;
  const line = (key, value) => (value === null || value === undefined || value === '' ? null
    : h('div', { class: 'row spread' }, h('dt', { t: key }), h('dd', { class: 'mono small', testid: key }, String(value))));
  const mode = device.network_access_mode;
  const share = h('button', { class: 'quiet', t: 'device.hardwareAgree', testid: 'hardware-agree' });
  share.addEventListener('click', () => busy(share, () => attempt(view, async () => {
    if (await consentDialog('device.hardware', 'purpose')) await refresh(view, 'facts');
  })));
  return h('div', { class: 'card' }, h('h2', { t: 'device.facts' }),
    h('dl', { class: 'facts', testid: 'device-facts' },
      line('device.serial', device.serial), line('device.model', device.model),
      mode ? h('div', { class: 'row spread' }, h('dt', { t: 'device.access' }), h('dd', { t: `device.access.${mode}`, testid: 'device.access' })) : null,
      line('device.firmware', hardware?.firmware), line('device.system', hardware?.system_version),
      line('device.mac', hardware?.mac), line('device.shares', device.sharing.shares),
      line('device.services', device.value_added.length),
      device.added_with ? line('device.addedWith', [device.added_with.client_type, device.added_with.os_version].filter(Boolean).join(' · ')) : null),
    hardware ? null : h('p', { class: 'hint', t: 'device.hardwareNone' }), hardware ? null : share);
}

/** What a place consists of, in the order of the form. */
const PLACE = ['province', 'city', 'district', 'street', 'latitude', 'longitude'];
const COORDINATES = ['latitude', 'longitude'];

function place(view) {
  const path = `${pathOf(view.serial)}/location`;
  const fields = Object.fromEntries(PLACE.map((name) =>
    [name, field(`place-${name}`, '', COORDINATES.includes(name) ? { inputmode: 'decimal' } : {})]));
  const [shown, kept] = knownPlace(view, path, fields);
  const rows = PLACE.flatMap((name) => [h('label', { for: fields[name].id, t: `device.place.${name}` }), fields[name]]);
  return h('details', { class: 'card', testid: 'place-card', open: view.device.has_place },
    h('summary', { t: 'device.place' }), h('p', { class: 'hint', t: 'device.placeLead' }), shown,
    form(view, 'place-form', rows, 'device.placeStore', async () => {
      // The form stands for the whole place: without knowing what is kept, storing would lose it.
      if (!(await kept.then(() => true, () => false))) return refresh(view, 'place');
      const wanted = Object.fromEntries(PLACE.map((name) => [name, read(name, fields[name])]));
      if (Object.values(wanted).some(Number.isNaN)) throw { key: 'device.placeNumber' };
      if (Object.values(wanted).every((value) => value === null)) throw { key: 'device.placeEmpty' };
      const stored = await withConsent('device.location', () => call('PUT', path, wanted).then(() => true));
      if (stored) await refresh(view, 'place');
    }));
}

/** A field's value: a number, a text, or null for nothing. */
function read(name, input) {
  const text = input.value.trim() || null;
  return text === null || !COORDINATES.includes(name) ? text : Number(text.replace(',', '.'));
}

/** What is kept, which the fields begin with: its element, and a promise that they are filled. */
function knownPlace(view, path, fields) {
  if (!view.device.has_place) return [h('div', {}), Promise.resolve()];
  const shown = h('p', { class: 'mono small', testid: 'place' });
  const remove = h('button', { class: 'quiet', type: 'button', t: 'device.placeDelete', testid: 'place-delete' });
  remove.addEventListener('click', () => busy(remove, () => attempt(view, async () => {
    await call('DELETE', path);
    await refresh(view, 'place');
  })));
  const inputs = Object.values(fields);
  for (const input of inputs) input.disabled = true;
  const filled = call('GET', path).then((held) => {
    shown.textContent = [held.street, held.district, held.city, held.province, held.latitude, held.longitude]
      .filter((part) => part !== null && part !== undefined).join(' · ');
    for (const name of PLACE) fields[name].value = held[name] ?? '';
    for (const input of inputs) input.disabled = false;
  });
  filled.catch((problem) => showProblem(view.error, problem));
  return [h('div', {}, shown, remove), filled];
}

/** A transfer code, once the device key and an SMS have shown that it is the owner who gives it away. */
function giveAway(view) {
  const until = view.device.transfer_until;
  const shown = h('div', { testid: 'transfer-place' });
  const path = `${pathOf(view.serial)}/codes`;
  const issue = h('button', { class: 'quiet', t: 'device.give', testid: 'transfer-issue' });
  const back = h('button', { class: 'quiet', t: 'device.giveBack', testid: 'transfer-end', hidden: !until });
  const standing = h('p', { hidden: !until, ...(until && { t: 'device.giveOpen', tp: { when: moment(until) } }) });
  issue.addEventListener('click', () => busy(issue, () => attempt(view, async () => {
    const made = await confirmed(view, () => call('POST', path));
    if (!made) return;
    view.device.transfer_until = made.expires_at;
    // The new code says itself until when it holds.
    standing.hidden = true;
    back.hidden = false;
    shown.replaceChildren(
      h('p', { class: 'hint', t: 'device.giveUse' }),
      h('output', { class: 'mono token', testid: 'transfer-code' }, made.code),
      h('p', { class: 'mono small', testid: 'transfer-text' }, made.text),
      pictureCode(made.picture, 'device.givePicture') ?? '',
      h('p', { class: 'muted small', t: 'add.until', tp: { when: moment(made.expires_at) } }));
    translateAll(shown);
  })));
  back.addEventListener('click', () => busy(back, () => attempt(view, async () => {
    await call('DELETE', path);
    await refresh(view, 'giveAway');
  })));
  return h('div', { class: 'card' }, h('h2', { t: 'device.giveTitle' }), h('p', { class: 'hint', t: 'device.giveLead' }),
    standing, h('div', { class: 'row wrap' }, issue, back), shown);
}

/** Does `work`, with the proofs that the server asks for on the way; null when one was given up. */
async function confirmed(view, work) {
  const still = stillHere();
  // One refusal for each proof at most.
  for (let proofs = 0; proofs < 3; proofs += 1) {
    try {
      return await work();
    } catch (problem) {
      const keep = view.device.can_seal ? keepOwnerKeys : keepOpenKeys;
      const step = {
        'device-key-required': () => proveTyped(view.context.server, { serial: view.serial }, keep, still),
        'sms-required': () => smsDialog(view.serial, still),
      }[problem.name];
      if (!step) throw problem;
      if (!(await step())) return null;
    }
  }
  return null;
}

function removal(view) {
  const { serial, context } = view;
  const remove = h('button', { class: 'danger', t: 'devices.remove', testid: 'device-remove' });
  remove.addEventListener('click', () => busy(remove, async () => {
    const done = await ask({
      title: 'devices.removeTitle', titleParameters: { name: view.device.name || serial }, testid: 'remove', submitKey: 'devices.remove', danger: true,
      body: [h('p', { t: 'device.removeLead' }), h('ul', {}, ...['pictures', 'viewers', 'keys', 'names', 'codes'].map((what) => h('li', { t: `device.lost.${what}` })))],
      submit: async () => {
        await call('DELETE', `/v1/bindings/${encodeURIComponent(serial)}`);
        await forgetDeviceKey(serial);
      },
    });
    if (!done) return;
    toast('devices.removed');
    context.go('#/devices');
  }));
  return h('div', { class: 'card' }, h('h2', { t: 'device.removeTitle' }), h('p', { class: 'hint', t: 'device.removeHint' }), remove);
}
