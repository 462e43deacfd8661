// npm's `prepare`: makes a fresh clone usable. Nothing happens if everything is up to date.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bin, isStale, quiet, root, run, say } from './lib.mjs'

run(process.execPath, [join(root, 'scripts', 'build-native.mjs'), '--if-needed', '--optional'])

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const outputs = Object.values(exports)
  .flatMap(({ import: esm, require: cjs }) => [esm, cjs])
  .filter(Boolean)
  .flatMap((paths) => Object.values(paths))
  .map((path) => join(root, path))

if (isStale(outputs, ['src', 'tsup.config.ts', 'tsconfig.json', 'package.json'])) {
  const tsup = bin('tsup')
  if (tsup) {
    say('building the TypeScript sources (dist/)')
    run(process.execPath, [tsup], quiet)
  } else {
    say('dist/ was not built, because the dev dependencies are not installed (npm install).')
  }
}
