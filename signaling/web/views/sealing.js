// Whether a camera encrypts end to end: what its owner ordered, and the order to change it.

import { Problem } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { through } from '../flow.js';
import { moment } from '../i18n.js';
import * as icons from '../icons.js';
import * as keys from '../keys.js';
import { encMode, putEncMode } from '../sealed/mailbox.js';
import { nextSequence, signed } from '../sealed/order.js';
import { knownSequence } from '../sealed/owners_word.js';
import { ask, smsDialog, stillHere } from './dialogs.js';
import { prove, proveTyped } from './key_proof.js';

/** Tells whoever watches that the owner has switched sealing off; null of any other device. */
export function openedNote({ opened_at: openedAt }) {
  if (!openedAt) return null;
  return h('p', { class: 'opened-note', role: 'note', testid: 'opened-note' }, icons.unlocked(),
    h('span', { t: 'sealing.opened', tp: { when: moment(openedAt) } }));
}

/** The button on a camera's card; null where there is nothing to switch. */
export function sealingButton(device, context, changed) {
  if (!device.can_seal || device.role === 'guest') return null;
  const button = h('button', { class: 'quiet small', t: 'sealing.button', testid: `sealing-${device.serial}` });
  button.addEventListener('click', () => busy(button, async () => {
    if (await sealingDialog(device, context)) await changed();
  }));
  return button;
}

/** Shows mode and history, and switches; resolves to true when the owner has switched. */
async function sealingDialog(device, context) {
  const { serial, name } = device;
  const still = stillHere();
  const held = await encMode(serial).catch(() => null);
  if (!held) {
    toast('problem.unavailable');
    return false;
  }
  const sealed = held.mode === 'sealed';
  const words = (sealed ? ['off', 'offTold', 'offNeeds'] : ['on', 'onNeeds']).map((key) => h('p', { class: 'hint', t: `sealing.${key}` }));
  const done = await ask({
    title: 'sealing.title', titleParameters: { name: name || serial }, testid: 'sealing',
    submitKey: sealed ? 'sealing.switchOff' : 'sealing.switchOn', danger: sealed, still,
    body: [
      h('p', { class: `tag ${held.mode}`, testid: 'sealing-mode' }, sealed ? icons.lock() : icons.unlocked(), h('span', { t: `live.${held.mode}` })),
      ...words, ...past(held.history),
    ],
    submit: async () => {
      const answered = await order(device, context, !sealed, still);
      if (!answered) throw { key: 'sealing.given-up' };
    },
  });
  if (done) toast(sealed ? 'sealing.doneOff' : 'sealing.doneOn');
  return Boolean(done);
}

function past(history) {
  if (!history.length) return [h('p', { class: 'muted small', t: 'sealing.never', testid: 'sealing-history' })];
  const items = history.map(({ mode, by, at }) => h('li', { data: { mode } },
    h('span', { class: 'grow', t: by === 'new_key' ? 'sealing.was-new-key' : `sealing.was-${mode}` }),
    h('span', { class: 'muted small' }, moment(at))));
  return [h('h3', { t: 'sealing.history' }), h('ul', { class: 'list', testid: 'sealing-history' }, ...items)];
}

/** Signs an order here and hands it in, with what the server wants to see before; null when given up. */
function order(device, context, sealed, still) {
  const { serial } = device;
  let quietly = true;
  return through(async () => {
    const auth = await keys.deviceKey(serial);
    if (!auth) throw new Problem('device-key-required');
    const { epoch, sequence: told } = await encMode(serial);
    const binding = { serial, epoch };
    const now = BigInt(Math.floor(Date.now() / 1000));
    const sequence = nextSequence(await knownSequence(binding), told, now);
    const bytes = await signed({ binding, sequence, sealed }, auth);
    try {
      return await putEncMode(serial, sealed ? 'sealed' : 'open', bytes);
    } catch (problem) {
      // The key kept here is a former secret's: the present one is asked for.
      throw problem.name === 'order-invalid' && quietly ? new Problem('device-key-required') : problem;
    }
  }, {
    'prove-key': async () => {
      const proven = await proveKey(device, context, quietly, still);
      quietly = false;
      return proven;
    },
    'confirm-sms': () => smsDialog(serial, still),
  });
}

/** Proves the device key, the kept one first; what is typed is kept. False when given up. */
async function proveKey({ serial }, { server }, quietly, still) {
  const kept = quietly ? await keys.deviceKey(serial) : null;
  if (kept) {
    const proven = await prove(server, { serial }, kept).then(() => true, (problem) => {
      if (problem.status !== 400 && problem.status !== 403) throw problem;
      return false;
    });
    if (proven) return true;
    await keys.forgetDeviceKey(serial);
  }
  return Boolean(await proveTyped(server, { serial }, keys.keepOwnerKeys, still));
}
