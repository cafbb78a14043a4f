import { byId, copyRow, h, say } from '../parts/dom.js';
import { sentence } from '../parts/format.js';
import { describeServer, fetchServer, fetchStreams, poll, Refusal } from '../parts/server.js';
import { adoptToken, tokenForm } from '../parts/token.js';
import { linkTo, lobby } from './lobby.js';
import { cleanShow, type Mode, type OnAir, Presence, type Role, rolesOf, stepsOf } from './plan.js';
import { Seat } from './seat.js';

adoptToken();

/** The page of the co-anchoring demonstration. `?as=a|b|viewer|viewer-b|all&mode=mic|pk&show=name` names the part; without `as` it asks. */
const query = new URLSearchParams(location.search);
const mode: Mode = query.get('mode') === 'pk' ? 'pk' : 'mic';
const show = cleanShow(query.get('show') ?? '') || `show-${Math.floor(Math.random() * 9000 + 1000)}`;
const as = query.get('as');
const main = byId('main');

const POLL_MS = 1000;
const SHORT: Readonly<Record<Role, string>> = { a: 'A', b: 'B', viewer: 'Viewer', 'viewer-b': 'Viewer of B' };

const access = tokenForm(main);
access.element.hidden = true;
void askServer();
if (as === 'all') stage(rolesOf(mode));
else if (isRole(as)) stage([as]);
else main.append(lead(), lobby(show, mode));

function isRole(text: string | null): text is Role {
  return rolesOf(mode).some((role) => role === text);
}

function lead(): HTMLElement {
  return h(
    'div',
    { className: 'lead' },
    h('h1', {}, 'Go on the mic'),
    h(
      'p',
      { className: 'soft' },
      'Two people live together in front of an audience: each publishes one stream and plays the other. Everything below is LivePusher and LivePlayer; who is live is read from GET /v1/streams.',
    ),
  );
}

function stage(roles: readonly Role[]): void {
  const together = roles.length > 1;
  const seats = roles.map((role) => new Seat(role, mode, show, together, access.ask));
  const steps = h('ol', { className: 'steps' });
  const notice = h('div', { role: 'alert' });
  main.append(
    h(
      'div',
      { className: 'bar' },
      h('h1', {}, show),
      h('a', { href: `?mode=${mode}&show=${encodeURIComponent(show)}` }, 'Change part'),
      together && soundButton(seats),
      h('div', { className: 'push' }, access.element),
    ),
    notice,
    h(
      'div',
      { className: 'show' },
      h('div', { className: 'seats' }, ...seats.map((seat) => seat.element)),
      h('aside', { className: 'card panel' }, h('h2', {}, 'Step by step'), steps, invitations()),
    ),
  );
  const presence = new Presence();
  const told = (onAir: OnAir): void => {
    for (const seat of seats) seat.update(onAir);
    renderSteps(steps, onAir);
  };
  told({ a: false, b: false });
  poll(
    POLL_MS,
    fetchStreams,
    (streams) => {
      notice.replaceChildren();
      told(
        presence.look(new Set(streams.filter(({ app }) => app === 'live').map(({ stream }) => stream)), show),
      );
    },
    (thrown) => {
      const refused = thrown instanceof Refusal;
      const text = refused ? sentence(thrown.message) : 'The server cannot be reached. Trying again.';
      if (refused && thrown.status === 401) access.ask();
      notice.replaceChildren(h('p', { className: 'notice bad' }, text));
    },
  );
  window.addEventListener('pagehide', () => {
    for (const seat of seats) seat.close();
  });
}

function soundButton(seats: Seat[]): HTMLElement {
  const button = h('button', { type: 'button', className: 'tiny', 'aria-pressed': 'false' }, 'Sound on');
  let muted = true;
  button.addEventListener('click', () => {
    muted = !muted;
    for (const seat of seats) seat.muted = muted;
    button.setAttribute('aria-pressed', String(!muted));
    say(button, muted ? 'Sound on' : 'Sound off');
  });
  return button;
}

function renderSteps(list: HTMLElement, onAir: OnAir): void {
  const steps = stepsOf(mode, location.host, show, onAir);
  const next = steps.findIndex((step) => !step.done);
  const looks = steps.map((step, index) => (step.done ? 'done' : index === next ? 'next' : ''));
  if (list.dataset.looks === looks.join()) return;
  list.dataset.looks = looks.join();
  list.replaceChildren(
    ...steps.map((step, index) =>
      h(
        'li',
        { className: looks[index], 'aria-current': looks[index] === 'next' ? 'step' : undefined },
        step.text,
        ...step.code.split('\n').map((line) => h('code', {}, line)),
      ),
    ),
  );
}

function invitations(): HTMLElement {
  const rows = rolesOf(mode).map((role) =>
    copyRow(SHORT[role], new URL(linkTo(role, mode, show), location.href).href),
  );
  return h('div', {}, h('h3', {}, 'Invite'), ...rows);
}

async function askServer(): Promise<void> {
  try {
    const server = await fetchServer();
    say(byId('server'), describeServer(server));
    access.suit(server);
  } catch {
    // The polling says so already.
  }
}
