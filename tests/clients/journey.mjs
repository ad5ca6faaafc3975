// A newcomer's way through the page in Chromium: sign in, add the camera, prove the device key,
// confirm by SMS, consent, watch, listen, switch to Chinese, and be signed out from elsewhere.
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "serial", "seconds", "shots"}
// (`shots`: a folder for screenshots, or null). Prints JSON lines: {"step"} per step, a line per
// picture as browser.mjs does, {"audio_samples", "hertz", "rms"}, {"texts"}, {"signed_out"}.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, show } from './browser.mjs';
import { listen, readVideo, watchForTheEnd } from './in_video.mjs';

const LIMIT_MS = 20_000;
const PHONE_SIZE = { width: 390, height: 844 };
/**
 * Refusals that belong to the way; the browser notes each in its console. The gate names what is
 * missing (403), one SMS per number in two seconds (429), and after the terminal was signed out
 * its login (401) and its media session (404) are gone.
 */
const EXPECTED = [
  [403, /^\/v1\/media-grants$/],
  [429, /^\/v1\/otp$/],
  [404, /^\/v1\/whep-sessions\//],
  [401, /^\/v1\/(media-grants|devices|live\/.*|sessions\/refresh)$/],
];

async function until(what, look) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Codes that were sent to the number so far, oldest first; the development sender's file. */
function codes({ sms_file: file, phone }) {
  const blocks = read(file).split(/^DEVELOPMENT SMS to /m).slice(1);
  return blocks.filter((block) => block.startsWith(phone)).map((block) => /^@\S+ #(\d+)/m.exec(block)?.[1] ?? '').filter(Boolean);
}

/** The code of the message after the first `seen` ones. */
const nextCode = (request, seen) => until(`SMS number ${seen + 1}`, () => codes(request)[seen]);

/** A page of a terminal of its own, whose complaints are kept. */
export async function terminal(browser, errors, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  page.on('pageerror', (error) => errors.push(`page: ${error}`));
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const { pathname } = new URL(message.location().url || 'http://unknown/');
    const status = Number(/^Failed to load resource: .* status of (\d+)/.exec(message.text())?.[1]);
    if (EXPECTED.some(([refusal, path]) => refusal === status && path.test(pathname))) return;
    errors.push(`console: ${message.text()} (${message.location().url})`);
  });
  return page;
}

export async function signIn(page, request) {
  const sent = codes(request).length;
  await page.goto(request.page);
  await page.getByTestId('phone').fill(request.phone);
  await page.getByTestId('send-code').click();
  await page.getByTestId('login-code').fill(await nextCode(request, sent));
}

export async function addCamera(page, request, shot) {
  const at = (id) => page.getByTestId(id);
  await at('add-first').click();
  await at('bind-serial').fill(request.bind_text);
  await shot('bind');
  await at('bind').locator('button[type=submit]').click();
  await at(`device-${request.serial}`).waitFor();
  show({ step: 'bound' });
  // The camera is live as soon as the list looks.
  await until('the camera to be shown as live', async () =>
    (await at(`presence-${request.serial}`).getAttribute('data-live')) === 'online');
  show({ step: 'online', text: await at(`presence-${request.serial}`).textContent() });
  await shot('devices');
}

/** Does what the page asks for until it plays, in whatever order the server asks. */
export async function passTheGate(page, request, shot) {
  const at = (id) => page.getByTestId(id);
  let sent = codes(request).length;
  const end = Date.now() + 3 * LIMIT_MS;
  while ((await at('live-state').getAttribute('data-state')) !== 'playing') {
    if (Date.now() > end) throw new Error(`no picture: ${await at('stage').textContent()}`);
    if (await at('secret').isVisible()) {
      await shot('secret');
      const secret = () => read(request.secret_file).split('\n')[0];
      await at('secret').fill(await until('the device secret', secret));
      await at('secret-dialog').locator('button[type=submit]').click();
      await at('secret').waitFor({ state: 'detached' });
      show({ step: 'secret' });
    } else if (await at('sms-code').isVisible()) {
      await shot('sms');
      await at('sms-code').fill(await nextCode(request, sent));
      sent += 1;
      await at('sms-code').waitFor({ state: 'detached' });
      show({ step: 'sms' });
    } else if (await at('consent-box').isVisible()) {
      await shot('consent');
      if (await at('consent-box').isChecked()) throw new Error('the consent is ticked beforehand');
      await at('consent-box').check();
      await at('consent').locator('button[type=submit]').click();
      await at('consent-box').waitFor({ state: 'detached' });
      show({ step: 'consent' });
    }
    await page.waitForTimeout(20);
  }
  show({ step: 'playing', first_frame: await at('stat-firstFrame').textContent() });
}

