// One connection under guard: what the monitor sees of it, and what goes on over it.
import type { Socket } from 'node:net'
import { systemClock } from '../internal/clock.js'
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
  /** Whether `stallTimeout` and `maxAge` are for it; `undefined` until its head has been sent. */
  streams: boolean | undefined
  judgedAt: number
  /** When our side was ended; the connection waits for the client to leave. */
  endedAt: number | undefined
}

/** Watches one socket for a guard, until either of them goes. */
export class Connection implements Watcher {
  readonly socket: Socket
  readonly plan: MonitorPlan
  readonly notSentLowWater: number | undefined
  readonly #settings: GuardSettings
  readonly #watch: Watch
  /** What a connection that was born with the guard's options would have without it; `undefined` for another one. */
  readonly #inherited: KernelSettings | undefined
  readonly #onReport: (info: GuardCloseInfo) => void
  readonly #onLeave: (connection: Connection) => void
  readonly #openedAt = systemClock.now()
  /** Asked for at once: a dead socket has no address. */
  readonly #remoteAddress: string | undefined
  readonly #remotePort: number | undefined
  #exchanges: Judged[] = []
  /** So many of them are worth a pass to find those that are over. */
  #pruneAt = FEW
  /** Foreign code sets keepalive too: looked at again after the accept and after each response's head. */
  #keepAliveChecked = false
  #reported = false
  #released = false
  /** A stream was given up on a connection that takes nothing at all. */
  #stuck = false

