// Adding a device by what is printed on it.

import { call } from '../api.js';
import { h } from '../dom.js';
import { keepDeviceKey, terminalKey } from '../keys.js';
import { answer, authKey, parse } from '../secret.js';
import { ask, secretField } from './dialogs.js';

const SERIAL = /^[A-Za-z0-9_-]{1,64}$/;
const BIND_TEXT = /SL1:([A-Za-z0-9_-]{1,64}):([A-Za-z0-9-]{4,32})/;

/** Serial and code of a bind text, or null. */
export function parseBindText(text) {
  const match = BIND_TEXT.exec(text.trim());
  return match && { serial: match[1], code: match[2] };
}

/** Resolves to true when a device was added. */
export async function bindDialog(server) {
  const serial = h('input', { id: 'bind-serial', testid: 'bind-serial', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', class: 'mono', maxlength: '120' });
  const code = h('input', { id: 'bind-code', testid: 'bind-code', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', class: 'mono', maxlength: '120' });
  const secret = secretField({ id: 'bind-secret', testid: 'bind-secret', required: false });
  const proof = h('details', { testid: 'bind-open' }, h('summary', { t: 'bind.secret' }),
    h('p', { class: 'hint', t: 'bind.secretHint' }), secret.row);
  secret.input.dataset.tLabel = 'bind.secret';
  for (const field of [serial, code]) {
    field.addEventListener('input', () => {
      const found = parseBindText(field.value);
      if (!found) return;
      serial.value = found.serial;
      code.value = found.code;
    });
  }
  const done = await ask({
    title: 'bind.title', testid: 'bind', submitKey: 'bind.submit',
    body: [
      h('p', { class: 'hint', t: 'bind.lead' }),
      h('label', { for: 'bind-serial', t: 'bind.serial' }), serial,
      h('label', { for: 'bind-code', t: 'bind.code' }), code,
      h('p', { class: 'hint', t: 'bind.paste' }), proof,
    ],
    submit: async () => {
      const wanted = { serial: serial.value.trim(), code: code.value.trim() };
      if (!SERIAL.test(wanted.serial)) throw { key: 'bind.badSerial' };
      if (!wanted.code) throw { key: 'bind.badCode' };
      try {
        await bind(server, wanted, secret.input.value);
      } catch (problem) {
        if (problem.name !== 'device-key-required') throw problem;
        // The device is open: only whoever knows its publish password may add it.
        proof.open = true;
        secret.input.focus();
        throw { key: 'bind.needsSecret' };
      }
    },
    leave: () => {
      secret.input.value = '';
    },
  });
  return Boolean(done);
}

async function bind(server, wanted, text) {
  if (!text.trim()) return call('POST', '/v1/bindings', wanted);
  const secret = parse(text);
  if (!secret) throw { key: 'bind.badSecret' };
  const key = await authKey(secret);
  const path = `/v1/devices/${encodeURIComponent(wanted.serial)}/key-challenge`;
  const challenge = await call('POST', path, { channel: 0 });
  const expected = {
    serverName: server.server_name, terminal: (await terminalKey()).thumbprint,
    serial: wanted.serial, channel: 0,
  };
  const signature = await answer(key, challenge.message, expected);
  await call('POST', '/v1/bindings', { ...wanted, challenge_id: challenge.challenge_id, signature });
  await keepDeviceKey(wanted.serial, key);
}
