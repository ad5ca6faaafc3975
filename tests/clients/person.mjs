// What the page's tests share: a person at a browser of their own, who reads the codes that the
// development sender writes, and answers what the page asks for.
//
// The request, one JSON object from standard input, has at least {"page", "sms_file"}.

import { readFileSync } from 'node:fs';
import { show } from './browser.mjs';
import { agree } from './newcomer.mjs';

/** Longest wait for one thing, on a busy machine. */
export const LIMIT_MS = 30_000;
/** One message per number in two seconds. */
const SMS_PAUSE_MS = 2100;

export const request = JSON.parse(readFileSync(0, 'utf8'));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function waitFor(what, look) {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end; await pause(40)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`waited for ${what}`);
}

/** A file that may not be there yet, as lines. */
export function lines(path) {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Codes in the development sender's file, oldest first; each message ends with `@host #code`. */
export const sent = () =>
  lines(request.sms_file).filter((line) => line.startsWith('@')).map((line) => line.split('#')[1].trim());

export class Person {
  /** Signs in with a code. */
  static async arrive(browser, name, phone) {
    const person = new Person();
    const context = await browser.newContext({ locale: 'en-GB' });
    person.page = await context.newPage();
    person.page.setDefaultTimeout(LIMIT_MS);
    person.page.on('pageerror', (error) => show({ step: 'page-error', name, text: String(error) }));
    const before = sent().length;
    await person.page.goto(request.page);
    await person.at('phone').fill(phone);
    await person.at('send-code').click();
    await person.at('login-code').fill(await waitFor('a login code', () => sent()[before]));
    await agree(person.page);
    await person.at('devices').waitFor();
    await pause(SMS_PAUSE_MS);
    return person;
  }

  at(id) {
    return this.page.getByTestId(id);
  }

  /** Submits the form of this name. */
  submit(id) {
    return this.at(`${id}-submit`).click();
  }

  goTo(hash) {
    return this.page.evaluate((to) => {
      location.hash = to;
    }, hash);
  }

  attribute(id, name) {
    return this.at(id).getAttribute(name, { timeout: 1000 }).catch(() => null);
  }

  /** Answers what the page asks for, until it plays, gives up, or asks for the secret. */
  async watch(serial) {
    await this.goTo(`#/live/${serial}/0`);
    let before = sent().length;
    return waitFor('a picture', async () => {
      if (await this.at('secret').isVisible()) return 'secret';
      if (await this.at('sms-code').isVisible()) {
        await this.at('sms-code').fill(await waitFor('a viewing code', () => sent()[before]));
        before += 1;
        await this.at('sms-code').waitFor({ state: 'detached' });
      } else if (await this.at('consent-box').isVisible()) {
        await this.at('consent-box').check();
        await this.submit('consent');
        await this.at('consent-box').waitFor({ state: 'detached' });
      }
      const state = await this.attribute('live-state', 'data-state');
      return ['playing', 'failed'].includes(state) ? state : null;
    });
  }
}
