// Sign-in by a code to a phone number or a mail address, or by password. A new number or address
// becomes a new account.

import { open } from '../api.js';
import { busy, h, say } from '../dom.js';
import * as icons from '../icons.js';
import { requestCode } from '../otp.js';
import { CLIENT_TYPE, purposesInForce } from '../policies.js';
import * as session from '../session.js';
import { carrierButton, carrierStep, returnedCode } from './carrier.js';
import { forgetConfirmation } from './confirm.js';
import { codeField, countdown, problemLine, purposeText, showProblem } from './dialogs.js';
import { passkeyButton } from './passkeys.js';
import { passwordField } from './password_field.js';
import { providerButtons, providerStep } from './provider.js';
import { normalised } from './signin_address.js';
import { passwordStep } from './signin_password.js';
import { terminalName } from './terminal_name.js';

/** Ways to sign in, each a tab. */
const WAYS = ['phone', 'email', 'password'];
/** Refusals of a code that a password beside it helps against. */
const WANTS_PASSWORD = ['second-factor-required', 'account-idle'];

/**
 * `ended`: the login of before was ended, and not by whoever sits here. `app`: the one that sent the
 * person here. `way`: what the browser came back with from an identity provider.
 */
export function signInView({ server, done, ended, app, way }) {
  const body = h('div', { class: 'signin-body', id: 'signin-way', role: 'tabpanel' });
  const context = { server, arrive: (answer) => arrive(answer, done) };
  const choice = tabs(body, context);
  const card = h('section', { class: 'card signin' },
    h('div', { class: 'hero-mark' }, icons.logo()),
    h('h1', { t: 'signin.title' }),
    h('p', { class: 'muted', t: 'signin.lead' }),
    app ? h('p', { class: 'assurance', t: 'apps.signInFor', tp: { name: app.name }, testid: 'app-sign-in' }) : null,
    ended ? h('p', { class: 'assurance', role: 'status', t: 'signin.ended', testid: 'signed-out' }) : null,
    choice, body,
    h('ul', { class: 'trust' },
      ...['signin.trustKey', 'signin.trustSecret', 'signin.trustCookie'].map((key) =>
        h('li', {}, icons.lock(), h('span', { t: key })))),
    h('p', { class: 'small' }, h('a', { href: '#/browse', t: 'basic.browseLink', testid: 'browse-link' })),
  );
  const ends = { done: () => entered(done), otherwise: () => addressStep(body, 'phone', '', context) };
  const code = way ? null : returnedCode();
  if (way) body.replaceChildren(providerStep(way, terminalName(), ends));
  else if (code === null) ends.otherwise();
  else body.replaceChildren(carrierStep(code, terminalName(), ends));
  // The ways by carrier and provider do not lead back to an app.
  const buttons = [passkeyButton(() => entered(done)), ...(app ? [] : [carrierButton()])];
  body.after(...buttons.map(whenThere));
  if (!app) providerButtons().then((element) => element && card.querySelector('.trust').before(element)).catch(() => {});
  notice().then((element) => element && card.append(element)).catch(() => {});
  return {
    element: h('div', { class: 'center' }, card),
    title: 'signin.verify',
    entered: () => body.querySelector('input')?.focus(),
  };
}

/** A place that an element takes once there is one. */
function whenThere(promised) {
  const place = h('div', { hidden: true });
  promised.then((element) => element && place.replaceWith(element)).catch(() => {});
  return place;
}

/** What an account needs by itself; the rest is asked for when it is used. */
async function notice() {
  const needed = (await purposesInForce()).filter((item) => item.optional === false);
  if (!needed.length) return null;
  return h('details', { class: 'notice', testid: 'notice' }, h('summary', { t: 'signin.notice' }),
    ...needed.flatMap(purposeText));
}

/** Opens the login; throws a problem. */
async function arrive(answer, done) {
  await session.keep(await open('POST', '/v1/sessions', {
    ...answer, terminal_name: terminalName(), client_type: CLIENT_TYPE,
  }));
  await entered(done);
}

/** Somebody is signed in. */
async function entered(done) {
  forgetConfirmation();
  await done();
}

