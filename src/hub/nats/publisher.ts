// One feed's publications, in order, each in the stream once: what was not answered is sent again with the same `Nats-Msg-Id`, which the server
// recognizes within its duplicate window (two minutes).
//
// Many are in flight while all is well. After a failure there is one at a time until one is taken: so nothing overtakes what has to be sent again.
import { TcpSseError } from '../../internal/errors.js'
import { callAfter } from '../../internal/scheduling.js'
import { hubDown, publishUnknown } from '../failures.js'
import type { NewEntry, Position } from '../hub.js'
import type { NatsClient } from './client.js'
import type { Settings } from './options.js'
import { encode } from './payload.js'
import { checkOf, positionOf } from './position.js'

/** Publications of a feed in flight. */
const WINDOW = 256

/** Before a failed publication is tried again, ms. */
const PAUSE = 100

interface Pending {
  readonly payload: string
  readonly token: string
  /** Unlike that of any other publication. */
  readonly id: string
  readonly resolve: (position: Position) => void
  readonly reject: (error: TcpSseError) => void
  readonly cancel: () => void
  /** Whether the server may have it. */
  sent: boolean
  inFlight: boolean
}

/** What a publisher has to know of its hub. */
export interface PublisherOptions {
  readonly client: NatsClient
  readonly settings: Settings
  readonly subject: string
  /** Whether there is a connection. */
  readonly connected: () => boolean
  /** The stream's era; makes the stream where there is none. */
  ensure(): Promise<string>
  /** Counts what is pending in the hub; `false`: that is too much. */
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
    // Headers count, too.
    const size = Buffer.byteLength(payload) + 256
    if (size > longest) {
      const why = `The event has ${size} bytes with its headers; the NATS server takes ${longest} (max_payload).`
      return Promise.reject(new TcpSseError('ERR_EVENT_INVALID', why))
    }
    if (!this.#options.count(1)) {
      return Promise.reject(hubDown('Too many publications wait for an answer of NATS.'))
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

  /** The stream is there, and has this era. */
  start(era: string): void {
    this.#era = era
    this.flush()
  }

  /** Sends what may be sent. */
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
    // One before it that was not taken has lost its place.
    for (const each of [...this.#pending]) {
      if (each === pending) break
      if (!each.inFlight)
        this.#giveUp(each, 'NATS has not taken the event, and has taken a later one.')
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
    // Those in flight come first: they may have been taken.
    if (this.#inFlight > 0 || this.#cancelPause !== undefined || this.#closed) return
    this.#pause()
  }

  #pause(): void {
    this.#cancelPause = callAfter(PAUSE, () => void this.#again())
  }

  /** The stream may be another one by now, or not be there. */
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

/** Whether it is JetStream's answer to this message, which another attempt would get again. */
function isRefusal(error: Error): boolean {
  return error.name === 'JetStreamApiError'
}
