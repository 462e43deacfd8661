// The clocks of a TCP connection as Linux runs them, simulated: keepalive, retransmits with their loss probe, probes of a shut
// window, and TCP_USER_TIMEOUT. No bytes, no congestion window: what the monitor judges by, and when.

import type { KernelOption, KernelSettings } from '../../src/tcp/kernel-settings.js'
import { healthy, type Numbers } from './readings.js'

/** What happens to a connection. Times in ms. */
export interface Course {
  readonly rtt: number
  /** The application writes at these times, in order. */
  readonly writes: readonly number[]
  /** From this time on the peer's window is shut, and something waits for it. */
  readonly shutAt: number
  /** Nothing passes the path from `cutAt` to `healAt`. */
  readonly cutAt: number
  readonly healAt: number
  /** Of a hundred segments so many are lost, each way; which ones, `random` (0 to 1) says. */
  readonly loss?: number
  readonly random?: () => number
}

/** An answer on its way. `isDuplicate`: it says that the segment had been received before (DSACK). */
interface Arrival {
  readonly at: number
  readonly acknowledges: number
  readonly isDuplicate: boolean
}

/** A Linux peer answers no more than one probe in so many milliseconds (net.ipv4.tcp_invalid_ratelimit). */
const INVALID_RATELIMIT = 500

const NEVER = Number.POSITIVE_INFINITY
const RTO_MIN = 200

/** One connection. `look` runs it up to a time and tells what TCP_INFO would. */
export class SimulatedTcp {
  readonly #course: Course
  readonly #rto: number
  #now = 0
  #answeredAt = 0
  /** Answers that are on their way, by arrival. */
  #arrivals: Arrival[] = []
  /** Segments with data: sent for the first time, acknowledged, all that were sent. */
  #sent = 0
  #acknowledged = 0
  #segments = 0
  #sentAt = 0
  #written = 0
  #probes = 0
  #retransmits = 0
  #totalRetransmits = 0
  #duplicates = 0
  #backoff = 0
  #timerAt = NEVER
  #timer: 'loss-probe' | 'retransmit' | 'window-probe' | undefined
  #keepAliveAt: number
  #keepAlive: { idle: number; interval: number } | undefined
  #windowProbesSince: number | undefined
  #retransmitsSince: number | undefined
  #limited = 0
  /** What the peer has of the segments with data, and when it last answered a probe. */
  readonly #received = new Set<number>()
  #contiguous = 0
  readonly #sentAgainAt = new Map<number, number>()
  #probeAnsweredAt = Number.NEGATIVE_INFINITY
  userTimeout = 0
  retransmitMax = 120_000
  /** When the kernel gave up, and by which of its clocks. */
  ended: { at: number; by: string } | undefined

  constructor(course: Course) {
    this.#course = course
    this.#rto = course.rtt + RTO_MIN
    this.#keepAliveAt = NEVER
  }

  /** Sets options, as setsockopt(2) does. TCP_KEEPIDLE by itself asks the peer at once where it has been idle for longer. */
  set(settings: KernelSettings): void {
    const values = Object.fromEntries(settings) as Partial<Record<KernelOption, number>>
    this.userTimeout = values.TCP_USER_TIMEOUT ?? this.userTimeout
    this.retransmitMax = values.TCP_RTO_MAX_MS ?? this.retransmitMax
    const { TCP_KEEPIDLE: idle, TCP_KEEPINTVL: interval } = values
    if (idle === undefined) return
    if (interval !== undefined) {
      this.#keepAlive = { idle: idle * 1_000, interval: interval * 1_000 }
      this.#keepAliveAt = this.#answeredAt + idle * 1_000
    } else if (this.#keepAlive !== undefined) {
      this.#keepAliveAt = Math.max(this.#now, this.#answeredAt + idle * 1_000)
    }
  }

