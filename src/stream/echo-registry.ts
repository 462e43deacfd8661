// Finds the stream of an echo. All copies of this library in a process (ESM and CommonJS) share one list, because any
// of them may own the route that receives the echo.
import { randomBytes } from 'node:crypto'
import { shared } from '../internal/shared.js'

/** An echo that a client has sent. */
export interface Echo {
  /** The token by which the server finds the stream. Only code that has read the stream has it. */
  readonly token: string
  /**
   * The id of the last event that the client has processed, `''` for none. The client reports it, so it may be wrong.
   */
  readonly lastEventId: string
}

/**
 * The outcome of an echo:
 * - `heard`: it was counted.
 * - `limited`: it came too soon after another one and was not counted.
 * - `gone`: its stream belonged to this process and has ended.
 * - `foreign`: its stream belongs to another process, or this is not an echo.
 */
export type EchoOutcome = 'heard' | 'limited' | 'gone' | 'foreign'

/** A stream that expects echoes. */
export interface EchoTarget {
  /** Returns whether the echo counts. */
  onEcho(lastEventId: string): boolean
}

interface Registry {
  /**
   * The prefix of all tokens of this process. It distinguishes ended streams of this process from streams of other
   * processes.
   */
  readonly process: string
  readonly targets: Map<string, EchoTarget>
}

const registry = shared<Registry>('echoes', () => ({
  process: randomBytes(6).toString('base64url'),
  targets: new Map(),
}))

/** 8 characters for the process and 96 random bits. */
const TOKEN = /^[\w-]{24}$/
const PROCESS_LENGTH = 8

/** Whether a text has the form of a token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

/** Creates and registers the token of a stream. */
export function register(target: EchoTarget): string {
  const { process, targets } = registry
  const token = process + randomBytes(12).toString('base64url')
  targets.set(token, target)
  return token
}

/** Removes the token of a stream that has ended. */
export function unregister(token: string): void {
  registry.targets.delete(token)
}

/**
 * Passes an echo to its stream, if the stream belongs to this process. A process that receives an echo for another
 * process's stream asks the other processes (option `lookup` of `echo`). Call this function in a process that is asked.
 *
 * @example
 * process.on('message', (message: Echo) => {
 *   if (acceptEcho(message) === 'heard') process.send?.({ found: message.token })
 * })
 */
export function acceptEcho(echo: Echo): EchoOutcome {
  // Other messages can arrive on the same channel.
  const { token, lastEventId } = (echo ?? {}) as Partial<Echo>
  if (typeof token !== 'string' || typeof lastEventId !== 'string') return 'foreign'
  const { process, targets } = registry
  const target = targets.get(token)
  if (target !== undefined) return target.onEcho(lastEventId) ? 'heard' : 'limited'
  return token.slice(0, PROCESS_LENGTH) === process ? 'gone' : 'foreign'
}

/** The number of streams that expect echoes. */
export function echoTargets(): number {
  return registry.targets.size
}
