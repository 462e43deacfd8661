// The contract between channels and an engine that carries and remembers events for several processes.
//
// Carrying and remembering are one step, because the log is both: an event is in the log and every listener gets it, or it
// is not and none does. `hubContract` of tcp-sse/testing holds an implementation against these duties.

/**
 * A place in a channel's log. The engine makes it, and it means nothing to others: 1 to 80 characters of `A-Z a-z 0-9 . _ ~ -`, because
 * it becomes a part of an event's id. It has the log's era in it (when the log was made, or whatever else tells two logs
 * apart that number their entries alike), so that a position of one era never passes for one of another.
 */
export type Position = string

/** How much of a channel the log remembers. Whatever limit comes first counts; an engine may keep more, never less. */
export interface Keep {
  /** Events. */
  readonly maxEvents: number
  /** Milliseconds. `undefined`: no limit. */
  readonly maxAge?: number | undefined
}

/** What is to be published. */
export interface NewEntry {
  /** An event as it is sent to clients, in the text format of event streams, without an `id` line. */
  readonly text: string
  /** Unlike that of any other entry of any process: the engine passes it on, and may use it to recognize a repetition. */
  readonly token: string
  /** Of the entries with the same key that wait for a slow client the newest may be enough; passed on. */
  readonly key?: string | undefined
}

/** What the log has. */
export interface Entry extends NewEntry {
  /** Where it stands. */
  readonly position: Position
}

/** Whether a feed gets what is published now (`live`), what it has missed (`catching-up`), or nothing (`down`). */
export type FeedState = 'live' | 'catching-up' | 'down'

/**
 * Gets a channel's entries. Its functions never throw. They are never called from within `Hub.open`, and never after
 * `Feed.close`.
 */
export interface FeedListener {
  /**
   * The feed stands here: all that the log has up to this position came before, and the first entry after it is the first
   * that comes. Called once, before `entry` and `gap`. An empty log has a position, too.
   */
  start(position: Position): void
  /**
   * The next entry, in the order of the log, each once, also over an absence of the engine.
   *
   * @returns a promise where the listener is behind: the engine hands over no more until it has settled, except what it had read
   * already, 256 entries at most. It never rejects
   */
  entry(entry: Entry): void | Promise<void>
  /**
   * Entries behind `after` are lost to this listener, or may be: the log no longer has them, or it is another log. Called before
   * anything later comes. The feed goes on with the first entry behind `next`, which need not be an entry's position.
   */
  gap(after: Position, next: Position): void
  /** The feed's state has changed; it begins as `catching-up`. `cause` says why it is down. */
  state(state: FeedState, cause?: Error): void
}

/** What is to be read. */
export interface ReadRequest {
  /** Exclusive. What a client has sent: anything, in any form. */
  readonly after: Position
  /** Inclusive; a position that this feed has handed out. Where it is not behind `after`, only `after` is looked up. */
  readonly upTo: Position
  /** Entries at most, 1 or more. */
  readonly limit: number
  /** Milliseconds; then the promise rejects. */
  readonly timeout: number
}

/** What the log has of it. */
export interface Page {
  /**
   * - `complete`: the log knows `after`, and the entries are those right behind it.
   * - `partial`: what came right behind `after` is forgotten; the entries are the oldest that are left.
   * - `unknown`: the log does not know `after` (another era, lost in a failover, never given), and there are no entries.
   */
  readonly outcome: 'complete' | 'partial' | 'unknown'
  /** Oldest first. There may be fewer than `limit`, but one at least where `more` is set. */
  readonly entries: readonly Entry[]
  /** Whether there are more up to `upTo`. */
  readonly more: boolean
}

/** One channel's log, as one process uses it. */
export interface Feed {
  /**
   * Appends to the log. Resolves when the log has the entry, and only then; the feed's listener gets it like all others, before or
   * after. Entries of one feed come into the log in the order of the calls, also of calls that are made while earlier
   * ones are pending; one that rejects may be missing and changes nothing for the others. Each is in the log once at most.
   *
   * @param timeout - milliseconds within which the promise settles, whatever the engine does
   * @throws {TcpSseError} as a rejection: `ERR_HUB_DOWN`, the entry is not in the log and never will be; `ERR_PUBLISH_UNKNOWN`, it was sent
   * and not answered; `ERR_EVENT_INVALID`, the engine takes no such entry, e.g. of that size
   */
  publish(entry: NewEntry, timeout: number): Promise<Position>
  /**
   * Reads from the log. One bounded command for the engine, whatever `after` is: no scan, and no command at all for what is
   * no position of this era. It reads no other channel. The entries need not have come to the listener yet.
   *
   * @throws {TcpSseError} as a rejection: `ERR_HUB_DOWN`, no answer within `timeout`
   */
  read(request: ReadRequest): Promise<Page>
  /**
   * Negative where `a` comes first, 0 where they are the same, positive where `b` does; `NaN` where they cannot be
   * compared, because one is of another era or no position. Never throws; asks nobody.
   */
  compare(a: Position, b: Position): number
  /** Nothing comes to the listener any more; what is pending rejects with `ERR_HUB_DOWN` or `ERR_PUBLISH_UNKNOWN`. */
  close(): void
}

/**
 * Carries events between processes and remembers them: one log a channel. Made by `clusterHub`, `redisHub`, …, or by
 * an application for an engine of its own; see `hubContract` in tcp-sse/testing.
 *
 * Nothing waits for ever, and nothing is kept without a bound: an engine that is away lets publishing and reading reject
 * within their timeouts. It keeps no queue of what could not be published. After an absence it goes on from the
 * position at which the listener stands, by itself, and tries again without an end.
 */
export interface Hub {
  /** Names the set of logs: the same in all processes that share them, different where they are others. Ids are tagged with a hash of it. */
  readonly scope: string
  /**
   * Opens a channel's log, and makes it if there is none. Two feeds of one channel are independent of each other.
   *
   * @throws {TcpSseError} `ERR_HUB_CLOSED`
   */
  open(channel: string, listener: FeedListener, keep: Keep): Feed
  /** Closes all feeds and what the hub has opened itself; never a client that it was given. */
  close(): Promise<void>
}
