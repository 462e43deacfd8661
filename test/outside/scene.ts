// Servers that we did not write in a rig, with the command beside them.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createRig, type Rig } from '../../src/testing/index.js'
import { tsx } from '../support/tsx.js'
import { waitFor } from '../support/wait-for.js'

/** The programs of servers are there. */
const servers = fileURLToPath(new URL('./servers/', import.meta.url))
const cli = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** A line of `tcp-sse guard --json`. */
export interface Line {
  time: string
  event: 'start' | 'close' | 'stop' | 'problem'
  outcome?: string
  reason?: string
  remoteAddress?: string
  message?: string
  closed?: Record<string, number>
}

/** A client that was ended. */
export interface End {
  readonly address: string
  readonly at: number
}

/** Where the command serves its metrics. */
const METRICS_PORT = 19_100

/** The command, running. */
export interface Command {
  readonly child: ChildProcess
  readonly lines: Line[]
  /** Those that were ended, and when: `Date.now()`. */
  closes(): End[]
  /** The lines of those that were ended later than that, ms after a time. They say what the guard knew. */
  late(since: number, within: number): readonly Line[]
  /** One of the guard's metrics: the sum over all labels, or the value for one. */
  metric(name: string, label?: string): number
  /** Waits until the guard watches just so many connections. Before that, it cannot know that one of them falls silent. */
  sees(count: number): Promise<unknown>
  /** Waits for so many ends. The error says what the guard knows. */
  ends(count: number, within: number): Promise<readonly End[]>
  /** SIGTERM, and the exit status. */
  stop(): Promise<number | null>
}

/** A rig that runs any program on the server's side. */
export class Scene {
  readonly rig: Rig
  readonly #children: ChildProcess[] = []

  constructor(options: Parameters<typeof createRig>[0] = {}) {
    this.rig = createRig(options)
    this.run('ip', 'link', 'set', 'lo', 'up')
  }

  /** Enters the server's namespace, which is the rig's first. */
  get #prefix(): string[] {
    const user = process.getuid?.() === 0 ? [] : ['-U', '--preserve-credentials']
    return ['nsenter', '-t', String(this.rig.processes[0]), ...user, '-n']
  }

  /** Runs a program to its end; what it printed. */
  run(...command: string[]): string {
    const [program = '', ...args] = [...this.#prefix, ...command]
    return spawnSync(program, args, { encoding: 'utf8' }).stdout
  }

  /** Starts a program that ends with the scene. */
  start(command: readonly string[]): ChildProcess {
    const [program = '', ...args] = [...this.#prefix, 'setpriv', '--pdeathsig', 'KILL', ...command]
    // A process group of its own: servers have workers, which a killed master leaves behind.
    const stdio = ['ignore', 'pipe', 'pipe'] as const
    const child = spawn(program, args, { cwd: servers, stdio: [...stdio], detached: true })
    this.#children.push(child)
    return child
  }

  /** Starts a server and waits until it listens. */
  async serve(port: number, command: readonly string[]): Promise<ChildProcess> {
    const child = this.start(command)
    let words = ''
    child.stdout?.on('data', (text) => (words += text))
    child.stderr?.on('data', (text) => (words += text))
    const sign = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
    await waitFor(`${command[0]} on ${port}`, () => {
      if (child.exitCode !== null) throw new Error(words)
      const tables = this.run('cat', '/proc/net/tcp', '/proc/net/tcp6')
      return tables.split('\n').some((line) => line.includes(sign) && line.includes(' 0A '))
    })
    return child
  }

  /** Starts `tcp-sse guard`, and waits until it says so. */
  guard(...args: string[]): Promise<Command> {
    return this.guardUnder([], ...args)
  }

  /** The same below another command, such as `setpriv`. */
  async guardUnder(prefix: readonly string[], ...args: string[]): Promise<Command> {
    const port = METRICS_PORT + this.#children.length
    const flags = ['guard', '--json', '--metrics-port', `${port}`, ...args]
    const child = this.start([...prefix, process.execPath, '--import', tsx, cli, ...flags])
    const lines: Line[] = []
    let rest = ''
    let complaints = ''
    child.stderr?.on('data', (text) => (complaints += text))
    child.stdout?.on('data', (text) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts.map((part) => JSON.parse(part) as Line))
    })
    await waitFor('the guard', () => {
      if (child.exitCode !== null) throw new Error(complaints)
      return lines.length > 0
    })
    const metrics = (): string => this.run('curl', '-s', `http://127.0.0.1:${port}/metrics`)
    const metric = (name: string, label = '[^}]*'): number => {
      const line = new RegExp(`^tcp_sse_port_guard_${name}(?:\\{${label}\\})? (\\d+)$`, 'gm')
      return [...metrics().matchAll(line)].reduce((sum, [, value]) => sum + Number(value), 0)
    }
    const endLines = (): Line[] =>
      lines.filter(({ event, outcome }) => event === 'close' && outcome === 'ended')
    const closes = (): End[] =>
      endLines().map(({ remoteAddress = '', time }) => ({
        address: remoteAddress,
        at: Date.parse(time),
      }))
    return {
      child,
      lines,
      closes,
      late: (since, within) => endLines().filter(({ time }) => Date.parse(time) - since > within),
      metric,
      sees: (count) =>
        waitFor(`${count} connections seen`, () => metric('connections') === count, 10_000),
      async ends(count, within) {
        try {
          await waitFor('the ends', () => closes().length >= count, within)
        } catch (cause) {
          const state = `exit ${child.exitCode}, ${complaints}, ${JSON.stringify(lines)}, ${metrics()}`
          throw new Error(`${closes().length} of ${count} ended: ${state}`, { cause })
        }
        return closes()
      },
      async stop() {
        // Unlike 'exit', 'close' comes after all output.
        const exit = once(child, 'close')
        child.kill('SIGTERM')
        return (await exit)[0]
      },
    }
  }

  /** Established connections of a port, on the server's side. */
  established(port: number): number {
    const sign = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
    return this.run('cat', '/proc/net/tcp', '/proc/net/tcp6')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(sign) && state === '01').length
  }

  /**
   * Milliseconds until keepalive next asks each peer of a port, where that is the kernel's next timer: it is another one
   * while data is in flight.
   */
  keepAliveTimers(port: number): number[] {
    const lines = this.run('ss', '-Htno', 'state', 'established', `sport = :${port}`).split('\n')
    return lines.flatMap((line) => {
      const [, time = ''] = /timer:\(keepalive,([^,]+),/.exec(line) ?? []
      const [, seconds, unit] = /^([\d.]+)(ms|sec)$/.exec(time) ?? []
      if (time === '') return []
      // ss writes 1.180ms for 1180 ms, and nothing of this kind for minutes.
      if (unit === undefined) return [Number.POSITIVE_INFINITY]
      const isMilliseconds = unit === 'ms' && !seconds?.includes('.')
      return [Number(seconds) * (isMilliseconds ? 1 : 1_000)]
    })
  }

  /** How many responses the application has under way. */
  live(port: number): number {
    return this.count(port, '/live')
  }

  /** A number that the application tells. */
  count(port: number, path: string): number {
    // While this process waits, it reads no output of the servers, and a full pipe may block them.
    return Number(this.run('curl', '-s', '-m', '5', `http://127.0.0.1:${port}${path}`))
  }

  close(): void {
    for (const { pid } of this.#children) killGroup(pid)
    this.rig.close()
  }
}

/** Numbers from `from` up to, and not with, `to`. */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index)

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
