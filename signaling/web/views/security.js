// Account security: number, mail address, password and passkeys, each changed after confirming who one is.

import { call } from '../api.js';
import { busy, h, toast } from '../dom.js';
import { requestCode } from '../otp.js';
import { moment } from '../i18n.js';
import { codeDialog, confirmed } from './confirm.js';
import { ask, showProblem } from './dialogs.js';
import { MIN_CHARS, characters, newPasswordHint, passwordField } from './password_field.js';
import { passkeyLines } from './passkeys.js';
import { normalised } from './signin_address.js';

const KINDS = ['phone', 'email'];

/** Fills the list; `parts` has the list `security` and the line `error`. */
export async function securityOf(parts) {
  const me = await call('GET', '/v1/me');
  parts.partial.hidden = me.full;
  const passkeys = await passkeyLines(me, (key, testid, work) => action(parts, key, testid, work));
  parts.security.replaceChildren(...KINDS.map((kind) => identifierLine(parts, me, kind)), passwordLine(parts, me), ...passkeys);
}

function identifierLine(parts, me, kind) {
  const known = me.identifiers.find((item) => item.kind === kind);
  const change = action(parts, known ? 'security.change' : 'security.add', `change-${kind}`, () => changeIdentifier(me, kind));
  const remove = known && me.identifiers.length > 1
    ? action(parts, 'security.remove', `remove-${kind}`, () => removeIdentifier(me, kind)) : null;
  const held = known && known.held_until * 1000 > Date.now();
  return h('li', { testid: `identifier-${kind}` }, h('div', { class: 'grow' },
    h('strong', { t: `security.${kind}` }),
    known ? h('p', {}, known.masked) : h('p', { class: 'muted', t: 'security.none' }),
    known ? h('p', { class: 'muted small', t: 'security.verified', tp: { when: moment(known.verified_at) } }) : null,
    held ? h('p', { class: 'muted small', t: 'security.held', tp: { when: moment(known.held_until) } }) : null), change, remove);
}

function passwordLine(parts, me) {
  const state = me.has_password ? 'security.passwordSet' : 'security.passwordNone';
  return h('li', { testid: 'password-line' },
    h('div', { class: 'grow' }, h('strong', { t: 'password.label' }), h('p', { class: 'muted', t: state })),
    action(parts, me.has_password ? 'security.change' : 'security.set', 'change-password', () => changePassword(me)));
}

function action(parts, key, testid, work) {
  const button = h('button', { class: 'quiet small', t: key, testid });
  button.addEventListener('click', () => busy(button, async () => {
    try {
      await work();
      await securityOf(parts);
    } catch (problem) {
      showProblem(parts.error, problem);
    }
  }));
  return button;
}

async function changeIdentifier(me, kind) {
  if (!(await confirmed(me))) return;
  const mail = kind === 'email';
  const input = h('input', {
    id: 'new-address', testid: 'new-address', type: mail ? 'email' : 'tel', inputmode: mail ? 'email' : 'tel',
    autocomplete: mail ? 'email' : 'tel', required: true,
  });
  let target = '';
  const request = () => requestCode(call, { purpose: 'identifier', target });
  let asked = null;
  await ask({
    title: `security.new.${kind}`, testid: 'new-address-dialog', submitKey: 'signin.send',
    body: [
      h('p', { class: 'hint', t: 'security.newLead' }),
      h('label', { for: 'new-address', t: `signin.${kind}` }), input,
    ],
    submit: async () => {
      target = normalised(kind, input.value);
      if (!target) throw { key: mail ? 'signin.badEmail' : 'signin.badPhone' };
      asked = await request();
    },
  });
  if (!asked) return;
  const done = await codeDialog({
    testid: 'prove-address', title: `security.new.${kind}`, lead: 'security.proveLead', submitKey: 'confirm.submit', asked, request,
    submit: (answer) => call('PUT', `/v1/me/identifiers/${kind}`, answer),
  });
  if (done) toast('security.changed');
}

async function removeIdentifier(me, kind) {
  if (!(await confirmed(me))) return;
  const done = await ask({
    title: `security.removeTitle.${kind}`, testid: 'remove-address', submitKey: 'security.remove', danger: true,
    body: [h('p', { t: 'security.removeLead' })],
    submit: () => call('DELETE', `/v1/me/identifiers/${kind}`),
  });
  if (done) toast('security.removed');
}

async function changePassword(me) {
  if (!(await confirmed(me))) return;
  const field = passwordField({ id: 'new-password', testid: 'new-password', autocomplete: 'new-password', describedBy: 'new-password-hint' });
  const done = await ask({
    title: 'security.newPassword', testid: 'new-password-dialog', submitKey: 'security.save',
    body: [
      h('label', { for: 'new-password', t: 'password.new' }), field.row, newPasswordHint('new-password-hint'),
      h('p', { class: 'hint', t: 'password.others' }),
    ],
    submit: async () => {
      if (characters(field.input.value) < MIN_CHARS) throw { key: 'problem.password-short' };
      await call('PUT', '/v1/me/password', { password: field.input.value });
    },
    leave: field.leave,
  });
  if (done) toast('security.passwordChanged');
}
