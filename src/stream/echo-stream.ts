// A stream whose client answers. It is a class of its own, so that other streams do not have its fields.
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

/** Marks the end as intended. If a stream ends without it, the client reconnects. */
const LAST_COMMENT = new EncodedEvent(encodeComment('bye').bytes, undefined, undefined, true)

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
    // Send the first beat with the head, so that the client learns to answer.
    if (open && this.writer.hasRoom) this.#sendBeat()
  }

  /** Subscribers of the stream's opening may read its properties before the fields of this class exist. */
  static #hasBegun(stream: EchoStream): boolean {
    return #confirmed in stream
  }

  override get lastEcho(): number | undefined {
    return EchoStream.#hasBegun(this) ? this.#lastEcho : undefined
  }

  override get confirmedId(): string | undefined {
    return EchoStream.#hasBegun(this) ? this.#confirmed : undefined
  }

  /** The verdict about the client. Behind a proxy, a healthy peer does not mean a healthy client. */
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
    this.finish('ended', [LAST_COMMENT])
    return this.closed
  }

  override beforeEnd(): void {
    super.beforeEnd()
    if (EchoStream.#hasBegun(this) && this.state === 'closed') unregister(this.#token)
  }

  #tellVerdict(before: Verdict): void {
    if (this.verdict !== before) this.onVerdict(this.verdict, before)
  }

  /** Sends a beat if it is due. A client that is behind has enough data to answer, so no beat waits in a queue. */
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
