// The public surface changes on purpose only, and what is internal is not in the shipped types.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'

let seen: { report: string; problems: string[]; texts: string[] }

beforeAll(() => {
  const script = new URL('../../scripts/api-report.mjs', import.meta.url)
  const code = `import { checkedReport } from ${JSON.stringify(script.href)}; process.stdout.write(JSON.stringify(checkedReport()))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    maxBuffer: 1e8,
  })
  seen = JSON.parse(output)
}, 180_000)

it('docs/api-report.md is the surface as it is: after a change, npm run api:report', () => {
  const committed = readFileSync(new URL('../../docs/api-report.md', import.meta.url), 'utf8')
  expect(seen.report).toBe(committed)
})

it('the shipped types have nothing that is marked @internal, and are whole without it', () => {
  expect(seen.texts.length).toBeGreaterThan(50)
  expect(seen.texts.filter((text) => text.includes('@internal'))).toEqual([])
  // Without `skipLibCheck` a user's compiler would find them.
  expect(seen.problems).toEqual([])
})

it('the build leaves out what the report leaves out', () => {
  const build = readFileSync(new URL('../../tsup.config.ts', import.meta.url), 'utf8')
  expect(build).toMatch(/compilerOptions = \{[^}]*stripInternal: true/)
  expect(build.match(/dts: \{[^}]*compilerOptions/g)).toHaveLength(2)
})
