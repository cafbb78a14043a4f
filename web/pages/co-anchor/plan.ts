/**
 * Who sees whom, and which step comes next: the co-anchoring and the anchor competition of the original's guide, as plain functions
 * of who is live. Nothing here touches the page or the network.
 */

/** `mic`: a viewer goes on the mic of anchor A. `pk`: anchors A and B, each with viewers of their own, compete. */
export type Mode = 'mic' | 'pk';

/** A part that somebody plays. In `pk`, `viewer` watches A's room and `viewer-b` watches B's. */
export type Role = 'a' | 'b' | 'viewer' | 'viewer-b';

/** One of the two who can be seen. */
export type Side = 'a' | 'b';

/** Who is live now. */
export interface OnAir {
  a: boolean;
  b: boolean;
}

/** One picture of a stage, from left to right. */
export interface Tile {
  side: Side;
  /** The player's own camera, shown from the camera and not from the server. */
  own: boolean;
}

/** One step of the guide. */
export interface Step {
  text: string;
  code: string;
  done: boolean;
}

/** The roles of a mode, in the order in which they are introduced. */
export function rolesOf(mode: Mode): readonly Role[] {
  return mode === 'mic' ? ['a', 'b', 'viewer'] : ['a', 'b', 'viewer', 'viewer-b'];
}

/** The name of a role in a mode. */
export function titleOf(role: Role, mode: Mode): string {
  if (role === 'a') return 'Anchor A';
  if (role === 'b') return mode === 'mic' ? 'Viewer B' : 'Anchor B';
  if (mode === 'mic') return 'Audience';
  return role === 'viewer' ? "A's audience" : "B's audience";
}

/** What the picture of a side is labelled with. */
export function labelOf(side: Side, mode: Mode): string {
  if (side === 'a') return 'A';
  return mode === 'mic' ? 'B on the mic' : 'B';
}

/** The side that a role publishes, if any. */
export function sideOf(role: Role): Side | undefined {
  return role === 'a' || role === 'b' ? role : undefined;
}

/** The stream name of a side in a show. */
export function streamOf(show: string, side: Side): string {
  return `${show}_${side}`;
}

/**
 * The pictures on a role's stage.
 * @param publishing whether this very role is publishing now (it sees itself from its camera at once).
 */
export function tilesFor(role: Role, mode: Mode, onAir: OnAir, publishing: boolean): Tile[] {
  const own = sideOf(role);
  const first: Side = role === 'viewer-b' || (mode === 'pk' && role === 'b') ? 'b' : 'a';
  const order: Side[] = first === 'a' ? ['a', 'b'] : ['b', 'a'];
  const tiles: Tile[] = [];
  for (const side of order) {
    if (side === own) {
      if (publishing) tiles.push({ side, own: true });
    } else if (onAir[side] && mayWatch(role, mode, side, onAir)) {
      tiles.push({ side, own: false });
    }
  }
  return tiles;
}

/** In a competition the other room is seen only while one's own anchor is on: until then there is nothing to compete with. */
function mayWatch(role: Role, mode: Mode, side: Side, onAir: OnAir): boolean {
  if (mode === 'mic') return side === 'a' || onAir.a;
  if (role === 'viewer') return side === 'a' || onAir.a;
  if (role === 'viewer-b') return side === 'b' || onAir.b;
  return true;
}

/** The guide's steps with those that have happened. `host` and `show` complete the addresses in the code. */
export function stepsOf(mode: Mode, host: string, show: string, onAir: OnAir): Step[] {
  const both = onAir.a && onAir.b;
  const push = (side: Side): string => `pusher.start() // webrtc://${host}/live/${streamOf(show, side)}`;
  const play = (side: Side): string => `player.start() // webrtc://${host}/live/${streamOf(show, side)}`;
  if (mode === 'mic') {
    return [
      { text: 'Anchor A publishes.', code: push('a'), done: onAir.a },
      { text: 'All viewers play A.', code: play('a'), done: onAir.a },
      { text: 'Viewer B goes on the mic: B publishes.', code: push('b'), done: both },
      { text: 'A plays B, and the two talk.', code: play('b'), done: both },
      { text: 'The other viewers play B beside A.', code: play('b'), done: both },
    ];
  }
  return [
    { text: 'Anchor A publishes.', code: push('a'), done: onAir.a },
    { text: 'Anchor B publishes.', code: push('b'), done: onAir.b },
    {
      text: 'The competition starts: A and B play each other.',
      code: `${play('b')}\n${play('a')}`,
      done: both,
    },
    { text: "A's viewers play B, and B's viewers play A.", code: `${play('b')}\n${play('a')}`, done: both },
  ];
}

/** Smooths what polling sees: somebody is off the air only after three looks without, so that a reconnect does not clear the stage. */
export class Presence {
  #missed = { a: LOOKS_MISSED_MAX, b: LOOKS_MISSED_MAX };

  look(streams: ReadonlySet<string>, show: string): OnAir {
    for (const side of ['a', 'b'] as const) {
      this.#missed[side] = streams.has(streamOf(show, side))
        ? 0
        : Math.min(this.#missed[side] + 1, LOOKS_MISSED_MAX);
    }
    return { a: this.#missed.a < LOOKS_MISSED_MAX, b: this.#missed.b < LOOKS_MISSED_MAX };
  }
}

/** A show's name as it may stand in a stream name. */
export function cleanShow(text: string): string {
  return text.replace(/[^A-Za-z0-9-]/g, '').slice(0, SHOW_CHARS_MAX);
}

const LOOKS_MISSED_MAX = 3;
const SHOW_CHARS_MAX = 32;
