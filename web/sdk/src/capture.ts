import { LiveError } from './errors.js';

/** Which camera of a phone. */
export type Facing = 'front' | 'back';

/** What to take from the camera and the microphone. */
export interface CameraOptions {
  video?: boolean;
  audio?: boolean;
  facing?: Facing;
  deviceId?: string;
  /** Wished size and rate; the device gives the nearest it has. */
  width?: number;
  height?: number;
  frameRate?: number;
  echoCancellation?: boolean;
  autoGainControl?: boolean;
  noiseSuppression?: boolean;
}

/** What to take from the screen. */
export interface ScreenOptions {
  /** The sound of the shared tab or system, where the browser offers it. */
  audio?: boolean;
  frameRate?: number;
}

/** Opens camera and microphone. @throws LiveError `permission-denied`, `no-device`, `device-busy` or `not-supported`. */
export async function openCamera(options: CameraOptions = {}): Promise<MediaStream> {
  const devices = mediaDevices();
  const { video = true, audio = true } = options;
  try {
    return await devices.getUserMedia({
      video: video && cameraConstraints(options),
      audio: audio && {
        echoCancellation: options.echoCancellation ?? true,
        autoGainControl: options.autoGainControl ?? true,
        noiseSuppression: options.noiseSuppression ?? true,
      },
    });
  } catch (thrown) {
    throw LiveError.from(thrown, 'no-device');
  }
}

/** Opens a screen, window or tab of the user's choice. To be called in a click. @throws LiveError as `openCamera`. */
export async function openScreen(options: ScreenOptions = {}): Promise<MediaStream> {
  const devices = mediaDevices();
  if (!('getDisplayMedia' in devices)) {
    throw new LiveError('not-supported', 'This browser cannot share its screen.');
  }
  try {
    const stream = await devices.getDisplayMedia({
      video: { frameRate: options.frameRate ?? 30 },
      audio: options.audio ?? true,
    });
    for (const track of stream.getVideoTracks()) track.contentHint = 'detail';
    return stream;
  } catch (thrown) {
    throw LiveError.from(thrown, 'not-supported');
  }
}

/** The constraints for the camera alone, for the first opening and for a switch alike. */
export function cameraConstraints(options: CameraOptions): MediaTrackConstraints {
  const wish: MediaTrackConstraints = {
    width: { ideal: options.width ?? 1280 },
    height: { ideal: options.height ?? 720 },
    frameRate: { ideal: options.frameRate ?? 30 },
  };
  if (options.deviceId) wish.deviceId = { exact: options.deviceId };
  else if (options.facing) wish.facingMode = { ideal: options.facing === 'front' ? 'user' : 'environment' };
  return wish;
}

function mediaDevices(): MediaDevices {
  const devices = globalThis.navigator?.mediaDevices;
  if (devices) return devices;
  throw new LiveError(
    'not-supported',
    'The browser gives camera, microphone and screen to pages over HTTPS or from localhost only.',
  );
}
