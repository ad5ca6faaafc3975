// A person's way through account security in Chromium: sign in by SMS, add a mail address, set a
// password, sign in by it, forget it, set another one by code. Reads one JSON object from standard
// input: {"page", "sms_file", "mail_file", "phone", "mail"}. Prints JSON lines {"step", ...}.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { signIn, terminal, until } from './newcomer.mjs';

const PASSWORD = 'gnu lamp oboe fig';
const OTHER = 'nine quiet herons';
/** A development server sends one message to a number within this time. */
const PAUSE_MS = 2200;

const blocks = (file, label, to) => {
  try {
    return readFileSync(file, 'utf8').split(`DEVELOPMENT ${label} to `).slice(1).filter((block) => block.startsWith(`${to}\n`));
  } catch {
    return [];
  }
};

const sms = ({ sms_file: file, phone }) =>
  blocks(file, 'SMS', phone).map((block) => /^@\S+ #(\d+)/m.exec(block)?.[1]).filter(Boolean);
const mails = ({ mail_file: file, mail }) =>
  blocks(file, 'MAIL', mail).map((block) => /^(\d{6,8}) /m.exec(block)?.[1]).filter(Boolean);

/** Does `act`, which sends a code, and waits for that code. */
async function codeAfter(list, request, act) {
  const seen = list(request).length;
  await act();
  return until('a code', () => list(request)[seen]);
}

async function addMail(page, request) {
  const at = (id) => page.getByTestId(id);
  await page.waitForTimeout(PAUSE_MS);
  const confirm = await codeAfter(sms, request, () => at('change-email').click());
  await at('confirm-code-field').fill(confirm);
  await at('new-address').waitFor();
  await at('new-address').fill('not an address');
  await at('new-address-dialog-submit').click();
  const refused = await until('the word about it', () => at('new-address-dialog').getByTestId('error').textContent());
  await at('new-address').fill(request.mail);
  const proof = await codeAfter(mails, request, () => at('new-address-dialog-submit').click());
  await at('prove-address-field').fill(proof);
  await at('prove-address').waitFor({ state: 'detached' });
  const line = at('identifier-email');
  await until('the address on the list', async () => (await line.textContent()).includes('***@'));
  show({ step: 'mail', refused, shown: await line.textContent() });
}

async function setPassword(page) {
  const at = (id) => page.getByTestId(id);
  await at('change-password').click();
  await at('new-password').fill('password1');
  await at('new-password-dialog-submit').click();
  const refused = await until('the word about it', () => at('new-password-dialog').getByTestId('error').textContent());
  const kind = await at('new-password').getAttribute('autocomplete');
  await at('new-password').fill(PASSWORD);
  await at('new-password-dialog-submit').click();
  await at('new-password-dialog').waitFor({ state: 'detached' });
  show({ step: 'password', refused, autocomplete: kind });
}

async function byPassword(page, target, password) {
  const at = (id) => page.getByTestId(id);
  await at('target').fill(target);
  await at('login-password').fill(password);
  await at('password-submit').click();
}

async function enter(page, request) {
  const at = (id) => page.getByTestId(id);
  await at('sign-out').click();
  await at('way-phone').focus();
  await page.keyboard.press('ArrowLeft');
  const selected = await at('way-password').getAttribute('aria-selected');
  await byPassword(page, request.mail, 'gnu lamp oboe fog');
  const refused = await until('the word about it', () => page.locator('#signin-error').textContent());
  await byPassword(page, request.mail, PASSWORD);
  await at('nav-account').waitFor();
  show({ step: 'entered', selected, refused });
}

async function forget(page, request) {
  const at = (id) => page.getByTestId(id);
  await page.goto(`${request.page}#/account`);
  await at('sign-out').click();
  await at('way-password').click();
  await at('forgot').click();
  await at('target').fill(request.phone);
  await page.waitForTimeout(PAUSE_MS);
  const code = await codeAfter(sms, request, () => at('reset-send').click());
  await at('reset-code').fill(code);
  await at('reset-password').fill(OTHER);
  await at('reset-submit').click();
  await at('login-password').waitFor();
  await byPassword(page, request.phone, OTHER);
  await at('nav-account').waitFor();
  await page.goto(`${request.page}#/account`);
  await at('language').click();
  const chinese = await until('Chinese', async () => {
    const text = await at('password-line').textContent();
    return text.includes('密码') && text;
  });
  show({ step: 'reset', chinese });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await terminal(browser, errors);
    await signIn(page, request);
    await page.getByTestId('add-first').waitFor();
    await page.goto(`${request.page}#/account`);
    await page.getByTestId('identifier-phone').waitFor();
    await addMail(page, request);
    await setPassword(page);
    await enter(page, request);
    await forget(page, request);
    if (errors.length) throw new Error(errors.join('; '));
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
