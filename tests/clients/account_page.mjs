// One person at the account view, against a real server: looks around, signs in, fills in a profile
// with a picture, reads and exports the log, withdraws everything and comes back.
//
// Reads one JSON object from standard input: {"page", "sms_file", "phone"}
// Prints JSON lines {"step", ...}; the last one is {"step": "done"}.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { agree } from './newcomer.mjs';
import { LIMIT_MS, request, sent, waitFor } from './person.mjs';

/** A picture as a camera might make it; what the page sends of it is its own. */
const picture = (page) => page.evaluate(async () => {
  const canvas = new OffscreenCanvas(300, 200);
  const context = canvas.getContext('2d');
  context.fillStyle = '#2468ac';
  context.fillRect(0, 0, 300, 200);
  const blob = await canvas.convertToBlob({ type: 'image/png' });
  return [...new Uint8Array(await blob.arrayBuffer())];
});

const actions = (page) => page.evaluate(() =>
  [...document.querySelectorAll('[data-testid=operations] [data-action]')].map((row) => row.dataset.action));

async function journey(page) {
  const at = (id) => page.getByTestId(id);
  const goTo = (hash) => page.evaluate((to) => { location.hash = to; }, hash);
  await page.goto(request.page);
  await at('browse-link').click();
  const purposes = await waitFor('purposes', () => at('browse-purposes').locator('details').count());
  show({ step: 'browse', purposes });
  await at('browse-sign-in').click();
  await at('phone').fill(request.phone);
  await at('send-code').click();
  await at('login-code').fill(await waitFor('a login code', () => sent()[0]));
  await agree(page);
  await at('devices').waitFor();

  await goTo('#/account');
  await at('profile-agree').click();
  await at('nickname').fill('Anna');
  await at('region').fill('cn-31');
  await at('scenario').selectOption('shop');
  await at('profile-save').click();
  await at('toast').first().waitFor();
  await at('avatar-file').setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer: Buffer.from(await picture(page)) });
  const avatar = await waitFor('the picture', () => at('avatar').getAttribute('src', { timeout: 500 }).catch(() => null));
  show({ step: 'profile', nickname: await at('nickname').inputValue(), scenario: await at('scenario').inputValue(), avatar });

  await page.reload();
  await waitFor('the log', async () => (await actions(page)).includes('avatar.stored'));
  const all = await actions(page);
  await at('operations-action').selectOption('session');
  await waitFor('the filter', async () => (await actions(page)).length === 1);
  const filtered = await actions(page);
  await at('operations-action').selectOption('');
  const [file] = await Promise.all([page.waitForEvent('download'), at('export-csv').click()]);
  const exported = readFileSync(await file.path(), 'utf8');
  show({ step: 'log', actions: all, filtered, exported });

  const text = (id) => at(id).textContent();
  await at('policy-profile').waitFor();
  show({
    step: 'policies', own: await text('policy-profile'), general: await text('policy-media.view'),
    given: await at('consents').locator('li', { has: at('withdraw-profile') }).textContent(),
  });

  await at('basic-withdraw').click();
  await at('basic-confirm-submit').click();
  await at('basic').waitFor();
  show({ step: 'basic', title: await page.locator('h1').textContent(), nav: await at('terminals').count() });
  await at('basic-restore').click();
  await at('profile-agree').waitFor();
  show({ step: 'restored', nickname: (await at('nickname').count()) ? await at('nickname').inputValue() : null });
  await at('language').click();
  await at('policy-profile').waitFor();
  show({ step: 'chinese', title: await page.locator('h1').textContent(), policy: await at('policy-profile').textContent() });
}

async function main() {
  const browser = await launch();
  try {
    const context = await browser.newContext({ locale: 'en-GB', acceptDownloads: true });
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    page.on('pageerror', (error) => show({ step: 'page-error', text: String(error) }));
    await journey(page);
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
