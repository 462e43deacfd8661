// The server goes: nobody new, and those who are there leave one after the other.
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

/** What `drain` can end: a stream, a channel's streams, those on a server's connections, or all of the process. */
export type DrainTarget = EventStream | Channel | HubChannel | Server | 'all'

/** Options of `drain`. Times in milliseconds. */
export interface DrainOptions {
  /**
   * The least that clients are told to wait before they connect again (`retry`, and `Retry-After` for those that come
   * now). Each is told a number of its own, up to twice as long, so that they do not come back together. `false`: streams
   * end without a `retry`, and clients come back as they would after any end; those that come now get `Retry-After: 1`.
   * @defaultValue 2 000
   */
  retry?: number | false | undefined
  /** The time over which the ends are spread, evenly. @defaultValue half of `timeout` */
  spreadOver?: number | undefined
  /**
   * When this is over, whoever is not through is cut off: reason `drained` with an error, `ERR_DRAIN_TIMEOUT`.
   * @defaultValue 20 000
   */
  timeout?: number | undefined
  /** A last event for every client. One whose queue is full does without. */
  event?: EventInput | EncodedEvent | undefined
  /** Aborted: everybody is cut off now, as when the time is over. */
  signal?: AbortSignal | undefined
}

/** What became of the streams that a drain found. */
export interface DrainResult {
  /** How many there were. */
  readonly streams: number
  /** Ended properly: everything was acknowledged, where that can be known. */
  readonly drained: number
  /** Cut off at the end of the time. */
  readonly aborted: number
  /** Had another end meanwhile: the client left, was found dead, … */
  readonly left: number
  /** Milliseconds that all took. */
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

/** The options with everything filled in. */
export interface DrainSettings {
  /** Whether the connections go with the streams: their server goes. */
  readonly closeConnections: boolean
  readonly shutdownMessage: ShutdownMessage
  readonly retry: number
  readonly spreadOver: number
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/**
 * Ends streams without a storm of clients that all come back at once: the ends are spread evenly over `spreadOver`, each client is
 * told a time of its own to wait, and what was sent is acknowledged before the end. From the call on requests for new
 * streams get 503 with `Retry-After` (a server, `'all'`), or are ended like the others as they subscribe (a channel).
 * There is no way back.
 *
 * Settles when the last stream has ended, `timeout` at the latest. It does not close the server itself, nor keep the
 * process alive.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`, `ERR_EVENT_INVALID`, `ERR_NOT_DRAINABLE`, as a rejection, and nothing has happened
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
      'DrainOptions.spreadOver must not be more than timeout.',
      {
        option: 'DrainOptions.spreadOver',
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

/** Takes no more, and lists those that are there. */
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

/** Ends come in groups at most so often, ms. */
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
