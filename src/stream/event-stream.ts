// One client. Data flows down (event -> bytes -> outlet), knowledge flows up (kernel -> monitor -> stream).
//
//   open --close()--> draining --everything handed over--> closed
//     \-- peer dead or gone, stalled, overflow, abort, error --> closed
import type { Socket } from 'node:net'
import { systemClock } from '../clock.js'
import { TcpSseError } from '../errors.js'
import { type PeerEvidence, sharedMonitor, type Watch, type Watcher } from '../liveness/monitor.js'
import type { Verdict } from '../liveness/verdict.js'
import { inspectSocket, type SocketSnapshot } from '../socket/inspect.js'
import { applySocketOptions } from '../socket/options.js'
import { EncodedEvent, type EventInput, encodeComment, encodeEvent } from '../sse/encode.js'
import { type CloseInfo, type CloseReason, reasonOf } from './close-info.js'
import type { StreamSettings } from './options.js'
import type { Outlet, OutletListener } from './outlet.js'
import { EventQueue } from './queue.js'

/**
 * What became of an event: `sent` to the connection; `queued`, it waits because the client is behind; `dropped`
 * by the overflow policy; `closed`, the stream has ended and nothing was sent.
 */
export type SendResult = 'sent' | 'queued' | 'dropped' | 'closed'

/** `draining`: `close()` was called and bytes are still on their way. */
export type StreamState = 'open' | 'draining' | 'closed'

/** Bytes that wait for the client, by place. */
export interface QueueSizes {
  /** In user space: the stream's own queue, Node and libuv. */
  readonly pending: number
  /** In the kernel, not sent. `undefined` where the kernel cannot be asked. */
  readonly unsent: number | undefined
  /** Sent, and not acknowledged by the client's kernel. */
  readonly unacked: number | undefined
}

const HEARTBEAT = encodeComment('').bytes

/** One client's event stream. Made by `createEventStream`. */
export class EventStream {
  /** The `Last-Event-ID` that the client sent, `''` for none. */
  readonly lastEventId: string
  readonly #outlet: Outlet
  readonly #settings: StreamSettings
  readonly #openedAt = systemClock.now()
  #state: StreamState = 'open'
  #watch: Watch | undefined
  #queue: EventQueue | undefined
  #blocked = false
  #bytesSent = 0
  /** Heartbeats are for quiet streams: whether anything was written since the last look, and when. */
  #wroteSinceLook = true
  #lastTraffic = this.#openedAt
  #info: CloseInfo | undefined
  #closed: Deferred<CloseInfo> | undefined
  #controller: AbortController | undefined

