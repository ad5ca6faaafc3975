// Two terminals of one person in Chromium, on a server that asks everybody for work before an SMS and
// has a development carrier: the first signs in by a code, which its page solves a puzzle for; the
// second by the line of the phone, by one click. The first is told of the second.
// Reads one JSON object from standard input: {"page", "sms_file", "phone"}. Prints JSON lines.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';
import { signIn, terminal } from './newcomer.mjs';

async function byCode(page, request) {
  const wishes = [];
  page.on('request', (sent) => {
    if (sent.url().endsWith('/v1/otp')) wishes.push('sightline-work' in sent.headers());
  });
  await signIn(page, request);
  await page.getByTestId('add-first').waitFor();
  show({ step: 'signed in by code', wishes });
}

async function byLine(page, request) {
  await page.goto(request.page);
  const button = page.getByTestId('carrier');
  await button.waitFor();
  show({ step: 'carrier', text: await button.textContent(), hint: await page.getByTestId('carrier-hint').textContent() });
  await button.focus();
  await page.keyboard.press('Enter');
  const field = page.locator('input[name=number]');
  await field.waitFor();
  show({ step: 'at the carrier', title: await page.title() });
  await field.fill(request.phone);
  await page.keyboard.press('Enter');
  await page.getByTestId('add-first').waitFor();
  show({ step: 'signed in by line', address: new URL(page.url()).search });
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  const errors = [];
  try {
    const first = await terminal(browser, errors);
    await byCode(first, request);
    const second = await terminal(browser, errors);
    await byLine(second, request);
    await first.goto(`${request.page}#/account`);
    const alert = first.getByTestId('alert');
    await alert.first().waitFor();
    const english = await alert.first().textContent();
    await first.getByTestId('language').click();
    show({ step: 'told', english, chinese: await alert.first().textContent() });
    // A code of the carrier that did not come from this browser's own visit is not even sent on.
    const third = await terminal(browser, errors);
    await third.goto(`${request.page}?code=0123456789abcdef&state=forged`);
    await third.getByTestId('phone').waitFor();
    show({ step: 'forged', address: new URL(third.url()).search });
  } finally {
    for (const error of errors) show({ step: 'page-error', error });
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
