// What comes from a consumer that pushes: messages, signs of life, questions whether we keep up.
import type { Connection, Message } from './client.js'

/** A message's place, from the subject that it could be acknowledged at. */
export interface Delivery {
  /** In the stream. */
  readonly sequence: number
  /** Of this consumer's messages, from 1 on. */
  readonly count: number
  /** Messages behind it. */
  readonly pending: number
  /** When the server took it, ms. */
  readonly time: number
}

/** `$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<count>.<time>.<pending>`, or with domain and account before the stream. */
export function deliveryOf({ reply = '' }: Message): Delivery {
  const tokens = reply.split('.')
  const first = tokens.length > 9 ? 7 : 5
  const [sequence = 0, count = 0, nanoseconds = 0, pending = 0] = tokens.slice(first).map(Number)
  return { sequence, count, pending, time: Math.floor(nanoseconds / 1_000_000) }
}

/** Answers flow control; whether it was no message, and if so how many the consumer has sent. */
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

/** A subject that nobody else listens on. */
export function inbox(): string {
  const random = (): string => Math.floor(Math.random() * 36 ** 10).toString(36)
  return `_INBOX.${random()}${random()}`
}
