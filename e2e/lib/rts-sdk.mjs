// Alibaba's own web SDK for artc, unmodified. Its bundle is whole; the packages that it names as dependencies went into the
// bundle, and not all of them can be installed any more, so it is fetched and unpacked without them.

import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './process.mjs';

const VERSION = '2.2.7';
/** What the registry says of the package's archive, as a lock file would. */
const INTEGRITY = 'sha512-qa9hqAJwvtnBPD74GAqc+AiX4qeSAzAfFbMQiqVaLyNyzDri7BKMy35kxGMfCKk+yrsnhUnNrNIwewdnpjcJfQ==';
const folder = fileURLToPath(new URL('../.packages/', import.meta.url));

/** The text of its bundle. */
export async function rtsSdk() {
  const archive = path.join(folder, `aliyun-rts-sdk-${VERSION}.tgz`);
  await mkdir(folder, { recursive: true });
  let bytes = await readFile(archive).catch(() => undefined);
  if (!bytes) {
    await run('npm', ['pack', `aliyun-rts-sdk@${VERSION}`, '--pack-destination', folder], { timeoutMs: 60_000 });
    bytes = await readFile(archive);
  }
  const found = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (found !== INTEGRITY) throw new Error(`${archive} is not the package that was tested: ${found}`);
  const { stdout } = await run('tar', ['-xzOf', archive, 'package/dist/aliyun-rts-sdk.js']);
  return stdout;
}
