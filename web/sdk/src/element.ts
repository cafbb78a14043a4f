import { LivePlayerElement } from './live-player.js';
import { LivePusherElement } from './live-pusher.js';

/** Importing this module defines `<live-player>` and `<live-pusher>`. It is the only one with a side effect. */
if (!customElements.get('live-player')) customElements.define('live-player', LivePlayerElement);
if (!customElements.get('live-pusher')) customElements.define('live-pusher', LivePusherElement);

declare global {
  interface HTMLElementTagNameMap {
    'live-player': LivePlayerElement;
    'live-pusher': LivePusherElement;
  }
}

export { LivePlayerElement, LivePusherElement };
