// One connection under guard: what the monitor sees of it, and what goes on over it.
import type { Socket } from 'node:net'
import { systemClock } from '../clock.js'
import { isPeerDeath } from '../liveness/death.js'
import type { LivenessPlan } from '../liveness/plan.js'
import { copyOf, silentFor } from '../liveness/verdict.js'
import type { PeerEvidence, Watch, Watcher } from '../liveness/watch.js'
import { processMonitor } from '../monitors.js'
import { rethrowLater } from '../rethrow.js'
import { resetConnection } from '../socket/binding.js'
import { applySocketOptions } from '../socket/options.js'
import type { Exchange } from './exchange.js'
import type { ConnectionLook } from './http2-progress.js'
import { type Inheritance, isProbedLess } from './inheritance.js'
import type { GuardCloseInfo, GuardCloseReason, GuardSettings } from './options.js'

/** The guard, as its connections know it. */
export interface Keeper {
  readonly settings: GuardSettings
  readonly inheritance: Inheritance
  report(info: GuardCloseInfo): void
  forget(connection: Connection): void
}

interface Judged {
  readonly exchange: Exchange
  /** Whether `stallTimeout` and `maxAge` are for it; `undefined` until its head has been sent. */
  streams: boolean | undefined
  judgedAt: number
}

/** Watches one socket for a guard, until either of them goes. */
export class Connection implements Watcher {
  readonly socket: Socket
  readonly plan: LivenessPlan
  readonly notSentLowWater: number | undefined
  readonly #keeper: Keeper
  readonly #watch: Watch
  readonly #openedAt = systemClock.now()
  /** Asked for at once: a dead socket has no address. */
  readonly #remoteAddress: string | undefined
  readonly #remotePort: number | undefined
  #exchanges: Judged[] = []
  /** Foreign code sets keepalive too: looked at again after the accept and after each response's head. */
  #keepAliveChecked = false
  #reported = false
  #released = false
  /** How long the connection as a whole has taken nothing, at the last look. */
  #stalledFor = 0

