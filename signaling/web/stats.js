// Figures of a running picture, from two readings of RTCPeerConnection.getStats().

/** The parts that matter of one reading. `reports` is iterable over report objects. */
export function read(reports) {
  const all = new Map();
  for (const report of reports) all.set(report.id, report);
  const reading = { at: 0, bytes: 0, lost: 0, received: 0 };
  for (const report of all.values()) {
    if (report.type === 'inbound-rtp') inbound(reading, report, all);
    if (report.type === 'candidate-pair' && report.nominated && report.state === 'succeeded') {
      reading.rtt = report.currentRoundTripTime;
    }
  }
  return reading;
}

function inbound(reading, report, all) {
  const codec = all.get(report.codecId)?.mimeType?.split('/')[1];
  reading.at = Math.max(reading.at, report.timestamp);
  reading.bytes += report.bytesReceived ?? 0;
  reading.lost += Math.max(0, report.packetsLost ?? 0);
  reading.received += report.packetsReceived ?? 0;
  if (report.kind === 'audio') {
    if (report.packetsReceived) reading.audioCodec = codec;
    return;
  }
  Object.assign(reading, {
    codec,
    fps: report.framesPerSecond,
    frames: report.framesDecoded ?? 0,
    width: report.frameWidth,
    height: report.frameHeight,
    jitter: report.jitter,
    freezes: report.freezeCount,
    bufferDelay: report.jitterBufferDelay,
    buffered: report.jitterBufferEmittedCount,
  });
}

/** Figures for people: what happened between two readings. */
export function figures(before, now) {
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  const rate = seconds > 0 ? ((now.bytes - before.bytes) * 8) / seconds / 1000 : undefined;
  const buffered = before ? now.buffered - before.buffered : 0;
  const buffer = buffered > 0 ? (now.bufferDelay - before.bufferDelay) / buffered : undefined;
  const sent = now.received + now.lost;
  return {
    kbps: rate === undefined ? undefined : Math.max(0, rate),
    fps: now.fps,
    lost: now.lost,
    lossShare: sent > 0 ? now.lost / sent : 0,
    jitterMs: ms(now.jitter),
    rttMs: ms(now.rtt),
    bufferMs: ms(buffer),
    codec: [now.codec, now.audioCodec].filter(Boolean).join(' + '),
    size: now.width ? `${now.width} × ${now.height}` : undefined,
    freezes: now.freezes,
    moving: now.moving ?? (!before || now.bytes > before.bytes),
  };
}

const ms = (seconds) => (seconds === undefined ? undefined : seconds * 1000);
