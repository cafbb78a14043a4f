// Reads an FLV stream tag by tag as it arrives, without any player: what came, when, and with which timestamps.

/** Yields { kind: 'audio' | 'video' | 'script', time, size, key, header } for each tag of an HTTP-FLV response. */
export async function* tags(url, { signal } = {}) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  let buffer = Buffer.alloc(0);
  let started = false;
  for await (const chunk of response.body) {
    buffer = Buffer.concat([buffer, chunk]);
    let at = 0;
    if (!started) {
      if (buffer.length < 13) continue;
      if (buffer.toString('latin1', 0, 3) !== 'FLV') throw new Error('no FLV header');
      started = true;
      at = 13;
    }
    while (buffer.length >= at + 11) {
      const size = buffer.readUIntBE(at + 1, 3);
      if (buffer.length < at + 11 + size + 4) break;
      const kind = { 8: 'audio', 9: 'video', 18: 'script' }[buffer[at]];
      if (!kind) throw new Error(`tag type ${buffer[at]}`);
      const time = buffer.readUIntBE(at + 4, 3) | (buffer[at + 7] << 24);
      const body = buffer.subarray(at + 11, at + 11 + size);
      yield { kind, time: time >>> 0, size, key: kind === 'video' && body[0] >> 4 === 1, header: kind !== 'script' && body[1] === 0, body };
      at += 11 + size + 4;
    }
    buffer = buffer.subarray(at);
  }
}

/** Collects tags until `done(tags)` or the end of the stream. */
export async function collect(url, done) {
  const controller = new AbortController();
  const all = [];
  try {
    for await (const tag of tags(url, { signal: controller.signal })) {
      all.push(tag);
      if (done(all)) break;
    }
  } finally {
    controller.abort();
  }
  return all;
}
