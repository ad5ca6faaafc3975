// A newcomer's way through the page in Chromium: sign in, add the camera, prove the device key,
// confirm by SMS, consent, watch, listen, switch to Chinese, and be signed out from elsewhere.
// Reads one JSON object from standard input:
//   {"page", "sms_file", "phone", "bind_text", "secret_file", "wrong_secret", "serial", "seconds", "shots"}
// (`wrong_secret`: tried first, or null; `shots`: a folder for screenshots, or null). Prints JSON
// lines: {"step"} per step, a line per picture as browser.mjs does, {"audio_samples", "hertz",
// "rms"}, {"texts"}, {"signed_out"}.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, show } from './browser.mjs';
import { listen, readVideo, watchForTheEnd } from './in_video.mjs';
import { PHONE_SIZE, addCamera, passTheGate, signIn, terminal } from './newcomer.mjs';

/** Texts of the page in the other language, without a reload. */
async function inChinese(page, shot) {
  const at = (id) => page.getByTestId(id);
  await at('padlock').locator('summary').click();
  const protection = async () => ({
    mode: await at('padlock').getAttribute('data-mode'),
    label: await at('padlock').locator('summary').textContent(),
    lines: await at('padlock-text').locator('li').allTextContents(),
  });
  const english = await protection();
  await at('language').click();
  show({ padlock: { english, chinese: await protection() } });
  await at('padlock').locator('summary').click();
  const texts = {
    devices: await at('nav-devices').textContent(),
    state: await at('live-state').textContent(),
    figures: await page.locator('.figures h2').textContent(),
    lang: await page.locator('html').getAttribute('lang'),
  };
  show({ texts });
  await shot('live-zh');
  await at('language').click();
}

/** Signs the watching terminal out from a second one and sees what becomes of its picture. */
async function signedOutElsewhere(page, browser, request, errors, shot) {
  const second = await terminal(browser, errors, { viewport: PHONE_SIZE });
  // One message per number in two seconds.
  await page.waitForTimeout(2000);
  await signIn(second, request);
  await second.getByTestId('devices').waitFor();
  await second.goto(`${request.page}#/account`);
  const list = second.getByTestId('terminals').locator('li');
  await list.nth(1).waitFor();
  const others = second.getByTestId('terminals').locator('li[data-current="false"]');
  show({ step: 'terminals', count: await list.count(), others: await others.count() });
  await shot('account-phone', second);
  const watched = page.evaluate(watchForTheEnd);
  const at = Date.now();
  await others.first().getByRole('button').click();
  const { last_frame: last, told } = await watched;
  show({ signed_out: { stopped_after_ms: Math.max(0, last - at), told_after_ms: told ? told - at : null } });
  await page.getByTestId('phone').waitFor();
  show({ step: 'told', text: await page.getByTestId('signed-out').textContent() });
  await shot('signed-out');
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch({ autoplay: false });
  const errors = [];
  try {
    const page = await terminal(browser, errors);
    let count = 0;
    const shot = async (name, of = page) => {
      if (!request.shots) return;
      count += 1;
      await of.screenshot({ path: join(request.shots, `${String(count).padStart(2, '0')}-${name}.png`) });
    };
    await page.exposeFunction('show', show);
    await page.goto(request.page);
    await page.getByTestId('phone').waitFor();
    await shot('signin');
    await signIn(page, request);
    await page.getByTestId('add-first').waitFor();
    show({ step: 'registered' });
    await shot('empty');
    await addCamera(page, request, shot);
    await page.getByTestId(`watch-${request.serial}-0`).click();
    await passTheGate(page, request, shot);
    await page.evaluate(readVideo, request.seconds);
    await shot('live');
    await page.getByTestId('sound').click();
    show(await page.evaluate(listen, 2));
    await inChinese(page, shot);
    if (request.shots) await gallery(page, shot);
    await signedOutElsewhere(page, browser, request, errors, shot);
    if (errors.length) throw new Error(errors.join('; '));
    show({ step: 'done' });
  } finally {
    await browser.close();
  }
}

/** More pictures for people who judge the looks. */
async function gallery(page, shot) {
  await page.getByTestId('theme').click();
  await shot('live-other-theme');
  await page.setViewportSize(PHONE_SIZE);
  await shot('live-phone-other-theme');
  await page.getByTestId('theme').click();
  await shot('live-phone');
  await page.setViewportSize({ width: 1280, height: 800 });
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
