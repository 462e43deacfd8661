// Graceful shutdown: no new streams are accepted, and open ones end one after another.
import { Server } from 'node:net'
import type { Channel } from '../channel/channel.js'
import type { HubChannel } from '../channel/hub-channel.js'
import { onAbort } from '../internal/abort.js'
import { type Clock, systemClock } from '../internal/clock.js'
import { TcpSseError } from '../internal/errors.js'
import { isolated } from '../internal/rethrow.js'
import { isBranded } from '../internal/shared.js'
import {
  abortSignal,
  type Checks,
  checkOptions,
  duration,
  integer,
  orFalse,
  wrongType,
} from '../internal/validate.js'
import { type EncodedEvent, type EventInput, encodeEvent, isEncoded } from '../sse/encode.js'
import { serverOf, stopAdmission } from '../stream/admission.js'
import type { EventStream } from '../stream/event-stream.js'
import type { LiveStream } from '../stream/live-stream.js'
import { isStream, liveStreams, notAStream } from '../stream/live-streams.js'
import { ShutdownMessage } from '../stream/shutdown-message.js'

/**
 * What `drain` can end: a stream, the streams of a channel, those on a server's connections, or all
 * streams of the process.
 */
export type DrainTarget = EventStream | Channel | HubChannel | Server | 'all'

/** Options of `drain`. Times in milliseconds. */
export interface DrainOptions {
  /**
   * The shortest time that clients are asked to wait before they reconnect, as an integer from 0 to
   * 2 147 483 647. Each stream ends with its own `retry`, a random value between this time and
   * twice as long, so that clients do not reconnect at the same time. Requests that are refused
   * during the drain get a `Retry-After` from the same range. `false`: streams end without a
   * `retry`, so clients wait as long as after any other end; refused requests get `Retry-After: 1`.
   * @defaultValue 2 000
   */
  retry?: number | false | undefined
  /**
   * The time over which the ends are spread evenly. Not more than `timeout`. @defaultValue half of
   * `timeout`
   */
  spreadOver?: number | undefined
  /**
   * After this time, the remaining streams are cut off with the reason `drained` and the error
   * `ERR_DRAIN_TIMEOUT`.
   * @defaultValue 20 000
   */
  timeout?: number | undefined
  /** A last event for every client. A stream whose queue is full ends without it. */
  event?: EventInput | EncodedEvent | undefined
  /** When it aborts, all remaining streams are cut off at once, as after `timeout`. */
  signal?: AbortSignal | undefined
}

/** What happened to the streams that existed when the drain began. */
export interface DrainResult {
  /** The number of streams. */
  readonly streams: number
  /**
   * Streams that ended properly. If the client's acknowledgements can be observed, everything was
   * acknowledged.
   */
  readonly drained: number
  /** Streams that were cut off. */
  readonly aborted: number
  /** Streams that ended for another reason during the drain: the client left, was found dead, … */
  readonly left: number
  /** Milliseconds that the drain took. */
  readonly took: number
}

const checks: Checks<DrainOptions> = {
  retry: orFalse(integer('milliseconds', { min: 0, max: 2 ** 31 - 1 })),
  spreadOver: integer('milliseconds', { min: 0, max: 2 ** 31 - 1 }),
  timeout: duration(),
  event: (value, name) => {
    if (typeof value !== 'object' || value === null) throw wrongType(name, 'an event', value)
    return value as EventInput
  },
  signal: abortSignal,
}

