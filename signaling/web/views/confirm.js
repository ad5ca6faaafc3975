// Confirming who one is before something dangerous: by the password or by a code. The confirmation
// belongs to this login and holds for a few minutes.

import { Problem, call } from '../api.js';
import { h } from '../dom.js';
import { ask, codeField, resender, stillHere } from './dialogs.js';
import { passwordField } from './password_field.js';
import { leave } from './provider.js';

/** A confirmation is asked for anew so long before the server forgets it, milliseconds. */
const EARLY_MS = 60_000;
let confirmedUntil = 0;

/** Keeps that the server has taken a confirmation. */
export const keepConfirmation = ({ expires_at }) => {
  confirmedUntil = expires_at * 1000;
};

/** Forgets what was confirmed, with the login that it belonged to. */
export const forgetConfirmation = () => {
  confirmedUntil = 0;
};

/**
 * Resolves to true when this login has confirmed who it is. `me`: the account as the server tells it. Throws
 * when nothing of the account can confirm it.
 */
export async function confirmed(me, still = stillHere()) {
  if (Date.now() < confirmedUntil - EARLY_MS) return true;
  if (!me.has_password) return byCodeOrProvider(me, still);
  let code = false;
  const field = passwordField({ id: 'confirm-password', testid: 'confirm-password', autocomplete: 'current-password' });
  const other = h('button', { class: 'link', type: 'button', t: 'confirm.byCode', testid: 'confirm-by-code' });
  other.addEventListener('click', () => {
    // A password that is being looked at may be the right one.
    if (other.form.querySelector('[aria-busy]')) return;
    code = true;
    other.closest('dialog').close();
  });
  const done = await ask({
    title: 'confirm.title', testid: 'confirm', submitKey: 'confirm.submit', still,
    body: [
      h('p', { class: 'hint', t: 'confirm.lead' }),
      h('label', { for: 'confirm-password', t: 'password.label' }), field.row, other,
    ],
    submit: async () => {
      if (!field.input.value) throw { key: 'password.empty' };
      keepConfirmation(await call('POST', '/v1/secure-windows', { password: field.input.value }));
    },
    leave: field.leave,
  });
  return code ? byCodeOrProvider(me, still) : Boolean(done);
}

/** By a code, or by an identity provider where no number or address may confirm anything. */
async function byCodeOrProvider(me, still) {
  if (!me.identifiers.length) {
    if (!(await byProvider(still))) throw new Problem('nothing-confirms');
    return false;
  }
  try {
    return await byCode(still);
  } catch (problem) {
    if (problem.name !== 'identifier-held' || !(await byProvider(still))) throw problem;
    return false;
  }
}

/**
 * Sends the browser to a provider that the account is bound to, from where it comes back to the account.
 * Whether there is one.
 */
async function byProvider(still) {
  const { items } = await call('GET', '/v1/me/identities');
  const usable = items.filter((item) => !item.suspended);
  if (!usable.length) return false;
  await ask({
    title: 'confirm.title', testid: 'confirm-provider', submitKey: 'confirm.byProvider', still,
    body: [h('p', { class: 'hint', t: 'confirm.providerLead' })],
    submit: () => leave(usable[0].provider, 'confirm'),
  });
  return true;
}

async function byCode(still) {
  const request = () => call('POST', '/v1/otp', { purpose: 'secure' });
  const asked = await request();
  return Boolean(await codeDialog({
    testid: 'confirm-code', title: 'confirm.title', lead: 'confirm.codeLead', submitKey: 'confirm.submit', asked, request, still,
    submit: async (answer) => keepConfirmation(await call('POST', '/v1/secure-windows', answer)),
  }));
}

/**
 * Asks for a code of eight digits. `asked`: what asking for it answered; `request` asks again; `submit` gets
 * `{challenge_id, code}`.
 */
export function codeDialog({ testid, title, lead, submitKey, asked, request, submit, still = stillHere() }) {
  let current = asked;
  const again = resender(`${testid}-resend`, asked.resend_after, request, (made) => {
    current = made;
  });
  const code = codeField({ id: `${testid}-field`, testid: `${testid}-field`, digits: 8, full: () => code.input.form?.requestSubmit() });
  return ask({
    title, testid, submitKey, still,
    body: [
      h('p', { class: 'hint', t: lead }),
      h('label', { for: `${testid}-field`, t: 'confirm.code' }), code.input, again.button, again.line,
    ],
    submit: async () => {
      if (!code.value()) throw { key: 'signin.badCode' };
      await submit({ challenge_id: current.challenge_id, code: code.value() });
    },
    leave: code.leave,
  });
}
