// A newcomer's way through the page in Chromium: sign in, add the camera, consent, prove the device
// key, confirm by SMS, watch. Reads one JSON object from standard input:
//   {"origin", "sms_file", "phone", "bind_text", "secret_file", "secret", "serial", "seconds"}
// (`secret` for an open device; `secret_file` for a camera that makes its secret when it is bound).
// Prints the lines of browser.mjs.

import { readFileSync } from 'node:fs';
import { launch, show } from './browser.mjs';

const LIMIT_MS = 20_000;

async function until(what, look) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const found = look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Codes sent so far for a purpose. */
function codes({ sms_file: file, phone }, purpose) {
  const lines = read(file).split('\n').map((line) => line.split('\t'));
  return lines.filter((f) => f[1] === phone && f[2] === purpose).map((f) => f[3]);
}

async function main() {
  const request = JSON.parse(readFileSync(0, 'utf8'));
  const browser = await launch();
  const errors = [];
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    page.on('pageerror', (error) => errors.push(String(error)));
    const at = (id) => page.getByTestId(id);
    await page.exposeFunction('show', show);
    await page.goto(`${request.origin}/`);

    await at('phone').fill(request.phone);
    await at('send-code').click();
    const code = await until('the login code', () => codes(request, 'login').at(-1));
    await at('login-code').fill(code);

    await at('add-first').click();
    await at('bind-serial').fill(request.bind_text);
    if (request.secret) {
      await at('bind-open').locator('summary').click();
      await at('bind-secret').fill(request.secret);
    }
    await at('bind').locator('button[type=submit]').click();
    await at(`watch-${request.serial}-0`).click();

    // The page asks for what is missing, in the server's order.
    const secret = () => request.secret ?? read(request.secret_file);
    const end = Date.now() + 3 * LIMIT_MS;
    let sent = codes(request, 'view').length;
    while (!(await page.evaluate(() => document.querySelector('video')?.videoWidth))) {
      if (Date.now() > end) throw new Error(`no picture: ${await at('live-state').textContent()}`);
      if (await at('secret').isVisible()) {
        await at('secret').fill(await until('the device secret', secret));
        await at('secret-dialog').locator('button[type=submit]').click();
        await at('secret').waitFor({ state: 'detached' });
      } else if (await at('sms-code').isVisible()) {
        const known = sent;
        const view = await until('the viewing code', () => codes(request, 'view').slice(known).at(-1) ?? codes(request, 'view').at(-1));
        sent = codes(request, 'view').length;
        await at('sms-code').fill(view);
        await at('sms-code').waitFor({ state: 'detached' });
      } else if (await at('consent-box').isVisible()) {
        await at('consent-box').check();
        await at('consent').locator('button[type=submit]').click();
        await at('consent-box').waitFor({ state: 'detached' });
      }
      await page.waitForTimeout(100);
    }
    show({ state: 'playing' });
    await page.evaluate(readVideo, request.seconds);
    if (errors.length) throw new Error(errors.join('; '));
  } finally {
    await browser.close();
  }
}

/** Inside the page: reads the strip of the frames that the page's own video element plays. */
async function readVideo(seconds) {
  const video = document.querySelector('video');
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const columns = Math.floor(canvas.width / 16);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    context.drawImage(video, 0, 0);
    const rows = Math.ceil(128 / columns) * 16;
    const { data } = context.getImageData(0, 0, canvas.width, rows);
    const bytes = new Uint8Array(16);
    for (let bit = 0; bit < 128; bit += 1) {
      const x = (bit % columns) * 16 + 8;
      const y = Math.floor(bit / columns) * 16 + 8;
      const white = data[(y * canvas.width + x) * 4 + 1] >= 128;
      bytes[bit >> 3] = (bytes[bit >> 3] << 1) | white;
    }
    let crc = 0xffff;
    for (const byte of bytes.subarray(0, 14)) {
      crc ^= byte << 8;
      for (let i = 0; i < 8; i += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    const view = new DataView(bytes.buffer);
    const good = bytes[0] === 0xb2 && view.getUint16(14) === crc;
    const clock = view.getUint8(9) * 2 ** 32 + view.getUint32(10);
    window.show(good
      ? { n: view.getUint32(5), clock, serial_crc: view.getUint32(1), t: Date.now() }
      : { bad: 1 });
  }
}

main().catch((error) => {
  show({ error: String(error) });
  process.exitCode = 1;
});
