// The page's live view of a sealed camera in Chromium, against answers that the test writes.
//
// Reads one JSON object from standard input:
//   {"policy", "secret" or "scanned" (text of a picture code), "answers": {"METHOD /path": body, ...},
//    "visits": [{"device", "session", "mode"}, ...]}
// A visit opens the live view of the first device as the server would describe it. Prints for each
// {"state", "problem", "asked" (paths), "recipients", "canvas", "padlock", "texts", "note"}.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { servePage } from './page_files.mjs';

const LIMIT_MS = 20_000;
const TERMINAL_STATES = ['failed', 'reconnecting', 'playing', 'stopped'];

/** RFC 7638 thumbprint of the key that made a request's proof. */
function thumbprint(request) {
  const [head] = request.headers().dpop.split('.');
  const { crv, kty, x, y } = JSON.parse(Buffer.from(head, 'base64url')).jwk;
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** What the key challenge of the server says: eight lines. */
function challenge(request, { serial, server }) {
  const lines = ['sightline/v1/key-proof', server, 'session', thumbprint(request), serial, '0', 'nonce', '9999999999'];
  return { challenge_id: 'one', message: Buffer.from(lines.join('\n')).toString('base64url') };
}

/** Runs in the page: this build of the browser reads no picture codes by itself. */
function readsPictureCodes(text) {
  globalThis.BarcodeDetector = class {
    async detect(video) {
      return video.videoWidth ? [{ rawValue: 'https://example.org' }, { rawValue: text }] : [];
    }
  };
}

async function visit(context, origin, { answers, secret, scanned }, { device, session, mode }) {
  const page = await context.newPage();
  if (scanned) await page.addInitScript(readsPictureCodes, scanned);
  const seen = { asked: [], recipients: [] };
  await page.route('**/v1/**', async (route) => {
    const request = route.request();
    const path = new URL(request.url()).pathname;
    const name = `${request.method()} ${path}`;
    seen.asked.push(name);
    const given = {
      'GET /v1/devices': { items: [device] },
      [`POST /v1/webtransport-sessions/${device.serial}/0`]: session,
      [`GET /v1/devices/${device.serial}/enc-mode`]: mode,
      ...answers,
    };
    let body = given[name];
    if (name.endsWith('/key-challenge')) body = challenge(request, { serial: device.serial, server: answers['GET /v1/server'].server_name });
    if (name.endsWith('/generations')) {
      const { recipient } = request.postDataJSON();
      seen.recipients.push(recipient);
      body = answers[recipient] ?? { generations: [], more: false };
    }
    if (body === undefined) await route.fulfill({ status: 404, json: { type: 'about/not-found' } });
    else await route.fulfill({ status: 200, json: body });
  });
  await page.goto(`${origin}/page#/live/${device.serial}/0`);
  const at = (id) => page.getByTestId(id);
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    if (await at('secret').isVisible()) {
      if (scanned) {
        await at('secret-scan').click();
      } else {
        await at('secret').fill(secret);
        await at('secret-dialog').locator('button[type=submit]').click();
      }
      await at('secret').waitFor({ state: 'detached' });
      seen.typed = true;
    }
    seen.state = await at('live-state').getAttribute('data-state').catch(() => null);
    if (TERMINAL_STATES.includes(seen.state) || Date.now() > end) break;
    await page.waitForTimeout(20);
  }
  seen.problem = await at('live-state').getAttribute('data-problem');
  seen.canvas = await at('canvas').count();
  seen.note = (await at('opened-note').count()) ? await at('opened-note').textContent() : null;
  seen.padlock = await at('padlock').getAttribute('data-mode').catch(() => null);
  await at('padlock').locator('summary').click();
  const text = () => at('padlock-text').innerText();
  seen.texts = [await text()];
  await at('language').click();
  seen.texts.push(await text());
  await at('language').click();
  show(seen);
  await page.close();
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const files = await servePage(request.policy);
  const browser = await launch({ camera: Boolean(request.scanned) });
  try {
    const context = await browser.newContext({ locale: 'en-GB' });
    const first = await context.newPage();
    await first.goto(`${files.origin}/`);
    // A terminal that is signed in.
    await first.evaluate(async () => (await import('/assets/store.js')).put('refresh-token', 'kept'));
    await first.close();
    for (const one of request.visits) await visit(context, files.origin, request, one);
  } finally {
    await browser.close();
    files.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
