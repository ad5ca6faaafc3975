// Reading a picture code with this terminal's camera, where the browser can do that by itself.

import { h } from './dom.js';

/** Pause between two looks at the picture, milliseconds. */
const PAUSE_MS = 150;

export const canScan = () => 'BarcodeDetector' in globalThis && Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * A button that opens the camera and a place for its picture; `found` gets the first text that
 * `wanted` accepts. `stop` ends it. Nothing of the picture is kept or leaves the page.
 */
export function scanner({ testid, wanted, found }) {
  const video = h('video', { class: 'scan', testid: `${testid}-video`, muted: true, playsinline: true, hidden: true });
  const button = h('button', { type: 'button', class: 'quiet', t: 'secret.scan', testid });
  let stream = null;
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    video.hidden = true;
    button.disabled = false;
  };
  const look = async (detector) => {
    const codes = await detector.detect(video).catch(() => []);
    if (!stream) return;
    const code = codes.find(({ rawValue }) => wanted(rawValue));
    if (!code) return void setTimeout(look, PAUSE_MS, detector);
    stop();
    found(code.rawValue);
  };
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    } catch {
      // Refused, or no camera: the secret can be typed.
      return stop();
    }
    video.hidden = false;
    video.srcObject = stream;
    await video.play().catch(() => {});
    look(new BarcodeDetector({ formats: ['qr_code'] }));
  });
  return { button, video, stop };
}
