// What a container allows: Docker's default seccomp profile, and an unprivileged user namespace. Every option works there,
// or its absence is a sentence.
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { cProgram } from '../support/c-program.js'
import { tsx } from '../support/tsx.js'

const program = fileURLToPath(new URL('../support/restricted-server.ts', import.meta.url))
const command = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const run = promisify(execFile)

/** Runs a program of this repository below another command, and returns what it prints. */
async function below(prefix: readonly string[], ...args: string[]): Promise<string> {
  const [first = '', ...rest] = [...prefix, process.execPath, '--import', tsx, ...args]
  return (await run(first, rest)).stdout
}

const userNamespace = ['unshare', '--user', '--map-root-user', '--net', 'sh', '-c']
const inUserNamespace = [...userNamespace, 'ip link set lo up && exec "$0" "$@"']
const allowed = spawnSync(userNamespace[0] as string, [...userNamespace.slice(1), 'true']).status

describe.runIf(capabilities().addon)('under the rules of a container', () => {
  const rules: [string, () => string[]][] = [
    ["Docker's default seccomp profile", () => [cProgram('docker-seccomp')]],
    ...(allowed === 0
      ? ([['a user namespace', () => inUserNamespace]] as [string, () => string[]][])
      : []),
  ]
  for (const [title, prefix] of rules) {
    it(`everything works as outside: ${title}`, async () => {
      const outside = JSON.parse(await below([], program))
      expect(outside).toMatchObject({ outcome: 'delivered', status: 'applied', skipped: {} })
      expect(JSON.parse(await below(prefix(), program))).toEqual(outside)
    })
  }

  it('doctor says that another process cannot be armed, and why', async () => {
    const found = (prefix: readonly string[]): Promise<{ about: string; note: string }[]> =>
      below(prefix, command, 'doctor', '--json').then(JSON.parse, ({ stdout }) =>
        JSON.parse(stdout),
      )
    const arm = (await found([cProgram('docker-seccomp')])).find(({ about }) =>
      about.startsWith('arm them'),
    )
    expect(arm).toMatchObject({
      value: 'no',
      note: expect.stringContaining('A seccomp profile refuses pidfd_getfd'),
    })
    const without = (await found([])).find(({ about }) => about.startsWith('arm them'))
    expect(without?.note).not.toContain('seccomp')
  })
})
