// Dialogs and fields that several views share.

import { call } from '../api.js';
import { announce, busy, h, hush, say } from '../dom.js';
import { has } from '../i18n.js';
import { purposesInForce } from '../policies.js';
import { grouped } from '../base32.js';
import { branches } from '../sealed/branches.js';
import { canScan, scanner } from '../scan.js';
import { isPictureText, parseShown } from '../shown_secret.js';

// Views that were left so far.
let left = 0;

/** A view is left: its dialogs close, and what it began opens none any more. */
export function leaveDialogs() {
  left += 1;
  document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
}

/** Whether the view of now is still shown, to be asked later: for work that waits before it opens a dialog. */
export function stillHere() {
  const began = left;
  return () => began === left;
}

/** A line for errors; readers hear it. */
export const problemLine = (id) => h('p', { id, class: 'error', role: 'alert', testid: 'error' });

/** Puts a problem into a line: our text for it, else the server's. */
export function showProblem(line, problem) {
  const named = `problem.${problem.name}.${problem.body?.purpose ?? ''}`;
  const key = has(named) ? named : `problem.${problem.name}`;
  hush(line);
  line.dataset.problem = problem.name ?? '';
  if (has(key)) say(line, key);
  else line.textContent = problem.title || problem.message;
}

/** A field for a code from an SMS; `full` is called when enough digits are in. */
export function codeField({ id, testid, digits, full }) {
  const input = h('input', {
    id, testid, type: 'text', inputmode: 'numeric', autocomplete: 'one-time-code',
    maxlength: '12', class: 'code', spellcheck: 'false', required: true,
  });
  const value = () => input.value.replace(/\D/g, '');
  const abort = new AbortController();
  input.addEventListener('input', () => {
    if (value().length === digits) full();
  });
  // Where the browser can read the SMS, it fills the field by itself.
  if ('OTPCredential' in globalThis) {
    const wanted = { otp: { transport: ['sms'] }, signal: abort.signal };
    navigator.credentials.get(wanted).then((credential) => {
      input.value = credential?.code ?? '';
      if (value()) full();
    }).catch(() => {});
  }
  return { input, value, leave: () => abort.abort() };
}

/** Keeps a button off and counts down until it may be pressed. */
export function countdown(button, seconds = 0) {
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    button.disabled = left > 0;
    say(button, left > 0 ? 'signin.resendIn' : 'signin.resend', { seconds: left });
    if (left > 0 && seconds) setTimeout(tick, 500);
  };
  tick();
}

/**
 * A button that has a code sent once more, and the line for what hinders it. `seconds`: how long it has to
 * wait; `request` asks for the code, `took` gets the new challenge.
 */
export function resender(testid, seconds, request, took) {
  const line = h('p', { class: 'error', role: 'alert', testid: `${testid}-error` });
  const button = h('button', { class: 'link', type: 'button', testid });
  button.addEventListener('click', async () => {
    const pause = await busy(button, async () => {
      hush(line);
      try {
        const challenge = await request();
        took(challenge);
        return challenge.resend_after;
      } catch (problem) {
        showProblem(line, problem);
        return problem.retryAfter;
      }
    });
    countdown(button, pause);
  });
  countdown(button, seconds);
  return { button, line };
}

/**
 * A modal dialog with one form. `submit` does the work and throws a problem (or {key}) to stay
 * open; the promise resolves to what it returned, or null when the dialog was closed. Work that runs is
 * waited for, unless `leave` ends it (`endless`). Nothing opens once `still` says no.
 */
export function ask({
  title, titleParameters, testid, body, submitKey, submit, leave, danger, endless = false, still = stillHere(),
}) {
  if (!still()) {
    leave?.();
    return Promise.resolve(null);
  }
  return new Promise((resolve) => {
    let result = null;
    let working = false;
    const error = problemLine(`${testid}-error`);
    const ok = h('button', { class: danger ? 'danger' : 'primary', type: 'submit', t: submitKey, testid: `${testid}-submit` });
    const cancel = h('button', { class: 'quiet', type: 'button', t: 'common.cancel', testid: `${testid}-cancel` });
    const form = h('form', { novalidate: true },
      h('h2', { id: `${testid}-title`, t: title, tp: titleParameters }),
      ...body, error, h('div', { class: 'row end' }, cancel, ok));
    const dialog = h('dialog', { 'aria-labelledby': `${testid}-title`, testid }, form);
    const work = (begun) => {
      working = begun && !endless;
      cancel.disabled = working;
    };
    cancel.addEventListener('click', () => dialog.close());
    // What has been done stays done, so its outcome is waited for.
    dialog.addEventListener('cancel', (event) => event.target === dialog && working && event.preventDefault());
    // A browser may let the key close a dialog against the event's will.
    dialog.addEventListener('keydown', (event) => event.key === 'Escape' && working && event.preventDefault());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      busy(ok, async () => {
        work(true);
        hush(error);
        try {
          result = (await submit()) ?? true;
          dialog.close();
        } catch (problem) {
          if (problem.key) say(error, problem.key);
          else showProblem(error, problem);
        } finally {
          work(false);
        }
      });
    });
    dialog.addEventListener('close', () => {
      leave?.();
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector('input')?.focus();
  });
}

