// Decoders that others wrote, each fed with the bytes of one response.
import { createRequire } from 'node:module'
import { EventSource } from 'eventsource'
import { createParser } from 'eventsource-parser'

const require = createRequire(import.meta.url)

/** What a client's application gets. */
export interface Decoded {
  type: string
  data: string
  lastEventId: string
}

export interface Decoder {
  readonly name: string
  /**
   * Which id an event is said to have. `standard`: the last one that came. `with-data`: the last one that came with
   * data; `eventsource-parser` drops the others. `own`: only the event's own, so in `eventsource` 4.
   */
  readonly ids: 'standard' | 'with-data' | 'own'
  decode(chunks: readonly Uint8Array[]): Promise<Decoded[]>
}

export const parser: Decoder = {
  name: 'eventsource-parser',
  ids: 'with-data',
  async decode(chunks) {
    const events: Decoded[] = []
    let lastEventId = ''
    const text = new TextDecoder()
    const { feed } = createParser({
      onEvent({ id = lastEventId, event, data }) {
        lastEventId = id
        events.push({ type: event || 'message', data, lastEventId })
      },
    })
    for (const chunk of chunks) feed(text.decode(chunk, { stream: true }))
    return events
  },
}

const eventsource: Decoder = {
  name: 'eventsource',
  ids: 'own',
  decode(chunks) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk)
        controller.close()
      },
    })
    const headers = new Headers({ 'content-type': 'text/event-stream' })
    const client = new EventSource('http://localhost/', {
      fetch: async () => ({ body, headers, status: 200, redirected: false, url: '' }),
    })
    return new Promise((resolve) => {
      const events: Decoded[] = []
      // Events of every type, of those too that nobody has sent.
      client.dispatchEvent = (event: Event) => {
        if (event instanceof MessageEvent) {
          const { type, data, lastEventId } = event
          events.push({ type, data, lastEventId })
        } else if (event.type === 'error') {
          client.close()
          resolve(events)
        }
        return true
      }
    })
  },
}

interface UndiciEvent {
  type: string
  options: { data: string; lastEventId: string }
}

/** The decoder inside undici's EventSource, which its package has no entry point for. */
const { EventSourceStream } = require('undici/lib/web/eventsource/eventsource-stream.js') as {
  EventSourceStream: new (options: {
    eventSourceSettings: { lastEventId: string }
    push: (event: UndiciEvent | null) => boolean
  }) => NodeJS.WritableStream
}

const undici: Decoder = {
  name: 'undici',
  ids: 'standard',
  decode(chunks) {
    return new Promise((resolve, reject) => {
      const events: Decoded[] = []
      const stream = new EventSourceStream({
        eventSourceSettings: { lastEventId: '' },
        push(event) {
          if (event !== null) {
            const { data, lastEventId } = event.options
            events.push({ type: event.type, data, lastEventId })
          }
          return true
        },
      })
      stream.on('error', reject)
      stream.on('finish', () => resolve(events))
      for (const chunk of chunks) stream.write(chunk as Buffer)
      stream.end()
    })
  },
}

export const decoders: readonly Decoder[] = [parser, eventsource, undici]
