import { rmSync } from 'node:fs'
import { defineConfig, type Options } from 'tsup'

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
  otel: 'src/observability/otel.ts',
  prometheus: 'src/observability/prometheus.ts',
  redis: 'src/hub/redis/index.ts',
  nats: 'src/hub/nats/index.ts',
  testing: 'src/testing/index.ts',
  cluster: 'src/hub/cluster/index.ts',
  dashboard: 'src/dashboard/index.ts',
  client: 'src/client/index.ts',
}

/** What is started and not imported: the module of the rig's client process, beside each copy of the rig. */
const programs = { 'testing-clients': 'src/testing/clients.ts' }

/** What browsers load: on its own, so that it shares no chunk with what is for Node. */
const { client, ...node } = entry

// tsup 8 hands TypeScript 6 an option it calls deprecated.
// What is marked @internal is not in the shipped types; docs/api-report.md is made in the same way.
const compilerOptions = { ignoreDeprecations: '6.0', stripInternal: true }

const forNode: Options = {
  target: 'node20',
  platform: 'node',
  // The entries of one format share their chunks, so `tcp-sse` and `tcp-sse/express` share state.
  // The ESM and the CommonJS copy share what src/internal/shared.ts holds.
  splitting: true,
  // The dashboard's page: dist/dashboard/.
  publicDir: 'src/dashboard/public',
  // import.meta.url in the CommonJS copy.
  shims: true,
  // What is built keeps the sources' names and order; maps would be half of the tarball.
  sourcemap: false,
  dts: { entry: node, compilerOptions },
}

const forBrowsers: Options = {
  target: 'es2022',
  platform: 'neutral',
  external: ['eventsource'],
  splitting: false,
  sourcemap: false,
}

export default defineConfig(() => {
  // Not by `clean`: the builds run at the same time, and each would remove what is the others'.
  rmSync('dist', { recursive: true, force: true })
  return [
    // The command is started and not imported: one format is enough.
    { ...forNode, entry: { ...node, ...programs, cli: 'src/cli/main.ts' }, format: 'esm' },
    { ...forNode, entry: { ...node, ...programs }, format: 'cjs' },
    { ...forBrowsers, entry: { client }, format: ['esm', 'cjs'], dts: { compilerOptions } },
    // For a `<script type="module">` from a CDN.
    { ...forBrowsers, entry: { 'client.min': client }, format: 'esm', minify: true },
  ]
})