/** What a purpose is, in both languages; the style sheet shows the one of the page. */
export function purposeText({ text = {}, fields = [] }) {
  const both = Object.entries({ en: text.en, 'zh-CN': text.zh ?? text.en });
  const tags = [fields].flat().map((field) =>
    has(`field.${field}`) ? h('span', { class: 'tag', t: `field.${field}` }) : h('span', { class: 'tag' }, field));
  return [
    h('p', { class: 'purpose both' }, ...both.map(([lang, words]) => h('span', { lang }, words ?? ''))),
    tags.length ? h('div', { class: 'row wrap data-used' }, h('span', { class: 'hint', t: 'consent.fields' }), ...tags) : null,
  ];
}

/**
 * Asks for consent to a purpose, in the words under `words`. Never pre-ticked. Resolves to true when it
 * was given.
 */
export async function consentDialog(id, words = 'consent', still = stillHere()) {
  const items = await purposesInForce();
  const purpose = items.find((item) => item.id === id) ?? { id, version: 1, fields: [], text: {} };
  const box = h('input', { type: 'checkbox', id: 'consent-box', testid: 'consent-box' });
  const done = await ask({
    title: `${words}.title`, testid: 'consent', submitKey: 'consent.submit', still,
    body: [
      ...purposeText(purpose),
      h('p', { class: 'hint', t: `${words}.lead` }),
      h('label', { class: 'check', for: 'consent-box' }, box, h('span', { t: 'consent.agree' })),
    ],
    submit: async () => {
      if (!box.checked) throw { key: 'consent.needed' };
      await call('POST', '/v1/consents', { purpose: id, version: purpose.version, decision: 'granted' });
    },
  });
  if (done) announce('consent.done');
  return Boolean(done);
}

/** A field for a secret that groups what is typed and can be shown. */
export function secretField({ id, testid, required = true }) {
  const input = h('input', {
    id, testid, type: 'password', autocomplete: 'off', autocapitalize: 'characters',
    spellcheck: 'false', maxlength: '200', class: 'mono', required,
  });
  const eye = h('button', { type: 'button', class: 'quiet', t: 'secret.show', testid: `${testid}-show` });
  eye.addEventListener('click', () => {
    const hidden = input.type === 'password';
    input.type = hidden ? 'text' : 'password';
    say(eye, hidden ? 'secret.hide' : 'secret.show');
  });
  input.addEventListener('change', () => {
    if (!isPictureText(input.value)) input.value = grouped(input.value);
  });
  return { input, row: h('div', { class: 'field-row' }, input, eye) };
}

/**
 * Asks for a device secret, typed or scanned; resolves to its two keys and the camera's check
 * `{auth, archive, check}`, or null. `prove` tries the signing key and throws a problem when it does not
 * open the device. `development`: the demo camera may be meant.
 */
export function secretDialog(serial, prove, development, still = stillHere()) {
  const field = secretField({ id: 'secret', testid: 'secret' });
  const scan = canScan() ? scanner({
    testid: 'secret-scan',
    wanted: isPictureText,
    found: (text) => {
      field.input.value = text;
      field.input.form.requestSubmit();
    },
  }) : null;
  return ask({
    title: 'secret.title', titleParameters: { serial }, testid: 'secret-dialog', submitKey: 'secret.submit', still,
    body: [
      h('p', { class: 'hint', t: 'secret.lead' }),
      development ? h('p', { class: 'hint', t: 'secret.demo', testid: 'secret-demo' }) : null,
      h('label', { for: 'secret', t: 'secret.label' }), field.row, scan?.button, scan?.line, scan?.video,
      h('p', { class: 'assurance', t: 'secret.private' }),
    ],
    submit: async () => {
      const shown = parseShown(field.input.value, serial);
      if (!shown) throw { key: 'secret.bad' };
      const keys = await branches(shown.secret);
      await prove(keys.auth.privateKey);
      field.input.value = '';
      return { ...keys, check: shown.check };
    },
    leave: () => {
      scan?.stop();
      field.input.value = '';
    },
  });
}

/** Sends a code and asks for it; opens the SMS window of a device. Resolves to true when open. */
export async function smsDialog(serial, still = stillHere()) {
  const request = () => call('POST', '/v1/otp', { purpose: 'view', serial });
  let challenge = await request();
  const code = codeField({ id: 'sms-code', testid: 'sms-code', digits: 8, full: () => code.input.form?.requestSubmit() });
  const again = resender('sms-resend', challenge.resend_after, request, (made) => {
    challenge = made;
  });
  const done = await ask({
    title: 'sms.title', testid: 'sms', submitKey: 'sms.submit', still,
    body: [
      h('p', { class: 'hint', t: 'sms.lead', tp: { serial } }),
      h('label', { for: 'sms-code', t: 'sms.code' }), code.input, again.button, again.line,
    ],
    submit: async () => {
      if (!code.value()) throw { key: 'signin.badCode' };
      await call('POST', '/v1/step-ups', { challenge_id: challenge.challenge_id, code: code.value() });
    },
    leave: code.leave,
  });
  return Boolean(done);
}
