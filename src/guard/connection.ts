// One guarded connection: what the monitor knows of it, and the responses on it.
import type { Socket } from 'node:net'
import { systemClock } from '../internal/clock.js'
import { noteGuardEnd } from '../internal/guard-ends.js'
import { rethrowLater } from '../internal/rethrow.js'
import { callAtEndOfTick } from '../internal/scheduling.js'
import type { PeerEvidence } from '../liveness/evidence.js'
import { isPeerDeath } from '../liveness/peer-errors.js'
import type { MonitorPlan } from '../liveness/plan.js'
import { processMonitor } from '../liveness/process-monitors.js'
import type { Verdict } from '../liveness/verdict.js'
import type { Watch, Watcher } from '../liveness/watch.js'
import { resetConnection } from '../native/binding.js'
import { exchangeOptions, type KernelSettings, setOptions } from '../tcp/kernel-settings.js'
import { applySocketOptions } from '../tcp/options.js'
import type { Exchange } from './exchange.js'
import type { ConnectionSample } from './http2-progress.js'
import { isProbedLess, limitsOf } from './listener-options.js'
import type { GuardCloseInfo, GuardCloseReason, GuardSettings } from './options.js'

interface Judged {
  readonly exchange: Exchange
  /** Whether `stallTimeout` and `maxAge` apply to it; `undefined` until its head has been sent. */
  streams: boolean | undefined
  judgedAt: number
  /** When the server's side was ended. The connection then waits for the client to leave. */
  endedAt: number | undefined
}

/** Watches one socket for a guard, until the socket or the guard ends. */
export class Connection implements Watcher {
  readonly socket: Socket
  readonly plan: MonitorPlan
  readonly notSentLowWater: number | undefined
  readonly #settings: GuardSettings
  readonly #watch: Watch
  /**
   * For a connection that inherited the guard's options: the settings that it would have without
   * the guard.
   */
  readonly #inherited: KernelSettings | undefined
  readonly #onReport: (info: GuardCloseInfo) => void
  readonly #onLeave: (connection: Connection) => void
  readonly #openedAt = systemClock.now()
  /** Read at once, because a dead socket has no address. */
  readonly #remoteAddress: string | undefined
  readonly #remotePort: number | undefined
  #exchanges: Judged[] = []
  /** Prune the list when it has this many exchanges. */
  #pruneAt = FEW
  /**
   * Application code can set keepalive, too: it is checked after the accept and after each
   * response's head.
   */
  #keepAliveChecked = false
  #reported = false
  #released = false
  /** Whether a stream was given up on a connection whose client takes nothing at all. */
  #stuck = false

