// One client. Data flows down (event -> bytes -> transport), knowledge flows up (kernel -> monitor -> stream).
//   open --close()--> closing --everything acknowledged--> closed
//     \-- peer dead or gone, stalled, overflow, abort, error --> closed

import { onAbort } from '../internal/abort.js'
import { type Clock, systemClock } from '../internal/clock.js'
import { Deferred } from '../internal/deferred.js'
import { asError } from '../internal/errors.js'
import { isolated } from '../internal/rethrow.js'
import { inRootContext } from '../internal/scheduling.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import type { MonitorPlan } from '../liveness/plan.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Watch, Watcher } from '../liveness/watch.js'
import {
  type EncodedEvent,
  type EventInput,
  encodeComment,
  eventText,
  isEncoded,
} from '../sse/encode.js'
import { inspectSocket, type SocketSnapshot } from '../tcp/info.js'
import type { Refusal } from '../transport/head.js'
import type { Transport } from '../transport/transport.js'
import { enter, leave } from './admission.js'
import {
  type CloseInfo,
  type CloseReason,
  fellSilent,
  outOfTime,
  overflowed,
  reasonOfEnd,
  reasonOfGone,
  StreamClosedError,
  stalled,
} from './close-info.js'
import { checkDeadlines } from './deadlines.js'
import type { Confirmation, Delivered, DeliveryOutcome } from './delivery-log.js'
import type { EventStream } from './event-stream.js'
import * as instrumentation from './instrumentation.js'
import { Mute } from './mute.js'
import type { StreamSettings } from './options.js'
import type { Dropped, EventQueue } from './queue.js'
import type { EventIterable } from './source.js'
import type { BufferedBytes, SendResult, StreamState } from './states.js'
import { type SendAllOptions, type SendAllResult, transfer } from './transfer.js'
import { unwatched } from './unwatched.js'
import { watchOver } from './watch-over.js'
import { Writer, type WriterListener } from './writer.js'

/**
 * The implementation of a stream. Members that are not in `EventStream` are for its transport, its writer, the monitor
 * and channels.
 */
export class LiveStream extends Mute implements EventStream, Watcher, WriterListener {
  readonly lastEventId: string
  /** Whole milliseconds, which stay off the heap. Rounded down, so that no duration since then is negative. */
  readonly #openedAt: number
  #state: StreamState = 'open'
  #watch: Watch | undefined = undefined
  readonly #writer: Writer
  /** How the stream ends once everything has been sent. */
  #ending: { reason: CloseReason; error: Error | undefined } | undefined = undefined
  #info: CloseInfo | undefined = undefined
  #lastVerdict: Verdict = 'alive'
  #closed: Deferred<CloseInfo> | undefined = undefined
  #controller: AbortController | undefined = undefined
  #forgetSignal: (() => void) | undefined = undefined

