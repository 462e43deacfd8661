// One feed's publications: in order, and each in the stream once. A publication that was not
// answered is sent again with the same `Nats-Msg-Id`, which the server recognizes within its
// duplicate window (two minutes).
//
// Normally many are in flight. After a failure there is only one at a time until one is taken, so
// that none overtakes those that must be sent again.
import { TcpSseError } from '../../internal/errors.js'
import { callAfter } from '../../internal/scheduling.js'
import { hubDown, publishUnknown } from '../failures.js'
import type { NewEntry, Position } from '../hub.js'
import type { NatsClient } from './client.js'
import type { Settings } from './options.js'
import { encode } from './payload.js'
import { checkOf, positionOf } from './position.js'

/** Maximum publications of a feed in flight. */
const WINDOW = 256

/** Pause before a failed publication is sent again, in milliseconds. */
const PAUSE = 100

interface Pending {
  readonly payload: string
  readonly token: string
  /** Unique among all publications. */
  readonly id: string
  readonly resolve: (position: Position) => void
  readonly reject: (error: TcpSseError) => void
  readonly cancel: () => void
  /** Whether the server may have stored it. */
  sent: boolean
  inFlight: boolean
}

/** What a publisher needs from its hub. */
export interface PublisherOptions {
  readonly client: NatsClient
  readonly settings: Settings
  readonly subject: string
  /** Whether there is a connection. */
  readonly connected: () => boolean
  /** Returns the stream's era. Makes the stream if it does not exist. */
  ensure(): Promise<string>
  /** Counts what is pending in the hub. Returns `false` if the limit is reached. */
  count(change: 1 | -1): boolean
}

/** Publishes for one feed. */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #name = `${Math.floor(Math.random() * 36 ** 10).toString(36)}.`
  readonly #pending: Pending[] = []
  #number = 0
  #era: string | undefined
  #inFlight = 0
  #careful = true
  #closed = false
  #cancelPause: (() => void) | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  publish(entry: NewEntry, timeout: number): Promise<Position> {
    if (this.#closed) return Promise.reject(hubDown('The channel has been closed.'))
    const payload = encode(entry)
    const longest = this.#options.client.connection.info?.max_payload ?? Number.POSITIVE_INFINITY
    // The server's limit includes the headers.
    const size = Buffer.byteLength(payload) + 256
    if (size > longest) {
      const why = `The event has ${size} bytes with its headers. The limit of the NATS server (max_payload) is ${longest}.`
      return Promise.reject(new TcpSseError('ERR_EVENT_INVALID', why))
    }
    if (!this.#options.count(1)) {
      const why =
        'The limit of unanswered publications (maxPending of the hub) is reached. Await broadcast().'
      return Promise.reject(hubDown(why))
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        payload,
        token: entry.token,
        id: `${this.#name}${++this.#number}`,
        resolve,
        reject,
        cancel: callAfter(timeout, () => this.#giveUp(pending, 'NATS has not answered in time.')),
        sent: false,
        inFlight: false,
      }
      this.#pending.push(pending)
      this.flush()
    })
  }

  /** Called when the stream exists, with its era. */
  start(era: string): void {
    this.#era = era
    this.flush()
  }

  /** Sends as many publications as the limits allow. */
  flush(): void {
    if (this.#era === undefined || this.#cancelPause !== undefined) return
    if (!this.#options.connected()) return
    const most = this.#careful ? 1 : WINDOW
    for (const pending of this.#pending) {
      if (this.#inFlight >= most) return
      if (!pending.inFlight) this.#send(pending)
    }
  }

  close(): void {
    this.#closed = true
    this.#cancelPause?.()
    for (const pending of [...this.#pending]) this.#giveUp(pending, 'The channel has been closed.')
  }

  #send(pending: Pending): void {
    const { client, settings, subject } = this.#options
    pending.sent = true
    pending.inFlight = true
    this.#inFlight += 1
    const options = { msgID: pending.id, timeout: settings.answerWithin, retries: 0 }
    client.js.publish(subject, pending.payload, options).then(
      ({ seq }) => this.#taken(pending, seq),
      (error: Error) => this.#failed(pending, error),
    )
  }

  #taken(pending: Pending, sequence: number): void {
    this.#inFlight -= 1
    this.#careful = this.#pending.some((each) => !each.inFlight && each.sent)
    // A publication before it that was not taken has lost its place in the order.
    for (const each of [...this.#pending]) {
      if (each === pending) break
      if (!each.inFlight) this.#giveUp(each, 'NATS has taken a later event, but not this one.')
    }
    const era = this.#era ?? ''
    const place = { era, sequence, check: checkOf(pending.token) }
    this.#settle(pending, () => pending.resolve(positionOf(place)))
    this.flush()
  }

  #failed(pending: Pending, error: Error): void {
    this.#inFlight -= 1
    pending.inFlight = false
    this.#careful = true
    if (isRefusal(error)) {
      const why = `JetStream has refused the event: ${error.message}`
      this.#settle(pending, () => pending.reject(hubDown(why, error)))
    }
    // Wait for those in flight: they may have been taken.
    if (this.#inFlight > 0 || this.#cancelPause !== undefined || this.#closed) return
    this.#pause()
  }

  #pause(): void {
    this.#cancelPause = callAfter(PAUSE, () => void this.#again())
  }

  /** Asks for the stream's era again, because the stream may be another one now, or be gone. */
  async #again(): Promise<void> {
    try {
      if (this.#pending.length > 0) this.#era = await this.#options.ensure()
    } catch {
      if (!this.#closed) this.#pause()
      return
    }
    this.#cancelPause = undefined
    this.flush()
  }

  #giveUp(pending: Pending, why: string): void {
    const error = pending.sent ? publishUnknown(why) : hubDown(why)
    this.#settle(pending, () => pending.reject(error))
  }

  #settle(pending: Pending, how: () => void): void {
    const index = this.#pending.indexOf(pending)
    if (index < 0) return
    this.#pending.splice(index, 1)
    pending.cancel()
    this.#options.count(-1)
    how()
  }
}

/**
 * Whether the error is JetStream's answer to this message. Another attempt would get the same
 * answer.
 */
function isRefusal(error: Error): boolean {
  return error.name === 'JetStreamApiError'
}
