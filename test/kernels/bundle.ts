// The claims as plain JavaScript: under emulation, compiling at start takes longer than the claims' own work.
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

/** Writes build/claims/ and returns the path of the program. */
export async function bundleClaims(): Promise<string> {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const entry = ['run', 'server', 'port-guards', 'clients'].map(
    (name) => `${root}/test/claims/${name}.ts`,
  )
  await build({
    ...{ entry, outDir: `${root}/build/claims`, format: ['esm'], target: 'node20' },
    ...{ config: false, dts: false, splitting: false, silent: true, clean: true },
  })
  return `${root}/build/claims/run.js`
}
