// The devices of the account: names, protection, presence, and the way to the picture.

import { call } from '../api.js';
import { busy, h, say, toast } from '../dom.js';
import * as icons from '../icons.js';
import { forgetDeviceKey } from '../keys.js';
import { bindDialog } from './bind.js';
import { ask, problemLine, showProblem } from './dialogs.js';
import { openedNote, sealingButton } from './sealing.js';

/** Pause between looks at presence, milliseconds. Nothing is asked while the tab is hidden. */
const LIVE_POLL_MS = 5000;

export function devicesView(context) {
  const list = h('div', { class: 'grid', testid: 'devices' });
  const error = problemLine('devices-error');
  const add = h('button', { class: 'primary', testid: 'add-device' }, icons.plus(), h('span', { t: 'devices.add' }));
  const element = h('section', { class: 'page' },
    h('div', { class: 'row spread heading' }, h('h1', { t: 'devices.title' }),
      h('div', { class: 'row wrap' },
        h('a', { class: 'button quiet', href: '#/introduce', t: 'introduce.title', testid: 'introduce' }), add)),
    error, list);
  const presence = new Map();
  let timer = 0;
  let left = false;

  const load = async () => {
    try {
      const { items } = await call('GET', '/v1/devices');
      if (left) return;
      presence.clear();
      list.replaceChildren(...(items.length ? items.map((item) => card(item, presence, context, reload)) : [empty(openBind)]));
      error.textContent = '';
      poll();
    } catch (problem) {
      list.replaceChildren();
      showProblem(error, problem);
    }
  };
  const reload = () => load();
  const openBind = async () => {
    if (await bindDialog(context.server)) {
      toast('bind.done');
      await load();
    }
  };
  const poll = async () => {
    clearTimeout(timer);
    if (!document.hidden) {
      for (const [serial, show] of presence) {
        if (left) return;
        show(await call('GET', `/v1/live/${encodeURIComponent(serial)}`).catch(() => null));
      }
    }
    if (!left) timer = setTimeout(poll, LIVE_POLL_MS);
  };
  add.addEventListener('click', () => busy(add, openBind));
  list.append(h('p', { class: 'muted', t: 'common.loading' }));
  return {
    element,
    title: 'devices.title',
    entered: load,
    leave: () => {
      left = true;
      clearTimeout(timer);
    },
  };
}

function card(device, presence, context, reload) {
  const { serial, name, model, sealed, channels = 1, role, key_ready: keyReady } = device;
  const dot = h('span', { class: 'presence', testid: `presence-${serial}`, data: { live: 'unknown' } });
  const word = h('span', { t: 'devices.unknown' });
  dot.append(h('i', { class: 'dot' }), word);
  presence.set(serial, (answer) => {
    const state = answer === null ? 'unknown' : answer.live ? 'online' : 'offline';
    dot.dataset.live = state;
    say(word, `devices.${state}`);
  });
  const remove = h('button', { class: 'quiet small', t: 'devices.remove', testid: `remove-${serial}` });
  remove.addEventListener('click', async () => {
    if (await removeDialog(serial, name || serial)) await reload();
  });
  return h('article', { class: 'card device', testid: `device-${serial}` },
    h('div', { class: 'row spread' }, h('span', { class: 'device-icon' }, icons.camera()), dot),
    h('h2', {}, role === 'guest' ? name || serial
      : h('a', { href: `#/device/${encodeURIComponent(serial)}`, testid: `detail-${serial}` }, name || serial)),
    h('p', { class: 'muted mono small' }, [serial, model].filter(Boolean).join(' · ')),
    h('div', { class: 'row wrap' }, modeLabel(sealed),
      role === 'guest' ? h('span', { class: 'tag', t: 'devices.guest' }) : null),
    openedNote(device),
    keyReady === false ? h('p', { class: 'hint', t: 'devices.noKey' }) : null,
    h('div', { class: 'row spread actions' }, watchLinks(serial, channels),
      sealed && role !== 'guest' ? h('a', {
        class: 'button quiet small', href: `#/viewers/${encodeURIComponent(serial)}`,
        t: 'viewers.title', testid: `viewers-${serial}`,
      }) : null, sealingButton(device, context, reload), remove));
}

/** What the operator could see, in words. */
export function modeLabel(sealed) {
  const mode = sealed ? 'sealed' : 'open';
  return h('span', { class: `tag ${mode}`, testid: 'mode' },
    sealed ? icons.lock() : icons.unlocked(),
    h('span', { t: `live.${mode}` }));
}

function watchLinks(serial, channels) {
  const numbers = Array.isArray(channels)
    ? channels.map((channel) => channel.channel ?? channel)
    : Array.from({ length: Math.max(1, channels) }, (_, channel) => channel);
  return h('div', { class: 'row wrap' }, ...numbers.map((channel) =>
    h('a', {
      class: 'button primary', href: `#/live/${encodeURIComponent(serial)}/${channel}`,
      testid: `watch-${serial}-${channel}`,
    }, icons.play(), h('span', numbers.length > 1 ? { t: 'devices.channel', tp: { channel } } : { t: 'devices.watch' }))));
}

function empty(openBind) {
  const add = h('button', { class: 'primary', t: 'devices.add', testid: 'add-first' });
  add.addEventListener('click', () => busy(add, openBind));
  return h('div', { class: 'card empty' }, h('span', { class: 'device-icon' }, icons.camera()),
    h('h2', { t: 'devices.empty' }), h('p', { class: 'muted', t: 'devices.emptyLead' }), add);
}

async function removeDialog(serial, name) {
  const done = await ask({
    title: 'devices.removeTitle', titleParameters: { name }, testid: 'remove', submitKey: 'devices.remove',
    danger: true,
    body: [h('p', { t: 'devices.removeLead' })],
    submit: async () => {
      await call('DELETE', `/v1/bindings/${encodeURIComponent(serial)}`);
      await forgetDeviceKey(serial);
    },
  });
  if (done) toast('devices.removed');
  return done;
}
