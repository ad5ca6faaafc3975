// An owner and a guest at two browsers, against a real server and a sealed camera: the owner types
// the secret, the guest is introduced and let in, watches without the secret, and is removed.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "serial"}
// Prints JSON lines {"step", ...}; the last one is {"step": "done"}.

import { launch, show } from './browser.mjs';
import { Person, lines, request, waitFor } from './person.mjs';

/** What the list of viewers shows, in one look: rows come and go. */
const viewers = ({ page }) => page.evaluate(() => [...document.querySelectorAll('[data-testid=viewer]')].map((row) => ({
  name: row.querySelector('strong').textContent,
  current: row.dataset.current,
  until: row.querySelectorAll('p').length,
})));

async function ownersList(owner) {
  await owner.at('add-first').click();
  await owner.at('bind-serial').fill(request.bind_text);
  await owner.at('bind').locator('button[type=submit]').click();
  await owner.at(`device-${request.serial}`).waitFor();
  const secret = await waitFor('the secret', () => lines(request.secret_file)[0]);
  await owner.at(`viewers-${request.serial}`).click();
  await owner.at('secret').fill(secret);
  await owner.at('secret-dialog').locator('button[type=submit]').click();
  await owner.at('viewer').first().waitFor();
  show({ step: 'own terminal', viewers: await viewers(owner) });
}

async function introduction(owner, guest) {
  await guest.at('introduce').click();
  await guest.at('introduce-start').click();
  const code = await waitFor('a code', () => guest.at('introduction-code').textContent());
  await owner.at('add-viewer').click();
  await owner.at('guest-code').fill('AAAA');
  await owner.at('guest-submit').click();
  const refused = await waitFor('a refusal', () => owner.at('guest').locator('.error').textContent());
  await owner.at('guest-code').fill(code.toLowerCase());
  await owner.at('guest-name').fill('Kitchen tablet');
  await owner.at('guest-days').fill('7');
  await owner.at('guest-submit').click();
  const digits = await Promise.all([owner, guest].map((one) => one.at('digits').textContent()));
  show({ step: 'digits', code, digits, refused });
  await Promise.all([owner, guest].map((one) => one.at('compare-submit').click()));
  await waitFor('the outcome', async () => (await guest.attribute('introduction-state', 'data-state')) === 'done');
  await waitFor('a second row', async () => (await viewers(owner)).length === 2);
  show({ step: 'let in', viewers: await viewers(owner), told: await guest.at('introduction-state').textContent() });
}

async function removal(owner, guest) {
  await owner.page.locator('[data-testid=viewer][data-current=false] button').click();
  await waitFor('one row', async () => (await viewers(owner)).length === 1);
  await guest.at('secret').waitFor();
  show({ step: 'removed', viewers: await viewers(owner) });
  await owner.at('language').click();
  show({ step: 'chinese', title: await owner.page.locator('h1').textContent(), add: await owner.at('add-viewer').textContent() });
}

async function main() {
  const browser = await launch();
  try {
    const owner = await Person.arrive(browser, 'owner', request.phone);
    await ownersList(owner);
    const guest = await Person.arrive(browser, 'guest', request.phone);
    await introduction(owner, guest);
    show({ step: 'watching', state: await guest.watch(request.serial) });
    await removal(owner, guest);
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
