// Watches a sealed camera until another one stands in its place, and says what the page makes of it.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "serial", "watching", "changed"}
// Makes the file `watching` at the first picture, and goes on when the test has made `changed`. Prints
// {"running"} for the view that ran all the time and {"beginning"} for one that begins afterwards, each
// with {"state", "problem", "english", "chinese", "readable", "asked"}.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { until, watching } from './newcomer.mjs';

/** What a view shows in the end. */
async function outcome(page) {
  const at = (id) => page.getByTestId(id);
  const state = () => at('live-state').getAttribute('data-state');
  await until('the end of the view', async () => {
    if (await at('secret').isVisible()) throw new Error('the page asks for the secret');
    return (await state()) === 'failed';
  });
  const english = await at('live-detail').textContent();
  await at('language').click();
  const chinese = await at('live-detail').textContent();
  await at('language').click();
  return {
    state: await state(),
    problem: await at('live-state').getAttribute('data-problem'),
    english,
    chinese,
    readable: await page.evaluate(() => Boolean(window.eye.read(window.eye.element()))),
    asked: await at('secret').count(),
  };
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await watching(browser, errors, request);
    writeFileSync(request.watching, '');
    await until('the other camera', () => existsSync(request.changed));
    show({ running: await outcome(page) });
    await page.reload();
    show({ beginning: await outcome(page) });
    if (errors.length) throw new Error(errors.join('; '));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
