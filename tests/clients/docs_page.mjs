// Reads the API's description on the page /docs in Chromium, as a person does.
//
// Reads {"origin"} from standard input. Prints a JSON line per step: "shown" (operations, groups), "opened" (what
// one operation says when it is opened by the keyboard), "chinese" (its words after the switch), "found" (what the
// search leaves), and at the end "errors": everything that the page complained about.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';

async function main() {
  const { origin } = JSON.parse(readFileSync(0, 'utf8'));
  const errors = [];
  const browser = await launch();
  try {
    const page = await browser.newPage({ locale: 'en-GB' });
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(`${origin}/docs`);
    await page.getByTestId('operation').first().waitFor();
    show({
      step: 'shown',
      operations: await page.getByTestId('operation').count(),
      groups: await page.locator('#groups a').count(),
      unnamed: await page.locator('input:not([id]), button:empty').count(),
    });
    const unbind = page.locator('#delete_bindings_serial');
    await unbind.locator('summary').focus();
    await page.keyboard.press('Enter');
    await unbind.getByText('device-not-bound').waitFor();
    show({ step: 'opened', text: await unbind.innerText() });
    await page.locator('#language').click();
    show({ step: 'chinese', text: await unbind.innerText(), lang: await page.locator('html').getAttribute('lang') });
    await page.getByRole('searchbox').fill('whep-sessions');
    const left = page.getByTestId('operation').and(page.locator(':visible'));
    show({ step: 'found', operations: await left.count(), first: await left.first().innerText() });
    show({ step: 'errors', errors });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ step: 'failed', error: String(error) });
  process.exitCode = 1;
});