/** Texts of the page in the other language, without a reload. */
async function inChinese(page, shot) {
  const at = (id) => page.getByTestId(id);
  await at('language').click();
  const texts = {
    devices: await at('nav-devices').textContent(),
    state: await at('live-state').textContent(),
    mode: await at('live-mode').locator('summary').textContent(),
    figures: await page.locator('.figures h2').textContent(),
    lang: await page.locator('html').getAttribute('lang'),
  };
  show({ texts });
  await shot('live-zh');
  await at('language').click();
}

/** Signs the watching terminal out from a second one and sees what becomes of its picture. */
async function signedOutElsewhere(page, browser, request, errors, shot) {
  const second = await terminal(browser, errors, { viewport: PHONE_SIZE });
  // One message per number in two seconds.
  await page.waitForTimeout(2000);
  await signIn(second, request);
  await second.getByTestId('devices').waitFor();
  await second.goto(`${request.page}#/account`);
  const list = second.getByTestId('terminals').locator('li');
  await list.nth(1).waitFor();
  const others = second.getByTestId('terminals').locator('li[data-current="false"]');
  show({ step: 'terminals', count: await list.count(), others: await others.count() });
  await shot('account-phone', second);
  const watched = page.evaluate(watchForTheEnd);
  const at = Date.now();
  await others.first().getByRole('button').click();
  const { last_frame: last, told } = await watched;
  show({ signed_out: { stopped_after_ms: Math.max(0, last - at), told_after_ms: told ? told - at : null } });
  await page.getByTestId('phone').waitFor();
  show({ step: 'told', text: await page.getByTestId('signed-out').textContent() });
  await shot('signed-out');
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await terminal(browser, errors);
    let count = 0;
    const shot = async (name, of = page) => {
      if (!request.shots) return;
      count += 1;
      await of.screenshot({ path: join(request.shots, `${String(count).padStart(2, '0')}-${name}.png`) });
    };
    await page.exposeFunction('show', show);
    await page.goto(request.page);
    await page.getByTestId('phone').waitFor();
    await shot('signin');
    await signIn(page, request);
    await page.getByTestId('add-first').waitFor();
    show({ step: 'registered' });
    await shot('empty');
    await addCamera(page, request, shot);
    await page.getByTestId(`watch-${request.serial}-0`).click();
    await passTheGate(page, request, shot);
    await page.evaluate(readVideo, request.seconds);
    await shot('live');
    await page.getByTestId('sound').click();
    show(await page.evaluate(listen, 2));
    await inChinese(page, shot);
    if (request.shots) await gallery(page, shot);
    await signedOutElsewhere(page, browser, request, errors, shot);
    if (errors.length) throw new Error(errors.join('; '));
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

/** More pictures for people who judge the looks. */
async function gallery(page, shot) {
  await page.getByTestId('theme').click();
  await shot('live-other-theme');
  await page.setViewportSize(PHONE_SIZE);
  await shot('live-phone-other-theme');
  await page.getByTestId('theme').click();
  await shot('live-phone');
  await page.setViewportSize({ width: 1280, height: 800 });
}

if (import.meta.url === `file://${process.argv[1]}`) {
  main().catch((error) => {
    show({ error: String(error) });
    process.exitCode = 1;
  });
}
