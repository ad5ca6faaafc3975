// An owner switches a camera's encryption off and on in the page, in Chromium.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "secret_file", "serial"}
// The account owns the camera. Prints JSON lines: {"step", ...} per step with what the page says.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { agree } from './newcomer.mjs';

const LIMIT_MS = 30_000;
/** A development server sends one message per number in two seconds. */
const SMS_PAUSE_MS = 2_100;

/** Codes that were sent to the number so far, oldest first; the development sender's file. */
function codes({ sms_file: file, phone }) {
  const blocks = readFileSync(file, 'utf8').split(/^DEVELOPMENT SMS to /m).slice(1);
  return blocks.filter((block) => block.startsWith(phone)).map((block) => /^@\S+ #(\d+)/m.exec(block)?.[1] ?? '').filter(Boolean);
}

async function nextCode(request, seen) {
  const end = Date.now() + LIMIT_MS;
  while (!codes(request)[seen]) {
    if (Date.now() > end) throw new Error(`waited for SMS number ${seen + 1}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return codes(request)[seen];
}

async function signIn(page, request) {
  const sent = codes(request).length;
  await page.waitForTimeout(SMS_PAUSE_MS);
  await page.goto(request.page);
  await page.getByTestId('phone').fill(request.phone);
  await page.getByTestId('send-code').click();
  await page.getByTestId('login-code').fill(await nextCode(request, sent));
  await agree(page);
  await page.getByTestId(`device-${request.serial}`).waitFor();
}

/** Opens the camera's dialog and reads it. */
async function dialog(page, { serial }) {
  const at = (id) => page.getByTestId(id);
  await at(`sealing-${serial}`).click();
  await at('sealing').waitFor();
  return {
    mode: await at('sealing-mode').textContent(),
    history: await at('sealing-history').innerText(),
    submit: await at('sealing-submit').textContent(),
  };
}

/** What the camera's card says. */
async function card(page, { serial }, mode) {
  const device = page.getByTestId(`device-${serial}`);
  await device.locator(`[data-testid=mode].${mode}`).waitFor();
  const notes = device.getByTestId('opened-note');
  return { mode, note: (await notes.count()) ? await notes.textContent() : null };
}

async function switchOff(page, request) {
  const at = (id) => page.getByTestId(id);
  const before = await dialog(page, request);
  const sent = codes(request).length;
  await page.waitForTimeout(SMS_PAUSE_MS);
  await at('sealing-submit').click();
  await at('secret').fill(readFileSync(request.secret_file, 'utf8').split('\n')[0]);
  await at('secret-dialog').locator('button[type=submit]').click();
  await at('sms-code').fill(await nextCode(request, sent));
  await at('sealing').waitFor({ state: 'detached' });
  show({ step: 'off', before, card: await card(page, request, 'open') });
}

/** The live view of the open camera, in both languages. */
async function watch(page, { serial }) {
  const at = (id) => page.getByTestId(id);
  await at(`watch-${serial}-0`).click();
  await page.locator('[data-testid=live-state][data-state=playing]').waitFor({ state: 'attached' });
  const seen = {
    padlock: await at('padlock').getAttribute('data-mode'),
    canvases: await at('canvas').count(),
    width: await at('video').evaluate((video) => video.videoWidth),
    notes: [await at('opened-note').textContent()],
  };
  await at('language').click();
  seen.notes.push(await at('opened-note').textContent());
  await at('language').click();
  await at('back').click();
  await at(`device-${serial}`).waitFor();
  show({ step: 'watched', ...seen });
}

async function switchOn(page, request) {
  const before = await dialog(page, request);
  await page.getByTestId('sealing-submit').click();
  await page.getByTestId('sealing').waitFor({ state: 'detached' });
  show({ step: 'on', before, card: await card(page, request, 'sealed') });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  try {
    const context = await browser.newContext({ locale: 'en-GB' });
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    page.on('pageerror', (error) => process.stderr.write(`page: ${error}\n`));
    page.on('console', (message) => process.stderr.write(`page: ${message.text()}\n`));
    await signIn(page, request);
    await switchOff(page, request);
    await watch(page, request);
    await switchOn(page, request);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
