import { byId, h, say } from '../parts/dom.js';
import { sentence } from '../parts/format.js';
import {
  describeServer,
  fetchServer,
  fetchStreams,
  poll,
  Refusal,
  type ServerFacts,
} from '../parts/server.js';
import { adoptToken, tokenForm } from '../parts/token.js';
import { publishPanel } from './publish.js';
import { StreamList } from './stream-list.js';
import { Watch } from './watch.js';

adoptToken();

/** The first page: what is live, one of them large when chosen (`#/app/stream`), and how to publish. */
let server: ServerFacts | undefined;
const access = tokenForm(byId('main'));
const list = new StreamList(byId('streams'), byId('empty'));
const watch = new Watch(byId('watch'), () => server, access.ask);

byId('token').append(access.element);
access.element.hidden = true;
const renewPublish = publishPanel(byId('publish'), () => server, access.ask);

poll(2000, fetchStreams, showStreams, showTrouble);
void askServer();
window.addEventListener('hashchange', choose);
choose();

function showStreams(streams: Awaited<ReturnType<typeof fetchStreams>>): void {
  byId('notice').replaceChildren();
  say(byId('count'), streams.length > 0 ? String(streams.length) : '');
  list.show(streams);
  watch.update(streams);
  if (!server) void askServer();
}

function showTrouble(thrown: unknown): void {
  const refused = thrown instanceof Refusal;
  const text = refused ? sentence(thrown.message) : 'The server cannot be reached. Trying again.';
  if (refused && (thrown.status === 401 || thrown.status === 403)) access.ask();
  byId('notice').replaceChildren(h('p', { className: 'notice bad' }, text));
}

async function askServer(): Promise<void> {
  try {
    server = await fetchServer();
  } catch {
    return;
  }
  say(byId('server'), describeServer(server));
  access.suit(server);
  renewPublish();
  watch.renewAddresses();
}

function choose(): void {
  const found = /^#\/([^/]+)\/([^/]+)$/.exec(location.hash);
  const chosen = found?.[1] && found[2] ? { app: decode(found[1]), stream: decode(found[2]) } : undefined;
  watch.choose(chosen);
  list.choose(chosen);
  if (chosen) byId('watch').scrollIntoView({ block: 'start' });
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
