// One channel's stream, command by command.
//
// The stream is the log. Nothing is kept beside it that could be lost separately. The era is the
// last delivered id of a consumer group that has no consumers. The process that opens the log first
// makes it. It is replicated and lost together with the entries, and trimming does not affect it. A
// log begins with a marker, which is an entry without an event, so that each position is the
// position of an entry.
import type { Entry, Page } from '../hub.js'
import { entriesOf, isReply, lastDeliveredOf, type RawEntry } from './replies.js'
import { before, beyond, compareIds, type Place, positionOf, type StreamId } from './stream-id.js'

/** Sends one command. */
export type Ask = (...args: string[]) => Promise<unknown>

/** The era and the newest entry of a log. */
export interface LogEnds {
  readonly era: string
  /** The newest entry. */
  readonly top: StreamId
}

const ERA = 'tcp-sse-era'

/** Returns the log's era and top. Makes the log if it does not exist. */
export async function openLog(ask: Ask, key: string): Promise<LogEnds> {
  for (;;) {
    const [era, top] = await Promise.all([eraOf(ask, key), topOf(ask, key)])
    if (era !== undefined && top !== undefined) return { era, top }
    if (top === undefined) await ask('XADD', key, '*', 'o', '1')
    if (era === undefined) await makeEra(ask, key)
  }
}

/** The era, if the log has one. */
async function eraOf(ask: Ask, key: string): Promise<string | undefined> {
  try {
    const id = lastDeliveredOf(await ask('XINFO', 'GROUPS', key), ERA)
    return id === undefined ? undefined : Number(id.slice(id.indexOf('-') + 1)).toString(36)
  } catch (error) {
    if (isReply(error) && error.message.includes('no such key')) return undefined
    throw error
  }
}

async function makeEra(ask: Ask, key: string): Promise<void> {
  const id = `0-${1 + Math.floor(Math.random() * (2 ** 48 - 1))}`
  try {
    await ask('XGROUP', 'CREATE', key, ERA, id)
  } catch (error) {
    // BUSYGROUP: another process was first. No key: it was deleted in the meantime, and is made
    // again.
    if (!isReply(error) || !/^BUSYGROUP |requires the key to exist/.test(error.message)) throw error
  }
}

async function topOf(ask: Ask, key: string): Promise<StreamId | undefined> {
  return entriesOf(await ask('XREVRANGE', key, '+', '-', 'COUNT', '1'))[0]?.id
}

/** A reader's position in a log. */
export interface Cursor extends Place {
  /**
   * An entry that proves, while it exists, that no entry after the cursor was trimmed. It is the
   * cursor itself unless the cursor was moved.
   */
  readonly anchor: StreamId
}

/**
 * Checks that no entry after a cursor has been removed. Returns `undefined` if so, and otherwise
 * the cursor with which to continue.
 *
 * Redis trims the oldest entry first. If the anchor still exists after a read, nothing between it
 * and the entries that were read is missing. If it does not exist, it was trimmed, or was lost with
 * a server.
 */
export async function verify(ask: Ask, key: string, cursor: Cursor): Promise<Cursor | undefined> {
  const { anchor, id } = cursor
  const [era, there] = await Promise.all([eraOf(ask, key), range(ask, key, anchor, anchor, 1)])
  if (era === cursor.era && there.length > 0) return undefined
  const ends = await openLog(ask, key)
  const first = (await range(ask, key, '-', '+', 1))[0]?.id ?? ends.top
  const older = entriesOf(await ask('XREVRANGE', key, `(${id}`, '-', 'COUNT', '1'))[0]?.id
  if (ends.era !== cursor.era || older === undefined) {
    return { era: ends.era, id: before(first), anchor: first }
  }
  // The entry was lost with a server. The new position differs from the old one, because a client
  // with the old one has missed what this server has lost.
  let next = await firstBehind(ask, key, id)
  while (next === undefined) {
    await push(ask, key, beyond(id))
    next = await firstBehind(ask, key, id)
  }
  return { era: ends.era, id: before(next), anchor: older }
}

/**
 * Adds a marker after an id that is beyond the log's end. The log ends too early if the clock of a
 * new server is behind. Without the marker, new entries would get lower ids and would not be read.
 */
async function push(ask: Ask, key: string, id: StreamId): Promise<void> {
  try {
    await ask('XADD', key, id, 'o', '1')
  } catch (error) {
    // "… equal or smaller": another process has added an entry in the meantime.
    if (!isReply(error)) throw error
  }
}

async function firstBehind(ask: Ask, key: string, id: StreamId): Promise<StreamId | undefined> {
  return (await range(ask, key, `(${id}`, '+', 1))[0]?.id
}

/**
 * Reads by bounds: one XRANGE of at most `limit + 1` entries, and two small commands if `after` is
 * missing. If the range has nothing but markers, it reads the next range.
 */
export async function readPage(
  ask: Ask,
  key: string,
  after: Place,
  upTo: StreamId,
  limit: number,
): Promise<Page> {
  const ahead = compareIds(after.id, upTo) >= 0
  const found = await range(ask, key, after.id, ahead ? after.id : upTo, ahead ? 1 : limit + 1)
  let outcome: Page['outcome'] = 'complete'
  if (found[0]?.id === after.id) found.shift()
  else {
    const [older, era] = await Promise.all([
      ask('XREVRANGE', key, `(${after.id}`, '-', 'COUNT', '1').then(entriesOf),
      eraOf(ask, key),
    ])
    if (older.length > 0 || era !== after.era) outcome = 'unknown'
    else outcome = 'partial'
  }
  if (outcome === 'unknown') return { outcome, entries: [], more: false }
  const raw = found.slice(0, limit)
  const last = raw.at(-1)?.id
  const more = last !== undefined && raw.length === limit && compareIds(last, upTo) < 0
  const seen = new Seen()
  const entries = raw.flatMap((each) => decode(each, after.era, seen) ?? [])
  if (entries.length > 0 || !more) return { outcome, entries, more }
  // Nothing but markers, which are as rare as new logs.
  return { ...(await readPage(ask, key, { era: after.era, id: last }, upTo, limit)), outcome }
}

async function range(
  ask: Ask,
  key: string,
  from: StreamId,
  to: StreamId,
  count: number,
): Promise<RawEntry[]> {
  return entriesOf(await ask('XRANGE', key, from, to, 'COUNT', String(count)))
}

/** An entry for listeners. `undefined` for a marker and for a repetition. */
export function decode({ id, fields }: RawEntry, era: string, seen: Seen): Entry | undefined {
  const { e: text, t: token = '', k: key, u = '', n } = fields
  if (text === undefined) return undefined
  if (n !== undefined && seen.again(u, Number(n))) return undefined
  return { position: positionOf(era, id), text, token, ...(key === undefined ? {} : { key }) }
}

/** How many publishers are remembered. */
const PUBLISHERS = 1_000

/**
 * The last number of each publisher. An entry with that number or a lower one was sent again on its
 * way, or came too late.
 */
export class Seen {
  readonly #last = new Map<string, number>()

  again(publisher: string, number: number): boolean {
    const last = this.#last.get(publisher)
    if (last !== undefined && number <= last) return true
    if (last === undefined && this.#last.size >= PUBLISHERS) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest)
        break
      }
    }
    this.#last.set(publisher, number)
    return false
  }
}
