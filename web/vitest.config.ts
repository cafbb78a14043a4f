import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: import.meta.dirname,
  test: { include: ['sdk/test/**/*.test.ts', 'pages/**/*.test.ts'], environment: 'node', retry: 0 },
});
