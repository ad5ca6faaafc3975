// Reading a picture code with this terminal's camera, where the browser can do that by itself.

import { h, hush, say } from './dom.js';

/** Pause between two looks at the picture, milliseconds. */
const PAUSE_MS = 150;

export const canScan = () => 'BarcodeDetector' in globalThis && Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * A button that opens the camera, a place for its picture, and a line for what hinders it; `found` gets the
 * first text that `wanted` accepts. `stop` ends it for good. Nothing of the picture is kept or leaves the page.
 */
export function scanner({ testid, wanted, found }) {
  const video = h('video', { class: 'scan', testid: `${testid}-video`, muted: true, playsinline: true, hidden: true });
  const button = h('button', { type: 'button', class: 'quiet', t: 'secret.scan', testid });
  const line = h('p', { class: 'hint', role: 'status', testid: `${testid}-line` });
  let stream = null;
  // The dialog is closed; the browser may still be asking whether the camera may be used.
  let over = false;
  const rest = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    video.hidden = true;
    button.disabled = false;
  };
  const stop = () => {
    over = true;
    rest();
  };
  const look = async (detector) => {
    const codes = await detector.detect(video).catch(() => []);
    if (!stream) return;
    const code = codes.find(({ rawValue }) => wanted(rawValue));
    if (!code) return void setTimeout(look, PAUSE_MS, detector);
    rest();
    found(code.rawValue);
  };
  button.addEventListener('click', async () => {
    button.disabled = true;
    hush(line);
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    } catch {
      // Refused, or no camera: it can be typed.
      say(line, 'scan.refused');
      return rest();
    }
    if (over) return rest();
    video.hidden = false;
    video.srcObject = stream;
    await video.play().catch(() => {});
    if (!over) look(new BarcodeDetector({ formats: ['qr_code'] }));
  });
  return { button, line, video, stop };
}