function tabs(body, context) {
  const show = (way) => {
    for (const tab of list.children) {
      const here = tab.dataset.way === way;
      tab.setAttribute('aria-selected', String(here));
      tab.tabIndex = here ? 0 : -1;
    }
    body.setAttribute('aria-labelledby', `way-${way}`);
    if (way === 'password') passwordStep(body, '', context);
    else addressStep(body, way, '', context);
  };
  const tab = (way, at) => h('button', {
    id: `way-${way}`, type: 'button', role: 'tab', class: 'tab', t: `signin.way.${way}`, testid: `way-${way}`,
    data: { way }, 'aria-controls': 'signin-way', 'aria-selected': String(at === 0), tabindex: at === 0 ? '0' : '-1',
    on: { click: () => show(way) },
  });
  const list = h('div', { class: 'tabs', role: 'tablist', label: 'signin.ways' }, ...WAYS.map(tab));
  list.addEventListener('keydown', ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const here = WAYS.indexOf(list.querySelector('[aria-selected="true"]').dataset.way);
    const next = WAYS[(here + step + WAYS.length) % WAYS.length];
    show(next);
    list.querySelector(`#way-${next}`).focus();
  });
  body.setAttribute('aria-labelledby', 'way-phone');
  return list;
}

function addressStep(body, kind, known, context) {
  const mail = kind === 'email';
  const input = h('input', {
    id: kind, type: mail ? 'email' : 'tel', autocomplete: mail ? 'email' : 'tel', inputmode: mail ? 'email' : 'tel',
    required: true, value: known, 'aria-describedby': 'address-hint signin-error', testid: kind,
  });
  const error = problemLine('signin-error');
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'signin.send', testid: 'send-code' });
  const submit = (event) => {
    event.preventDefault();
    const target = normalised(kind, input.value);
    if (!target) {
      say(error, mail ? 'signin.badEmail' : 'signin.badPhone');
      return input.focus();
    }
    return busy(button, async () => {
      try {
        const challenge = await requestCode(open, { purpose: 'login', target });
        codeStep(body, { kind, target }, challenge, context);
      } catch (problem) {
        showProblem(error, problem);
      }
    });
  };
  body.replaceChildren(h('form', { novalidate: true, on: { submit } },
    h('label', { for: kind, t: `signin.${kind}` }), input,
    h('p', { id: 'address-hint', class: 'hint', t: `signin.${kind}Hint` }), error, button));
  input.focus();
}

function codeStep(body, { kind, target }, challenge, context) {
  let current = challenge;
  const error = problemLine('signin-error');
  const button = h('button', { class: 'primary wide', type: 'submit', t: 'signin.verify', testid: 'verify-code' });
  const form = h('form', { novalidate: true });
  const code = codeField({ id: 'login-code', testid: 'login-code', digits: 6, full: () => form.requestSubmit() });
  const again = h('button', { class: 'link', type: 'button', testid: 'resend-code' });
  const other = h('button', { class: 'link', type: 'button', t: `signin.other.${kind}`, testid: 'other-number' });
  const password = passwordField({ id: 'code-password', testid: 'code-password', autocomplete: 'current-password' });
  const beside = h('div', { hidden: true }, h('label', { for: 'code-password', t: 'password.label' }), password.row);
  const resend = async () => {
    try {
      current = await requestCode(open, { purpose: 'login', target });
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
    addressStep(body, kind, target, context);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!code.value()) {
      say(error, 'signin.badCode');
      return code.input.focus();
    }
    return busy(button, async () => {
      try {
        const both = password.input.value ? { password: password.input.value } : {};
        await context.arrive({ challenge_id: current.challenge_id, code: code.value(), ...both });
        code.leave();
        password.leave();
      } catch (problem) {
        showProblem(error, problem);
        beside.hidden = beside.hidden && !WANTS_PASSWORD.includes(problem.name);
        (beside.hidden ? code.input : password.input).select();
      }
    });
  });
  form.append(
    h('p', { class: 'sent', t: `signin.codeSent.${kind}`, role: 'status' }),
    h('label', { for: 'login-code', t: `signin.code.${kind}` }), code.input, beside, error, button,
    h('div', { class: 'row spread' }, again, other));
  body.replaceChildren(form);
  countdown(again, current.resend_after);
  code.input.focus();
}