  /**
   * @param inherited - of a connection that was born with the guard's options, what it would have without
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

  /** What the connection would have without the guard of the options that give it up. */
  get #before(): KernelSettings {
    return this.#inherited ?? limitsOf(this.#watch.saved)
  }

  /** How many responses on it are streams by content type or filter. */
  get streams(): number {
    this.#judge(systemClock.now())
    return this.#exchanges.filter(({ streams }) => streams).length
  }

  /** A further response; on a keep-alive connection it is judged anew. */
  add(exchange: Exchange): void {
    if (this.#exchanges.length >= this.#pruneAt) this.#prune()
    this.#exchanges.push({ exchange, streams: undefined, judgedAt: 0, endedAt: undefined })
    this.#watch.requestSample()
  }

  /** Ends the guard over this connection, and nothing else. */
  release(): void {
    this.#leave()
    this.#watch.release(this)
    // The end of the watch has put back what it had set, and nothing that was inherited.
    if (this.#inherited !== undefined && !this.#watch.shared) {
      setOptions(this.socket, this.#inherited)
    }
  }

  /**
   * Notices a close that nobody has told: an application that takes a socket over may have removed all listeners from it.
   *
   * @returns whether the connection is gone
   */
  checkClosed(): boolean {
    if (this.socket.destroyed) this.#onClose()
    return this.#released
  }

  /** The monitor forgets the connection by itself, and `close` may never be heard. */
  onPeerDead(evidence: PeerEvidence): void {
    this.#leave()
    this.#report('peer-dead', evidence)
  }

  /** Of a socket that Node has closed already nothing can be said but what its error says. */
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
   * A client may send FIN and read on, and what it sent before may still wait to be read by a paused application. So
   * only a stream's connection is ended for a FIN, and only if Node, which would have ended it, has not seen the FIN.
   */
  mayHalfClose(): boolean {
    this.#prune()
    return this.socket.readableEnded || !this.#exchanges.some(({ streams }) => streams)
  }

  onSample(now: number, stalledFor: number, _verdict: Verdict, loopTime: number): number {
    this.#judge(now)
    this.#checkKeepAlive()
    // What is not judged yet may begin without a byte on the wire.
    const unjudged = this.#exchanges.some(({ streams }) => streams === undefined)
    let deadline = unjudged ? now + this.#settings.plan.pace : Number.POSITIVE_INFINITY
    const alone = this.#exchanges.length === 1
    const look = { now, loopTime, stalledFor, alone, written: this.socket.bytesWritten }
    for (const judged of [...this.#exchanges]) {
      // Ending one ends all of them on HTTP/1, and whoever hears of it may stop the guard.
      if (this.#released || this.socket.destroyed) break
      if (!judged.streams) continue
      deadline = Math.min(deadline, this.#apply(judged, look))
    }
    if (this.#stuck) this.#resetUnused()
    return deadline
  }

  /** HTTP/2: a connection that takes nothing and has nothing left to carry would only keep what waits. */
  #resetUnused(): void {
    this.#stuck = false
    this.#prune()
    if (this.#exchanges.length > 0) return
    this.#reported = true
    resetConnection(this.socket)
  }

  /** Compares one stream with its limits. Returns the time of the next one. */
  #apply(judged: Judged, look: ConnectionSample): number {
    const { stallTimeout, maxAge, plan } = this.#settings
    const { exchange, judgedAt } = judged
    const { now } = look
    if (judged.endedAt !== undefined)
      return this.#awaitClient(judged.endedAt + plan.detectWithin, now)
    const stalled = exchange.stalledFor(look)
    // A stream of several on a connection can have to wait while the connection is quiet.
    const next: number[] = exchange.exclusive ? [] : [now + plan.pace]
    if (now - judgedAt >= plan.detectWithin) exchange.discardUnread()
    else next.push(judgedAt + plan.detectWithin)
    if (stallTimeout !== false && !this.#hasOwnPolicy(exchange)) {
      if (stalled >= stallTimeout) {
        this.#stuck ||= look.stalledFor >= stallTimeout
        this.#end('stalled', judged, now, stalled)
        return Number.POSITIVE_INFINITY
      }
      // A stream can wait on a connection on which nothing else does: its progress is worth frequent looks.
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

  /** Over HTTP/1 a second watcher is an event stream of this library, which has a stall policy of its own. */
  #hasOwnPolicy(exchange: Exchange): boolean {
    return this.#watch.shared && exchange.exclusive
  }

  #end(reason: 'stalled' | 'expired', judged: Judged, now: number, stalledFor?: number): void {
    const evidence = this.#watch.evidence()
    const { exchange } = judged
    const { url, openedAt, exclusive } = exchange
    const how = reason === 'stalled' ? 'reset' : 'close'
    if (exclusive && how === 'close') setOptions(this.socket, this.#before)
    if (!exchange.end(how, this.socket)) judged.endedAt = now
    this.#report(reason, evidence, { url, openedAt, stalledFor })
    if (exclusive) this.#reported = true
  }

  /** A client that has read to the end leaves; one that does not is left behind. */
  #awaitClient(deadline: number, now: number): number {
    if (now < deadline) return deadline
    setOptions(this.socket, this.#before)
    this.socket.destroy()
    return Number.POSITIVE_INFINITY
  }

  /**
   * Everything is with the kernel, and in most cases Node closes the socket right now, in a listener that comes after this
   * one. What the client has not taken yet is left to the kernel then, on its own terms. A socket that is still there in
   * the next tick is half-closed only, and the guard goes on.
   */
  readonly #onFinish = (): void => {
    const { socket } = this
    const inForce = exchangeOptions(socket, this.#before)
    callAtEndOfTick(() => {
      if (!this.#released && !socket.destroyed) setOptions(socket, inForce)
    }, undefined)
  }

  /** Whether Node has found, by itself, the connection dead of the options that the guard set. */
  readonly #onClose = (): void => {
    if (isPeerDeath(this.socket.errored)) {
      this.#report('peer-dead', { ...this.#watch.evidence(), verdict: 'dead' })
    }
    this.release()
  }

  /** Tells once of a connection, and once of each stream that did not end with one. */
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
      // None until the filter has answered: it may ask the guard for its figures.
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

/** As many responses as are listed, over or not, before it matters. */
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
