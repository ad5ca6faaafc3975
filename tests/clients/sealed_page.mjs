// Runs the page's modules for sealed video in Chromium, under the page's policy.
//
// Reads one JSON object from standard input:
//   {"policy", "visits": [[operation, ...], ...]}
// Each visit is a fresh page of the same browser profile. Prints a JSON line per visit
// {"outcomes"}; the operations are those of in_sealed.mjs.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { servePage } from './page_files.mjs';

async function visit(context, origin, operations) {
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`page: ${error}\n`));
  page.on('console', (message) => process.stderr.write(`page: ${message.text()}\n`));
  await page.goto(`${origin}/`);
  const work = async (asked) => (await import('/tests/in_sealed.mjs')).run(asked);
  show({ outcomes: await page.evaluate(work, operations) });
  await page.close();
}

async function main() {
  const { policy, visits } = JSON.parse(readFileSync(0, 'utf8'));
  const files = await servePage(policy);
  const browser = await launch();
  try {
    const context = await browser.newContext();
    for (const operations of visits) await visit(context, files.origin, operations);
  } finally {
    await browser.close();
    files.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
