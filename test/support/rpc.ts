// Questions and answers over a child process's IPC channel.
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

type Message =
  | { id: number; method: string; args: unknown[] }
  | { id: number; value?: unknown; error?: string }

/** A child process that answers calls. */
export class Peer {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (message: { value?: unknown; error?: string }) => void>()
  #stderr = ''
  #next = 1
  #ended = false

  constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', (chunk) => {
      this.#stderr = (this.#stderr + chunk).slice(-4000)
    })
    child.on('message', (message: { id: number; value?: unknown; error?: string }) => {
      this.#waiting.get(message.id)?.(message)
      this.#waiting.delete(message.id)
    })
    child.on('exit', (code, signal) => {
      this.#ended = true
      const error = `the child ended (${code ?? signal}): ${this.#stderr}`
      for (const settle of this.#waiting.values()) settle({ error })
      this.#waiting.clear()
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** What the child wrote to stderr: warnings end up here. */
  get stderr(): string {
    return this.#stderr
  }

  /** Calls a method of the child; rejects with its error, or when the child ends. */
  call<T>(method: string, ...args: unknown[]): Promise<T> {
    if (this.#ended) return Promise.reject(new Error(`the child has ended: ${this.#stderr}`))
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T)
        else reject(new Error(`${method}: ${error}`))
      })
      this.#child.send({ id, method, args } satisfies Message)
    })
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

/** Starts a TypeScript module as a child, behind a command prefix such as `ip netns exec NAME`. */
export function startPeer(
  module: URL,
  prefix: readonly string[] = [],
  env: Record<string, string> = {},
): Peer {
  // By its full name: a prefix such as nsenter may start the child in another folder.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const command = [...prefix, process.execPath, '--import', tsx, fileURLToPath(module)]
  const child = spawn(command[0] as string, command.slice(1), {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  return new Peer(child)
}

/** The child's side: answers calls, and ends when its parent is gone. */
export function answer(methods: Record<string, (...args: never[]) => unknown>): void {
  process.on('disconnect', () => process.exit(0))
  process.on(
    'message',
    async ({ id, method, args }: { id: number; method: string; args: never[] }) => {
      try {
        process.send?.({ id, value: await methods[method]?.(...args) })
      } catch (error) {
        process.send?.({ id, error: String((error as Error).stack) })
      }
    },
  )
}