  constructor(socket: Socket, keeper: Keeper) {
    this.socket = socket
    this.#keeper = keeper
    this.#remoteAddress = socket.remoteAddress
    this.#remotePort = socket.remotePort
    const { settings, inheritance } = keeper
    const before = inheritance.userTimeoutBefore(socket)
    this.plan = settings.plan
    this.notSentLowWater = settings.notSentLowWater
    this.#watch = processMonitor.watch(socket, this, { inheritedFrom: before })
    socket.on('close', this.#onClose)
  }

  /** How many responses on it are streams by content type or filter. */
  get streams(): number {
    this.#judge(systemClock.now())
    return this.#exchanges.filter(({ streams }) => streams).length
  }

  /** A further response; on a keep-alive connection it is judged anew. */
  add(exchange: Exchange): void {
    this.#prune()
    this.#exchanges.push({ exchange, streams: undefined, judgedAt: 0 })
    this.#watch.hurry()
  }

  find<T extends Exchange>(matches: (exchange: Exchange) => exchange is T): T | undefined {
    return this.#exchanges.map(({ exchange }) => exchange).find(matches)
  }

  /** Ends the guard over this connection, and nothing else. */
  release(): void {
    this.#released = true
    this.socket.off('close', this.#onClose)
    this.#watch.release(this)
    this.#keeper.forget(this)
  }

  onPeerDead(evidence: PeerEvidence): void {
    this.#report('peer-dead', evidence)
  }

  onPeerGone(evidence: PeerEvidence): void {
    if (evidence.verdict === 'half-closed') this.#report('client-closed', evidence)
    else this.#report(isPeerDeath(this.socket.errored) ? 'peer-dead' : 'client-reset', evidence)
  }

  /**
   * A client may send FIN and read on, and what it sent before may still wait to be read by a paused application. So
   * only a stream's connection is ended for a FIN, and only if Node, which would have ended it, has not seen the FIN.
   */
  mayHalfClose(): boolean {
    return this.socket.readableEnded || !this.#exchanges.some(({ streams }) => streams)
  }

  onLook(now: number, stalledFor: number): number {
    this.#judge(now)
    this.#checkKeepAlive()
    // What is not judged yet may begin without a byte on the wire.
    const unjudged = this.#exchanges.some(({ streams }) => streams === undefined)
    let deadline = unjudged ? now + this.#keeper.settings.plan.pace : Number.POSITIVE_INFINITY
    const alone = this.#exchanges.length === 1
    const look = { now, stalledFor, alone, written: this.socket.bytesWritten }
    this.#stalledFor = stalledFor
    for (const judged of [...this.#exchanges]) {
      // Ending one ends all of them on HTTP/1, and whoever hears of it may stop the guard.
      if (this.#released || this.socket.destroyed) break
      if (!judged.streams) continue
      deadline = Math.min(deadline, this.#apply(judged, look))
    }
    return deadline
  }

  /** Compares one stream with its limits. Returns the time of the next one. */
  #apply({ exchange, judgedAt }: Judged, look: ConnectionLook): number {
    const { stallTimeout, maxAge, plan } = this.#keeper.settings
    const { now } = look
    const stalled = exchange.stalledFor(look)
    // A stream of several on a connection can have to wait while the connection is quiet.
    const next: number[] = exchange.exclusive ? [] : [now + plan.pace]
    if (now - judgedAt >= plan.detectWithin) exchange.discardUnread()
    else next.push(judgedAt + plan.detectWithin)
    if (stallTimeout !== false && !this.#hasOwnPolicy(exchange)) {
      if (stalled >= stallTimeout) {
        this.#end('stalled', exchange, stalled)
        return Number.POSITIVE_INFINITY
      }
      // A stream can wait on a connection on which nothing else does: its progress is worth frequent looks.
      if (stalled > 0) next.push(Math.min(now + plan.urgentPace, now + stallTimeout - stalled))
    }
    if (maxAge !== false) {
      if (now - exchange.openedAt >= maxAge) {
        this.#end('expired', exchange)
        return Number.POSITIVE_INFINITY
      }
      next.push(exchange.openedAt + maxAge)
    }
    return Math.min(...next)
  }

  /** Over HTTP/1 a second watcher is an event stream of this library, which has a stall policy of its own. */
  #hasOwnPolicy(exchange: Exchange): boolean {
    return this.#watch.shared && exchange.exclusive
  }

  #end(reason: 'stalled' | 'expired', exchange: Exchange, stalledFor?: number): void {
    const { stallTimeout } = this.#keeper.settings
    const evidence = this.#evidence()
    const { url, openedAt } = exchange
    exchange.end(reason === 'stalled' ? 'reset' : 'close', this.socket)
    this.#prune()
    const stuck = reason === 'stalled' && this.#stalledFor >= (stallTimeout || 0)
    // HTTP/2: a connection that takes nothing and has nothing left to carry would only keep what waits.
    if (stuck && this.#exchanges.length === 0) resetConnection(this.socket)
    this.#report(reason, evidence, { url, openedAt, stalledFor })
  }

  /** Whether Node has found, by itself, the connection dead of the options that the guard set. */
  readonly #onClose = (): void => {
    if (isPeerDeath(this.socket.errored)) {
      this.#report('peer-dead', { ...this.#evidence(), verdict: 'dead' })
    }
    this.release()
  }

  /** Tells once of a connection, and once of each stream that did not end with one. */
  #report(reason: GuardCloseReason, evidence: PeerEvidence, stream?: StreamEnd): void {
    if (this.#reported) return
    this.#reported = stream === undefined || this.socket.destroyed
    const open = this.#exchanges.find(({ exchange }) => !exchange.over)?.exchange
    this.#keeper.report({
      reason,
      scope: stream === undefined ? 'connection' : 'stream',
      remoteAddress: this.#remoteAddress,
      remotePort: this.#remotePort,
      url: stream === undefined ? open?.url : stream.url,
      openedFor: systemClock.now() - (stream?.openedAt ?? this.#openedAt),
      verdict: evidence.verdict,
      stalledFor: stream?.stalledFor,
      evidence,
    })
  }

  #evidence(): PeerEvidence {
    const { verdict, observation } = this.#watch
    return {
      verdict,
      observation: observation && copyOf(observation),
      silentFor: observation === undefined ? 0 : silentFor(observation),
    }
  }

  #prune(): void {
    const { destroyed } = this.socket
    this.#exchanges = this.#exchanges.filter(({ exchange }) => !destroyed && !exchange.over)
  }

  #judge(now: number): void {
    this.#prune()
    const { filter } = this.#keeper.settings
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
    const { keepAlive } = this.#keeper.settings.plan
    if (isProbedLess(this.socket, keepAlive)) applySocketOptions(this.socket, { keepAlive })
  }
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
