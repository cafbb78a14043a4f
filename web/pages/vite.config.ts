import { resolve } from 'node:path';
import { defineConfig } from 'vite';

const here = import.meta.dirname;
const server = process.env.STENTOR_URL ?? 'http://127.0.0.1:8080';

/**
 * The pages that the server embeds, and beside them the SDK under fixed names (`/sdk/stentor.js`, `/sdk/element.js`), which share
 * their chunks with the pages. In development, everything that is not a page goes to a running server.
 */
export default defineConfig({
  root: here,
  base: '/',
  resolve: {
    alias: {
      'stentor/element': resolve(here, '../sdk/src/element.ts'),
      stentor: resolve(here, '../sdk/src/index.ts'),
    },
  },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 500,
    rolldownOptions: {
      preserveEntrySignatures: 'exports-only',
      input: {
        home: resolve(here, 'index.html'),
        'co-anchor': resolve(here, 'demo/co-anchor/index.html'),
        'sdk/stentor': resolve(here, '../sdk/src/index.ts'),
        'sdk/element': resolve(here, '../sdk/src/element.ts'),
      },
      output: {
        entryFileNames: ({ name }) => (name.startsWith('sdk/') ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  server: {
    proxy: {
      '^/(v1|whip|whep)/': server,
      '^/[^/]+/[^/@]+\\.(flv|m3u8|m4s|mp4|ts)(\\?.*)?$': { target: server, bypass: keepSources },
    },
  },
});

/** Modules of ours end in .ts as HLS segments do: those with a file are not the server's. */
function keepSources(request: { url?: string | undefined }): string | undefined {
  return /^\/(home|parts|co-anchor|style|@)/.test(request.url ?? '') ? request.url : undefined;
}
