import { byId, h, say } from '../parts/dom.js';
import { fetchServer, fetchStreams, poll, Refusal, type ServerFacts } from '../parts/server.js';
import { tokenForm } from '../parts/token.js';
import { publishPanel } from './publish.js';
import { StreamList } from './stream-list.js';
import { Watch } from './watch.js';

/** The first page: what is live, one of them large when chosen (`#/app/stream`), and how to publish. */
let server: ServerFacts | undefined;
const access = tokenForm(() => location.reload());
const list = new StreamList(byId('streams'), byId('empty'));
const watch = new Watch(byId('watch'), () => server);

byId('token').append(access);
const renewPublish = publishPanel(byId('publish'), () => server);

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
  const sentence = refused ? thrown.message : 'The server cannot be reached. Trying again.';
  if (refused && (thrown.status === 401 || thrown.status === 403)) access.open = true;
  byId('notice').replaceChildren(h('p', { className: 'notice bad' }, sentence));
}

async function askServer(): Promise<void> {
  try {
    server = await fetchServer();
  } catch {
    return;
  }
  const mode = server.mode === 'dev' ? 'development' : 'serving';
  say(byId('server'), `${server.version} · ${mode} · application ${server.sdkAppId}`);
  byId('token').hidden = server.mode === 'dev' && server.open;
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
