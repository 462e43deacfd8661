// Engines as Debian has them, on loopback, in folders of their own, which tests may kill, stop and start again.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.js'
import { waitFor } from './wait-for.js'

/** Why an engine is not here, or `undefined`. */
export function engineMissing(program: 'redis-server' | 'nats-server'): string | undefined {
  const { error, status } = spawnSync(program, ['--version'])
  return error === undefined && status === 0 ? undefined : `${program} is not installed`
}

/** Where it listens, and what its first answer to `greeting` must match. */
interface Program {
  readonly command: readonly string[]
  readonly port: number
  readonly greeting: string
  readonly ready: RegExp
}

/** A server process that can be started again. */
export class EngineServer {
  readonly port: number
  readonly folder: string
  readonly #program: Program
  #child: ChildProcess | undefined

  constructor(program: Program, folder: string) {
    this.#program = program
    this.port = program.port
    this.folder = folder
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  async start(): Promise<void> {
    const [file = '', ...args] = this.#program.command
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    // It must not outlive this process.
    const end = (): void => void child.kill('SIGKILL')
    process.on('exit', end)
    child.on('exit', () => process.off('exit', end))
    let output = ''
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (chunk) => {
        output = (output + chunk).slice(-4_000)
      })
    }
    try {
      await waitFor(`${file} on ${this.port}`, () => this.#answers(child))
    } catch (cause) {
      throw new Error(`${file} did not start: ${output}`, { cause })
    }
  }

  /** As a crash: with SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Stands still, with its connections open. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** What it answers to a line of text. */
  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, '127.0.0.1')
      socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')))
      socket.on('error', reject)
      socket.on('connect', () => socket.write(`${line}\r\n`))
      socket.on('data', (data) => {
        socket.destroy()
        resolve(data.toString())
      })
    })
  }

  async #answers(child: ChildProcess): Promise<boolean> {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    try {
      return this.#program.ready.test(await this.ask(this.#program.greeting))
    } catch {
      return false
    }
  }
}

/** A Redis server with an append-only file, and whatever more is said as in its configuration. */
export async function startRedis(...more: string[]): Promise<EngineServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-redis-'))
  const port = await freePort()
  const log = [
    '--repl-diskless-sync-delay',
    '0',
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
    '--save',
    '',
  ]
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
  const command = ['redis-server', ...place, ...log, '--enable-debug-command', 'yes', ...more]
  const server = new EngineServer({ command, port, greeting: 'PING', ready: /PONG/ }, folder)
  await server.start()
  return server
}

/** A NATS server with JetStream in a file. */
export async function startNats(...more: string[]): Promise<EngineServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-nats-'))
  const port = await freePort()
  const command = ['nats-server', '-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder]
  const ready = /"jetstream":true/
  const server = new EngineServer(
    { command: [...command, ...more], port, greeting: '', ready },
    folder,
  )
  await server.start()
  return server
}
