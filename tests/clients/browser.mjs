// Watches in Chromium by WHEP and reads the painted strip of every decoded picture.
//
// Reads one JSON object from standard input:
//   {"origin", "path": "/v1/whep/SERIAL/0", "grant", "proof" (DPoP), "seconds"}
// Prints a JSON line per picture {"n", "clock", "serial_crc", "t"}, {"bad"} for pictures without a
// strip, and at the end {"audio_samples", "hertz", "rms"} and {"stats"}. Needs playwright-core under
// SIGHTLINE_NODE_MODULES and /usr/bin/chromium.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { watchInPage } from './in_page.mjs';

const modules = process.env.SIGHTLINE_NODE_MODULES ?? join(process.cwd(), 'target/npm/node_modules');
const { chromium } = createRequire(join(modules, 'index.js'))('playwright-core');

export const show = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

export async function launch(options = {}) {
  return chromium.launch({
    executablePath: process.env.SIGHTLINE_CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-features=Translate',
      ...(options.camera ? ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'] : []),
      ...(options.autoplay === false ? [] : ['--autoplay-policy=no-user-gesture-required']),
    ],
  });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => process.stderr.write(`page: ${error}\n`));
    await page.exposeFunction('show', show);
    await page.goto(`${request.origin}/`);
    await page.evaluate(watchInPage, request);
  } finally {
    await browser.close();
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  main().catch((error) => {
    show({ error: String(error) });
    process.exitCode = 1;
  });
}
