import type MpegtsTypes from 'mpegts.js';
import { Buffered, codecName } from './buffered.js';
import { LiveError } from './errors.js';
import { flvLoader } from './flv-loader.js';
import { deferred, type Session, type SessionInput } from './session.js';

/** Plays HTTP-FLV (and WebSocket-FLV) through Media Source Extensions. The demuxer is loaded when the first such stream is played. */
export async function playFlv(input: SessionInput): Promise<Session> {
  const { default: mpegts } = await import('mpegts.js');
  if (input.signal.aborted) throw new LiveError('aborted', 'The call was cancelled.');
  if (!mpegts.getFeatureList().mseLivePlayback) {
    throw new LiveError('not-supported', 'This browser cannot play live FLV. Use the WebRTC or HLS address.');
  }
  mpegts.LoggingControl.enableAll = false;
  const lost = deferred<LiveError>();
  let bytes = 0;
  const customLoader = flvLoader({
    token: input.token,
    onAccepted: () => input.onConnected(),
    onBytes: (count) => {
      bytes += count;
    },
    onOver: lost.resolve,
  });
  const player = mpegts.createPlayer(
    { type: 'flv', isLive: true, url: input.endpoint },
    { ...CONFIG, customLoader },
  );
  const { Events } = mpegts;
  player.on(Events.ERROR, (type: string, detail: string, problem: { msg?: string }) => {
    lost.resolve(explain(mpegts.ErrorTypes, type, `${detail}: ${problem?.msg ?? ''}`));
  });
  player.on(Events.LOADING_COMPLETE, () => {
    lost.resolve(new LiveError('disconnected', 'The server ended the stream.'));
  });
  input.video.srcObject = null;
  player.attachMediaElement(input.video);
  player.load();
  input.startElement();
  const codecs = () => {
    const known = player.mediaInfo as MpegtsTypes.MSEPlayerMediaInfo;
    return { video: codecName(known?.videoCodec), audio: codecName(known?.audioCodec) };
  };
  const source = { protocol: 'flv' as const, bytes: () => bytes, codecs, silenceMsMax: SILENCE_MS_MAX };
  const buffered = new Buffered(input, source, lost.resolve);
  return {
    lost: lost.promise,
    setWindow: (window) => buffered.setWindow(window),
    close: () => {
      buffered.close();
      player.destroy();
    },
  };
}

function explain(types: MpegtsTypes.ErrorTypes, type: string, text: string): LiveError {
  if (type === types.NETWORK_ERROR) return new LiveError('network', text);
  return new LiveError('decode', text, { retryable: true });
}

const REPORT_MS = 500;
const SILENCE_MS_MAX = 5000;
const CONFIG: MpegtsTypes.Config = {
  isLive: true,
  enableStashBuffer: false,
  lazyLoad: false,
  deferLoadAfterSourceOpen: false,
  autoCleanupSourceBuffer: true,
  autoCleanupMaxBackwardDuration: 30,
  autoCleanupMinBackwardDuration: 10,
  statisticsInfoReportInterval: REPORT_MS,
};
