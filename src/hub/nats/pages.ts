// Reads a page by bounds: looks up the message of `after`, and reads those after it with a consumer
// that exists for this one request.
import type { Entry, Page } from '../hub.js'
import type { Api } from './api.js'
import type { Connection, Message } from './client.js'
import { deliveryOf, inbox } from './delivery.js'
import { decode, entryOf, placeIn } from './payload.js'
import { checkOf, type Place } from './position.js'

/** Where a page is read from. */
export interface PageSource {
  readonly api: Api
  readonly connection: Connection
  readonly subject: string
}

const NOTHING: Page = { outcome: 'unknown', entries: [], more: false }

/** Reads one page. Returns `unknown` at once if `after` is not a place of the stream. */
export async function readPage(
  source: PageSource,
  after: Place,
  upTo: number,
  limit: number,
): Promise<Page> {
  const outcome = await lookUp(source, after)
  if (outcome === 'unknown') return NOTHING
  if (after.sequence >= upTo) return { outcome, entries: [], more: false }
  let behind = after.sequence
  for (;;) {
    const { messages, more } = await fetch(source, behind + 1, upTo, limit)
    const entries = messages.flatMap((message) => decoded(message, after.era))
    const last = messages.at(-1)
    if (entries.length > 0 || !more || last === undefined) return { outcome, entries, more }
    // Nothing but markers, which are as rare as new logs.
    behind = deliveryOf(last).sequence
  }
}

function decoded(message: Message, era: string): Entry[] {
  const payload = decode(message.string())
  const entry = entryOf(placeIn(era, deliveryOf(message).sequence, payload), payload)
  return entry === undefined ? [] : [entry]
}

async function lookUp({ api, subject }: PageSource, after: Place): Promise<Page['outcome']> {
  if (after.sequence === 0) return 'unknown'
  const message = await api.message({ seq: after.sequence })
  if (message !== undefined) {
    const same = message.subject === subject && checkOf(message.token) === after.check
    return same ? 'complete' : 'unknown'
  }
  const top = await api.message({ last_by_subj: subject })
  // Beyond the end: the message was lost with a server, or never existed.
  return top !== undefined && top.sequence > after.sequence ? 'partial' : 'unknown'
}

/** The subject's messages from one number up to another. */
async function fetch(
  { api, connection, subject }: PageSource,
  from: number,
  upTo: number,
  limit: number,
): Promise<{ messages: Message[]; more: boolean }> {
  const { name, pending } = await api.consumer({
    filter_subject: subject,
    deliver_policy: 'by_start_sequence',
    opt_start_seq: from,
    ack_policy: 'none',
    max_deliver: 1,
    inactive_threshold: 5_000_000_000,
  })
  try {
    if (pending === 0) return { messages: [], more: false }
    const all = await next(connection, api.nextOf(name), Math.min(limit, pending))
    const messages = all.filter((message) => deliveryOf(message).sequence <= upTo)
    const last = messages.at(-1)
    const more =
      messages.length === all.length &&
      last !== undefined &&
      deliveryOf(last).sequence < upTo &&
      deliveryOf(last).pending > 0
    return { messages, more }
  } finally {
    api.forget(name)
  }
}

/**
 * The next `batch` messages of a consumer, or fewer if it has no more. The caller has a deadline.
 */
function next(connection: Connection, subject: string, batch: number): Promise<Message[]> {
  return new Promise((resolve) => {
    const messages: Message[] = []
    const deliver = inbox()
    const subscription = connection.subscribe(deliver, {
      callback: (error, message) => {
        const ended = error !== null || (message.headers?.code ?? 0) >= 400
        if (!ended) messages.push(message)
        if (!ended && messages.length < batch) return
        subscription.unsubscribe()
        resolve(messages)
      },
    })
    const request = JSON.stringify({ batch, no_wait: true })
    ask(connection, subject, request, deliver)
  })
}

function ask(connection: Connection, subject: string, body: string, reply: string): void {
  connection.publish(subject, body, { reply })
}
