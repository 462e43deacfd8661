// The sender of the stalled-reader trial. It pushes events in one of three forms, and records when
// it gets back-pressure.
import type { Form, Service } from '../drivers/driver.js'

/** The first signal to stop or slow down. */
export interface Signal {
  readonly what: string
  readonly events: number
  readonly bytes: number
  readonly after: number
}

/** How much was accepted before back-pressure that lasted. */
export interface Taken {
  readonly events: number
  readonly bytes: number
}

/** How the sender's work ended. */
export interface Ending {
  readonly how: string
  readonly after: number
}

/** A wait that goes on for this long is back-pressure. */
const BLOCKED_AFTER = 250

/** One run against one client. */
export class Sender {
  /** Events handed over, or pulled. */
  events = 0
  signal: Signal | undefined
  /**
   * Up to the last answer without back-pressure, or the last wait that ended while the client was
   * there.
   */
  taken: Taken = { events: 0, bytes: 0 }
  ending: Ending | undefined
  /** Whether the source was stopped: its `finally` ran before its end. */
  sourceReturned: boolean | undefined
  /** Events that were accepted without complaint after the client was gone. */
  acceptedAfterGone = 0
  gone = false
  readonly #service: Service<unknown>
  readonly #handle: unknown
  readonly #total: number
  readonly #filler: string
  readonly #onEvent: () => void
  #startedAt = performance.now()
  #waitingSince: number | undefined

  constructor(
    service: Service<unknown>,
    handle: unknown,
    options: { events: number; eventBytes: number; onEvent: () => void },
  ) {
    this.#service = service
    this.#handle = handle
    this.#total = options.events
    this.#filler = 'x'.repeat(options.eventBytes - 8)
    this.#onEvent = options.onEvent
  }

  /** Sends everything, if the form allows it. Never rejects; see `ending`. */
  async run(form: Form): Promise<void> {
    this.#startedAt = performance.now()
    const blocked = setInterval(() => this.#noticeBlocked(form), 50)
    try {
      if (form === 'loop') await this.#loop()
      else if (form === 'awaited') await this.#await()
      else await this.#pump()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      this.#end(`rejected: ${code ?? message}`)
    }
    clearInterval(blocked)
  }

  async #loop(): Promise<void> {
    while (this.events < this.#total) {
      const answer = this.#service.send(this.#handle, this.#next())
      if (answer instanceof Promise) answer.catch(() => this.#told('rejected'))
      else if (answer === 'closed') return this.#end("sends answer 'closed'")
      else if (answer !== undefined && answer !== 'sent') this.#told(`'${answer}'`)
      else this.#room()
      this.#onEvent()
      // Web streams move bytes between turns of the loop: a sender that never yields would hide it.
      if (this.events % 8 === 0) await new Promise(setImmediate)
    }
    this.#end('all were taken')
  }

  async #await(): Promise<void> {
    while (this.events < this.#total) {
      const answer = this.#service.send(this.#handle, this.#next())
      this.#onEvent()
      if (answer instanceof Promise) await this.#waitFor(answer)
      else if (answer === 'closed') return this.#end("sends answer 'closed'")
      else if (answer === 'queued') {
        this.#told("'queued'")
        const room = await this.#waitFor(this.#service.room?.(this.#handle))
        if (room === false) return this.#end('the wait says false')
      }
      if (this.gone) this.acceptedAfterGone += 1
      else this.#room()
    }
    this.#end('all were taken')
  }

  async #pump(): Promise<void> {
    const value = await this.#waitFor(this.#service.pump?.(this.#handle, this.#source()))
    const reason = (value as { reason?: string } | undefined)?.reason
    this.#end(reason === undefined ? 'resolved' : `resolved: '${reason}'`)
  }

  async *#source(): AsyncGenerator<string> {
    this.sourceReturned = false
    try {
      while (this.events < this.#total) {
        const data = this.#next()
        this.#waitingSince = performance.now()
        yield data
        this.#room()
        this.#onEvent()
      }
    } finally {
      this.sourceReturned = true
    }
  }

  #next(): string {
    this.events += 1
    // Each event differs, so that no two can share their bytes in memory.
    return String(this.events).padStart(8, '0') + this.#filler
  }

  async #waitFor<T>(wait: Promise<T> | undefined): Promise<T | undefined> {
    this.#waitingSince = performance.now()
    const value = await wait
    this.#waitingSince = undefined
    return value
  }

  #noticeBlocked(form: Form): void {
    if (this.gone || this.#waitingSince === undefined || this.sourceReturned === true) return
    if (performance.now() - this.#waitingSince < BLOCKED_AFTER) return
    this.#told(form === 'source' ? 'no more is pulled' : 'the wait lasts')
  }

  #told(what: string): void {
    if (this.signal !== undefined) return
    this.signal = { what, ...this.#soFar(), after: performance.now() - this.#startedAt }
  }

  #room(): void {
    if (!this.gone) this.taken = this.#soFar()
  }

  #soFar(): Taken {
    return { events: this.events, bytes: this.events * (this.#filler.length + 8) }
  }

  #end(how: string): void {
    this.ending = { how, after: performance.now() - this.#startedAt }
  }
}
