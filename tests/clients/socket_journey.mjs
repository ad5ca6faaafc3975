// A newcomer's way to a sealed camera in a Chromium without WebTransport, or whose WebTransport does
// not come through. Reads one JSON object from standard input: that of journey.mjs, with "webtransport":
//   "missing" the page has none, "refused" the relay's certificate is not the one that it expects.
// Prints JSON lines: the steps of journey.mjs, and one with what was "shown" by the figures and the
// "sessions" that were asked for.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { addCamera, passTheGate, signIn, terminal } from './newcomer.mjs';

/** Pictures that move for this long have come by more than the start, milliseconds. */
const WATCHED_MS = 5000;

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await terminal(browser, errors);
    if (request.webtransport === 'missing') await page.addInitScript(() => { delete globalThis.WebTransport; });
    if (request.webtransport === 'refused') {
      await page.route('**/v1/server', async (route) => {
        const response = await route.fetch();
        const facts = { ...(await response.json()), webtransport_hashes: ['A'.repeat(43)] };
        await route.fulfill({ response, json: facts });
      });
    }
    const asked = [];
    page.on('request', (one) => asked.push(new URL(one.url()).pathname.split('/')[2]));
    await page.goto(request.page);
    await page.getByTestId('phone').waitFor();
    await signIn(page, request);
    await page.getByTestId('add-first').waitFor();
    await addCamera(page, request);
    await page.getByTestId(`watch-${request.serial}-0`).click();
    await passTheGate(page, request);
    await page.waitForTimeout(WATCHED_MS);
    const text = (name) => page.getByTestId(`stat-${name}`).textContent();
    show({
      shown: { fps: Number(await text('fps')), size: await text('size') },
      state: await page.getByTestId('live-state').getAttribute('data-state'),
      delayed: await page.getByTestId('stage').getAttribute('data-delayed'),
      sessions: asked.filter((name) => name?.endsWith('-sessions')),
    });
    // The browser says so when WebTransport fails, which is what this is about.
    const others = errors.filter((error) => request.webtransport !== 'refused' || !error.includes('Failed to establish a connection'));
    if (others.length) throw new Error(others.join('; '));
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
