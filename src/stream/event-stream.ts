// One client. Data flows down (event -> bytes -> outlet), knowledge flows up (kernel -> monitor -> stream).
//
//   open --close()--> draining --everything acknowledged--> closed
//     \-- peer dead or gone, stalled, overflow, abort, error --> closed
import { systemClock } from '../clock.js'
import { asError, TcpSseError } from '../errors.js'
import type { Verdict } from '../liveness/verdict.js'
import type { PeerEvidence, Watch, Watcher } from '../liveness/watch.js'
import { inspectSocket, type SocketSnapshot } from '../socket/inspect.js'
import {
  type EncodedEvent,
  type EventInput,
  encodeComment,
  encodeEvent,
  encodePadding,
  isEncoded,
} from '../sse/encode.js'
import { onAbort } from './abort.js'
import { type CloseInfo, type CloseReason, reasonOf } from './close-info.js'
import { Deadlines } from './deadlines.js'
import { Deferred } from './deferred.js'
import type { Delivered, DeliveryOutcome, Ticket } from './delivery-log.js'
import { type SendOptions, type StreamSettings, wantsConfirmation } from './options.js'
import type { Outlet, OutletListener } from './outlet.js'
import type { Dropped } from './queue.js'
import { Sender } from './sender.js'
import type { EventSourceLike } from './source.js'
import type { QueueSizes, SendResult, StreamState } from './states.js'
import { type SendAllOptions, type SendAllResult, transfer } from './transfer.js'
import { watchOver } from './watch-over.js'

/** One client's event stream. Made by `createEventStream`. */
export class EventStream {
  /** The `Last-Event-ID` that the client sent, `''` for none. */
  readonly lastEventId: string
  readonly #outlet: Outlet
  readonly #settings: StreamSettings
  readonly #openedAt = systemClock.now()
  #state: StreamState = 'open'
  #watch: Watch | undefined
  readonly #sender: Sender
  readonly #deadlines: Deadlines
  /** How it is to end once everything has been sent. */
  #ending: { reason: CloseReason; error: Error | undefined } | undefined
  #info: CloseInfo | undefined
  #closed: Deferred<CloseInfo> | undefined
  #controller: AbortController | undefined
  #forgetSignal: (() => void) | undefined

