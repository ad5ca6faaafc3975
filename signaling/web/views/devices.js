// The devices of the account: names, protection, presence, and the way to the picture.

import { call } from '../api.js';
import { busy, h, hush, say, toast } from '../dom.js';
import { stepFor } from '../flow.js';
import { has } from '../i18n.js';
import * as icons from '../icons.js';
import { forgetDeviceKey, hasPlace, losePlace } from '../keys.js';
import { bindDialog } from './bind.js';
import { ask, problemLine, showProblem } from './dialogs.js';
import { openedNote, sealingButton } from './sealing.js';
import { termsText } from './share_terms.js';

/** Pause between looks at presence, milliseconds. Nothing is asked while the tab is hidden. */
const LIVE_POLL_MS = 5000;

export function devicesView(context) {
  const list = h('div', { class: 'grid', testid: 'devices' });
  const error = problemLine('devices-error');
  const add = h('button', { class: 'primary', testid: 'add-device' }, icons.plus(), h('span', { t: 'devices.add' }));
  const element = h('section', { class: 'page' },
    h('div', { class: 'row spread heading' }, h('h1', { t: 'devices.title' }),
      h('div', { class: 'row wrap' },
        h('a', { class: 'button quiet', href: '#/share', t: 'invitation.open', testid: 'open-invitation' }),
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
      hush(error);
      poll();
    } catch (problem) {
      if (left) return;
      list.replaceChildren(retry);
      showProblem(error, problem);
    }
  };
  const retry = h('button', { class: 'primary', t: 'common.retry', testid: 'devices-retry' });
  retry.addEventListener('click', () => busy(retry, load));
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
      for (const [path, show] of presence) {
        if (left) return;
        show(await call('GET', path).catch((problem) => ({ problem })));
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
  const { serial, name, model, sealed, role, key_ready: keyReady } = device;
  const channels = watchable(device);
  const dot = h('span', { class: 'presence', testid: `presence-${serial}`, data: { live: 'unknown' } });
  const word = h('span', { t: 'devices.unknown' });
  dot.append(h('i', { class: 'dot' }), word);
  presence.set(`/v1/live/${encodeURIComponent(serial)}/${channels[0]}`, (answer) => {
    const { state, key } = standing(answer);
    dot.dataset.live = state;
    say(word, key);
  });
  const guest = role === 'guest';
  const remove = h('button', { class: 'quiet small', t: guest ? 'share.leave' : 'devices.remove', testid: `remove-${serial}` });
  remove.addEventListener('click', () => busy(remove, async () => {
    if (await (guest ? leaveDialog(device) : removeDialog(serial, name || serial))) await reload();
  }));
  return h('article', { class: 'card device', testid: `device-${serial}` },
    h('div', { class: 'row spread' }, h('span', { class: 'device-icon' }, icons.camera()), dot),
    h('h2', {}, role === 'guest' ? name || serial
      : h('a', { href: `#/device/${encodeURIComponent(serial)}`, testid: `detail-${serial}` }, name || serial)),
    h('p', { class: 'muted mono small' }, [serial, model].filter(Boolean).join(' · ')),
    h('div', { class: 'row wrap' }, modeLabel(sealed),
      guest ? h('span', { class: 'tag', t: 'devices.guest' }) : null),
    ...(guest ? termsText(device.share) : []),
    openedNote(device),
    keyReady === false ? h('p', { class: 'hint', t: 'devices.noKey' }) : null,
    h('div', { class: 'row spread actions' }, watchLinks(serial, channels),
      guest ? letInLink(device) : h('a', {
        class: 'button quiet small', href: `#/viewers/${encodeURIComponent(serial)}`,
        t: 'viewers.title', testid: `viewers-${serial}`,
      }), guest ? null : h('a', {
        class: 'button quiet small', href: `#/shares/${encodeURIComponent(serial)}`, testid: `shares-${serial}`,
        ...(device.sharing?.shares ? { t: 'share.guests', tp: { guests: device.sharing.shares } } : { t: 'share.title' }),
      }), sealingButton(device, context, reload), remove));
}

/** What is told of a camera's presence; a refusal, as of a guest outside the hours, says why. */
function standing({ live, problem }) {
  const known = live ? 'online' : 'offline';
  if (!problem) return { state: known, key: `devices.${known}` };
  const why = `problem.${problem.name}`;
  return { state: 'unknown', key: stepFor(problem) !== 'wait' && has(why) ? why : 'devices.unknown' };
}

/** For a guest's terminal that the owner has not let in, as far as it knows. */
function letInLink(device) {
  const link = h('a', {
    class: 'button quiet small', href: `#/meet/${encodeURIComponent(device.share.id)}`,
    t: 'share.letThisIn', testid: `meet-${device.serial}`, hidden: true,
  });
  hasPlace(device).then((has) => {
    link.hidden = has;
  });
  return link;
}

/** What the operator could see, in words. */
export function modeLabel(sealed) {
  const mode = sealed ? 'sealed' : 'open';
  return h('span', { class: `tag ${mode}`, testid: 'mode' },
    sealed ? icons.lock() : icons.unlocked(),
    h('span', { t: `live.${mode}` }));
}

/** Numbers of the channels that this person may watch; a guest has those of the share. */
function watchable({ channels = 1, share }) {
  return share?.channels ?? Array.from({ length: Math.max(1, channels) }, (_, channel) => channel);
}

function watchLinks(serial, numbers) {
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

async function leaveDialog({ serial, name, share }) {
  const done = await ask({
    title: 'share.leaveTitle', titleParameters: { name: name || serial }, testid: 'remove', submitKey: 'share.leave',
    danger: true,
    body: [h('p', { t: 'share.leaveLead' })],
    submit: async () => {
      await call('DELETE', `/v1/shares/${encodeURIComponent(share.id)}`);
      await losePlace(serial);
    },
  });
  if (done) toast('share.left');
  return done;
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
