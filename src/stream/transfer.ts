// A source into a stream, at the pace of the client.
import type { EncodedEvent, EventInput } from '../sse/encode.js'
import { onAbort } from './abort.js'
import { Deferred } from './deferred.js'
import type { Sender } from './sender.js'
import type { Puller } from './source.js'
import type { SendResult } from './states.js'

/** How `sendAll` came to its end. */
export interface SendAllResult {
  /** How many events the stream took. */
  readonly sent: number
  /**
   * - `done`: the source has ended; the stream is still open.
   * - `closed`: the stream has ended, or is ending; its `closed` tells why. - `aborted`: by the `signal` option; the
   * stream is still open.
   * - `error`: the source threw, or yielded what is no event. The stream sends what it has and closes as `error`.
   */
  readonly reason: 'done' | 'closed' | 'aborted' | 'error'
  /** What was thrown. */
  readonly error?: unknown
}

/** What a transfer needs of a stream. */
export interface Sink {
  readonly sender: Sender
  send(event: EventInput | EncodedEvent): SendResult
  /** Ends the stream because of what a source has done. */
  fail(error: unknown): void
}

/** After so many events without a wait the event loop gets its turn: no source may hold it, however eager. */
const WITHOUT_A_TURN = 64

/** Pulls until the source, the stream or the signal ends. The promise never rejects. */
export function transfer(
  sink: Sink,
  source: Puller,
  signal: AbortSignal | undefined,
): Promise<SendAllResult> {
  return new Transfer(sink, source).start(signal)
}

class Transfer {
  readonly #sink: Sink
  readonly #source: Puller
  readonly #result = new Deferred<SendAllResult>()
  readonly #cleanups: (() => void)[] = []
  #over = false
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
      this.#cleanups.push(this.#sink.sender.onEnd(() => this.#halt('closed')))
      void this.#run()
    }
    return this.#result.promise
  }

  async #run(): Promise<void> {
    let streak = 0
    while (!this.#over) {
      if (!this.#sink.sender.hasRoom) {
        streak = 0
        if (!(await this.#sink.sender.writable())) this.#halt('closed')
        continue
      }
      const step = await this.#pull()
      if (step === undefined || this.#over) return
      if (step.done) return this.#finish('done')
      this.#send(step.value)
      streak += 1
      if (streak >= WITHOUT_A_TURN) {
        streak = 0
        await new Promise(setImmediate)
      }
    }
  }

  /** `undefined` after an error of the source. */
  async #pull(): Promise<{ done?: boolean | undefined; value?: unknown } | undefined> {
    try {
      const step = this.#source.next()
      return step instanceof Promise ? await step : step
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  #send(value: unknown): void {
    try {
      if (this.#sink.send(value as EventInput) === 'closed') this.#halt('closed')
      else this.#sent += 1
    } catch (error) {
      if (!this.#over) this.#source.stop()
      this.#fail(error)
    }
  }

  #halt(reason: 'closed' | 'aborted'): void {
    if (this.#over) return
    this.#finish(reason)
    this.#source.stop()
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
