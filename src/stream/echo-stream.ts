// A stream whose client answers. A class of its own, so that streams without it carry nothing for it.
import { systemClock } from '../internal/clock.js'
import { counters } from '../internal/counters.js'
import { wallClockNow } from '../internal/scheduling.js'
import type { Verdict } from '../liveness/verdict.js'
import { EncodedEvent, encodeComment } from '../sse/encode.js'
import type { Refusal } from '../transport/head.js'
import type { Transport } from '../transport/transport.js'
import { AgingStream } from './aging-stream.js'
import { type CloseInfo, noEcho } from './close-info.js'
import type { EchoSettings } from './echo-options.js'
import { type EchoTarget, register, unregister } from './echo-registry.js'
import { EchoWatch } from './echo-watch.js'
import type { StreamSettings } from './options.js'

/** Says that the end is meant: a client which sees another one connects again. */
const GOODBYE = new EncodedEvent(encodeComment('bye').bytes, undefined, undefined, true)

export class EchoStream extends AgingStream implements EchoTarget {
  readonly #echo: EchoSettings
  readonly #watch: EchoWatch
  readonly #token: string
  readonly #beat: Buffer
  #lastEcho: number | undefined
  #confirmed: string | undefined

  constructor(
    transport: Transport,
    settings: StreamSettings,
    echo: EchoSettings,
    lastEventId: string,
    refusal?: Refusal,
  ) {
    super(transport, settings, lastEventId, refusal)
    this.#echo = echo
    this.#watch = new EchoWatch(echo, systemClock.now())
    const open = this.state === 'open'
    this.#token = open ? register(this) : ''
    this.#beat = encodeComment(`beat ${this.#token} ${echo.silence}`).bytes
    // At once: the client learns with the head that it is to answer.
    if (open && this.writer.hasRoom) this.#sendBeat()
  }

  /** Whoever hears of the stream's opening may ask it, which is before there is anything of this class. */
  static #hasBegun(stream: EchoStream): boolean {
    return #confirmed in stream
  }

  override get lastEcho(): number | undefined {
    return EchoStream.#hasBegun(this) ? this.#lastEcho : undefined
  }

  override get confirmedId(): string | undefined {
    return EchoStream.#hasBegun(this) ? this.#confirmed : undefined
  }

  /** A peer that is well is not a client that is: behind a proxy the two are different ones. */
  override get verdict(): Verdict {
    const verdict = super.verdict
    return verdict === 'alive' && EchoStream.#hasBegun(this) && this.#watch.overdue
      ? 'congested'
      : verdict
  }

  onEcho(lastEventId: string): boolean {
    const before = this.verdict
    if (!this.#watch.hear(systemClock.now())) return false
    counters.echoes += 1
    this.#lastEcho = wallClockNow()
    if (lastEventId !== '') this.#confirmed = lastEventId
    this.#tellVerdict(before)
    return true
  }

  override onSample(now: number, stalledFor: number, verdict: Verdict, loopTime: number): number {
    const next = super.onSample(now, stalledFor, verdict, loopTime)
    if (this.state !== 'open') return next
    const before = this.verdict
    const echoDue = this.#watch.check(now)
    if (echoDue === 'gone') {
      this.cut('no-echo', noEcho(this.#echo.silence))
      return Number.POSITIVE_INFINITY
    }
    this.#tellVerdict(before)
    return Math.min(next, this.#beatDue(now), echoDue)
  }

  override close(): Promise<CloseInfo> {
    this.finish('ended', [GOODBYE])
    return this.closed
  }

  override beforeEnd(): void {
    super.beforeEnd()
    if (EchoStream.#hasBegun(this) && this.state === 'closed') unregister(this.#token)
  }

  #tellVerdict(before: Verdict): void {
    if (this.verdict !== before) this.onVerdict(this.verdict, before)
  }

  /** While the client is behind it has enough to answer; no beat has to wait in a queue. */
  #beatDue(now: number): number {
    const { beat } = this.#echo
    const due = this.writer.lastTraffic(now) + beat
    if (due > now) return due
    if (this.writer.hasRoom) this.#sendBeat()
    return now + beat
  }

  #sendBeat(): void {
    this.writer.write(this.#beat)
    counters.heartbeats += 1
  }
}
