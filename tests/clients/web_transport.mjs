// Watches in Chromium by WebTransport, decodes with WebCodecs and reads the painted strip of every
// picture.
//
// Reads one JSON object from standard input:
//   {"origin", "url", "hashes" (base64url), "tracks", "seconds"}
// Prints the lines of browser.mjs.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { watchStreams } from './in_streams.mjs';

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  try {
    // The server's own page connects to its own origin only; this script is not part of it.
    const page = await browser.newPage({ bypassCSP: true });
    page.on('pageerror', (error) => process.stderr.write(`page: ${error}\n`));
    await page.exposeFunction('show', show);
    await page.goto(`${request.origin}/`);
    await page.evaluate(watchStreams, request);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
