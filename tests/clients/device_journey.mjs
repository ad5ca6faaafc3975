// An owner's way around one camera in Chromium: name it, let it tell its hardware, say where it
// stands, make and drop a user token, give it away; and the next owner's, who takes it over.
// Reads one JSON object from standard input, as newcomer.mjs names it, with "other_phone". Prints JSON
// lines: {"step"} per step.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { addCamera, nextCodeOf, signIn, terminal, until } from './newcomer.mjs';

const at = (page) => (id) => page.getByTestId(id);

async function agree(page, shown) {
  const of = at(page);
  const box = of('consent-box');
  await box.waitFor();
  show({ step: 'asked', purpose: shown, ticked: await box.isChecked() });
  await box.check();
  await of('consent').locator('button[type=submit]').click();
  await box.waitFor({ state: 'detached' });
}

async function named(page, request) {
  const of = at(page);
  await of(`detail-${request.serial}`).click();
  await of('device-name').fill('Garden gate');
  await of('rename-submit').click();
  await until('the new name', async () => (await of('toast').count()) > 0);
  await of('hardware-agree').click();
  await agree(page, 'hardware');
  // The camera is asked for it by its poll.
  await until('the hardware', async () => {
    if (await of('device.firmware').count()) return true;
    await page.reload();
    await of('device-facts').waitFor();
    return false;
  });
  show({ step: 'named', name: await of('device-name').inputValue(), firmware: await of('device.firmware').textContent() });
}

async function placed(page) {
  const of = at(page);
  await of('place-card').locator('summary').click();
  await of('place-city').fill('Hangzhou');
  await of('place-latitude').fill('north');
  await of('place-form-submit').click();
  const refused = await until('a refusal', async () => (await of('error').first().textContent()).trim());
  await of('place-latitude').fill('30,25');
  await of('place-longitude').fill('120.16');
  await of('place-form-submit').click();
  await agree(page, 'place');
  const text = await until('the place', async () => (await of('place').count()) && (await of('place').textContent()));
  show({ step: 'placed', refused, text });
  await of('place-delete').click();
  await until('no place', async () => (await of('place').count()) === 0);
}

async function given(page, request) {
  const of = at(page);
  await of('transfer-issue').click();
  const secret = await until('the secret', () => {
    try {
      return readFileSync(request.secret_file, 'utf8').split('\n')[0];
    } catch {
      return '';
    }
  });
  await of('secret').fill(secret);
  const code = nextCodeOf(request);
  await of('secret-dialog').locator('button[type=submit]').click();
  await of('sms-code').waitFor();
  await of('sms-code').fill(await code());
  const text = await of('transfer-text').textContent();
  show({ step: 'given', code: await of('transfer-code').textContent(), text, picture: await of('picture-code').count() });
  return text;
}

async function token(page) {
  const of = at(page);
  await page.goto(`${page.url().split('#')[0]}#/add`);
  await of('token-make').click();
  show({ step: 'token', token: await of('token').textContent(), picture: await of('picture-code').count() });
  await of('token-end').click();
  await of('token').waitFor({ state: 'detached' });
}

async function takenOver(page, request, text) {
  const of = at(page);
  await page.goto(`${request.page}#/add`);
  await of('add-printed').click();
  await of('bind-serial').fill(text.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')));
  const misread = await until('a word', async () => (await of('bind-kind').textContent()).trim());
  await of('bind-serial').fill(text);
  const kind = await until('another word', async () => {
    const now = (await of('bind-kind').textContent()).trim();
    return now !== misread && now;
  });
  await of('bind-with').locator('summary').click();
  const ticked = await of('bind-keep').isChecked();
  await of('bind-keep').check();
  await of('bind').locator('button[type=submit]').click();
  await of(`device-${request.serial}`).waitFor();
  show({ step: 'taken over', ticked, misread, kind, name: await of(`detail-${request.serial}`).textContent() });
}

/** Who agreed that the terminal is kept, and withdrew it, is asked again before a camera is added. */
async function askedAgain(page, request) {
  const of = at(page);
  await page.goto(`${request.page}#/account`);
  await of('withdraw-device.bind').click();
  await of('withdraw-consent').locator('button[type=submit]').click();
  await of('withdraw-device.bind').waitFor({ state: 'detached' });
  await page.goto(`${request.page}#/devices`);
  await of('add-first').click();
  await of('bind-serial').fill(request.bind_text);
  await of('bind').locator('button[type=submit]').click();
  const line = of('bind').getByTestId('error');
  const word = await until('the question', async () => (await line.textContent()).trim());
  await of('bind-keep').check();
  await of('bind').locator('button[type=submit]').click();
  await of(`device-${request.serial}`).waitFor();
  show({ step: 'asked again', word });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const first = await terminal(browser, errors);
    await signIn(first, request);
    await first.getByTestId('add-first').waitFor();
    await addCamera(first, request);
    await named(first, request);
    await placed(first);
    await token(first);
    await first.goto(`${request.page}#/device/${request.serial}`);
    const text = await given(first, request);
    const second = await terminal(browser, errors);
    await signIn(second, { ...request, phone: request.other_phone });
    await second.getByTestId('add-first').waitFor();
    await takenOver(second, request, text);
    await first.goto(`${request.page}#/devices`);
    await first.getByTestId('add-first').waitFor();
    await second.getByTestId(`detail-${request.serial}`).click();
    const facts = (await second.getByTestId('device-facts').textContent()).replace(/\s+/g, ' ');
    show({ step: 'added with', facts });
    await second.getByTestId('language').click();
    show({ step: 'chinese', title: await second.locator('h1').textContent() });
    await second.getByTestId('device-remove').click();
    const lost = await second.getByTestId('remove').locator('li').count();
    await second.getByTestId('remove').locator('button[type=submit]').click();
    await second.getByTestId('add-first').waitFor();
    show({ step: 'removed', lost });
    await askedAgain(second, request);
    show({ step: 'done', errors });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
