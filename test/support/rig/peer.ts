/** A child process of the rig, seen from the test: calls, events, signals, its end. */
import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { environment, spawnTracked } from './children.js'
import type { CallMessage, ChildMessage, Methods, RemoteError } from './rpc.js'
import { until } from './until.js'

/** How a child is started. */
export interface SpawnPeerOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Arguments after the module, `process.argv.slice(2)` in the child. */
  readonly args?: readonly string[]
  /** Arguments before the module, for node: `--expose-gc`. */
  readonly execArgv?: readonly string[]
  /** How long the child may take until it calls `serveRpc`. Default 20 s. */
  readonly startTimeoutMs?: number
}

/** How a child ended: one of the two is set. */
export interface PeerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Any methods: for a peer whose program declares none. */
export type AnyMethods = Record<string, (...args: unknown[]) => unknown>

const OUTPUT_KEPT = 16_384

/**
 * A running child.
 *
 * @typeParam M - the methods it serves: `typeof methods` of the program
 * @typeParam E - its events, name to payload
 */
export class Peer<M extends Methods<M> = AnyMethods, E = Record<string, unknown>> {
  /** The process id: node's own, also behind `nsenter`, which replaces itself. */
  readonly pid: number
  /** Settles when the process is gone. Never rejects. */
  readonly exited: Promise<PeerExit>
  readonly #child: ChildProcess
  readonly #events = new EventEmitter()
  readonly #calls = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >()
  #output = ''
  #nextCall = 1
  #exit: PeerExit | undefined

  /** @internal Use `spawnServer`, `spawnClients` or `spawnLocal`. */
  constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? -1
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_KEPT)
      })
    }
    child.on('message', (message) => this.#onMessage(message as ChildMessage))
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#output += error.message
        this.#onExit({ code: null, signal: null }, resolve)
      })
      // 'close', not 'exit': what it wrote last has then been read.
      child.once('close', (code, signal) => this.#onExit({ code, signal }, resolve))
    })
  }

  /** The last 16 KB of what the child wrote to stdout and stderr. */
  get output(): string {
    return this.#output
  }

  /** Calls a method of the child. Rejects with its error, or if the child is or goes away. */
  call<K extends keyof M & string>(
    method: K,
    ...args: Parameters<M[K]>
  ): Promise<Awaited<ReturnType<M[K]>>> {
    return new Promise((resolve, reject) => {
      if (this.#exit !== undefined) return reject(this.#goneError())
      const call = this.#nextCall++
      this.#calls.set(call, { resolve: resolve as (value: unknown) => void, reject })
      const message: CallMessage = { rig: 'call', call, method, args }
      // A send that fails because the child just died is reported when its end is.
      this.#child.send(message, (error) => {
        if (error !== null && this.#child.connected) {
          this.#calls.delete(call)
          reject(error)
        }
      })
    })
  }

  /** Listens to an event of the child. @returns a function that stops listening */
  on<K extends keyof E & string>(event: K, listener: (payload: E[K]) => void): () => void {
    this.#events.on(event, listener)
    return () => this.#events.off(event, listener)
  }

  /** Stops the process with SIGSTOP, and resolves when it has stopped. */
  async pause(): Promise<void> {
    this.kill('SIGSTOP')
    await until(() => this.#exit !== undefined || processState(this.pid) === 'T')
  }

  /** Lets a paused process go on. */
  resume(): void {
    this.kill('SIGCONT')
  }

  /** Sends a signal; default SIGKILL. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal)
  }

  /** Kills the process and resolves when it is gone. */
  async close(): Promise<PeerExit> {
    if (this.#exit === undefined) this.kill()
    return this.exited
  }

  /** @internal Resolves when the child has called `serveRpc`. */
  ready(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.kill()
        reject(new Error(`${this.#name()} did not call serveRpc in ${timeoutMs} ms${this.#tail()}`))
      }, timeoutMs)
      this.#events.once('\0ready', () => {
        clearTimeout(timer)
        resolve()
      })
      void this.exited.then(() => {
        clearTimeout(timer)
        reject(this.#goneError())
      })
    })
  }

  #onMessage(message: ChildMessage): void {
    if (message.rig === 'ready') this.#events.emit('\0ready')
    else if (message.rig === 'event') this.#events.emit(message.event, message.payload)
    else if (message.rig === 'result' || message.rig === 'failure') {
      const pending = this.#calls.get(message.call)
      this.#calls.delete(message.call)
      if (message.rig === 'result') pending?.resolve(message.value)
      else pending?.reject(unpack(message.error))
    }
  }

  #onExit(exit: PeerExit, resolve: (exit: PeerExit) => void): void {
    if (this.#exit !== undefined) return
    this.#exit = exit
    for (const { reject } of this.#calls.values()) reject(this.#goneError())
    this.#calls.clear()
    resolve(exit)
  }

  #goneError(): Error {
    const { code, signal } = this.#exit ?? { code: null, signal: null }
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`
    return new Error(`${this.#name()} ${how}${this.#tail()}`)
  }

  #name(): string {
    return `child ${this.pid} (${this.#child.spawnargs.at(-1)})`
  }

  #tail(): string {
    const tail = this.#output.trim().slice(-2000)
    return tail === '' ? '' : `; its last output:\n${tail}`
  }
}

/** @internal Starts a module behind `prefix` and waits until it serves. */
export async function startPeer<M extends Methods<M>, E>(
  prefix: readonly string[],
  module: string | URL,
  options: SpawnPeerOptions = {},
): Promise<Peer<M, E>> {
  const file = module instanceof URL || module.startsWith('file:') ? fileURLToPath(module) : module
  const command = [
    ...prefix,
    process.execPath,
    ...(/\.[cm]?ts$/.test(file) ? ['--import', tsxLoader()] : []),
    ...(options.execArgv ?? []),
    file,
    ...(options.args ?? []),
  ]
  const child = spawnTracked(command, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: environment(options.env),
  })
  const peer = new Peer<M, E>(child)
  await peer.ready(options.startTimeoutMs ?? 20_000)
  return peer
}

/**
 * Starts a module as a plain child, in the namespace of this process: the same {@link Peer}, no
 * root, no rig. On loopback any `127.x.y.z` can be bound, so clients keep addresses of their own;
 * only cutting needs the rig.
 */
export function spawnLocal<M extends Methods<M> = AnyMethods, E = Record<string, unknown>>(
  module: string | URL,
  options?: SpawnPeerOptions,
): Promise<Peer<M, E>> {
  return startPeer([], module, options)
}

function tsxLoader(): string {
  return createRequire(import.meta.url).resolve('tsx')
}

function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may itself hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2)[0]
  } catch {
    return undefined
  }
}

function unpack({ name, message, stack, code }: RemoteError): Error {
  const error = new Error(message)
  error.name = name
  if (stack !== undefined) error.stack = `${stack}\n    (in the child process)`
  return code === undefined ? error : Object.assign(error, { code })
}
