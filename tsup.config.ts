import { defineConfig } from 'tsup'

/**
 * The public entry points: output name -> source. A new one is also a line in package.json
 * `exports`, tsconfig.json `paths` and typedoc.json; test/unit/build.test.ts says what is missing.
 */
export const entry = {
  index: 'src/index.ts',
  express: 'src/adapters/express.ts',
  koa: 'src/adapters/koa.ts',
  fastify: 'src/adapters/fastify.ts',
  hono: 'src/adapters/hono.ts',
  web: 'src/adapters/web.ts',
  otel: 'src/otel.ts',
  prometheus: 'src/prometheus.ts',
  testing: 'src/testing/index.ts',
  dashboard: 'src/dashboard/index.ts',
}

/** What is started and not imported: the command, and the module of the rig's client process. */
const programs = { cli: 'src/cli/main.ts', 'testing-clients': 'src/testing/clients.ts' }

export default defineConfig({
  entry: { ...entry, ...programs },
  format: ['esm', 'cjs'],
  target: 'node20',
  platform: 'node',
  // The entries of one format share their chunks, so `tcp-sse` and `tcp-sse/express` share state.
  // The ESM and the CommonJS copy share what src/shared.ts holds.
  splitting: true,
  // The dashboard's page: dist/dashboard/.
  publicDir: 'src/dashboard/public',
  // import.meta.url in the CommonJS copy.
  shims: true,
  // What is built keeps the sources' names and order; maps would be half of the tarball.
  sourcemap: false,
  clean: true,
  // tsup 8 hands TypeScript 6 an option it calls deprecated.
  dts: { entry, compilerOptions: { ignoreDeprecations: '6.0' } },
})
