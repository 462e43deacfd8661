// One listener's position in its channel's log.
import { rethrowLater } from '../../internal/rethrow.js'
import { monotonicNow } from '../../internal/scheduling.js'
import type { FeedListener, FeedState, Keep } from '../hub.js'
import { type Ask, type Cursor, decode, openLog, Seen, verify } from './log.js'
import type { RawEntry } from './replies.js'
import { type Place, positionOf } from './stream-id.js'

/** Maximum entries of one stream in one reply. */
export const BATCH = 128

/** How often an expiry is renewed, in milliseconds. */
const TOUCH = 60_000

/** The reading half of a feed. */
export class Tail {
  readonly key: string
  /** `undefined` until the log has been opened. */
  place: Cursor | undefined
  /** Whether entries after the cursor may have been removed. */
  suspect = false
  checkedAt = 0
  #touchedAt = Number.NEGATIVE_INFINITY
  readonly #listener: FeedListener
  readonly #keep: Keep
  readonly #onPlace: (place: Place) => void
  #seen = new Seen()
  #state: FeedState = 'catching-up'
  #pauses = 0
  #closed = false
  onResume: (() => void) | undefined

  constructor(key: string, listener: FeedListener, keep: Keep, onPlace: (place: Place) => void) {
    this.key = key
    this.#listener = listener
    this.#keep = keep
    this.#onPlace = onPlace
  }

  /** Whether the listener is ready for more entries. */
  get ready(): boolean {
    return this.place !== undefined && this.#pauses === 0 && !this.#closed
  }

  state(state: FeedState, cause?: Error): void {
    if (this.#closed || state === this.#state) return
    this.#state = state
    if (cause === undefined) this.#listener.state(state)
    else this.#listener.state(state, cause)
  }

  close(): void {
    this.#closed = true
  }

  /** Opens the log, or checks that the entries after the cursor still exist. */
  async check(ask: Ask): Promise<void> {
    if (this.#closed) return
    if (this.place === undefined) await this.#open(ask)
    else await this.#verify(ask, this.place)
    this.checkedAt = monotonicNow()
    this.#touch(ask)
  }

  /**
   * Takes entries that were read after the cursor. After a full or late reply, it first checks that
   * the cursor's entry still exists.
   */
  async take(ask: Ask, raw: readonly RawEntry[]): Promise<void> {
    const { place } = this
    if (place === undefined) return
    const full = raw.length >= Math.min(BATCH, this.#keep.maxEvents)
    const marked = raw.some(({ fields }) => fields.o !== undefined)
    this.checkedAt = monotonicNow()
    if (full || marked || this.suspect) {
      if (!(await this.#verify(ask, place))) return
    }
    this.suspect = false
    for (const each of raw) this.#hand(each, place.era)
    this.state(full ? 'catching-up' : 'live')
    this.#touch(ask)
  }

  async #open(ask: Ask): Promise<void> {
    const { era, top } = await openLog(ask, this.key)
    if (this.#closed) return
    this.#moveTo({ era, id: top, anchor: top })
    this.#listener.start(positionOf(era, top))
    this.state('live')
  }

  /**
   * Returns whether no entry is missing. Otherwise it reports a gap to the listener, and reading
   * continues at another position.
   */
  async #verify(ask: Ask, place: Cursor): Promise<boolean> {
    const repair = await verify(ask, this.key, place)
    if (this.#closed) return false
    if (repair === undefined) return true
    this.suspect = false
    if (repair.era !== place.era) this.#seen = new Seen()
    this.#moveTo(repair)
    this.#listener.gap(positionOf(place.era, place.id), positionOf(repair.era, repair.id))
    return false
  }

  #hand(raw: RawEntry, era: string): void {
    if (this.#closed) return
    this.place = { era, id: raw.id, anchor: raw.id }
    const entry = decode(raw, era, this.#seen)
    const pause = entry && this.#listener.entry(entry)
    if (pause === undefined) return
    this.#pauses += 1
    pause.catch(rethrowLater).finally(() => {
      this.#pauses -= 1
      // Nothing was read during the pause.
      this.suspect = true
      if (this.#pauses === 0) this.onResume?.()
    })
  }

  #moveTo(place: Cursor): void {
    this.place = place
    this.#onPlace(place)
  }

  /** Makes the log expire if it is no longer used, long after its last event could be requested. */
  #touch(ask: Ask): void {
    const { maxAge } = this.#keep
    if (maxAge === undefined || monotonicNow() - this.#touchedAt < TOUCH) return
    this.#touchedAt = monotonicNow()
    const lasts = Math.ceil(2 * Math.max(maxAge, 5 * TOUCH))
    ask('PEXPIRE', this.key, String(lasts)).catch(() => {})
  }
}
