// People who sign in by an identity provider in Chromium: one who is new, who comes back, who may not give
// up the only way in; and one with a number, who binds such a login, signs in by it and gives it up.
// Reads one JSON object from standard input: {"page", "sms_file", "phone"}. Prints JSON lines.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { agree, nextCodeOf, signIn, terminal, until } from './newcomer.mjs';

const ANNA = 'anna-of-the-page';
const CARL = 'carl-of-the-page';
const SENT_BACK = '/v1/me';

/** Says at the stand-in who this is. */
async function sayWho(page, name) {
  const field = page.locator('input[name=name]');
  await field.waitFor();
  await field.fill(name);
  await page.keyboard.press('Enter');
}

/** The id of the account that the page is signed in to. */
async function accountOf(page, act) {
  const answer = page.waitForResponse((response) => new URL(response.url()).pathname === SENT_BACK && response.ok());
  await act();
  return (await (await answer).json()).id;
}

async function enter(page, name) {
  const button = page.getByTestId('provider-development');
  await button.waitFor();
  await button.focus();
  await page.keyboard.press('Enter');
  await sayWho(page, name);
}

const openAccount = (page, request) => accountOf(page, () => page.goto(`${request.page}#/account`));

async function signOut(page) {
  await page.getByTestId('sign-out').click();
  await page.getByTestId('provider-development').waitFor();
}

async function newcomer(page, request) {
  const at = (id) => page.getByTestId(id);
  await page.goto(request.page);
  await at('provider-development').waitFor();
  show({ step: 'provider', hint: await at('providers').locator('.hint').textContent() });
  await at('provider-development').click();
  await page.locator('button[name=cancel]').waitFor();
  show({ step: 'at the provider', title: await page.title() });
  await page.locator('button[name=cancel]').click();
  await at('provider-otherwise').waitFor();
  show({ step: 'cancelled', text: await at('error').first().textContent() });
  const account = await accountOf(page, async () => {
    await enter(page, ANNA);
    await agree(page);
  });
  await at('identity-development').waitFor();
  await at('account-partial').waitFor();
  show({ step: 'registered', account, address: new URL(page.url()).search, partial: await at('account-partial').textContent() });
}

/** Confirms by the provider, since there is nothing else, and tries to give it up. */
async function lastWay(page) {
  const at = (id) => page.getByTestId(id);
  await at('unbind-development').click();
  await at('confirm-provider-submit').click();
  await sayWho(page, ANNA);
  await at('unbind-development').waitFor();
  await at('unbind-development').click();
  await at('unbind-submit').click();
  const error = at('unbind').getByTestId('error');
  const text = await until('the word about it', () => error.textContent());
  await page.keyboard.press('Escape');
  await at('unbind').waitFor({ state: 'detached' });
  await at('language').click();
  await at('unbind-development').click();
  await at('unbind-submit').click();
  const chinese = await until('the word about it', () => error.textContent());
  await page.keyboard.press('Escape');
  await at('unbind').waitFor({ state: 'detached' });
  await at('language').click();
  show({ step: 'last', text, chinese });
}

/** Confirms by a code and begins to bind. */
async function bindAs(page, request, name) {
  const at = (id) => page.getByTestId(id);
  await at('bind-development').waitFor();
  const next = nextCodeOf(request);
  await at('bind-development').click();
  const dialog = at('confirm-code-field');
  const asked = await Promise.race([dialog.waitFor().then(() => true), page.locator('input[name=name]').waitFor().then(() => false)]);
  if (asked) await dialog.fill(await next());
  await sayWho(page, name);
  await at('bind-development').waitFor();
}

async function owner(page, request) {
  const at = (id) => page.getByTestId(id);
  await signIn(page, request);
  await at('add-first').waitFor();
  const account = await openAccount(page, request);
  // One message to a number in two seconds.
  await page.waitForTimeout(2200);
  await bindAs(page, request, ANNA);
  const taken = await until('the word about it', () => page.locator('#identities-error').textContent());
  show({ step: 'taken', text: taken });
  await page.waitForTimeout(2200);
  await bindAs(page, request, CARL);
  await at('identity-development').waitFor();
  show({ step: 'bound', account });
  await signOut(page);
  await enter(page, CARL);
  await at('nav-account').waitFor();
  show({ step: 'by the bound one', account: await openAccount(page, request) });
  await at('unbind-development').waitFor();
  await page.waitForTimeout(2200);
  const next = nextCodeOf(request);
  await at('unbind-development').click();
  await at('confirm-code-field').fill(await next());
  await at('unbind-submit').click();
  await at('unbind').waitFor({ state: 'detached' });
  await at('identity-development').waitFor({ state: 'detached' });
  show({ step: 'unbound', left: await at('identity-development').count() });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  const errors = [];
  try {
    const first = await terminal(browser, errors);
    await newcomer(first, request);
    await lastWay(first);
    await signOut(first);
    await enter(first, ANNA);
    await first.getByTestId('nav-account').waitFor();
    show({ step: 'signed in again', account: await openAccount(first, request) });
    await owner(await terminal(browser, errors), request);
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
