// The command as a process: exit statuses, signals, what goes where.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { VERSION } from '../../src/internal/shared.js'
import { diagColumn, dumpSockets, TIMER_KEEPALIVE } from '../../src/tcp/diag.js'
import { cleanup, listen } from '../support/cleanup.js'
import { describeWithDestroy } from '../support/describe-with-destroy.js'
import { tsx } from '../support/tsx.js'
import { waitFor } from '../support/wait-for.js'

const cli = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const command = ['--import', tsx, cli]

const page = readFileSync(new URL('../../docs/outside.md', import.meta.url), 'utf8')

/** Where a recipe names its capabilities, and the flags of `setpriv` that leave a process with just these. */
interface Recipe {
  readonly capabilities: RegExp
  flags(capabilities: readonly string[]): string[]
}

/** What Docker and containerd leave to root in a container. */
const CONTAINER = [
  ...['chown', 'dac_override', 'fsetid', 'fowner', 'mknod', 'net_raw', 'setgid', 'setuid'],
  ...['setfcap', 'setpcap', 'net_bind_service', 'sys_chroot', 'kill', 'audit_write'],
]

const only = (capabilities: readonly string[]): string =>
  ['-all', ...capabilities.map((each) => `+${each}`)].join(',')

const inContainer = (capabilities: readonly string[]): string[] => [
  '--bounding-set',
  only([...CONTAINER, ...capabilities]),
]

const RECIPES: Readonly<Record<string, Recipe>> = {
  systemd: {
    capabilities: /AmbientCapabilities=(.*)/,
    flags: (capabilities) => [
      ...['--inh-caps', only(capabilities), '--ambient-caps', only(capabilities)],
      ...['--reuid', '65534', '--regid', '65534', '--clear-groups'],
    ],
  },
  'Docker Compose': { capabilities: /cap_add: \[(.*)\]/, flags: inContainer },
  Kubernetes: { capabilities: /capabilities: { add: \[(.*)\] }/, flags: inContainer },
}

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...command, ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

interface Started extends ChildProcess {
  out(): string
  words(): string
}

const start = (...args: string[]): Started => startAs([], ...args)

/** Starts a command with other privileges: flags of `setpriv`. */
function startAs(privileges: readonly string[], ...args: string[]): Started {
  const [program = '', ...rest] = [
    ...(privileges.length > 0 ? ['setpriv', ...privileges] : []),
    ...[process.execPath, ...command, ...args],
  ]
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Another user may not write where tsx keeps its cache.
    env: { ...process.env, TSX_DISABLE_CACHE: '1' },
  })
  cleanup.push(() => void child.kill('SIGKILL'))
  let [out, words] = ['', '']
  child.stdout.on('data', (more) => {
    out += more
  })
  child.stderr.on('data', (more) => {
    words += more
  })
  return Object.assign(child, { out: () => out, words: () => words })
}

async function listener(): Promise<number> {
  const server = net.createServer((socket) => socket.on('error', () => {}))
  const port = await listen(server)
  const client = net.connect(port, '127.0.0.1')
  cleanup.push(() => void client.destroy())
  await once(client, 'connect')
  return port
}

it('prints its version', () => {
  expect(run('--version')).toEqual({ status: 0, stderr: '', stdout: `${VERSION}\n` })
})

it('prints its help, and that of each command', () => {
  expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('doctor') })
  for (const name of ['guard', 'top', 'doctor']) {
    expect(run(name, '--help')).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining(`Usage: tcp-sse ${name}`),
    })
  }
})

it('ends with 2 and one line for a command line that means nothing', () => {
  expect(run()).toMatchObject({ status: 2, stdout: '' })
  const wrong = [
    ['gaurd'],
    ['guard'],
    ['guard', '--port', '0'],
    ['guard', '--port', '80', '-d', '1s'],
    ['top', '--port', '80', '--except', 'x'],
  ]
  for (const args of wrong) {
    const { status, stdout, stderr } = run(...args)
    expect([args, status, stdout]).toEqual([args, 2, ''])
    expect(stderr).toMatch(/^tcp-sse: .+\n$/)
  }
})

