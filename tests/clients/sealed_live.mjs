// Measures the page's view of a sealed camera in Chromium: first pictures after the gate, then every
// picture and the sound for some time.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "serial", "seconds", "starts"}
// Prints {"first": {"granted", "painted", "n"}} for each of `starts` starts, then {"measured": ...}
// as in_sealed_live.mjs says with `paints` [capture in microseconds, time] of the worker, and
// {"step": "done"}.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { firstPicture, measure, noteGrants, notePaints, noteSound } from './in_sealed_live.mjs';
import { addCamera, pageOf, passTheGate, signIn, terminal } from './newcomer.mjs';

const PROCESSOR = new URL('./note_sound_worklet.js', import.meta.url);
/** Until a view has found its pace, milliseconds. */
const SETTLE_MS = 3000;

/** From the gate to the first picture: once with everything that a gate asks for, then again. */
async function starts(page, request) {
  const at = (id) => page.getByTestId(id);
  for (let count = 0; count < request.starts; count += 1) {
    const seen = page.evaluate(firstPicture);
    if (count === 0) await at(`watch-${request.serial}-0`).click();
    else await at('start').click();
    if (count === 0) await passTheGate(page, request);
    show({ first: await seen });
    await page.waitForTimeout(1000);
    await at('stop').click();
    await at('start').waitFor();
  }
}

/** A page of the same terminal that watches and hears all the time. */
async function steady(context, request, errors) {
  const page = await pageOf(context, errors);
  await page.addInitScript(noteSound, readFileSync(PROCESSOR, 'utf8'));
  const started = page.waitForEvent('worker');
  await page.goto(`${request.page}#/live/${request.serial}/0`);
  const worker = await started;
  await worker.evaluate(notePaints);
  await passTheGate(page, request);
  await page.getByTestId('sound').click();
  await page.waitForTimeout(SETTLE_MS);
  const measured = await page.evaluate(measure, request.seconds);
  const paints = await worker.evaluate(() => self.paints);
  show({ measured: { ...measured, paints } });
  await page.close();
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    // The page's policy keeps the test's processor out, too; journey.mjs runs under it.
    const page = await terminal(browser, errors, { bypassCSP: true });
    await page.addInitScript(noteGrants);
    await signIn(page, request);
    await page.getByTestId('add-first').waitFor();
    await addCamera(page, request);
    await starts(page, request);
    await page.goto('about:blank');
    await steady(page.context(), request, errors);
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
