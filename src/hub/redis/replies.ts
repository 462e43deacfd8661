// The server's replies, in the forms that client libraries return: arrays of pairs, maps, objects.
import type { StreamId } from './stream-id.js'

/** An entry of a stream. */
export interface RawEntry {
  readonly id: StreamId
  readonly fields: Fields
}

/** The fields of an entry. A marker, which has no event, has only `o`. */
export interface Fields {
  /** The publisher's name. */
  readonly u?: string
  /** The publisher's number for the entry. */
  readonly n?: string
  /** The token. */
  readonly t?: string
  /** The key. */
  readonly k?: string
  /** The event's text. */
  readonly e?: string
  /** Set on markers. */
  readonly o?: string
}

/**
 * Whether an error is a reply of the server. Such messages begin with a word in capitals:
 * `ERR syntax error`.
 */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && /^[A-Z][A-Z0-9_]+ /.test(error.message)
}

/** Whether the command can succeed later, or on another server. */
export function isTransient(error: unknown): boolean {
  return (
    isReply(error) &&
    /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|UNBLOCKED) /.test(error.message)
  )
}

/** Parses a reply of XRANGE and XREVRANGE. */
export function entriesOf(reply: unknown): RawEntry[] {
  if (!Array.isArray(reply)) return []
  return reply.map(([id, fields]) => ({ id: String(id), fields: fieldsOf(fields) }))
}

/** Parses a reply of XREAD, by key. */
export function entriesByKey(reply: unknown): Map<string, RawEntry[]> {
  return new Map(pairsOf(reply).map(([key, entries]) => [key, entriesOf(entries)]))
}

/** The last delivered id of a group in a reply of XINFO GROUPS. */
export function lastDeliveredOf(reply: unknown, group: string): StreamId | undefined {
  if (!Array.isArray(reply)) return undefined
  for (const each of reply) {
    const info = Object.fromEntries(pairsOf(each)) as Record<string, unknown>
    if (String(info.name) === group) return String(info['last-delivered-id'])
  }
  return undefined
}

function fieldsOf(value: unknown): Fields {
  return Object.fromEntries(pairsOf(value).map(([name, text]) => [name, String(text)]))
}

/** Pairs, from a map, an object, an array of pairs, or an array of alternating names and values. */
function pairsOf(value: unknown): [string, unknown][] {
  if (value instanceof Map) return [...value].map(([key, each]) => [String(key), each])
  if (!Array.isArray(value)) return Object.entries(value ?? {})
  if (Array.isArray(value[0])) return value.map(([key, each]) => [String(key), each])
  const pairs: [string, unknown][] = []
  for (let at = 0; at + 1 < value.length; at += 2) pairs.push([String(value[at]), value[at + 1]])
  return pairs
}