  /** Bytes written by the application so far: what Node knows. */
  writtenAt(time: number): number {
    const { writes, shutAt } = this.#course
    return writes.filter((at) => at <= time).length + (time >= shutAt ? 1 : 0)
  }

  sample(time: number): Numbers {
    this.#run(time)
    const shut = time >= this.#course.shutAt
    return {
      ...healthy,
      state: this.ended === undefined ? 1 : 7,
      unackedSegments: this.#sent - this.#acknowledged,
      unsent: shut ? 5_000 : 0,
      sendWindow: shut ? 0 : 65_536,
      retransmits: this.#retransmits,
      rto: Math.min(this.#rto * 2 ** this.#backoff, this.retransmitMax),
      probes: this.#probes,
      lastAckReceived: time - this.#answeredAt,
      lastDataReceived: time,
      lastDataSent: time - this.#sentAt,
      totalRetransmits: this.#totalRetransmits,
      reportedDuplicates: this.#duplicates,
      dataSegmentsSent: this.#segments,
      bytesAcked: this.#acknowledged,
      windowLimited: shut ? Math.max(1, this.#limited) : this.#limited,
      rtt: this.#course.rtt,
      rttVariation: this.#course.rtt / 20,
      minRtt: this.#course.rtt,
    }
  }

  #run(until: number): void {
    while (this.ended === undefined) {
      const write = this.#course.writes[this.#written] ?? NEVER
      const arrival = this.#arrivals[0]?.at ?? NEVER
      const shut = this.#windowProbesSince === undefined ? this.#course.shutAt : NEVER
      const next = Math.min(write, arrival, shut, this.#timerAt, this.#keepAliveAt)
      if (next > until) break
      this.#now = Math.max(this.#now, next)
      if (next === arrival) this.#onAnswer()
      else if (next === write) this.#onWrite()
      else if (next === shut) this.#onShut()
      else if (next === this.#timerAt) this.#onTimer()
      else this.#onKeepAlive()
    }
    this.#now = Math.max(this.#now, until)
  }

  /** A segment with data, or a probe: the peer's kernel answers, if both ways are open. */
  #ask(segment?: number): void {
    const { rtt } = this.#course
    const there = this.#now + rtt / 2
    if (segment !== undefined) this.#sentAt = this.#now
    if (!this.#passes(this.#now, there)) return
    const isDuplicate =
      segment !== undefined && (segment <= this.#contiguous || this.#received.has(segment))
    if (segment === undefined) {
      if (there - this.#probeAnsweredAt < INVALID_RATELIMIT) return
      this.#probeAnsweredAt = there
    } else {
      this.#received.add(segment)
      while (this.#received.delete(this.#contiguous + 1)) this.#contiguous += 1
    }
    const at = this.#now + rtt
    if (this.#passes(there, at)) {
      this.#arrivals.push({ at, acknowledges: this.#contiguous, isDuplicate })
    }
  }

  #passes(from: number, to: number): boolean {
    const { cutAt, healAt, loss = 0, random } = this.#course
    const isOpen = (time: number): boolean => time < cutAt || time >= healAt
    return isOpen(from) && isOpen(to) && !(random !== undefined && random() * 100 < loss)
  }

  #onAnswer(): void {
    const { acknowledges, isDuplicate } = this.#arrivals.shift() as Arrival
    if (isDuplicate) this.#duplicates += 1
    this.#answeredAt = this.#now
    this.#probes = 0
    if (acknowledges > this.#acknowledged) {
      this.#acknowledged = acknowledges
      this.#retransmits = 0
      this.#backoff = 0
      this.#retransmitsSince = undefined
      if (this.#acknowledged === this.#sent) this.#setTimer(undefined)
      else this.#setTimer('loss-probe', 2 * this.#course.rtt + RTO_MIN)
    }
    this.#keepAliveAt = this.#answeredAt + (this.#keepAlive?.idle ?? NEVER)
    this.#fillHoles()
  }

  /** The peer's answers say what it has: what was lost before that is sent again, and once more if that is lost (RACK). */
  #fillHoles(): void {
    const highest = Math.max(...this.#received)
    for (let hole = this.#acknowledged + 1; hole < highest; hole++) {
      if (this.#received.has(hole) || hole <= this.#contiguous) continue
      const sentAt = this.#sentAgainAt.get(hole) ?? Number.NEGATIVE_INFINITY
      if (this.#now - sentAt < this.#course.rtt + 10) continue
      this.#sendAgain(hole)
    }
  }

  #sendAgain(segment: number): void {
    this.#sentAgainAt.set(segment, this.#now)
    this.#retransmitsSince ??= this.#now
    this.#totalRetransmits += 1
    this.#segments += 1
    this.#ask(segment)
  }

  #onWrite(): void {
    this.#written += 1
    if (this.#windowProbesSince !== undefined) return
    this.#sent += 1
    this.#segments += 1
    this.#ask(this.#sent)
    // Each new segment puts the loss probe off (tcp_schedule_loss_probe), unless a timeout has come already.
    if (this.#retransmits === 0) this.#setTimer('loss-probe', 2 * this.#course.rtt + RTO_MIN)
  }

  #onShut(): void {
    this.#windowProbesSince = NEVER
    this.#sent = this.#acknowledged
    this.#backoff = 0
    this.#setTimer('window-probe', this.#rto)
  }

  #onTimer(): void {
    if (this.#timer === 'window-probe') this.#onWindowProbe()
    else this.#onRetransmit()
  }

  #onRetransmit(): void {
    if (this.#timer === 'retransmit') {
      this.#retransmits += 1
      this.#backoff += 1
      const since = this.#retransmitsSince
      if (this.userTimeout > 0 && since !== undefined && this.#now - since >= this.userTimeout) {
        this.ended = { at: this.#now, by: 'retransmits' }
        return
      }
    }
    this.#sendAgain(this.#acknowledged + 1)
    const wait = Math.min(this.#rto * 2 ** this.#backoff, this.retransmitMax)
    this.#setTimer('retransmit', this.#clamped(wait, this.#retransmitsSince ?? this.#now))
  }

  #onWindowProbe(): void {
    if (this.#windowProbesSince === NEVER) this.#windowProbesSince = this.#now
    const age = this.#now - (this.#windowProbesSince as number)
    if (this.userTimeout > 0 && age > 0 && age >= this.userTimeout) {
      this.ended = { at: this.#now, by: 'window probes' }
      return
    }
    this.#limited += 1
    this.#probes += 1
    this.#backoff += 1
    this.#ask()
    const wait = Math.min(this.#rto * 2 ** this.#backoff, this.retransmitMax)
    this.#setTimer('window-probe', this.#clamped(wait, this.#windowProbesSince as number))
  }

  /** tcp_clamp_probe0_to_user_timeout, tcp_clamp_rto_to_user_timeout. */
  #clamped(wait: number, since: number): number {
    if (this.userTimeout === 0) return wait
    return Math.min(wait, Math.max(1, this.userTimeout - (this.#now - since)))
  }

  #setTimer(timer: 'loss-probe' | 'retransmit' | 'window-probe' | undefined, wait = NEVER): void {
    this.#timer = timer
    this.#timerAt = this.#now + wait
  }

  #onKeepAlive(): void {
    const { idle, interval } = this.#keepAlive as { idle: number; interval: number }
    const busy = this.#sent > this.#acknowledged || this.#windowProbesSince !== undefined
    if (busy) {
      this.#keepAliveAt = this.#now + idle
      return
    }
    if (
      this.userTimeout > 0 &&
      this.#probes > 0 &&
      this.#now - this.#answeredAt >= this.userTimeout
    ) {
      this.ended = { at: this.#now, by: 'keepalive' }
      return
    }
    this.#probes += 1
    this.#keepAliveAt = this.#now + interval
    this.#ask()
  }
}