  /** @param refusal - set if the request has been answered with 503 */
  constructor(
    transport: Transport,
    settings: StreamSettings,
    lastEventId: string,
    refusal?: Refusal,
    clock: Clock = systemClock,
  ) {
    super()
    this.#openedAt = Math.floor(clock.now())
    this.#writer = new Writer(transport, settings, this, clock)
    this.lastEventId = lastEventId
    if (refusal !== undefined) {
      instrumentation.refused(this, this.#settle(refusal.reason, 0))
      return
    }
    enter(settings, transport.socket)
    if (transport.over !== undefined) {
      instrumentation.opened(this)
      this.onClose()
      return
    }
    transport.listen(this.#writer)
    const { signal, opening } = settings
    if (signal?.aborted) {
      instrumentation.opened(this)
      this.abort(asError(signal.reason))
      return
    }
    if (signal) this.#forgetSignal = onAbort(signal, () => this.abort(asError(signal.reason)))
    this.#watch = watchOver(transport.socket, this)
    if (transport.socket === undefined) unwatched.add(this)
    if (opening !== undefined) this.#writer.write(opening)
    instrumentation.opened(this)
  }

  get state(): StreamState {
    return this.#state
  }

  get closed(): Promise<CloseInfo> {
    this.#closed ??= new Deferred()
    if (this.#info !== undefined) this.#closed.resolve(this.#info)
    return this.#closed.promise
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#info !== undefined && !this.#controller.signal.aborted) {
      this.#controller.abort(new StreamClosedError(this.#info))
    }
    return this.#controller.signal
  }

  get verdict(): Verdict {
    return this.#watch?.verdict ?? this.#lastVerdict
  }

  get dropped(): Dropped {
    return this.#info?.dropped ?? this.#writer.dropped
  }

  send(event: EventInput | EncodedEvent): SendResult {
    return this.#encodeAndSend(event)
  }

  async sendConfirmed(event: EventInput | EncodedEvent): Promise<DeliveryOutcome> {
    const confirmation = new Deferred<DeliveryOutcome>()
    if (this.#encodeAndSend(event, confirmation) === 'closed') return 'undelivered'
    return confirmation.promise
  }

  comment(text: string): SendResult {
    return this.sendEncoded(encodeComment(text))
  }

  writable(): Promise<boolean> {
    return this.#writer.writable()
  }

  sendAll(source: EventIterable, options?: SendAllOptions): Promise<SendAllResult> {
    return transfer(this, source, options)
  }

  /** Sends an encoded event. `Channel` uses this. */
  sendEncoded(event: EncodedEvent, confirmation?: Confirmation): SendResult {
    return this.#isOpen() ? this.#concluded(this.#writer.deliver(event, confirmation)) : 'closed'
  }

  /** Ends the stream with reason `error` because of an error in the application. Queued events are sent. */
  fail(error: unknown): void {
    this.#end('error', asError(error))
  }

  /** Ends the stream as `close` does, after the `last` events. Those that do not fit into the queue are omitted. */
  finish(reason: 'ended' | 'expired' | 'drained', last: readonly EncodedEvent[] = []): void {
    try {
      for (const event of last) if (this.#isOpen()) this.#writer.deliver(event)
    } catch (error) {
      this.onFailed(error)
    }
    this.#end(reason, undefined)
  }

  /** Ends the stream at once, because the time of a drain or another deadline has expired. */
  cut(reason: CloseReason = 'drained', error: Error = outOfTime()): void {
    this.#giveUp(reason, error)
  }

  /** The writer of the stream, for `Channel`. */
  get writer(): Writer {
    return this.#writer
  }

  delivered(): Delivered | undefined {
    if (this.#info !== undefined) return this.#info.delivered
    const { delivery } = this.#writer
    delivery.update()
    return delivery.delivered
  }

  async delivery(id: string): Promise<DeliveryOutcome> {
    return this.#writer.outcomeOf(String(id))
  }

  close(): Promise<CloseInfo> {
    this.#end('ended', undefined)
    return this.closed
  }

  abort(error?: Error): void {
    this.#giveUp('aborted', error)
  }

  buffered(): BufferedBytes {
    const pending = this.#writer.pending + this.#writer.transport.buffered
    const { unsent, unacked } = this.inspect() ?? {}
    return { pending, unsent, unacked }
  }

  inspect(): SocketSnapshot | undefined {
    return this.#writer.transport.socket && inspectSocket(this.#writer.transport.socket)
  }

  /** Whether events are accepted. If the application has ended the response itself, its close is on its way. */
  #isOpen(): boolean {
    return this.#state === 'open' && this.#writer.transport.writable
  }

  #encodeAndSend(event: EventInput | EncodedEvent, confirmation?: Confirmation): SendResult {
    if (this.#state !== 'open') return 'closed'
    if (isEncoded(event)) return this.sendEncoded(event, confirmation)
    const text = eventText(event, this.#writer.settings.serialize)
    // Check again: the application's serializer may have ended the stream.
    return this.#isOpen()
      ? this.#concluded(this.#writer.deliverText(text, event, confirmation))
      : 'closed'
  }

  #concluded(result: SendResult | 'overflow'): SendResult {
    if (result !== 'overflow') return result
    instrumentation.overflowing({ stream: this, outcome: 'closed', events: 0, bytes: 0 })
    this.#giveUp('overflow', overflowed(this.#writer.queue as EventQueue))
    return 'closed'
  }

  get plan(): MonitorPlan {
    return this.#writer.settings.plan
  }

  get notSentLowWater(): number | undefined {
    return this.#writer.settings.notSentLowWater || undefined
  }

  onClose(): void {
    const { over, socket } = this.#writer.transport
    this.#close(...reasonOfEnd(over, this.#ending, socket?.errored ?? undefined))
  }

  onPeerDead(evidence: PeerEvidence): void {
    this.#close('peer-dead', fellSilent(evidence.silentFor), evidence)
  }

  onPeerGone(evidence: PeerEvidence): void {
    const { over, socket } = this.#writer.transport
    const error = socket?.errored ?? undefined
    if (over === 'finished' || typeof over === 'object') this.onClose()
    else this.#close(reasonOfGone(evidence.verdict, error, socket), error, evidence)
  }

  onSample(now: number, stalledFor: number, _verdict: Verdict, loopTime: number): number {
    if (this.#writer.inFlight) {
      this.#writer.delivery.acknowledge(this.#watch?.acknowledged ?? Number.NaN)
    }
    return checkDeadlines({
      writer: this.#writer,
      openedAt: this.#openedAt,
      unanswered: this.#watch?.unanswered === true,
      sentAgo: this.#watch?.sentAgo?.(now),
      now,
      loopTime,
      stalledFor,
      onStalled: (ownStalledFor) => {
        // If the connection accepts nothing and has no other watcher, it is of no use to other streams either.
        const stuck = stalledFor >= ownStalledFor / 2 && this.#watch?.shared !== true
        this.#giveUp('stalled', stalled(ownStalledFor), stuck)
      },
    })
  }

  onVerdict(verdict: Verdict, previous: Verdict): void {
    instrumentation.judgedAnew(this, verdict, previous)
  }

  onFailed(error: unknown): void {
    if (this.#state === 'open') this.fail(error)
    else this.#giveUp('error', this.#ending?.error ?? asError(error))
  }

  onDropped(events: number, bytes: number): void {
    instrumentation.overflowing({ stream: this, outcome: 'dropped', events, bytes })
  }

  beforeEnd(): void {
    this.#watch?.release(this)
    this.#watch = undefined
    if (this.#state !== 'closed') unwatched.add(this)
  }

  /** Ends the stream once everything has been sent. */
  #end(reason: CloseReason, error: Error | undefined): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#ending = { reason, error }
    this.#writer.end()
  }

  /** Ends the stream and its connection at once. */
  #giveUp(reason: CloseReason, error?: Error, entirely = false): void {
    if (this.#state === 'closed') return
    const evidence = reason === 'stalled' ? this.#watch?.evidence() : undefined
    this.#close(reason, error, evidence)
    inRootContext(() => isolated(() => this.#writer.transport.destroy(entirely)))
  }

  /** The only transition to `closed`. After it, no code of the stream runs. */
  #close(reason: CloseReason, error?: Error, evidence?: PeerEvidence): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#writer.transport.listen(undefined)
    this.#lastVerdict = reason === 'peer-dead' ? 'dead' : this.verdict
    const silence =
      reason === 'peer-dead' ? instrumentation.silenceOf(evidence, this.#watch) : undefined
    const info = this.#settle(reason, this.#writer.now() - this.#openedAt, error, evidence)
    unwatched.delete(this)
    leave(this.#writer.settings, this.#writer.transport.socket)
    instrumentation.closed(this, info, silence)
  }

  #settle(
    reason: CloseReason,
    openedFor: number,
    error?: Error,
    evidence?: PeerEvidence,
  ): CloseInfo {
    this.#state = 'closed'
    const account = this.#writer.account()
    this.beforeEnd()
    this.#forgetSignal?.()
    const info = { reason, error, openedFor, ...account, evidence }
    this.#info = info
    this.#writer.stop()
    this.#closed?.resolve(info)
    // Another request's turn may end this stream. Listeners must not see the AsyncLocalStorage of that request.
    inRootContext(() => this.#controller?.abort(new StreamClosedError(info)))
    return info
  }
}
