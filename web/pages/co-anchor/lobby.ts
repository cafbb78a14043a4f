import { h, say, tabs } from '../parts/dom.js';
import { cleanShow, type Mode, type Role, rolesOf, titleOf } from './plan.js';

/** Address of one role of a show, relative to the page. */
export function linkTo(as: Role | 'all', mode: Mode, show: string): string {
  return `?as=${as}&mode=${mode}&show=${encodeURIComponent(show)}`;
}

/** Where a show begins: its name, which of the two it is, and who one wants to be. */
export function lobby(show: string, mode: Mode): HTMLElement {
  const name = h('input', { value: show, maxLength: 32, spellcheck: false, autocapitalize: 'off' });
  const about = h('p', { className: 'soft' });
  const roles = h('div', { className: 'roles' });
  const all = h('a', { className: 'button primary' }, 'All parts on this page');
  let chosen = mode;
  const render = (): void => {
    const clean = cleanShow(name.value) || show;
    say(about, ABOUT[chosen]);
    all.href = linkTo('all', chosen, clean);
    roles.replaceChildren(...rolesOf(chosen).map((role) => roleCard(role, chosen, clean)));
    history.replaceState(null, '', `?mode=${chosen}&show=${encodeURIComponent(clean)}`);
  };
  name.addEventListener('input', render);
  const modes = tabs('Kind of show', MODES, mode, (id) => {
    chosen = id as Mode;
    render();
  });
  render();
  return h(
    'div',
    { className: 'card setup' },
    h('div', { className: 'row end' }, h('label', {}, 'Name of the show', name), modes),
    about,
    roles,
    h(
      'div',
      { className: 'row' },
      all,
      h('span', { className: 'small soft' }, 'or give each window and phone a part of its own.'),
    ),
  );
}

function roleCard(role: Role, mode: Mode, show: string): HTMLElement {
  const href = linkTo(role, mode, show);
  return h(
    'div',
    { className: 'role card' },
    h('h3', {}, titleOf(role, mode)),
    h('p', { className: 'small soft' }, TASKS[mode][role]),
    h(
      'div',
      { className: 'row' },
      h('a', { className: 'button', href }, 'Open'),
      h('a', { className: 'small', href, target: '_blank', rel: 'noopener' }, 'In a new window'),
    ),
  );
}

const MODES = [
  ['mic', 'Co-anchoring'],
  ['pk', 'Anchor competition'],
] as const;

const ABOUT: Readonly<Record<Mode, string>> = {
  mic: 'Anchor A is live. A viewer goes on the mic and talks with A; everybody else sees both side by side.',
  pk: 'Two anchors are live, each with an audience. They compete: everybody sees both, their own anchor first.',
};

const TASKS: Readonly<Record<Mode, Readonly<Record<Role, string>>>> = {
  mic: {
    a: 'Publishes, and plays B once B is on the mic.',
    b: 'Watches A, goes on the mic, leaves it again.',
    viewer: 'Plays A, and B beside A while B is on the mic.',
    'viewer-b': '',
  },
  pk: {
    a: 'Publishes, and plays B while B is live too.',
    b: 'Publishes, and plays A while A is live too.',
    viewer: 'Plays A; during the competition B beside A.',
    'viewer-b': 'Plays B; during the competition A beside B.',
  },
};
