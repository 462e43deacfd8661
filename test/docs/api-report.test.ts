// The public surface changes on purpose only.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('docs/api-report.md is the surface as it is: after a change, npm run api:report', () => {
  const script = new URL('../../scripts/api-report.mjs', import.meta.url)
  const code = `import { apiReport } from ${JSON.stringify(script.href)}; process.stdout.write(apiReport())`
  const report = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  })
  const committed = readFileSync(new URL('../../docs/api-report.md', import.meta.url), 'utf8')
  expect(report).toBe(committed)
}, 180_000)
