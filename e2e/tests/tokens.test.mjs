// Tokens of the original's own kits open the doors; damaged, late and foreign ones do not, and say why.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { run } from '../lib/process.mjs';
import { binary, startServing } from '../lib/server.mjs';
import { nodeToken, pythonToken, signed } from '../lib/tokens.mjs';

const application = {
  sdkAppId: 1_400_000_000,
  secretKey: '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e',
};
const nextKey = '1111111111111111111111111111111111111111111111111111111111111111';

let server;

before(async () => {
  server = await startServing(`
[[application]]
sdk_app_id = ${application.sdkAppId}
keys = ["${application.secretKey}", "${nextKey}"]

[[application]]
sdk_app_id = 7
keys = ["${nextKey}"]
`);
});

after(() => server?.stop());

/** What the server answers to somebody who wants to publish: the door that tokens guard. */
async function publish(query, headers = {}) {
  const response = await fetch(`${server.http}/whip/live/show${query ? `?${query}` : ''}`, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp', ...headers },
    body: 'v=0\r\n',
  });
  return { status: response.status, problem: await response.json().catch(() => undefined) };
}

/** Let in, and refused only for what was brought: the offer is none. */
function assertAdmitted({ status, problem }) {
  assert.notEqual(status, 401, JSON.stringify(problem));
  assert.notEqual(status, 403, JSON.stringify(problem));
  assert.ok(status >= 400 && status < 500, `status ${status}`);
}

function assertRefused({ status, problem }, code) {
  assert.equal(status, 401, JSON.stringify(problem));
  assert.equal(problem.code, code, JSON.stringify(problem));
  assert.ok(problem.detail.length > 20, 'a sentence says why');
}

test('tokens of both kits are accepted, in the query and as bearer', async () => {
  for (const token of [nodeToken(application, 'ann'), await pythonToken(application, 'ann')]) {
    assertAdmitted(await publish(signed(application.sdkAppId, 'ann', token)));
    assertAdmitted(await publish('', { authorization: `Bearer ${token}` }));
  }
});

test('a token made by the command line is accepted', async () => {
  const args = ['token', '--app', String(application.sdkAppId), '--key', application.secretKey, '--user', 'ann', '--ttl', '1m'];
  const { stdout } = await run(binary, args);
  assertAdmitted(await publish(signed(application.sdkAppId, 'ann', stdout.trim())));
});

test('the second live key is accepted as well', async () => {
  const token = nodeToken({ ...application, secretKey: nextKey }, 'ann');
  assertAdmitted(await publish(signed(application.sdkAppId, 'ann', token)));
});

test('without a token nobody publishes', async () => {
  const { status } = await publish('');
  assert.equal(status, 401);
});

test('a changed token is refused', async () => {
  const token = nodeToken(application, 'ann');
  for (const at of [5, Math.floor(token.length / 2), token.length - 6]) {
    const other = token[at] === 'A' ? 'B' : 'A';
    const changed = token.slice(0, at) + other + token.slice(at + 1);
    assertRefused(await publish(signed(application.sdkAppId, 'ann', changed)), -70003);
  }
});

test('an expired token is refused', async () => {
  assertRefused(await publish(signed(application.sdkAppId, 'ann', nodeToken(application, 'ann', -10))), -70001);
  assertRefused(await publish(signed(application.sdkAppId, 'ann', await pythonToken(application, 'ann', 0))), -70001);
});

test('tokens of others are refused', async () => {
  const token = nodeToken(application, 'ann');
  assertRefused(await publish(signed(application.sdkAppId, 'bob', token)), -70013);
  assertRefused(await publish(signed(7, 'ann', token)), -70014);
  const foreign = nodeToken({ ...application, secretKey: 'not a key of this application' }, 'ann');
  assertRefused(await publish(signed(application.sdkAppId, 'ann', foreign)), -70003);
});
