/**
 * The child's half of the conversation over Node's IPC channel, and the messages of both halves.
 * Arguments and results travel by structured clone: `Map`, `Date`, `Buffer` and `undefined` arrive
 * as they left, functions do not.
 */

/** A table of methods, as a type: each key's value is a function. */
export type Methods<M> = { [K in keyof M]: (...args: never[]) => unknown }

/** An error as it travels: structured clone would lose `code`. */
export interface RemoteError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly code: string | undefined
}

/** What a parent sends. @internal */
export interface CallMessage {
  readonly rig: 'call'
  readonly call: number
  readonly method: string
  readonly args: readonly unknown[]
}

/** What a child sends. @internal */
export type ChildMessage =
  | { readonly rig: 'ready' }
  | { readonly rig: 'result'; readonly call: number; readonly value: unknown }
  | { readonly rig: 'failure'; readonly call: number; readonly error: RemoteError }
  | { readonly rig: 'event'; readonly event: string; readonly payload: unknown }

/**
 * Serves these methods to the process that started this one, and tells it that this one is ready.
 * When the parent is gone, this process exits.
 *
 * @example
 * ```ts
 * const methods = { listen: async (port: number) => … }
 * export type ServerMethods = typeof methods
 * const emit = serveRpc<{ closed: { code: string } }>(methods)
 * emit('closed', { code: 'ETIMEDOUT' })
 * ```
 * @returns a function that sends an event to the parent
 */
export function serveRpc<E = Record<string, unknown>>(
  methods: Record<string, (...args: never[]) => unknown>,
): <K extends keyof E & string>(event: K, payload: E[K]) => void {
  if (process.send === undefined) {
    throw new Error('this program is started by spawnServer, spawnClients or spawnLocal only')
  }
  process.on('disconnect', () => process.exit())
  process.on('message', (message) => {
    if (isCall(message)) void answer(methods, message)
  })
  send({ rig: 'ready' })
  return (event, payload) => send({ rig: 'event', event, payload })
}

async function answer(
  methods: Record<string, (...args: never[]) => unknown>,
  { call, method, args }: CallMessage,
): Promise<void> {
  try {
    const run = Object.hasOwn(methods, method) ? methods[method] : undefined
    if (run === undefined) throw new TypeError(`there is no method "${method}"`)
    send({ rig: 'result', call, value: await run(...(args as never[])) })
  } catch (error) {
    send({ rig: 'failure', call, error: pack(error) })
  }
}

function send(message: ChildMessage): void {
  // Once the parent is gone there is nobody to tell; 'disconnect' ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}

function pack(error: unknown): RemoteError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), stack: undefined, code: undefined }
  }
  const { name, message, stack } = error
  return { name, message, stack, code: (error as NodeJS.ErrnoException).code }
}

function isCall(message: unknown): message is CallMessage {
  return typeof message === 'object' && message !== null && 'rig' in message
}
