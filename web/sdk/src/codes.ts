/** Numbers of the mini-program tags' `statechange` and `error` events: programs written for those tags switch on them. */

/** `<live-player>` states. */
export const PlayCode = {
  connected: 2001,
  streamBegin: 2002,
  firstFrame: 2003,
  playBegin: 2004,
  playEnd: 2006,
  loading: 2007,
  decoderStart: 2008,
  resolutionChanged: 2009,
  reconnecting: 2103,
  stutter: 2105,
  /** Three attempts in a row failed. The original stops here; this player goes on trying. */
  dead: -2301,
} as const;

/** `<live-pusher>` states. */
export const PushCode = {
  connected: 1001,
  pushBegin: 1002,
  cameraOpen: 1003,
  screenOpen: 1004,
  resolutionChanged: 1005,
  bitrateChanged: 1006,
  firstFrame: 1007,
  encoderStart: 1008,
  networkBusy: 1101,
  reconnecting: 1102,
  cameraFailed: -1301,
  microphoneFailed: -1302,
  /** Three attempts in a row failed. The original stops here; this pusher goes on trying. */
  dead: -1307,
} as const;

/** States of the connection that both tags know. */
export const LinkCode = { connectFailed: 3002, refused: 3003, dropped: 3005 } as const;

/** `<live-pusher>` `error` numbers: the user forbade the camera or the microphone. */
export const DeviceRefusal = { camera: 10001, microphone: 10002 } as const;

/** Attempts in a row after which the `dead` number is told. */
export const DEAD_ATTEMPTS = 3;

/** Detail of `statechange`. */
export interface StateChange {
  code: number;
  message: string;
}
