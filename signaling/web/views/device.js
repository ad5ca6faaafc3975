// One device: its names, what it is, where it stands, giving it away, and removing it.

import { call } from '../api.js';
import { busy, h, say, toast, translateAll } from '../dom.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import { forgetDeviceKey, keepOpenKeys, keepOwnerKeys } from '../keys.js';
import { pictureCode } from '../picture_code.js';
import { ask, consentDialog, problemLine, showProblem, smsDialog } from './dialogs.js';
import { proveTyped } from './key_proof.js';

const pathOf = (serial) => `/v1/devices/${encodeURIComponent(serial)}`;
const field = (id, value = '', more = {}) => h('input', { id, testid: id, value: value ?? '', maxlength: '64', autocomplete: 'off', ...more });

export function deviceView(context, serial) {
  const error = problemLine('device-error');
  const body = h('div', { testid: 'device-detail' });
  const view = { context, serial, error, body, device: null };
  const element = h('section', { class: 'page narrow' },
    h('div', { class: 'row heading' },
      h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
      h('div', { class: 'grow' }, h('h1', { t: 'device.title' }), h('p', { class: 'muted mono small' }, serial))),
    error, body);
  return { element, title: 'device.title', entered: () => attempt(view, () => load(view)) };
}

async function attempt(view, work) {
  view.error.textContent = '';
  try {
    return await work();
  } catch (problem) {
    if (problem.key) say(view.error, problem.key);
    else showProblem(view.error, problem);
    view.error.scrollIntoView({ block: 'nearest' });
    return null;
  }
}

async function load(view) {
  view.device = await call('GET', pathOf(view.serial));
  draw(view);
}

function draw(view) {
  view.body.replaceChildren(names(view), facts(view), place(view), giveAway(view), removal(view));
  translateAll(view.body);
}

/** Does `work`; asks for a consent that is missing, and does it once more. */
async function withConsent(purpose, work) {
  try {
    return await work();
  } catch (problem) {
    if (problem.name !== 'consent-required') throw problem;
    if (!(await consentDialog(purpose, 'purpose'))) return null;
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
      draw(view);
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
    if (await consentDialog('device.hardware', 'purpose')) await load(view);
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

function place(view) {
  const path = `${pathOf(view.serial)}/location`;
  const fields = { city: field('place-city'), street: field('place-street'), latitude: field('place-latitude', '', { inputmode: 'decimal' }), longitude: field('place-longitude', '', { inputmode: 'decimal' }) };
  const known = h('div', {});
  if (view.device.has_place) {
    const shown = h('p', { class: 'mono small', testid: 'place' });
    const remove = h('button', { class: 'quiet', t: 'device.placeDelete', testid: 'place-delete' });
    remove.addEventListener('click', () => busy(remove, () => attempt(view, async () => {
      await call('DELETE', path);
      await load(view);
    })));
    known.append(shown, remove);
    call('GET', path).then((held) => {
      shown.textContent = [held.street, held.city, held.latitude, held.longitude].filter((part) => part !== null).join(' · ');
    }).catch((problem) => showProblem(view.error, problem));
  }
  const rows = Object.entries(fields).flatMap(([name, input]) => [h('label', { for: input.id, t: `device.place.${name}` }), input]);
  return h('details', { class: 'card', testid: 'place-card', open: view.device.has_place },
    h('summary', { t: 'device.place' }), h('p', { class: 'hint', t: 'device.placeLead' }), known,
    form(view, 'place-form', rows, 'device.placeStore', async () => {
      const text = (input) => input.value.trim() || null;
      const number = (input) => (text(input) === null ? null : Number(text(input).replace(',', '.')));
      const wanted = { city: text(fields.city), street: text(fields.street), latitude: number(fields.latitude), longitude: number(fields.longitude) };
      if (Object.values(wanted).some(Number.isNaN)) throw { key: 'device.placeNumber' };
      await withConsent('device.location', () => call('PUT', path, wanted));
      await load(view);
    }));
}

/** A transfer code, once the device key and an SMS have shown that it is the owner who gives it away. */
function giveAway(view) {
  const { device, serial } = view;
  const shown = h('div', { testid: 'transfer-place' });
  const path = `${pathOf(serial)}/codes`;
  const issue = h('button', { class: 'quiet', t: 'device.give', testid: 'transfer-issue' });
  issue.addEventListener('click', () => busy(issue, () => attempt(view, async () => {
    const made = await confirmed(view, () => call('POST', path));
    if (!made) return;
    shown.replaceChildren(
      h('p', { class: 'hint', t: 'device.giveUse' }),
      h('output', { class: 'mono token', testid: 'transfer-code' }, made.code),
      h('p', { class: 'mono small', testid: 'transfer-text' }, made.text),
      pictureCode(made.picture, 'device.givePicture') ?? '',
      h('p', { class: 'muted small', t: 'add.until', tp: { when: moment(made.expires_at) } }));
    translateAll(shown);
  })));
  const back = h('button', { class: 'quiet', t: 'device.giveBack', testid: 'transfer-end' });
  back.addEventListener('click', () => busy(back, () => attempt(view, async () => {
    await call('DELETE', path);
    await load(view);
  })));
  return h('div', { class: 'card' }, h('h2', { t: 'device.giveTitle' }), h('p', { class: 'hint', t: 'device.giveLead' }),
    device.transfer_until ? h('p', { t: 'device.giveOpen', tp: { when: moment(device.transfer_until) } }) : null,
    h('div', { class: 'row wrap' }, issue, device.transfer_until ? back : null), shown);
}

/** Does `work`, with the proofs that the server asks for on the way; null when one was given up. */
async function confirmed(view, work) {
  // One refusal for each proof at most.
  for (let proofs = 0; proofs < 3; proofs += 1) {
    try {
      return await work();
    } catch (problem) {
      const keep = view.device.can_seal ? keepOwnerKeys : keepOpenKeys;
      const step = {
        'device-key-required': () => proveTyped(view.context.server, { serial: view.serial }, keep),
        'sms-required': () => smsDialog(view.serial),
      }[problem.name];
      if (!step) throw problem;
      if (!(await step())) return null;
    }
  }
  return null;
}

function removal(view) {
  const { device, serial, context } = view;
  const remove = h('button', { class: 'danger', t: 'devices.remove', testid: 'device-remove' });
  remove.addEventListener('click', () => busy(remove, async () => {
    const done = await ask({
      title: 'devices.removeTitle', titleParameters: { name: device.name || serial }, testid: 'remove', submitKey: 'devices.remove', danger: true,
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