/** The options with all defaults filled in. */
export interface DrainSettings {
  /** Whether connections are closed with their streams, because their server is shutting down. */
  readonly closeConnections: boolean
  readonly shutdownMessage: ShutdownMessage
  readonly retry: number
  readonly spreadOver: number
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/**
 * Ends streams without causing all clients to reconnect at once. The ends are spread evenly over
 * `spreadOver`, each client is asked to wait for a different time, and sent data is acknowledged
 * before a stream ends. From the call on, the server (with `'all'`, every server) answers requests
 * for new streams with 503 and `Retry-After`, and a drained channel ends the streams of new
 * subscribers. This cannot be undone.
 *
 * Settles when the last stream has ended, at the latest after `timeout`. It does not close the
 * server, and does not keep the process alive.
 *
 * @throws {TcpSseError} as a rejection, without any effect: `ERR_OPTION_*`, `ERR_EVENT_INVALID`,
 * `ERR_NOT_DRAINABLE`
 * @example
 * process.once('SIGTERM', async () => {
 *   server.close()
 *   const { drained, aborted } = await drain(server, { spreadOver: 10_000, timeout: 20_000 })
 *   console.log(`${drained} drained, ${aborted} cut off`)
 * })
 */
export async function drain(target: DrainTarget, options: DrainOptions = {}): Promise<DrainResult> {
  const settings = drainSettings(target, options)
  const streams = stopNew(target, settings)
  return new Drain(streams, settings, systemClock).run()
}

function drainSettings(target: DrainTarget, options: DrainOptions): DrainSettings {
  const given = checkOptions(options, checks, 'DrainOptions')
  const { retry = 2_000, timeout = 20_000, spreadOver = timeout / 2, event, signal } = given
  if (spreadOver > timeout) {
    throw new TcpSseError(
      'ERR_OPTION_VALUE',
      'DrainOptions.spreadOver must not be greater than timeout.',
      {
        option: 'spreadOver',
      },
    )
  }
  const last = event === undefined || isEncoded(event) ? event : encodeEvent(event)
  const closeConnections = !isStream(target) && !isChannel(target)
  const shutdownMessage = new ShutdownMessage(retry, last)
  return { closeConnections, shutdownMessage, retry: retry || 0, spreadOver, timeout, signal }
}

function isChannel(target: DrainTarget): target is Channel | HubChannel {
  return isBranded(target, 'Channel')
}

/** Stops admission, and returns the present streams. */
function stopNew(target: DrainTarget, { retry, shutdownMessage }: DrainSettings): LiveStream[] {
  if (isStream(target)) return [target]
  if (isChannel(target)) return target.stopSubscriptions(shutdownMessage)
  if (target !== 'all' && !(target instanceof Server)) {
    throw new TcpSseError(
      'ERR_NOT_DRAINABLE',
      notAStream(target, "drain takes a stream, a channel, a server, or 'all'."),
    )
  }
  stopAdmission(target, retry)
  const streams = [...liveStreams()]
  if (target === 'all') return streams
  return streams.filter(({ writer }) => serverOf(writer.transport.socket) === target)
}

/** Minimum time between two groups of ends, in milliseconds. */
const TICK = 20

/** One drain. */
export class Drain {
  readonly #streams: readonly LiveStream[]
  readonly #settings: DrainSettings
  readonly #clock: Clock
  readonly #startedAt: number
  #next = 0
  #cancelTimer: (() => void) | undefined

  constructor(streams: readonly LiveStream[], settings: DrainSettings, clock: Clock) {
    this.#streams = streams
    this.#settings = settings
    this.#clock = clock
    this.#startedAt = clock.now()
  }

  async run(): Promise<DrainResult> {
    const { signal } = this.#settings
    const ends = Promise.all(this.#streams.map(({ closed }) => closed))
    const forgetSignal = signal && onAbort(signal, () => this.#cut())
    if (signal?.aborted) this.#cut()
    else this.#tick()
    const infos = await ends
    this.#cancelTimer?.()
    forgetSignal?.()
    const ended = infos.filter(({ reason }) => reason === 'drained')
    const aborted = ended.filter(({ error }) => error !== undefined).length
    return {
      streams: infos.length,
      drained: ended.length - aborted,
      aborted,
      left: infos.length - ended.length,
      took: this.#clock.now() - this.#startedAt,
    }
  }

  #tick(): void {
    const passed = this.#clock.now() - this.#startedAt
    const { spreadOver, timeout } = this.#settings
    if (passed >= timeout) {
      this.#cut()
      return
    }
    const all = this.#streams.length
    const due = passed >= spreadOver ? all : Math.floor((passed / spreadOver) * all) + 1
    while (this.#next < Math.min(due, all)) {
      this.#end(this.#streams[this.#next++] as LiveStream)
    }
    const pause = this.#next < all ? TICK : timeout - passed
    this.#cancelTimer = this.#clock.after(Math.min(pause, timeout - passed), () => this.#tick())
  }

  #end(stream: LiveStream): void {
    const { closeConnections, shutdownMessage } = this.#settings
    if (closeConnections && stream.state !== 'closed')
      isolated(() => stream.writer.transport.closeConnectionAfter?.())
    stream.finish('drained', shutdownMessage.events())
  }

  #cut(): void {
    this.#cancelTimer?.()
    for (const stream of this.#streams) stream.cut()
  }
}
