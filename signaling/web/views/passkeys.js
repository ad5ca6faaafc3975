// Passkeys: the terminal knows its owner by face, fingerprint or screen lock and signs for them. Nothing
// that they are known by leaves the terminal: what goes out is a public key, and signatures.

import { call, open } from '../api.js';
import { base64url, fromBase64url } from '../dpop.js';
import { busy, h, say, toast } from '../dom.js';
import { moment } from '../i18n.js';
import { CLIENT_TYPE } from '../policies.js';
import * as session from '../session.js';
import { confirmed } from './confirm.js';
import { ask, showProblem } from './dialogs.js';
import { terminalName } from './terminal_name.js';

const MAX_NAME = 64;
/** What browsers throw when a person says no, waits too long, or is not who the terminal knows. */
const NOT_DONE = ['NotAllowedError', 'AbortError'];

/** Whether this browser makes passkeys, and this page may use those of the server's name. */
async function usable() {
  if (!globalThis.PublicKeyCredential || !navigator.credentials?.create) return false;
  const { rp_id: name } = await open('GET', '/v1/passkeys');
  return Boolean(name) && (location.hostname === name || location.hostname.endsWith(`.${name}`));
}

const text = (buffer) => base64url(new Uint8Array(buffer));

/** Throws what the page has words for. */
async function authenticator(work) {
  try {
    return await work();
  } catch (error) {
    if (NOT_DONE.includes(error.name)) throw { key: 'passkey.notDone' };
    if (error.name === 'InvalidStateError') throw { key: 'problem.passkey-known' };
    throw { key: 'passkey.notHere' };
  }
}

async function make(options) {
  const known = options.excludeCredentials.map((one) => ({ ...one, id: fromBase64url(one.id) }));
  const publicKey = {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user.id) },
    excludeCredentials: known,
  };
  const { response } = await authenticator(() => navigator.credentials.create({ publicKey }));
  return {
    client_data_json: text(response.clientDataJSON),
    authenticator_data: text(response.getAuthenticatorData()),
  };
}

async function sign(options) {
  const publicKey = { ...options, challenge: fromBase64url(options.challenge) };
  const { rawId, response } = await authenticator(() => navigator.credentials.get({ publicKey }));
  return {
    credential_id: text(rawId),
    client_data_json: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData),
    signature: text(response.signature),
    user_handle: response.userHandle ? text(response.userHandle) : '',
  };
}

/** The button that signs in, or null where there is none; `done` when somebody is signed in. */
export async function passkeyButton(done) {
  if (!(await usable())) return null;
  const error = h('p', { class: 'error', role: 'alert', testid: 'passkey-error' });
  const button = h('button', { class: 'wide', type: 'button', t: 'passkey.signIn', testid: 'passkey' });
  button.addEventListener('click', () => busy(button, async () => {
    try {
      const shown = await sign(await open('POST', '/v1/passkeys/challenges'));
      await session.keep(await open('POST', '/v1/sessions/passkey', {
        ...shown, terminal_name: terminalName(), client_type: CLIENT_TYPE,
      }));
      await done();
    } catch (problem) {
      if (problem.key) say(error, problem.key);
      else showProblem(error, problem);
    }
  }));
  return h('div', { class: 'carrier' }, button, h('p', { class: 'hint', t: 'passkey.signInHint' }), error);
}

/** Lines for the list of account security; `act` runs a change and shows what comes of it. */
export async function passkeyLines(me, act) {
  const [{ items }, here] = await Promise.all([call('GET', '/v1/me/passkeys'), usable()]);
  const add = here ? act('passkey.add', 'passkey-add', () => addPasskey(me)) : null;
  return [
    h('li', { testid: 'passkeys' }, h('div', { class: 'grow' }, h('strong', { t: 'passkey.title' }),
      h('p', { class: 'muted', t: 'passkey.lead' }),
      here ? null : h('p', { class: 'muted small', t: 'passkey.notHere' })), add),
    ...items.map((item) => h('li', { testid: 'passkey-line', data: { passkey: item.id } },
      h('div', { class: 'grow' }, h('strong', { testid: 'passkey-name' }, item.name),
        h('p', { class: 'muted small', t: 'passkey.made', tp: { when: moment(item.created_at) } }),
        item.used_at === null ? h('p', { class: 'muted small', t: 'passkey.unused' })
          : h('p', { class: 'muted small', t: 'passkey.used', tp: { when: moment(item.used_at) } })),
      act('passkey.rename', 'passkey-rename', () => renamePasskey(item)),
      act('security.remove', 'passkey-remove', () => removePasskey(me, item)))),
  ];
}

const at = (item) => `/v1/me/passkeys/${encodeURIComponent(item.id)}`;

/** A dialog that asks for a name; `submit` gets it. */
function nameDialog({ testid, title, lead, name, submitKey, submit }) {
  const input = h('input', {
    id: `${testid}-name`, testid: `${testid}-name`, type: 'text', maxlength: String(MAX_NAME), required: true, value: name,
    autocomplete: 'off',
  });
  return ask({
    title, testid, submitKey,
    body: [h('p', { class: 'hint', t: lead }), h('label', { for: `${testid}-name`, t: 'passkey.name' }), input],
    submit: async () => {
      const wanted = input.value.trim();
      if (!wanted) throw { key: 'passkey.nameless' };
      await submit(wanted);
    },
  });
}

async function addPasskey(me) {
  if (!(await confirmed(me))) return;
  const done = await nameDialog({
    testid: 'new-passkey', title: 'passkey.newTitle', lead: 'passkey.newLead', name: terminalName(),
    submitKey: 'passkey.create',
    submit: async (name) => {
      const made = await make(await call('POST', '/v1/me/passkeys/challenges'));
      await call('POST', '/v1/me/passkeys', { name, ...made });
    },
  });
  if (done) toast('passkey.added');
}

async function renamePasskey(item) {
  const done = await nameDialog({
    testid: 'rename-passkey', title: 'passkey.rename', lead: 'passkey.renameLead', name: item.name, submitKey: 'security.save',
    submit: (name) => call('PATCH', at(item), { name }),
  });
  if (done) toast('passkey.renamed');
}

async function removePasskey(me, item) {
  if (!(await confirmed(me))) return;
  const done = await ask({
    title: 'passkey.removeTitle', testid: 'remove-passkey', submitKey: 'security.remove', danger: true,
    body: [h('p', { t: 'passkey.removeLead' })],
    submit: () => call('DELETE', at(item)),
  });
  if (done) toast('security.removed');
}
