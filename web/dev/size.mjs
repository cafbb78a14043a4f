// Prints what a page that plays or publishes downloads at once (gzipped, static imports included) and fails beyond the budget.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');
const BUDGETS = [
  { what: 'stentor/element with the WebRTC core', file: 'sdk/dist/element.js', kB: 15 },
  { what: 'stentor (LivePlayer and LivePusher)', file: 'sdk/dist/stentor.js', kB: 15 },
];

function withStaticImports(file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, path] of text.matchAll(
    /(?:^|[;}\s])(?:import|export)\s*(?:[\w*{}\s,$]+from\s*)?["'](\.[^"']+)["']/g,
  )) {
    withStaticImports(join(dirname(file), path), seen);
  }
  return seen;
}

const gzipped = (file) => gzipSync(readFileSync(file), { level: 9 }).length;
const kB = (bytes) => `${(bytes / 1000).toFixed(2).padStart(7)} kB`;

let over = false;
for (const { what, file, kB: budget } of BUDGETS) {
  const files = [...withStaticImports(join(web, file))];
  const bytes = files.reduce((sum, each) => sum + gzipped(each), 0);
  const verdict = bytes <= budget * 1000 ? 'ok' : 'TOO BIG';
  over ||= verdict !== 'ok';
  console.log(`${kB(bytes)} gz of ${budget} kB  ${verdict}  ${what} (${files.length} files)`);
}

function* walk(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* walk(path);
    else yield path;
  }
}

for (const folder of ['sdk/dist', 'dist']) {
  console.log(`\n${folder}`);
  for (const file of walk(join(web, folder))) {
    if (/\.(js|css|html)$/.test(file))
      console.log(`${kB(gzipped(file))} gz  ${relative(join(web, folder), file)}`);
  }
}
process.exit(over ? 1 : 0);
