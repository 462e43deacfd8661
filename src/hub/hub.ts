// The contract between channels and an engine that carries and stores events for several processes.
//
// Carrying and storing are one step. An event that is in the log reaches every listener; one that
// is not reaches none. `hubContract` of tcp-sse/testing checks an implementation against these
// duties.

/**
 * A position in a channel's log. The engine makes it, and it is opaque to others: 1 to 80
 * characters of `A-Z a-z 0-9 . _ ~ -`, because it becomes part of an event's id. It contains the
 * era of the log (the time at which the log was made, or another value that distinguishes two logs
 * with the same entry numbers), so that a position of one era is never mistaken for one of another.
 */
export type Position = string

/**
 * How much of a channel the log keeps. The limit that is reached first applies. An engine may keep
 * more, never less.
 */
export interface Keep {
  /** The number of events. */
  readonly maxEvents: number
  /** How old an event may be, in milliseconds. `undefined`: no limit. */
  readonly maxAge?: number | undefined
}

/** An entry to publish. */
export interface NewEntry {
  /**
   * The event as it is sent to clients, in the text format of event streams, without an `id` line.
   */
  readonly text: string
  /**
   * Unique over all entries of all processes. The engine passes it on, and may use it to recognize
   * a repetition.
   */
  readonly token: string
  /** The `EventInput.key` of the event. The engine passes it on. */
  readonly key?: string | undefined
}

/** An entry of the log. */
export interface Entry extends NewEntry {
  /** The entry's position in the log. */
  readonly position: Position
}

/**
 * What a feed receives: new entries (`live`), entries that it missed (`catching-up`), or nothing
 * (`down`).
 */
export type FeedState = 'live' | 'catching-up' | 'down'

/**
 * Receives a channel's entries. Its functions must not throw. The engine never calls them from
 * within `Hub.open`, and never after `Feed.close`.
 */
export interface FeedListener {
  /**
   * Reports where the feed starts. All entries of the log up to this position were published
   * earlier, and the first entry after it is the first that the listener gets. The engine calls it
   * once, before `entry` and `gap`. An empty log has a position, too.
   */
  start(position: Position): void
  /**
   * Delivers the next entry: in the order of the log, each entry once, also across an outage of the
   * engine.
   *
   * @returns a promise if the listener is behind. The engine then pauses until it settles; it hands
   * over at most 256 more entries, which it had already read. The promise never rejects
   */
  entry(entry: Entry): void | Promise<void>
  /**
   * Reports that entries after `after` are lost to this listener, or may be: the log no longer has
   * them, or it is another log. The engine calls it before any later entry. The feed continues with
   * the first entry after `next`, which need not be the position of an entry.
   */
  gap(after: Position, next: Position): void
  /**
   * Reports a change of the feed's state, which is `catching-up` at first. `cause` says why the
   * feed is down.
   */
  state(state: FeedState, cause?: Error): void
}

/** A request to read from the log. */
export interface ReadRequest {
  /** The page begins after this position. It comes from a client, so it can be any string. */
  readonly after: Position
  /**
   * The page ends at this position, which this feed has handed out. If it is the same
   * as `after` or earlier, the page has no entries, and says only whether the log knows `after`.
   */
  readonly upTo: Position
  /** The maximum number of entries, 1 or more. */
  readonly limit: number
  /** Milliseconds after which the promise rejects. */
  readonly timeout: number
}

/** The result of a read. */
export interface Page {
  /**
   * What the log still has of the requested range:
   * - `complete`: the log knows `after`, and the entries are those right after it.
   * - `partial`: the log no longer has the entries right after `after`. The entries are the oldest
   *   that are left.
   * - `unknown`: the log does not know `after` (it is of another era, was lost in a failover, or
   *   was never issued). There are no entries.
   */
  readonly outcome: 'complete' | 'partial' | 'unknown'
  /** Oldest first. There can be fewer than `limit`, but there is at least one if `more` is true. */
  readonly entries: readonly Entry[]
  /** Whether the log has more entries up to `upTo`. */
  readonly more: boolean
}

/** One channel's log, as one process uses it. */
export interface Feed {
  /**
   * Appends to the log. Resolves once the log has the entry. The feed's own listener gets the entry
   * like all others, before or after that. Entries of one feed are appended in the order of the
   * calls, also while earlier calls are pending. A call that rejects does not affect the others.
   * Each entry is in the log at most once.
   *
   * @param timeout - milliseconds within which the promise settles, regardless of the engine
   * @throws {TcpSseError} as a rejection: `ERR_HUB_DOWN`, the entry is not in the log and never
   * will be; `ERR_PUBLISH_UNKNOWN`, the entry was sent and not answered; `ERR_EVENT_INVALID`, the
   * engine does not accept the entry, for example because of its size
   */
  publish(entry: NewEntry, timeout: number): Promise<Position>
  /**
   * Reads from the log. The work for the engine is bounded for every value of `after`: it does not
   * scan, and a string that is not a position of this era costs no request. The entries need not
   * have reached the listener yet.
   *
   * @throws {TcpSseError} as a rejection: `ERR_HUB_DOWN`, there was no answer within `timeout`
   */
  read(request: ReadRequest): Promise<Page>
  /**
   * Negative if `a` comes first, 0 if both are the same, positive if `b` comes first. `NaN` if they
   * cannot be compared, because one is of another era or not a position. Never throws, and does not
   * ask the engine.
   */
  compare(a: Position, b: Position): number
  /**
   * Stops calls to the listener. Pending calls reject with `ERR_HUB_DOWN` or `ERR_PUBLISH_UNKNOWN`.
   */
  close(): void
}

/**
 * Carries events between processes and stores them, in one log per channel. Made by `clusterHub`,
 * `redisHub`, …, or by an application for another engine; see `hubContract` in tcp-sse/testing.
 *
 * Every wait and every buffer is bounded. While the engine is unavailable, publishing and reading
 * reject within their timeouts, and the hub does not queue what could not be published. After an
 * outage it continues by itself from the listener's position. It retries without limit.
 */
export interface Hub {
  /**
   * Names the set of logs: the same in all processes that share them, and different for other sets.
   * Event ids are tagged with a hash of it.
   */
  readonly scope: string
  /**
   * Opens a channel's log, and makes it if it does not exist. Two feeds of one channel are
   * independent of each other.
   *
   * @throws {TcpSseError} `ERR_HUB_CLOSED`
   */
  open(channel: string, listener: FeedListener, keep: Keep): Feed
  /**
   * Closes all feeds and everything that the hub opened itself, but not a client that was passed to
   * it.
   */
  close(): Promise<void>
}