  /**
   * @param inherited - for a connection that inherited the guard's options, the settings that it
   * would have without
   * @param onReport - called when the guard has ended something
   * @param onLeave - called when the connection is not guarded any more
   */
  constructor(
    socket: Socket,
    settings: GuardSettings,
    inherited: KernelSettings | undefined,
    onReport: (info: GuardCloseInfo) => void,
    onLeave: (connection: Connection) => void,
  ) {
    this.socket = socket
    this.#settings = settings
    this.#inherited = inherited
    this.#onReport = onReport
    this.#onLeave = onLeave
    this.#remoteAddress = socket.remoteAddress
    this.#remotePort = socket.remotePort
    this.plan = settings.plan
    this.notSentLowWater = settings.notSentLowWater
    this.#watch = processMonitor.watch(socket, this, { inheritedFrom: userTimeoutOf(inherited) })
    socket.on('finish', this.#onFinish)
    socket.on('close', this.#onClose)
  }

  /**
   * Of the options that can end a connection, the settings that it would have without the guard.
   */
  get #before(): KernelSettings {
    return this.#inherited ?? limitsOf(this.#watch.saved)
  }

  /** The number of its responses that are streams, by content type or filter. */
  get streams(): number {
    this.#judge(systemClock.now())
    return this.#exchanges.filter(({ streams }) => streams).length
  }

  /** Adds a response. On a keep-alive connection, each response is judged separately. */
  add(exchange: Exchange): void {
    if (this.#exchanges.length >= this.#pruneAt) this.#prune()
    this.#exchanges.push({ exchange, streams: undefined, judgedAt: 0, endedAt: undefined })
    this.#watch.requestSample()
  }

  /** Stops guarding this connection, without ending it. */
  release(): void {
    this.#leave()
    this.#watch.release(this)
    // The end of the watch has restored what the watch had set, but not what was inherited.
    if (this.#inherited !== undefined && !this.#watch.shared) {
      setOptions(this.socket, this.#inherited)
    }
  }

  /**
   * Notices a close for which no event was received: an application that takes over a socket may
   * have removed all its listeners.
   *
   * @returns whether the connection is closed
   */
  checkClosed(): boolean {
    if (this.socket.destroyed) this.#onClose()
    return this.#released
  }

  /** The monitor drops the connection itself, and a `close` event may never arrive. */
  onPeerDead(evidence: PeerEvidence): void {
    this.#leave()
    this.#report('peer-dead', evidence)
  }

  /** Node has already closed the socket, so only its error says why. */
  onPeerGone(evidence: PeerEvidence): void {
    if (this.checkClosed()) return
    this.#leave()
    if (evidence.verdict === 'half-closed') this.#report('client-closed', evidence)
    else this.#report(isPeerDeath(this.socket.errored) ? 'peer-dead' : 'client-reset', evidence)
  }

  #leave(): void {
    this.#released = true
    this.socket.off('finish', this.#onFinish)
    this.socket.off('close', this.#onClose)
    this.#onLeave(this)
  }

  /**
   * A client may send FIN and read on, and data that it sent before may still wait for a paused
   * application. So only a stream's connection is ended because of a FIN, and only if Node has not
   * seen the FIN; Node would have ended the connection itself.
   */
  mayHalfClose(): boolean {
    this.#prune()
    return this.socket.readableEnded || !this.#exchanges.some(({ streams }) => streams)
  }

  onSample(now: number, stalledFor: number, _verdict: Verdict, loopTime: number): number {
    this.#judge(now)
    this.#checkKeepAlive()
    // A response that is not judged yet can begin without a byte on the wire.
    const unjudged = this.#exchanges.some(({ streams }) => streams === undefined)
    let deadline = unjudged ? now + this.#settings.plan.pace : Number.POSITIVE_INFINITY
    const alone = this.#exchanges.length === 1
    const sample = { now, loopTime, stalledFor, alone, written: this.socket.bytesWritten }
    for (const judged of [...this.#exchanges]) {
      // On HTTP/1, ending one response ends all of them. Also, a callback may stop the guard.
      if (this.#released || this.socket.destroyed) break
      if (!judged.streams) continue
      deadline = Math.min(deadline, this.#apply(judged, sample))
    }
    if (this.#stuck) this.#resetUnused()
    return deadline
  }

  /**
   * HTTP/2: resets a connection that takes nothing and has no responses left. It would only keep
   * buffered data.
   */
  #resetUnused(): void {
    this.#stuck = false
    this.#prune()
    if (this.#exchanges.length > 0) return
    this.#reported = true
    resetConnection(this.socket)
  }

  /** Compares one stream with its limits. Returns the time of the next check. */
  #apply(judged: Judged, sample: ConnectionSample): number {
    const { stallTimeout, maxAge, plan } = this.#settings
    const { exchange, judgedAt } = judged
    const { now } = sample
    if (judged.endedAt !== undefined)
      return this.#awaitClient(judged.endedAt + plan.detectWithin, now)
    const stalled = exchange.stalledFor(sample)
    // One of several streams on a connection can have to wait while the connection is quiet.
    const next: number[] = exchange.exclusive ? [] : [now + plan.pace]
    if (now - judgedAt >= plan.detectWithin) exchange.discardUnread()
    else next.push(judgedAt + plan.detectWithin)
    if (stallTimeout !== false && !this.#hasOwnPolicy(exchange)) {
      if (stalled >= stallTimeout) {
        this.#stuck ||= sample.stalledFor >= stallTimeout
        this.#end('stalled', judged, now, stalled)
        return Number.POSITIVE_INFINITY
      }
      // A stream can be stuck while the rest of the connection makes progress, so it is sampled
      // often.
      if (stalled > 0) next.push(Math.min(now + plan.urgentPace, now + stallTimeout - stalled))
    }
    if (maxAge !== false) {
      if (now - exchange.openedAt >= maxAge) {
        this.#end('expired', judged, now)
        return judged.endedAt === undefined ? Number.POSITIVE_INFINITY : now + plan.detectWithin
      }
      next.push(exchange.openedAt + maxAge)
    }
    return Math.min(...next)
  }

  /**
   * On HTTP/1, a second watcher is an event stream of this library, which has its own stall policy.
   */
  #hasOwnPolicy(exchange: Exchange): boolean {
    return this.#watch.shared && exchange.exclusive
  }

  #end(reason: 'stalled' | 'expired', judged: Judged, now: number, stalledFor?: number): void {
    const evidence = this.#watch.evidence()
    const { exchange } = judged
    const { url, openedAt, exclusive } = exchange
    const how = reason === 'stalled' ? 'reset' : 'close'
    if (exchange.res !== undefined) noteGuardEnd(exchange.res, { reason, stalledFor })
    if (exclusive && how === 'close') setOptions(this.socket, this.#before)
    if (!exchange.end(how, this.socket)) judged.endedAt = now
    this.#report(reason, evidence, { url, openedAt, stalledFor })
    if (exclusive) this.#reported = true
  }

  /**
   * A client that has read to the end closes the connection. If it does not, the socket is
   * destroyed.
   */
  #awaitClient(deadline: number, now: number): number {
    if (now < deadline) return deadline
    setOptions(this.socket, this.#before)
    this.socket.destroy()
    return Number.POSITIVE_INFINITY
  }

  /**
   * The kernel has all data. In most cases Node closes the socket right after this listener. The
   * kernel then delivers the rest to the client, so the guard's limits are removed for it. A socket
   * that still exists in the next tick is only half-closed; the limits are set again.
   */
  readonly #onFinish = (): void => {
    const { socket } = this
    const inForce = exchangeOptions(socket, this.#before)
    callAtEndOfTick(() => {
      if (!this.#released && !socket.destroyed) setOptions(socket, inForce)
    }, undefined)
  }

  /**
   * Checks whether the kernel gave up the connection because of the options that the guard had set.
   */
  readonly #onClose = (): void => {
    if (isPeerDeath(this.socket.errored)) {
      this.#report('peer-dead', { ...this.#watch.evidence(), verdict: 'dead' })
    }
    this.release()
  }

  /** Reports a connection once, and each stream that ended before its connection once. */
  #report(reason: GuardCloseReason, evidence: PeerEvidence, stream?: StreamEnd): void {
    if (this.#reported) return
    this.#reported = stream === undefined || this.socket.destroyed
    this.#onReport({
      reason,
      scope: stream === undefined ? 'connection' : 'stream',
      remoteAddress: this.#remoteAddress,
      remotePort: this.#remotePort,
      url: stream === undefined ? this.#openUrl : stream.url,
      openedFor: systemClock.now() - (stream?.openedAt ?? this.#openedAt),
      verdict: evidence.verdict,
      stalledFor: stream?.stalledFor,
      evidence,
    })
  }

  /** The path of a response that is still open. */
  get #openUrl(): string | undefined {
    return this.#exchanges.find(({ exchange }) => !exchange.over)?.exchange.url
  }

  #prune(): void {
    const { destroyed } = this.socket
    this.#exchanges = this.#exchanges.filter(({ exchange }) => !destroyed && !exchange.over)
    this.#pruneAt = Math.max(FEW, 2 * this.#exchanges.length)
  }

  #judge(now: number): void {
    this.#prune()
    const { filter } = this.#settings
    for (const judged of this.#exchanges) {
      const { exchange } = judged
      if (judged.streams !== undefined || !exchange.begun) continue
      judged.judgedAt = now
      // `false` until the filter has answered: the filter may call `guard.stats()`.
      judged.streams = filter === undefined && exchange.isEventStream
      if (filter !== undefined) {
        judged.streams = ask(() => filter(exchange.req, exchange.res, this.socket))
      }
      if (judged.streams) this.#keepAliveChecked = false
    }
  }

  #checkKeepAlive(): void {
    if (this.#keepAliveChecked) return
    this.#keepAliveChecked = true
    const { keepAlive } = this.#settings.plan
    if (isProbedLess(this.socket, keepAlive)) applySocketOptions(this.socket, { keepAlive })
  }
}

/** A list of this length needs no pruning. */
const FEW = 16

function userTimeoutOf(settings: KernelSettings | undefined): number | undefined {
  return settings && (settings.find(([option]) => option === 'TCP_USER_TIMEOUT')?.[1] ?? 0)
}

interface StreamEnd extends Pick<GuardCloseInfo, 'url' | 'stalledFor'> {
  readonly openedAt: number
}

function ask(filter: () => boolean): boolean {
  try {
    return Boolean(filter())
  } catch (error) {
    rethrowLater(error)
    return false
  }
}
