// What the server answers, in the forms that client libraries give it: arrays of pairs, maps, objects.
import type { StreamId } from './stream-id.js'

/** An entry of a stream. */
export interface RawEntry {
  readonly id: StreamId
  readonly fields: Fields
}

/** The fields of an entry; those of a marker, which is no event, have `o`. */
export interface Fields {
  /** The publisher. */
  readonly u?: string
  /** Its number of the entry. */
  readonly n?: string
  /** The token. */
  readonly t?: string
  /** The key. */
  readonly k?: string
  /** The event's text. */
  readonly e?: string
  /** A log begins here. */
  readonly o?: string
}

/** Whether an error is the server's answer. Such messages begin with a word in capitals: `ERR syntax error`. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && /^[A-Z][A-Z0-9_]+ /.test(error.message)
}

/** Whether the server cannot do it now, and another one may, or the same one soon. */
export function isTransient(error: unknown): boolean {
  return (
    isReply(error) &&
    /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|UNBLOCKED) /.test(error.message)
  )
}

/** The answer of XRANGE and XREVRANGE. */
export function entriesOf(reply: unknown): RawEntry[] {
  if (!Array.isArray(reply)) return []
  return reply.map(([id, fields]) => ({ id: String(id), fields: fieldsOf(fields) }))
}

/** The answer of XREAD, by key. */
export function entriesByKey(reply: unknown): Map<string, RawEntry[]> {
  return new Map(pairsOf(reply).map(([key, entries]) => [key, entriesOf(entries)]))
}

/** The last delivered id of a group in the answer of XINFO GROUPS. */
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

/** Pairs, whether they come as a map, an object, an array of pairs, or an array of names and values in turn. */
function pairsOf(value: unknown): [string, unknown][] {
  if (value instanceof Map) return [...value].map(([key, each]) => [String(key), each])
  if (!Array.isArray(value)) return Object.entries(value ?? {})
  if (Array.isArray(value[0])) return value.map(([key, each]) => [String(key), each])
  const pairs: [string, unknown][] = []
  for (let at = 0; at + 1 < value.length; at += 2) pairs.push([String(value[at]), value[at + 1]])
  return pairs
}
