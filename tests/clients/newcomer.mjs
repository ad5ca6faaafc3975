// The steps of a person who is new to the page: sign in, add the camera, do what the gate asks for.
// A request of theirs has {"page", "sms_file", "phone", "bind_text", "secret_file", "serial"}.

import { readFileSync } from 'node:fs';
import { show } from './browser.mjs';
import { prepare } from './in_video.mjs';

/** Longest wait for a step, milliseconds. */
export const LIMIT_MS = 20_000;
/** A phone's screen. */
export const PHONE_SIZE = { width: 390, height: 844 };
/**
 * Refusals that belong to the way; the browser notes each in its console. The gate names what is
 * missing and refuses a wrong secret (403), one SMS per number in two seconds (429), and after the
 * terminal was signed out its login (401) and its media session (404) are gone.
 */
const EXPECTED = [
  [403, /^\/v1\/media-grants$/],
  [429, /^\/v1\/otp$/],
  [403, /^\/v1\/devices\/[^/]+\/key-proof$/],
  [403, /^\/v1\/sessions(\/passkey)?$/],
  [422, /^\/v1\/me\/password$/],
  [409, /^\/v1\/me\/identities(\/[^/]+)?$/],
  [404, /^\/v1\/(whep-sessions\/|sso\/authorizations$)/],
  [403, /^\/v1\/devices\/[^/]+\/(codes|location)$/],
  [401, /^\/v1\/(media-grants|devices|live\/.*|sessions\/(basic|refresh))$/],
];

/** Looks until something is found. */
export async function until(what, look) {
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

/** Reads the code of the next message to the number, once it was asked for. */
export function nextCodeOf(request) {
  const seen = codes(request).length;
  return () => nextCode(request, seen);
}

/** A page of a terminal of its own, whose complaints are kept. */
export async function terminal(browser, errors, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  return pageOf(context, errors);
}

/** One more page of a terminal. */
export async function pageOf(context, errors) {
  const page = await context.newPage();
  await page.addInitScript(prepare);
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

/** Inside: a new account agrees to what an account needs, one that has agreed needs nothing. */
export async function agree(page) {
  await page.locator('#main > :not(:has(#signin-way))').first().waitFor();
  const needed = page.getByTestId('basic-restore');
  if (!await needed.count()) return;
  await needed.click();
  await needed.waitFor({ state: 'detached' });
}

/** Opens the page and signs in; a new number is a new account. */
export async function signIn(page, request) {
  const sent = codes(request).length;
  await page.goto(request.page);
  await page.getByTestId('phone').fill(request.phone);
  await page.getByTestId('send-code').click();
  await page.getByTestId('login-code').fill(await nextCode(request, sent));
  await agree(page);
}

/** Adds the camera by its bind text and waits until it is live. */
export async function addCamera(page, request, shot = async () => {}) {
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

/** Types another camera's secret: the page says so and shows nothing. */
async function wrongSecret(page, request) {
  const at = (id) => page.getByTestId(id);
  await at('secret').fill(request.wrong_secret);
  await at('secret-dialog').locator('button[type=submit]').click();
  const line = at('secret-dialog').getByTestId('error');
  const text = await until('the word about a wrong secret', async () => (await line.textContent()).trim());
  const state = await at('live-state').getAttribute('data-state');
  show({ step: 'wrong-secret', text, state, canvas: await at('canvas').count() });
  delete request.wrong_secret;
}

/** Does what the page asks for until it plays, in whatever order the server asks. */
export async function passTheGate(page, request, shot = async () => {}) {
  const at = (id) => page.getByTestId(id);
  let sent = codes(request).length;
  const end = Date.now() + 3 * LIMIT_MS;
  while ((await at('live-state').getAttribute('data-state')) !== 'playing') {
    if (Date.now() > end) throw new Error(`no picture: ${await at('stage').textContent()}`);
    if (await at('secret').isVisible()) {
      await shot('secret');
      if (request.wrong_secret) await wrongSecret(page, request);
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

/** All of it on a new terminal; its page, which shows the picture. */
export async function watching(browser, errors, request) {
  const page = await terminal(browser, errors);
  await signIn(page, request);
  await page.getByTestId('add-first').waitFor();
  await addCamera(page, request);
  await page.getByTestId(`watch-${request.serial}-0`).click();
  await passTheGate(page, request);
  return page;
}
