// Sends a source into a stream, at the pace of the client.
import { AsyncResource } from 'node:async_hooks'
import { onAbort } from '../internal/abort.js'
import { Deferred } from '../internal/deferred.js'
import { nextTurn } from '../internal/scheduling.js'
import { abortSignal, type Checks, checkOptions } from '../internal/validate.js'
import type { EncodedEvent, EventInput } from '../sse/encode.js'
import { type EventIterable, isThenable, openSource, type Puller } from './source.js'
import type { SendResult } from './states.js'
import type { EndListener, Writer } from './writer.js'

/** The result of `sendAll`. */
export interface SendAllResult {
  /** The number of events that the stream accepted, without those that its overflow policy dropped at once. */
  readonly sent: number
  /**
   * Why the transfer ended:
   * - `done`: the source has ended; the stream is still open.
   * - `closed`: the stream has ended or is ending; its `closed` has the reason.
   * - `aborted`: by the `signal` option; the stream is still open.
   * - `error`: the source threw, or yielded a value that is not an event. The stream sends what it has and closes with
   *   reason `error`.
   */
  readonly reason: 'done' | 'closed' | 'aborted' | 'error'
  /** The value that was thrown. */
  readonly error?: unknown
}

/** What a transfer needs of a stream. */
interface Sink {
  readonly writer: Writer
  send(event: EventInput | EncodedEvent): SendResult
  /** Ends the stream because of what a source has done. */
  fail(error: unknown): void
}

/** After this many events without a wait, the event loop gets a turn, so that no source can block it. */
const WITHOUT_A_TURN = 64

/** Options of `sendAll`. */
export interface SendAllOptions {
  /** Stops the transfer and the source; the stream stays open. */
  signal?: AbortSignal | undefined
}

const checks: Checks<SendAllOptions> = { signal: abortSignal }

/**
 * Pulls until the source, the stream or the signal ends. The promise rejects only for an invalid source or invalid
 * options.
 */
export async function transfer(
  sink: Sink,
  source: EventIterable,
  options: SendAllOptions = {},
): Promise<SendAllResult> {
  const { signal } = checkOptions(options, checks, 'SendAllOptions')
  return new Transfer(sink, openSource(source)).start(signal)
}

const NO_MORE = Symbol('no more')

class Transfer implements EndListener {
  readonly #sink: Sink
  readonly #source: Puller
  readonly #result = new Deferred<SendAllResult>()
  readonly #cleanups: (() => void)[] = []
  /** The source is stopped in the context of its `sendAll`, not in that of the code that ends the stream. */
  readonly #context = new AsyncResource('tcp-sse.sendAll', { requireManualDestroy: true })
  #over = false
  /** Whether the source itself has thrown. By the protocol of iterators, it has then ended. */
  #sourceFailed = false
  #sent = 0

  constructor(sink: Sink, source: Puller) {
    this.#sink = sink
    this.#source = source
  }

  start(signal: AbortSignal | undefined): Promise<SendAllResult> {
    if (signal?.aborted) {
      this.#halt('aborted')
    } else {
      // The callbacks run in the tick of the end itself, even while the loop below waits.
      if (signal !== undefined) this.#cleanups.push(onAbort(signal, () => this.#halt('aborted')))
      this.#sink.writer.onEnd(this)
      this.#cleanups.push(() => this.#sink.writer.offEnd(this))
      void this.#run()
    }
    return this.#result.promise
  }

  onEnd(): void {
    this.#halt('closed')
  }

  /** The source is code of the application: any error in it ends the transfer, and nothing else. */
  async #run(): Promise<void> {
    try {
      await this.#loop()
    } catch (error) {
      if (!this.#over && !this.#sourceFailed) this.#source.stop()
      this.#fail(error)
    }
  }

  async #loop(): Promise<void> {
    let streak = 0
    while (!this.#over) {
      if (!this.#sink.writer.hasRoom) {
        streak = 0
        await this.#room()
        continue
      }
      const event = await this.#pull()
      if (event === NO_MORE) return this.#finish('done')
      // While the source was pulled from, other senders may have filled the stream.
      while (!this.#over && !this.#sink.writer.hasRoom) await this.#room()
      if (this.#over) return
      this.#send(event)
      streak += 1
      if (streak >= WITHOUT_A_TURN) {
        streak = 0
        await nextTurn()
      }
    }
  }

  async #room(): Promise<void> {
    if (!(await this.#sink.writer.writable())) this.#halt('closed')
  }

  /** Returns the next event or `NO_MORE`, synchronously unless the source returns a promise. */
  async #pull(): Promise<unknown> {
    let step: Awaited<ReturnType<Puller['next']>>
    try {
      const answer = this.#source.next()
      step = isThenable(answer) ? await answer : answer
    } catch (error) {
      this.#sourceFailed = true
      throw error
    }
    if (typeof step !== 'object' || step === null) {
      throw new TypeError(`next() of the source must return an object, not ${step}.`)
    }
    return step.done ? NO_MORE : step.value
  }

  #send(value: unknown): void {
    const result = this.#sink.send(value as EventInput)
    if (result === 'closed') this.#halt('closed')
    else if (result !== 'dropped') this.#sent += 1
  }

  #halt(reason: 'closed' | 'aborted'): void {
    if (this.#over) return
    this.#finish(reason)
    this.#context.runInAsyncScope(() => this.#source.stop())
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#finish('error', error)
    this.#sink.fail(error)
  }

  #finish(reason: SendAllResult['reason'], error?: unknown): void {
    if (this.#over) return
    this.#over = true
    for (const cleanup of this.#cleanups) cleanup()
    this.#result.resolve(
      reason === 'error' ? { sent: this.#sent, reason, error } : { sent: this.#sent, reason },
    )
  }
}