describeWithDestroy('tcp-sse', () => {
  it('guards until SIGTERM, serves metrics, and leaves the living alone', async () => {
    const port = await listener()
    const free = await listener()
    const taken = run('guard', '--port', `${port}`, '--metrics-port', `${free}`)
    expect(taken).toMatchObject({ status: 1, stderr: expect.stringContaining('EADDRINUSE') })
    const guard = start('guard', '--port', `${port}`, '--json', '--metrics-port', '19464')
    await once(guard.stdout as NonNullable<typeof guard.stdout>, 'data')
    expect(JSON.parse(guard.out())).toMatchObject({ event: 'start', port: [port], dryRun: false })
    const text = await (await fetch('http://127.0.0.1:19464/metrics')).text()
    expect(text).toContain('tcp_sse_port_guard_connections{verdict="alive"} 1\n')
    const exit = once(guard, 'close')
    guard.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
    expect(guard.out()).toContain('"event":"stop","closed":{"peer-dead":0,"stalled":0}')
  })

  it('shows a table once where it is not a terminal, and needs no rights for it', async () => {
    const port = await listener()
    const unprivileged = ['--bounding-set', '-all', process.execPath, ...command]
    const top = spawnSync(
      'setpriv',
      [...unprivileged, 'top', '--port', `${port}`, '--interval', '100ms'],
      { encoding: 'utf8' },
    )
    expect([top.status, top.stderr]).toEqual([0, ''])
    expect(top.stdout).toMatch(/^1 connections: .*\nCLIENT .*\n127\.0\.0\.1:\d+ +alive/)
    expect(top.stdout).not.toContain('\x1b')
    const guard = spawnSync('setpriv', [...unprivileged, 'guard', '--port', `${port}`], {
      encoding: 'utf8',
    })
    expect([guard.status, guard.stdout]).toEqual([1, ''])
    expect(guard.stderr).toMatch(/^tcp-sse: .*CAP_NET_ADMIN\.\n$/)
    const doctor = spawnSync('setpriv', [...unprivileged, 'doctor', '--json'], { encoding: 'utf8' })
    expect(doctor.status).toBe(1)
    expect(JSON.parse(doctor.stdout)).toContainEqual(
      expect.objectContaining({
        about: 'end them (SOCK_DESTROY)',
        status: 'missing',
        note: expect.stringContaining('CAP_NET_ADMIN'),
      }),
    )
  }, 120_000)

  it.each(Object.keys(RECIPES))(
    'guards and arms as in the recipe for %s, with its capabilities and no others',
    async (name) => {
      const port = await listener()
      const recipe = RECIPES[name] as Recipe
      const [, given = ''] = recipe.capabilities.exec(page) as RegExpExecArray
      const names = given.split(/[\s,]+/).map((each) => each.replace('CAP_', '').toLowerCase())
      const flags = ['--port', `${port}`, '--arm', '--json']
      const child = startAs(recipe.flags(names), 'guard', ...flags)
      await waitFor('its start', () => child.out().includes('\n'))
      const rows = dumpSockets([port], 1 << 1)
      const timer = (): number => rows.numbers[diagColumn.timer] as number
      expect([rows.count, timer()]).toEqual([1, TIMER_KEEPALIVE])
      const exit = once(child, 'close')
      child.kill('SIGINT')
      expect(await exit).toEqual([0, null])
      expect(child.out()).not.toContain('problem')
    },
  )

  it('says which capability is missing if root may not read the descriptors of a server, and goes on', async () => {
    const port = await listener()
    const privileges = ['--bounding-set', only([...CONTAINER, 'net_admin'])]
    const child = startAs(privileges, 'guard', '--port', `${port}`, '--arm')
    await waitFor('its words', () => child.words().includes('\n'), 20_000)
    expect(child.words()).toContain('Arming needs CAP_SYS_PTRACE')
    expect(child.exitCode).toBeNull()
  })

  it('ends with 1 if its output cannot be written, and goes on without a reader of its messages', async () => {
    const port = await listener()
    const script = 'exec "$0" "$@" >/dev/full'
    const full = spawnSync(
      'sh',
      ['-c', script, process.execPath, ...command, 'guard', '--port', `${port}`],
      { encoding: 'utf8' },
    )
    expect([full.status, full.stderr]).toEqual([1, expect.stringContaining('ENOSPC')])
    const flags = ['--port', `${port}`, '--arm', '--metrics-port', '19465']
    const child = startAs(['--bounding-set', only(['net_admin'])], 'guard', ...flags)
    child.stderr?.destroy()
    // It has a message at its start, and makes a dump each few seconds.
    const dumps = async (): Promise<number> => {
      const page = await fetch('http://127.0.0.1:19465/metrics').then((answer) => answer.text())
      return Number(/^tcp_sse_port_guard_dumps_total (\d+)$/m.exec(page)?.[1])
    }
    await waitFor(
      'dumps',
      () =>
        dumps().then(
          (count) => count >= 2,
          () => false,
        ),
      30_000,
    )
    expect(child.exitCode).toBeNull()
  }, 40_000)

  it('says what works here, with 0 where nothing is missing', () => {
    const { status, stdout } = run('doctor', '--json')
    const missing = (JSON.parse(stdout) as { status: string }[]).filter(
      (each) => each.status === 'missing',
    )
    expect([status, missing]).toEqual([0, []])
  })

  it('ends when its output has no reader any more', async () => {
    const port = await listener()
    const top = start('top', '--port', `${port}`, '--interval', '100ms', '--count', '1000')
    await once(top.stdout as NonNullable<typeof top.stdout>, 'data')
    const exit = once(top, 'exit')
    top.stdout?.destroy()
    expect((await exit)[0]).toBe(0)
  })
})
