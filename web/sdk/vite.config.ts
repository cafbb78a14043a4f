import { defineConfig } from 'vite';

/** The SDK as ES modules: `stentor.js`, `element.js` and, each in a chunk of its own, what is loaded only when it is needed. */
export default defineConfig({
  root: import.meta.dirname,
  build: {
    lib: { entry: { stentor: 'src/index.ts', element: 'src/element.ts' }, formats: ['es'] },
    target: 'es2022',
    minify: true,
    sourcemap: false,
    rolldownOptions: { output: { minify: true, chunkFileNames: 'chunks/[name]-[hash].js' } },
  },
});
