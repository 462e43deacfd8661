// What a push consumer sends: messages, heartbeats and flow control requests.
import type { Connection, Message } from './client.js'

/** A message's place, read from its acknowledgement subject. */
export interface Delivery {
  /** The message's number in the stream. */
  readonly sequence: number
  /** Its number among this consumer's messages, from 1 on. */
  readonly count: number
  /** How many messages follow it. */
  readonly pending: number
  /** The time at which the server stored it, in milliseconds. */
  readonly time: number
}

/**
 * The format is `$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<count>.<time>.<pending>`,
 * optionally with domain and account before the stream.
 */
export function deliveryOf({ reply = '' }: Message): Delivery {
  const tokens = reply.split('.')
  const first = tokens.length > 9 ? 7 : 5
  const [sequence = 0, count = 0, nanoseconds = 0, pending = 0] = tokens.slice(first).map(Number)
  return { sequence, count, pending, time: Math.floor(nanoseconds / 1_000_000) }
}

/**
 * Answers flow control. Returns `undefined` for a message with content. For a control message it
 * returns how many messages the consumer has sent, if the server says so.
 */
export function controlOf(
  connection: Connection,
  { headers, reply }: Message,
): { readonly sent: number | undefined } | undefined {
  if (headers === undefined || headers.code === 0) return undefined
  const stalled = headers.get('Nats-Consumer-Stalled')
  if (headers.code === 100 && reply) connection.publish(reply)
  else if (stalled !== '') connection.publish(stalled)
  const sent = headers.get('Nats-Last-Consumer')
  return { sent: sent === '' ? undefined : Number(sent) }
}

/** A unique subject. */
export function inbox(): string {
  const random = (): string => Math.floor(Math.random() * 36 ** 10).toString(36)
  return `_INBOX.${random()}${random()}`
}
