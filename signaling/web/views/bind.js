// Adding a device by what is printed on it.

import { isAddText, parseAddText } from '../add_code.js';
import { call } from '../api.js';
import { h, hush, relabel, say } from '../dom.js';
import { keepDeviceKey, terminalKey } from '../keys.js';
import { canScan, scanner } from '../scan.js';
import { answer, authKey, parse } from '../secret.js';
import { addedWith } from './added_with.js';
import { ask, secretField, stillHere } from './dialogs.js';

const SERIAL = /^[A-Za-z0-9_-]{1,64}$/;

/** Resolves to true when a device was added. */
export async function bindDialog(server) {
  const still = stillHere();
  const serial = h('input', { id: 'bind-serial', testid: 'bind-serial', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', class: 'mono', maxlength: '120' });
  const code = h('input', { id: 'bind-code', testid: 'bind-code', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', class: 'mono', maxlength: '120' });
  const secret = secretField({ id: 'bind-secret', testid: 'bind-secret', required: false });
  const proof = h('details', { testid: 'bind-open' }, h('summary', { t: 'bind.secret' }),
    h('p', { class: 'hint', t: 'bind.secretHint' }), secret.row);
  relabel(secret.input, 'bind.secret');
  const kind = h('p', { class: 'hint', role: 'status', testid: 'bind-kind' });
  // What a picture code said, for as long as the fields say the same.
  let read = null;
  const take = async (text) => {
    if (!isAddText(text)) return;
    try {
      read = await parseAddText(text);
    } catch (problem) {
      say(kind, problem.key);
      return;
    }
    if (!read) return;
    serial.value = read.serial;
    code.value = read.code;
    if (read.transfer) say(kind, 'bind.transfer');
    else hush(kind);
  };
  for (const field of [serial, code]) field.addEventListener('input', () => take(field.value));
  const scan = canScan() ? scanner({ testid: 'bind-scan', wanted: isAddText, found: take }) : null;
  const terminal = await addedWith();
  const done = await ask({
    title: 'bind.title', testid: 'bind', submitKey: 'bind.submit', still,
    body: [
      h('p', { class: 'hint', t: 'bind.lead' }),
      h('label', { for: 'bind-serial', t: 'bind.serial' }), serial,
      h('label', { for: 'bind-code', t: 'bind.code' }), code,
      h('p', { class: 'hint', t: 'bind.paste' }), kind, scan?.button, scan?.line, scan?.video, proof, terminal.element,
      h('p', { class: 'hint' }, h('a', { href: '#/add', t: 'bind.otherWays', testid: 'bind-other' })),
    ],
    submit: async () => {
      const typed = { serial: serial.value.trim(), code: code.value.trim() };
      const same = read?.serial === typed.serial && read?.code === typed.code;
      const wanted = { ...typed, transfer: same && read.transfer, payload: same ? read.payload : null };
      if (!SERIAL.test(wanted.serial)) throw { key: 'bind.badSerial' };
      if (!wanted.code) throw { key: 'bind.badCode' };
      try {
        await bind(server, { ...wanted, told: await terminal.tell() }, secret.input.value);
      } catch (problem) {
        if (problem.name === 'consent-required') {
          terminal.needed();
          throw { key: 'bind.needsConsent' };
        }
        if (problem.name !== 'device-key-required') throw problem;
        // The device is open: only whoever knows its publish password may add it.
        proof.open = true;
        secret.input.focus();
        throw { key: 'bind.needsSecret' };
      }
    },
    leave: () => {
      scan?.stop();
      secret.input.value = '';
    },
  });
  return Boolean(done);
}

async function bind(server, { serial, code, transfer, payload, told }, text) {
  const to = transfer ? '/v1/transfers' : '/v1/bindings';
  const wanted = { ...(payload ? { payload } : { serial, code }), ...told };
  if (!text.trim()) return call('POST', to, wanted);
  const secret = parse(text);
  if (!secret) throw { key: 'bind.badSecret' };
  const key = await authKey(secret);
  const path = `/v1/devices/${encodeURIComponent(serial)}/key-challenge`;
  const challenge = await call('POST', path, { channel: 0 });
  const expected = {
    serverName: server.server_name, terminal: (await terminalKey()).thumbprint, serial, channel: 0,
  };
  const signature = await answer(key, challenge.message, expected);
  await call('POST', to, { ...wanted, challenge_id: challenge.challenge_id, signature });
  await keepDeviceKey(serial, key);
}
