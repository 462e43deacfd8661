// Calls over a child process's IPC channel.
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { TcpSseError } from '../internal/errors.js'

interface Question {
  id: number
  method: string
  args: unknown[]
}

interface Answer {
  id: number
  value?: unknown
  error?: string
}

/**
 * A child process, and the calls that it answers if its module calls `answer({ … })`.
 *
 * @example
 * const open = await child.call<number>('open')
 */
export class ChildProcessHandle {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: Omit<Answer, 'id'>) => void>()
  #stderr = ''
  #next = 1
  #ended: string | undefined

  /** @internal */
  constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', (chunk) => {
      this.#stderr = (this.#stderr + chunk).slice(-4000)
    })
    child.on('message', (message: Answer) => {
      this.#waiting.get(message.id)?.(message)
      this.#waiting.delete(message.id)
    })
    child.on('error', (error) => this.#end(error.message))
    // Not at `exit`, because its stderr may not have been read completely then.
    child.on('close', (code, signal) => this.#end(`it ended with ${signal ?? code}`))
  }

  /** The process id; 0 if it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The last 4 000 characters that the child wrote to stderr. */
  get stderr(): string {
    return this.#stderr
  }

  /** How the child has ended; `undefined` while it runs. */
  get ended(): string | undefined {
    return this.#ended
  }

  /**
   * Calls a method of the child. Arguments and result are passed as JSON.
   *
   * @throws {TcpSseError} `ERR_CHILD`, as a rejection: the method threw, or the child has ended
   */
  call<T>(method: string, ...args: unknown[]): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(gone(this.#ended))
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T)
        else reject(new TcpSseError('ERR_CHILD', `${method}: ${error}`))
      })
      // The end of the child rejects the call as well.
      this.#child.send({ id, method, args } satisfies Question, () => {})
    })
  }

  /** Sends the child a signal. With SIGSTOP, it becomes a client whose kernel still answers. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Kills the child at once. */
  stop(): void {
    this.#child.kill('SIGKILL')
  }

  #end(how: string): void {
    if (this.#ended !== undefined) return
    const last = this.#stderr.trim()
    this.#ended = last === '' ? how : `${how}:\n${last}`
    for (const settle of this.#waiting.values()) settle({ error: gone(this.#ended).message })
    this.#waiting.clear()
  }
}

function gone(how: string): TcpSseError {
  return new TcpSseError('ERR_CHILD', `the child process has ended: ${how}`)
}

/**
 * Starts a module in a child process. A TypeScript module needs `tsx`, or a Node.js version that
 * strips types.
 *
 * @param module - a JavaScript or TypeScript file
 * @param prefix - a command to run it with, such as `['nice', '-n', '19']`
 * @param env - variables in addition to this process's
 * @example
 * const child = startProcess(new URL('./server.js', import.meta.url))
 */
export function startProcess(
  module: URL | string,
  prefix: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): ChildProcessHandle {
  const path = module instanceof URL ? fileURLToPath(module) : module
  const command = [...prefix, process.execPath, ...loaderFor(path), path]
  const child = spawn(command[0] as string, command.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  return new ChildProcessHandle(child)
}

/** Node strips types since 22.18, but tests under a TypeScript loader often use more than that. */
function loaderFor(path: string): readonly string[] {
  if (!/\.[cm]?tsx?$/.test(path)) return []
  try {
    // Resolved from the module, and absolute, because the child may start in another folder.
    return ['--import', pathToFileURL(createRequire(path).resolve('tsx')).href]
  } catch {
    return []
  }
}

/**
 * The child's side: answers the calls of its parent's `ChildProcessHandle`, and ends when the
 * parent has ended.
 *
 * @param methods - by name; their results, or what these resolve to, are sent back
 * @example
 * const streams = new Set<EventStream>()
 * answer({ open: () => streams.size })
 */
export function answer(methods: Record<string, (...args: never[]) => unknown>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', async ({ id, method, args }: Question & { args: never[] }) => {
    const reply = (answer: Omit<Answer, 'id'>): void => void process.send?.({ id, ...answer })
    try {
      if (!Object.hasOwn(methods, method)) throw new Error('the child has no such method')
      reply({ value: await methods[method]?.(...args) })
    } catch (error) {
      reply({ error: String((error as Error).stack) })
    }
  })
}