  /** @internal */
  constructor(outlet: Outlet, settings: StreamSettings, lastEventId: string) {
    this.#outlet = outlet
    this.#settings = settings
    this.#sender = new Sender(outlet, settings, systemClock, () => this.#unwatch())
    this.#deadlines = new Deadlines(outlet, this.#sender, settings, this.#openedAt)
    this.lastEventId = lastEventId
    if (outlet.closed) {
      this.#close(outlet.finished ? 'ended' : reasonOf(outlet.error), outlet.error)
      return
    }
    outlet.listen(this.#listener)
    const { signal, retry, padding } = settings
    if (signal?.aborted) {
      this.abort(asError(signal.reason))
      return
    }
    if (signal !== undefined) {
      this.#forgetSignal = onAbort(signal, () => this.abort(asError(signal.reason)))
    }
    this.#watch = watchOver(outlet.socket, settings, this.#watcher)
    if (padding !== false) this.#sender.write(encodePadding(padding).bytes)
    if (retry !== undefined) this.#sender.write(encodeEvent({ retry }).bytes)
  }

  /** Where the stream is in its life. */
  get state(): StreamState {
    return this.#state
  }

  /** Settles once, when the stream has ended, with the reason. Never rejects. */
  get closed(): Promise<CloseInfo> {
    this.#closed ??= new Deferred()
    if (this.#info !== undefined) this.#closed.resolve(this.#info)
    return this.#closed.promise
  }

  /** Aborted when the stream has ended; its `reason` is the `CloseInfo`. For `fetch`, timers, database cursors. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#info !== undefined) this.#controller.abort(this.#info)
    return this.#controller.signal
  }

  /** What the monitor last made of the client. */
  get verdict(): Verdict {
    return this.#watch?.verdict ?? (this.#info?.evidence?.verdict || 'alive')
  }

  /** What the overflow policy has dropped so far. */
  get dropped(): Dropped {
    return this.#info?.dropped ?? this.#sender.dropped
  }

  /**
   * Sends an event. Never throws because of the client: that is a result.
   *
   * With `confirm` the result comes when the client's kernel has acknowledged the event, or when it is known that it
   * never will; the promise never rejects. `'unknown'` at once where nobody can tell: see `DeliveryOutcome`.
   *
   * @throws {TcpSseError} `ERR_OPTION_*`; `ERR_EVENT_INVALID` while the stream is open, and nothing was sent; what
   * the serializer throws passes through
   */
  send(event: EventInput | EncodedEvent): SendResult
  send(event: EventInput | EncodedEvent, options: { confirm: true }): Promise<DeliveryOutcome>
  send(
    event: EventInput | EncodedEvent,
    options?: SendOptions,
  ): SendResult | Promise<DeliveryOutcome> {
    const ticket =
      options !== undefined && wantsConfirmation(options)
        ? new Deferred<DeliveryOutcome>()
        : undefined
    const result = this.#state === 'open' ? this.#encodeAndSend(event, ticket) : 'closed'
    if (ticket === undefined) return result
    if (result === 'closed') ticket.resolve('undelivered')
    return ticket.promise
  }

  /**
   * Sends a comment, which clients ignore.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` for something that is no string
   */
  comment(text: string): SendResult {
    return this.sendEncoded(encodeComment(text))
  }

  /**
   * Whether an event would be sent at once: `true` as soon as there is room, `false` when the stream has ended or is
   * ending. Settles in any case, once; never rejects. Any number of callers may wait.
   */
  writable(): Promise<boolean> {
    return this.#sender.writable()
  }

  /**
   * Sends all that a source yields, at the client's pace: nothing is pulled while there is no room. When the stream ends
   * the source is stopped in the same tick (`return()`, `destroy()`, `cancel()`), also one that nobody was pulling from.
   * The promise never rejects.
   *
   * @param options - `signal` stops the transfer and the source; the stream stays open
   * @throws {TcpSseError} `ERR_SOURCE_INVALID`, `ERR_OPTION_*`, and nothing was pulled
   * @example
   * const { sent, reason } = await stream.sendAll(rows(), { signal: AbortSignal.timeout(60_000) })
   */
  sendAll(source: EventSourceLike, options?: SendAllOptions): Promise<SendAllResult> {
    const sink = {
      sender: this.#sender,
      send: (event: EventInput | EncodedEvent) => this.send(event),
      fail: (error: unknown) => this.fail(error),
    }
    return transfer(sink, source, options)
  }

  /**
   * Sends an event in its final form: the short way, for `Channel`.
   * @internal
   */
  sendEncoded(event: EncodedEvent): SendResult {
    return this.#state === 'open' ? this.#deliver(event) : 'closed'
  }

  /**
   * Events that come before whatever is sent from now on, at the client's pace: for `Channel`.
   * @internal
   */
  replay(events: Iterable<EncodedEvent>): void {
    if (this.#open) this.#sender.replay(events)
  }

  /**
   * Ends the stream because of what the application has done: what waits is sent, and the reason is `error`.
   * @internal
   */
  fail(error: unknown): void {
    this.#end('error', asError(error))
  }

  /**
   * Calls back once, in the tick in which the stream takes no more events. Returns what stops that.
   * @internal
   */
  onEnd(listener: () => void): () => void {
    return this.#sender.onEnd(listener)
  }

  /** What the client's kernel has acknowledged, as of now; `undefined` where that cannot be known. */
  delivered(): Delivered | undefined {
    if (this.#info !== undefined) return this.#info.delivered
    const { delivery } = this.#sender
    delivery.look()
    return delivery.delivered
  }

  /**
   * What becomes of the latest event with this id: settles as `send` with `confirm` does. `'unknown'` also for an id
   * that was never sent, or so long ago that it is forgotten.
   */
  delivery(id: string): Promise<DeliveryOutcome> {
    return this.#sender.outcomeOf(String(id))
  }

  /**
   * Ends the stream properly: what waits is sent, and the response ends when the client's kernel has acknowledged it.
   * Returns `closed`. A client that reads slowly takes its time; one that does not read is `stalled`.
   */
  close(): Promise<CloseInfo> {
    this.#end('ended', undefined)
    return this.closed
  }

  /** Ends the stream at once, whatever waits; reason `aborted`. */
  abort(error?: Error): void {
    this.#giveUp('aborted', error)
  }

  /** Bytes that wait for the client, by place. On HTTP/2 those in the kernel are the connection's. */
  queue(): QueueSizes {
    const pending = this.#sender.pending + this.#outlet.pending
    const { unsent, unacked } = this.inspect() ?? {}
    return { pending, unsent, unacked }
  }

  /** What the kernel knows about the connection now; `undefined` where there is no socket to ask about. */
  inspect(): SocketSnapshot | undefined {
    return this.#outlet.socket && inspectSocket(this.#outlet.socket)
  }

  /** Whether events are taken. The application can have ended the response behind our back: its close is on its way. */
  get #open(): boolean {
    return this.#state === 'open' && this.#outlet.writable
  }

  #encodeAndSend(event: EventInput | EncodedEvent, ticket: Ticket | undefined): SendResult {
    const encoded = isEncoded(event) ? event : encodeEvent(event, this.#settings.serialize)
    return this.#deliver(encoded, ticket)
  }

  #deliver(event: EncodedEvent, ticket?: Ticket): SendResult {
    // Asked again: the application's serializer may have ended the stream.
    if (!this.#open) return 'closed'
    const result = this.#sender.deliver(event, ticket)
    if (result !== 'overflow') return result
    const message = `${this.#sender.pending} bytes wait and one more event has no room.`
    this.#giveUp('overflow', new TcpSseError('ERR_OVERFLOW', message))
    return 'closed'
  }

  readonly #listener: OutletListener = {
    onDrain: () => this.#sender.resume(),
    onBlocked: () => this.#sender.block(),
    onPeerEnd: () => this.#sender.delivery.look(),
    onClose: () => {
      const { finished, error } = this.#outlet
      if (finished) this.#close(this.#ending?.reason ?? 'ended', this.#ending?.error)
      else this.#close(reasonOf(error), error)
    },
  }

  readonly #watcher: Watcher = {
    onPeerDead: (evidence) => {
      const message = `The peer left everything unanswered for ${Math.round(evidence.silentFor)} ms.`
      this.#close('peer-dead', new TcpSseError('ERR_PEER_DEAD', message), evidence)
    },
    onPeerGone: (evidence) => {
      const error = this.#outlet.error
      const left = evidence.verdict === 'half-closed' || this.#outlet.socket?.destroyed === true
      const gone = left ? 'client-closed' : 'client-reset'
      this.#close(error === undefined ? gone : reasonOf(error), error, evidence)
    },
    onLook: (now, stalledFor) => this.#onLook(now, stalledFor),
  }

  #onLook(now: number, stalledFor: number): number {
    const { delivery } = this.#sender
    if (delivery.inFlight) delivery.look()
    const observation = this.#watch?.observation
    return this.#deadlines.check({ now, stalledFor, observation }, (ownStalledFor) => {
      const message = `The client took no byte for ${Math.round(ownStalledFor)} ms.`
      // A connection that takes nothing, and on which nobody else of ours waits, is of no use to others either.
      const stuck = stalledFor >= ownStalledFor / 2 && this.#watch?.shared !== true
      this.#giveUp('stalled', new TcpSseError('ERR_PEER_STALLED', message), stuck)
    })
  }

  /** Ends the stream once everything has been sent. */
  #end(reason: CloseReason, error: Error | undefined): void {
    if (this.#state !== 'open') return
    this.#state = 'draining'
    this.#ending = { reason, error }
    this.#sender.end()
  }

  /** Ends the stream from our side and the connection with it. */
  #giveUp(reason: CloseReason, error?: Error, entirely = false): void {
    if (this.#state === 'closed') return
    this.#close(reason, error)
    this.#outlet.destroy(entirely)
  }

  #unwatch(): void {
    this.#watch?.release()
    this.#watch = undefined
  }

  /** The one way into `closed`. After it nothing of the stream's runs on. */
  #close(reason: CloseReason, error?: Error, evidence?: PeerEvidence): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#outlet.unlisten()
    const { delivery, queue, bytesSent, dropped } = this.#sender
    delivery.look()
    this.#unwatch()
    this.#forgetSignal?.()
    this.#info = {
      reason,
      error,
      openedFor: systemClock.now() - this.#openedAt,
      bytesSent,
      dropped,
      delivered: delivery.delivered,
      undelivered: delivery.undelivered(queue),
      evidence,
    }
    this.#sender.stop()
    this.#closed?.resolve(this.#info)
    this.#controller?.abort(this.#info)
  }
}
