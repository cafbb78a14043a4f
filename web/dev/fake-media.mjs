// Runs in a browser page: takes WHIP offers, answers WHEP offers with what was published. Driven by trial.mjs.
const published = new Map();
const connections = new Map();

async function answer(connection, offer, addTracks) {
  await connection.setRemoteDescription({ type: 'offer', sdp: offer });
  addTracks?.();
  await connection.setLocalDescription();
  if (connection.iceGatheringState !== 'complete') {
    await new Promise((resolve) => {
      connection.addEventListener('icegatheringstatechange', () => {
        if (connection.iceGatheringState === 'complete') resolve();
      });
    });
  }
  return connection.localDescription.sdp;
}

window.whip = async (id, key, offer) => {
  const connection = new RTCPeerConnection();
  const stream = new MediaStream();
  connection.addEventListener('track', ({ track }) => stream.addTrack(track));
  connections.set(id, { connection, key });
  const sdp = await answer(connection, offer);
  published.set(key, { stream, id });
  return sdp;
};

window.whep = async (id, key, offer) => {
  const source = published.get(key);
  if (!source) return null;
  const connection = new RTCPeerConnection();
  connections.set(id, { connection });
  return answer(connection, offer, () => {
    for (const track of source.stream.getTracks()) connection.addTrack(track, source.stream);
  });
};

window.remove = (id) => {
  const found = connections.get(id);
  if (!found) return;
  found.connection.close();
  connections.delete(id);
  if (found.key && published.get(found.key)?.id === id) published.delete(found.key);
};

window.restart = () => {
  for (const { connection } of connections.values()) connection.close();
  connections.clear();
  for (const key of [...published.keys()]) if (published.get(key).id !== 'demo') published.delete(key);
};

/** No more packets to those who watch now, and no goodbye. */
window.silence = () => {
  for (const { connection } of connections.values()) {
    for (const sender of connection.getSenders()) sender.replaceTrack(null);
  }
};

window.keys = () => [...published.keys()];

const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
const pen = canvas.getContext('2d');
setInterval(() => {
  const hue = (performance.now() / 30) % 360;
  pen.fillStyle = `hsl(${hue} 50% 35%)`;
  pen.fillRect(0, 0, 640, 360);
  pen.fillStyle = '#fff';
  pen.font = '600 64px monospace';
  pen.fillText(new Date().toISOString().slice(11, 23), 90, 200);
}, 40);
published.set('live/demo', { stream: canvas.captureStream(25), id: 'demo' });
