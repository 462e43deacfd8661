// Which stream an echo is for. One list for all copies of this library in a process (ESM and CommonJS): an echo is answered
// by whichever copy the route belongs to.
import { randomBytes } from 'node:crypto'
import { shared } from '../internal/shared.js'

/** What a client has sent back. */
export interface Echo {
  /** By which the server knows the stream. Whoever knows it has read the stream. */
  readonly token: string
  /** The id of the last event that the client has processed, `''` for none. Its own word. */
  readonly lastEventId: string
}

/**
 * What became of an echo: `heard`; `limited`, it came too soon after another one and was not counted; `gone`, its stream was
 * this process's and has ended; `foreign`, its stream is not this process's.
 */
export type EchoOutcome = 'heard' | 'limited' | 'gone' | 'foreign'

/** A stream that echoes are for. */
export interface EchoTarget {
  /** Returns whether it counts. */
  onEcho(lastEventId: string): boolean
}

interface Registry {
  /** In front of all tokens of this process: tells the ended streams of this one from the streams of others. */
  readonly process: string
  readonly targets: Map<string, EchoTarget>
}

const registry = shared<Registry>('echoes', () => ({
  process: randomBytes(6).toString('base64url'),
  targets: new Map(),
}))

/** 8 characters for the process, and 96 random bits. */
const TOKEN = /^[\w-]{24}$/
const PROCESS_LENGTH = 8

/** Whether it could be a token at all. */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

/** Makes the token of a stream, which is known from now on. */
export function register(target: EchoTarget): string {
  const { process, targets } = registry
  const token = process + randomBytes(12).toString('base64url')
  targets.set(token, target)
  return token
}

/** The stream has ended. */
export function unregister(token: string): void {
  registry.targets.delete(token)
}

/**
 * Gives an echo to its stream, if that is this process's: for a process that another one asks about an echo, which has come
 * to it and is not its own. See the option `lookup` of `echo`.
 *
 * @example
 * process.on('message', (message: Echo) => {
 *   if (acceptEcho(message) === 'heard') process.send?.({ found: message.token })
 * })
 */
export function acceptEcho({ token, lastEventId }: Echo): EchoOutcome {
  const { process, targets } = registry
  const target = targets.get(token)
  if (target !== undefined) return target.onEcho(lastEventId) ? 'heard' : 'limited'
  return token.slice(0, PROCESS_LENGTH) === process ? 'gone' : 'foreign'
}

/** How many streams wait for echoes. */
export function echoTargets(): number {
  return registry.targets.size
}
