// Sign-in by phone number and SMS code; a new number becomes a new account.

import { open } from '../api.js';
import { busy, h, say } from '../dom.js';
import * as icons from '../icons.js';
import { requestCode } from '../otp.js';
import * as session from '../session.js';
import { carrierButton, carrierStep, returnedCode } from './carrier.js';
import { codeField, countdown, problemLine, purposeText, showProblem } from './dialogs.js';

const PHONE = /^\+[1-9]\d{6,14}$/;

/** `ended`: the login of before was ended, and not by whoever sits here. */
export function signInView({ server, done, ended }) {
  const body = h('div', { class: 'signin-body' });
  const card = h('section', { class: 'card signin' },
    h('div', { class: 'hero-mark' }, icons.logo()),
    h('h1', { t: 'signin.title' }),
    h('p', { class: 'muted', t: 'signin.lead' }),
    ended ? h('p', { class: 'assurance', role: 'status', t: 'signin.ended', testid: 'signed-out' }) : null,
    body,
    h('ul', { class: 'trust' },
      ...['signin.trustKey', 'signin.trustSecret', 'signin.trustCookie'].map((key) =>
        h('li', {}, icons.lock(), h('span', { t: key })))),
  );
  const code = returnedCode();
  const context = { server, done };
  if (code === null) phoneStep(body, '', context);
  else body.replaceChildren(carrierStep(code, terminalName(), { done, otherwise: () => phoneStep(body, '', context) }));
  carrierButton().then((element) => element && body.after(element)).catch(() => {});
  notice().then((element) => element && card.append(element)).catch(() => {});
  return {
    element: h('div', { class: 'center' }, card),
    title: 'signin.verify',
    entered: () => body.querySelector('input')?.focus(),
  };
}

/** What an account needs by itself; the rest is asked for when it is used. */
async function notice() {
  const { items } = await open('GET', '/v1/purposes');
  const needed = items.filter((item) => item.optional === false);
  if (!needed.length) return null;
  return h('details', { class: 'notice', testid: 'notice' }, h('summary', { t: 'signin.notice' }),
    ...needed.flatMap(purposeText));
}

/** Asks for a sign-in code, and does the work that the server may want first. */
const askCode = (target) =>
  requestCode((body) => open('POST', '/v1/otp', body), { purpose: 'login', target });

function phoneStep(body, known, context) {
  const input = h('input', {
    id: 'phone', type: 'tel', autocomplete: 'tel', inputmode: 'tel', required: true,
    value: known, 'aria-describedby': 'phone-hint signin-error', testid: 'phone',
  });
  const error = problemLine('signin-error');
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'signin.send', testid: 'send-code' });
  const submit = (event) => {
    event.preventDefault();
    const target = input.value.replace(/[\s\-()./]/g, '').replace(/^00/, '+');
    if (!PHONE.test(target)) {
      say(error, 'signin.badPhone');
      return input.focus();
    }
    return busy(button, async () => {
      try {
        const challenge = await askCode(target);
        codeStep(body, target, challenge, context);
      } catch (problem) {
        showProblem(error, problem);
      }
    });
  };
  body.replaceChildren(h('form', { novalidate: true, on: { submit } },
    h('label', { for: 'phone', t: 'signin.phone' }), input,
    h('p', { id: 'phone-hint', class: 'hint', t: 'signin.phoneHint' }), error, button));
  input.focus();
}

function codeStep(body, target, challenge, context) {
  let current = challenge;
  const error = problemLine('signin-error');
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'signin.verify', testid: 'verify-code' });
  const form = h('form', { novalidate: true });
  const code = codeField({ id: 'login-code', testid: 'login-code', digits: 6, full: () => form.requestSubmit() });
  const again = h('button', { class: 'link', type: 'button', testid: 'resend-code' });
  const other = h('button', { class: 'link', type: 'button', t: 'signin.other', testid: 'other-number' });
  const resend = async () => {
    try {
      current = await askCode(target);
      countdown(again, current.resend_after);
      code.input.value = '';
      code.input.focus();
    } catch (problem) {
      showProblem(error, problem);
    }
  };
  again.addEventListener('click', () => busy(again, resend));
  other.addEventListener('click', () => {
    code.leave();
    phoneStep(body, target, context);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!code.value()) {
      say(error, 'signin.badCode');
      return code.input.focus();
    }
    return busy(button, async () => {
      try {
        await session.keep(await open('POST', '/v1/sessions', {
          challenge_id: current.challenge_id,
          code: code.value(),
          terminal_name: terminalName(),
          client_type: 'web',
        }));
        code.leave();
        await context.done();
      } catch (problem) {
        showProblem(error, problem);
        code.input.select();
      }
    });
  });
  form.append(
    h('p', { class: 'sent', t: 'signin.codeSent', role: 'status' }),
    h('label', { for: 'login-code', t: 'signin.code' }), code.input, error, button,
    h('div', { class: 'row spread' }, again, other));
  body.replaceChildren(form);
  countdown(again, current.resend_after);
  code.input.focus();
}

/** A name by which people know this terminal in the list of terminals. */
function terminalName() {
  const agent = navigator.userAgent;
  const find = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1] ?? '';
  const browser = find([[/Edg\//, 'Edge'], [/Firefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']]);
  const system = find([[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']]);
  return [browser || 'Browser', system].filter(Boolean).join(' · ');
}
