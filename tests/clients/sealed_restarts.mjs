// Watches a sealed camera that is started again and again, each time under a new generation.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "serial", "generations", "seen", "started"}
// Writes the number of the generation of which it has a picture, from 1, to the file `seen`, and then
// waits until the test has written the next one to `started`. After the last one the page is loaded
// anew and has to show a picture again; {"step": "done"} says that it did.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { LIMIT_MS, until, watching } from './newcomer.mjs';

/** In the page: whether a picture is shown that was painted after a moment, within a limit. */
async function isShown({ since, limit }) {
  const { eye } = window;
  const end = performance.now() + limit;
  while (performance.now() < end) {
    await eye.next(null);
    const found = eye.read(eye.element());
    if (found && found.clock >= since % 2 ** 40) return true;
  }
  return false;
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await watching(browser, errors, request);
    const shown = async (what) => {
      const now = { since: Date.now(), limit: LIMIT_MS };
      if (!(await page.evaluate(isShown, now))) throw new Error(`no picture of ${what}`);
    };
    for (let generation = 1; generation <= request.generations; generation += 1) {
      const started = () => existsSync(request.started) && readFileSync(request.started, 'utf8') === String(generation);
      if (generation > 1) await until(`start ${generation}`, started);
      await shown(`generation ${generation}`);
      writeFileSync(`${request.seen}.new`, String(generation));
      renameSync(`${request.seen}.new`, request.seen);
    }
    await page.reload();
    await shown('the page that was loaded anew');
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
