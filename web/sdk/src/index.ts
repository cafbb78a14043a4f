export { type CameraOptions, type Facing, openCamera, openScreen, type ScreenOptions } from './capture.js';
export type { VideoCodecName } from './codecs.js';
export { LiveError, type LiveErrorCode } from './errors.js';
export { LivePlayer, type LivePlayerEvents, type LivePlayerOptions, type PlayerState } from './player.js';
export {
  LivePusher,
  type LivePusherEvents,
  type LivePusherOptions,
  type PusherState,
  type PushSource,
} from './pusher.js';
export type { PlayerStats, PusherStats } from './stats.js';
export { type Direction, type LiveProtocol, type LiveUrl, parseLiveUrl, type UrlContext } from './url.js';
