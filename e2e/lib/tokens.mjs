// Tokens by the original's own signing kits: the one for Node from npm, the one for Python from PyPI.

import { fileURLToPath } from 'node:url';
import tls from 'tls-sig-api-v2';
import { run } from './process.mjs';

const python = fileURLToPath(new URL('../.venv/bin/python', import.meta.url));

/** A UserSig by the kit for Node, valid for `ttlS` seconds. */
export function nodeToken({ sdkAppId, secretKey }, userId, ttlS = 600) {
  return new tls.Api(sdkAppId, secretKey).genUserSig(userId, ttlS);
}

/** A UserSig by the kit for Python. */
export async function pythonToken({ sdkAppId, secretKey }, userId, ttlS = 600) {
  const program = `
import sys, TLSSigAPIv2
app, key, user, ttl = sys.argv[1:]
print(TLSSigAPIv2.TLSSigAPIv2(int(app), key).gen_sig(user, int(ttl)))
`;
  const { stdout } = await run(python, ['-c', program, String(sdkAppId), secretKey, userId, String(ttlS)]);
  return stdout.trim();
}

/** The query by which a URL carries a token. */
export function signed(sdkAppId, userId, token) {
  return `sdkappid=${sdkAppId}&userid=${encodeURIComponent(userId)}&usersig=${token}`;
}
