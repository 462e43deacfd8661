// A source into a stream, at the pace of the client.
import { AsyncResource } from 'node:async_hooks'
import { onAbort } from '../internal/abort.js'
import { Deferred } from '../internal/deferred.js'
import { nextTurn } from '../internal/scheduling.js'
import { abortSignal, type Checks, checkOptions } from '../internal/validate.js'
import type { EncodedEvent, EventInput } from '../sse/encode.js'
import { type EventIterable, isThenable, openSource, type Puller } from './source.js'
import type { SendResult } from './states.js'
import type { EndListener, Writer } from './writer.js'

/** How `sendAll` came to its end. */
export interface SendAllResult {
  /** How many events the stream took; those that its overflow policy dropped at once are not counted. */
  readonly sent: number
  /**
   * - `done`: the source has ended; the stream is still open.
   * - `closed`: the stream has ended, or is ending; its `closed` tells why.
   * - `aborted`: by the `signal` option; the stream is still open.
   * - `error`: the source threw, or yielded what is no event. The stream sends what it has and closes as `error`.
   */
  readonly reason: 'done' | 'closed' | 'aborted' | 'error'
  /** What was thrown. */
  readonly error?: unknown
}

/** What a transfer needs of a stream. */
interface Sink {
  readonly writer: Writer
  send(event: EventInput | EncodedEvent): SendResult
  /** Ends the stream because of what a source has done. */
  fail(error: unknown): void
}

/** After so many events without a wait the event loop gets its turn: no source may hold it, however eager. */
const WITHOUT_A_TURN = 64

/** Options of `sendAll`. */
export interface SendAllOptions {
  /** Stops the transfer and the source; the stream stays open. */
  signal?: AbortSignal | undefined
}

const checks: Checks<SendAllOptions> = { signal: abortSignal }

/** Pulls until the source, the stream or the signal ends. The promise rejects only for what is no source or no options. */
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
  /** The source is stopped in the context of its `sendAll`, whoever ends the stream. */
  readonly #context = new AsyncResource('tcp-sse.sendAll', { requireManualDestroy: true })
  #over = false
  /** The source itself has thrown: the protocol of iterators takes it for ended then. */
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
      // The callbacks come in the tick of the end itself, whatever the loop below waits for.
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

  /** The source is foreign code: whatever it does wrong, wherever, is the end of the transfer and not more. */
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
      // What took its time to come may find the room gone, to somebody else who sends.
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

  /** The next event, or `NO_MORE`. At once, where the source is not a promise's. */
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
      throw new TypeError(`The source's next() gave ${step} and not an object.`)
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