  /** @internal */
  constructor(outlet: Outlet, settings: StreamSettings, lastEventId: string) {
    this.#outlet = outlet
    this.#settings = settings
    this.lastEventId = lastEventId
    if (outlet.closed) {
      this.#close(outlet.finished ? 'ended' : reasonOf(outlet.error), outlet.error)
      return
    }
    outlet.listen(this.#listener)
    const { signal, retry } = settings
    if (signal?.aborted) {
      this.abort(asError(signal.reason))
      return
    }
    signal?.addEventListener('abort', this.#onAbort)
    const { socket } = outlet
    if (socket !== undefined) this.#watchOver(socket)
    if (retry !== undefined) this.send({ retry })
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

  /** How many events the overflow policy has dropped. */
  get dropped(): number {
    return this.#queue?.droppedEvents ?? 0
  }

  /**
   * Sends an event. Never throws because of the client: that is a result.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` while the stream is open, and nothing was sent; what the
   * serializer throws passes through
   */
  send(event: EventInput | EncodedEvent): SendResult {
    if (this.#state !== 'open') return 'closed'
    const encoded =
      event instanceof EncodedEvent ? event : encodeEvent(event, this.#settings.serialize)
    return this.#deliver(encoded, undefined)
  }

  /**
   * Sends a comment, which clients ignore.
   *
   * @throws {TcpSseError} `ERR_EVENT_INVALID` for something that is no string
   */
  comment(text: string): SendResult {
    if (this.#state !== 'open') return 'closed'
    return this.#deliver(encodeComment(text), undefined)
  }

  /** Ends the stream properly: what waits is sent first. Returns `closed`. */
  close(): Promise<CloseInfo> {
    if (this.#state === 'open') {
      this.#state = 'draining'
      this.#pump()
    }
    return this.closed
  }

  /** Ends the stream at once, whatever waits; reason `aborted`. */
  abort(error?: Error): void {
    this.#giveUp('aborted', error)
  }

  /** Bytes that wait for the client, by place. */
  queue(): QueueSizes {
    const own = this.#queue?.bytes ?? 0
    if (this.#outlet.socket === undefined)
      return { pending: own, unsent: undefined, unacked: undefined }
    const { pending, unsent, unacked } = inspectSocket(this.#outlet.socket)
    return { pending: own + pending, unsent, unacked }
  }

  /** What the kernel knows about the connection now; `undefined` where there is no socket to ask about. */
  inspect(): SocketSnapshot | undefined {
    return this.#outlet.socket && inspectSocket(this.#outlet.socket)
  }

  #watchOver(socket: Socket): void {
    const { plan, notSentLowWater } = this.#settings
    if (notSentLowWater !== false) applySocketOptions(socket, { notSentLowWater })
    this.#watch = sharedMonitor.watch(socket, plan, this.#watcher)
  }

  #deliver(event: EncodedEvent, key: string | undefined): SendResult {
    // Ended by the application behind our back: the outlet's close is on its way, and a write would be an error.
    if (!this.#outlet.writable) return 'closed'
    if (!this.#blocked) return this.#write(event.bytes) ? 'sent' : 'queued'
    this.#queue ??= new EventQueue(this.#settings.limits)
    const admission = this.#queue.push(event, key)
    if (admission !== 'overflow') return admission
    const { bytes, length } = this.#queue
    this.#giveUp(
      'overflow',
      new TcpSseError(
        'ERR_OVERFLOW',
        `${length} events of ${bytes} bytes wait and one more has no room.`,
      ),
    )
    return 'closed'
  }

  #write(bytes: Buffer): boolean {
    this.#bytesSent += bytes.length
    this.#wroteSinceLook = true
    const room = this.#outlet.write(bytes)
    this.#blocked = !room
    return room
  }

  /** Hands over what waits as long as there is room; ends the response when there is nothing left to wait for. */
  #pump(): void {
    while (!this.#blocked && this.#outlet.writable) {
      const event = this.#queue?.shift()
      if (event === undefined) break
      this.#write(event.bytes)
    }
    if (this.#state === 'draining' && (this.#queue?.length ?? 0) === 0) this.#outlet.end()
  }

  readonly #listener: OutletListener = {
    onDrain: () => {
      this.#blocked = false
      this.#pump()
    },
    onClose: () => {
      const { finished, error } = this.#outlet
      if (finished) this.#close('ended')
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
      const gone = evidence.verdict === 'half-closed' ? 'client-closed' : 'client-reset'
      this.#close(error === undefined ? gone : reasonOf(error), error, evidence)
    },
    onLook: (now, stalledFor) => this.#onLook(now, stalledFor),
  }

  /** The deadlines of the stream, compared on the monitor's tick. Returns the next one. */
  #onLook(now: number, stalledFor: number): number {
    const { stallTimeout, plan } = this.#settings
    this.#outlet.discardUnread()
    if (stallTimeout !== false && stalledFor >= stallTimeout) {
      const message = `The client took no byte for ${Math.round(stalledFor)} ms.`
      this.#giveUp('stalled', new TcpSseError('ERR_PEER_STALLED', message))
      return Number.POSITIVE_INFINITY
    }
    if (this.#wroteSinceLook) this.#lastTraffic = now
    this.#wroteSinceLook = false
    const { heartbeat } = plan
    const quiet = this.#state === 'open' && !this.#blocked && this.#outlet.writable
    if (heartbeat === false || !quiet) return Number.POSITIVE_INFINITY
    if (now - this.#lastTraffic >= heartbeat) {
      this.#write(HEARTBEAT)
      this.#lastTraffic = now
    }
    return this.#lastTraffic + heartbeat
  }

  readonly #onAbort = () => this.abort(asError(this.#settings.signal?.reason))

  /** Ends the stream from our side and the connection with it. */
  #giveUp(reason: CloseReason, error?: Error): void {
    if (this.#state === 'closed') return
    this.#close(reason, error)
    this.#outlet.destroy()
  }

  /** The one way into `closed`. After it nothing of the stream's runs on. */
  #close(reason: CloseReason, error?: Error, evidence?: PeerEvidence): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#outlet.unlisten()
    this.#watch?.release(reason === 'ended')
    this.#watch = undefined
    this.#settings.signal?.removeEventListener('abort', this.#onAbort)
    this.#info = {
      reason,
      error,
      openedFor: systemClock.now() - this.#openedAt,
      bytesSent: this.#bytesSent,
      evidence,
    }
    this.#closed?.resolve(this.#info)
    this.#controller?.abort(this.#info)
  }
}

/** A promise with its resolver outside. */
class Deferred<T> {
  resolve!: (value: T) => void
  readonly promise = new Promise<T>((resolve) => {
    this.resolve = resolve
  })
}

function asError(reason: unknown): Error | undefined {
  if (reason === undefined || reason instanceof Error) return reason
  return new Error(String(reason), { cause: reason })
}
