// An owner and a guest at two browsers, against a real server and a sealed camera: the owner types
// the secret, the guest is introduced and let in, watches without the secret, and is removed.
//
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "serial"}
// Prints JSON lines {"step", ...}; the last one is {"step": "done"}.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';

const LIMIT_MS = 30_000;
/** One message per number in two seconds. */
const SMS_PAUSE_MS = 2100;

const request = JSON.parse(readFileSync(0, 'utf8'));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function waitFor(what, look) {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end; await pause(40)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`waited for ${what}`);
}

/** A file that may not be there yet, as lines. */
function lines(path) {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Codes in the development sender's file, oldest first; each message ends with `@host #code`. */
const sent = () => lines(request.sms_file).filter((line) => line.startsWith('@')).map((line) => line.split('#')[1].trim());

/** A person at a browser of their own. */
class Person {
  static async arrive(browser, name) {
    const person = new Person();
    const context = await browser.newContext({ locale: 'en-GB' });
    person.page = await context.newPage();
    person.page.setDefaultTimeout(LIMIT_MS);
    person.page.on('pageerror', (error) => show({ step: 'page-error', name, text: String(error) }));
    const before = sent().length;
    await person.page.goto(request.page);
    await person.at('phone').fill(request.phone);
    await person.at('send-code').click();
    await person.at('login-code').fill(await waitFor('a login code', () => sent()[before]));
    await person.at('devices').waitFor();
    await pause(SMS_PAUSE_MS);
    return person;
  }

  at(id) {
    return this.page.getByTestId(id);
  }

  goTo(hash) {
    return this.page.evaluate((to) => {
      location.hash = to;
    }, hash);
  }

  attribute(id, name) {
    return this.at(id).getAttribute(name, { timeout: 1000 }).catch(() => null);
  }

  /** Answers what the page asks for, until it plays or asks for the secret. */
  async watch() {
    await this.goTo(`#/live/${request.serial}/0`);
    let before = sent().length;
    return waitFor('a picture', async () => {
      if (await this.at('secret').isVisible()) return 'secret';
      if (await this.at('sms-code').isVisible()) {
        await this.at('sms-code').fill(await waitFor('a viewing code', () => sent()[before]));
        before += 1;
        await this.at('sms-code').waitFor({ state: 'detached' });
      } else if (await this.at('consent-box').isVisible()) {
        await this.at('consent-box').check();
        await this.at('consent').locator('button[type=submit]').click();
        await this.at('consent-box').waitFor({ state: 'detached' });
      }
      const state = await this.attribute('live-state', 'data-state');
      return ['playing', 'failed'].includes(state) ? state : null;
    });
  }

  /** What the list of viewers shows, in one look: rows come and go. */
  viewers() {
    return this.page.evaluate(() => [...document.querySelectorAll('[data-testid=viewer]')].map((row) => ({
      name: row.querySelector('strong').textContent,
      current: row.dataset.current,
      until: row.querySelectorAll('p').length,
    })));
  }
}

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
  show({ step: 'own terminal', viewers: await owner.viewers() });
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
  await waitFor('a second row', async () => (await owner.viewers()).length === 2);
  show({ step: 'let in', viewers: await owner.viewers(), told: await guest.at('introduction-state').textContent() });
}

async function removal(owner, guest) {
  await owner.page.locator('[data-testid=viewer][data-current=false] button').click();
  await waitFor('one row', async () => (await owner.viewers()).length === 1);
  await guest.at('secret').waitFor();
  show({ step: 'removed', viewers: await owner.viewers() });
  await owner.at('language').click();
  show({ step: 'chinese', title: await owner.page.locator('h1').textContent(), add: await owner.at('add-viewer').textContent() });
}

async function main() {
  const browser = await launch();
  try {
    const owner = await Person.arrive(browser, 'owner');
    await ownersList(owner);
    const guest = await Person.arrive(browser, 'guest');
    await introduction(owner, guest);
    show({ step: 'watching', state: await guest.watch() });
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
