import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { entry } from './tsup.config.js'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    // Tests and documentation snippets may say `tcp-sse`: they get the sources, not dist/.
    alias: Object.entries(entry).map(([name, source]) => ({
      find: new RegExp(`^tcp-sse${name === 'index' ? '' : `/${name}`}$`),
      replacement: here(source),
    })),
  },
  test: {
    // A crash in the addon then takes down one worker, and LD_PRELOAD reaches it.
    pool: 'forks',
    reporters: ['default', here('./test/support/reporter.ts')],
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
          exclude: ['test/dead-peer/**', 'test/outside/**'],
          // What hangs is found by then; what is slow on a busy machine is not.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Many wait for a timer or for another process.
          maxWorkers: Math.max(3, availableParallelism() - 1),
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Namespaces and kernel timers, after everything else. Each file has namespaces of its own and waits most of its time.
        extends: true,
        test: {
          name: 'dead-peer',
          include: ['test/dead-peer/**/*.test.ts', 'test/outside/**/*.test.ts'],
          setupFiles: [here('./test/support/on-time.ts')],
          testTimeout: 150_000,
          hookTimeout: 60_000,
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
