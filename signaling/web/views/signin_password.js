// Sign-in by password, and a new password by code.

import { open } from '../api.js';
import { busy, h, say, toast } from '../dom.js';
import { codeField, countdown, problemLine, showProblem } from './dialogs.js';
import { MIN_CHARS, characters, newPasswordHint, passwordField } from './password_field.js';
import { normalisedEither } from './signin_address.js';

const TARGET = {
  id: 'target', type: 'text', inputmode: 'email', autocomplete: 'username', autocapitalize: 'none',
  spellcheck: 'false', required: true, 'aria-describedby': 'target-hint signin-error', testid: 'target',
};

const targetParts = (known) => {
  const input = h('input', { ...TARGET, value: known });
  const parts = [h('label', { for: 'target', t: 'signin.either' }), input, h('p', { id: 'target-hint', class: 'hint', t: 'signin.eitherHint' })];
  return { input, parts };
};

/** `context.arrive` opens the login; `known`: what was entered before. */
export function passwordStep(body, known, context) {
  const target = targetParts(known);
  const field = passwordField({ id: 'login-password', testid: 'login-password', autocomplete: 'current-password', describedBy: 'signin-error' });
  const error = problemLine('signin-error');
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'signin.verify', testid: 'password-submit' });
  const forgot = h('button', { class: 'link', type: 'button', t: 'password.forgot', testid: 'forgot' });
  forgot.addEventListener('click', () => resetStep(body, target.input.value, context));
  const submit = (event) => {
    event.preventDefault();
    const to = normalisedEither(target.input.value);
    if (!to) {
      say(error, 'signin.badEither');
      return target.input.focus();
    }
    if (!field.input.value) {
      say(error, 'password.empty');
      return field.input.focus();
    }
    return busy(button, async () => {
      try {
        await context.arrive({ target: to, password: field.input.value });
        field.leave();
      } catch (problem) {
        showProblem(error, problem);
        field.input.select();
      }
    });
  };
  body.replaceChildren(h('form', { novalidate: true, on: { submit } }, ...target.parts,
    h('label', { for: 'login-password', t: 'password.label' }), field.row, error, button,
    h('div', { class: 'row spread' }, forgot)));
  (known ? field.input : target.input).focus();
}

function resetStep(body, known, context) {
  const target = targetParts(known);
  const error = problemLine('signin-error');
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'signin.send', testid: 'reset-send' });
  const submit = (event) => {
    event.preventDefault();
    const to = normalisedEither(target.input.value);
    if (!to) {
      say(error, 'signin.badEither');
      return target.input.focus();
    }
    return busy(button, async () => {
      try {
        newStep(body, to, await open('POST', '/v1/otp', { purpose: 'reset', target: to }), context);
      } catch (problem) {
        showProblem(error, problem);
      }
    });
  };
  body.replaceChildren(h('form', { novalidate: true, on: { submit } },
    h('p', { t: 'password.resetLead' }), ...target.parts, error, button,
    h('div', { class: 'row spread' }, back(body, known, context))));
  target.input.focus();
}

const back = (body, known, context) => h('button', {
  class: 'link', type: 'button', t: 'common.back', testid: 'reset-back', on: { click: () => passwordStep(body, known, context) },
});

function newStep(body, to, asked, context) {
  let current = asked;
  const error = problemLine('signin-error');
  const field = passwordField({ id: 'reset-password', testid: 'reset-password', autocomplete: 'new-password', describedBy: 'reset-hint' });
  const code = codeField({ id: 'reset-code', testid: 'reset-code', digits: 8, full: () => field.input.focus() });
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'password.reset', testid: 'reset-submit' });
  const again = h('button', { class: 'link', type: 'button', testid: 'reset-resend' });
  again.addEventListener('click', () => busy(again, async () => {
    try {
      current = await open('POST', '/v1/otp', { purpose: 'reset', target: to });
      countdown(again, current.resend_after);
    } catch (problem) {
      showProblem(error, problem);
    }
  }));
  const submit = (event) => {
    event.preventDefault();
    if (!code.value()) {
      say(error, 'signin.badCode');
      return code.input.focus();
    }
    if (characters(field.input.value) < MIN_CHARS) {
      say(error, 'problem.password-short');
      return field.input.focus();
    }
    return busy(button, async () => {
      try {
        const { challenge_id } = current;
        await open('POST', '/v1/password-resets', { challenge_id, code: code.value(), password: field.input.value });
        code.leave();
        field.leave();
        toast('password.resetDone');
        passwordStep(body, to, context);
      } catch (problem) {
        showProblem(error, problem);
      }
    });
  };
  body.replaceChildren(h('form', { novalidate: true, on: { submit } },
    h('p', { class: 'sent', t: 'password.resetSent', role: 'status' }),
    h('input', { type: 'text', autocomplete: 'username', value: to, hidden: true }),
    h('label', { for: 'reset-code', t: 'confirm.code' }), code.input,
    h('label', { for: 'reset-password', t: 'password.new' }), field.row, newPasswordHint('reset-hint'),
    error, button, h('div', { class: 'row spread' }, again, back(body, to, context))));
  countdown(again, current.resend_after);
  code.input.focus();
}
