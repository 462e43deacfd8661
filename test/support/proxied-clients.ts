// Clients that others wrote, with `liveFetch`, in a child process of the rig.
import { fetchEventSource } from '@microsoft/fetch-event-source'
import { EventSource } from 'eventsource'
import { createEventSource } from 'eventsource-client'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { Agent, fetch as undiciFetch } from 'undici'
import { liveFetch } from '../../src/client/index.js'
import { answer } from '../../src/testing/index.js'

// What fetch-event-source wants of a browser.
Object.assign(globalThis, { window: globalThis, document: { removeEventListener() {} } })
process.on('unhandledRejection', (error) => console.error(error))

/** What has become of one client. */
export interface Seen {
  name: string
  ids: number[]
  /** When each attempt ended or failed, and why. */
  failures: { at: number; why: string }[]
  /** When the last event came. */
  lastAt: number
}

type Start = (url: string, fetch: typeof globalThis.fetch, onId: (id: string) => void) => void

const libraries: Record<string, Start> = {
  eventsource(url, fetch, onId) {
    new EventSource(url, { fetch }).onmessage = ({ lastEventId }) => onId(lastEventId)
  },
  'eventsource-client'(url, fetch, onId) {
    createEventSource({ url, fetch, onMessage: ({ id = '' }) => onId(id) })
  },
  'fetch-event-source'(url, fetch, onId) {
    void fetchEventSource(url, {
      fetch,
      openWhenHidden: true,
      onmessage: ({ id }) => {
        if (id !== '') onId(id)
      },
    })
  },
  /** Reads some bytes, and then does something else for a while. */
  'a slow reader'(url, fetch, onId) {
    void (async () => {
      const response = await fetch(url, { headers: { accept: 'text/event-stream' } })
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      for (let done = false; !done; onId('0')) {
        done = (await reader.read()).done
        await new Promise((resolve) => setTimeout(resolve, 4_000))
      }
    })()
  },
  'a loop'(url, fetch, onId) {
    void (async () => {
      let last = ''
      for (;;) {
        try {
          const headers: Record<string, string> = last === '' ? {} : { 'last-event-id': last }
          const response = await fetch(url, {
            headers: { accept: 'text/event-stream', ...headers },
          })
          const events = (response.body as ReadableStream<Uint8Array>)
            .pipeThrough(new TextDecoderStream() as never)
            .pipeThrough(new EventSourceParserStream())
          for await (const { id } of events as AsyncIterable<{ id?: string }>) {
            if (id === undefined) continue
            last = id
            onId(id)
          }
          return
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 500))
        }
      }
    })()
  },
}

export const LIBRARIES = Object.keys(libraries)

/** A client to be. */
interface ToOpen {
  name: string
  url: string
  library: string
  http2: boolean
  /** Its own address, by which it can be cut off. */
  address: string
  headTimeout?: number
}

const clients: Seen[] = []

answer({
  open({ urls }: { urls: ToOpen[] }) {
    for (const { name, url, library, http2, address, headTimeout = 4_000 } of urls) {
      const seen: Seen = { name, ids: [], failures: [], lastAt: 0 }
      clients.push(seen)
      const dispatcher = new Agent({
        allowH2: http2,
        localAddress: address,
        connect: { rejectUnauthorized: false },
      })
      const fetch = ((input: string, init: object) =>
        undiciFetch(input, { ...init, dispatcher })) as unknown as typeof globalThis.fetch
      const live = liveFetch({ fetch, headTimeout, jitter: 300 })
      const failed = (error: unknown): never => {
        seen.failures.push({ at: Date.now(), why: String(error) })
        throw error
      }
      const noted = (async (input: string, init: RequestInit) => {
        const response = await live(input, init).catch(failed)
        const reader = (response.body as ReadableStream<Uint8Array>).getReader()
        // Passes on what is read and what goes wrong, and notes the latter.
        const body = new ReadableStream(
          {
            async pull(controller) {
              const { value, done } = await reader.read().catch(failed)
              if (done) controller.close()
              else controller.enqueue(value)
            },
            cancel: (reason) => reader.cancel(reason),
          },
          { highWaterMark: 0 },
        )
        return new Response(body, response)
      }) as unknown as typeof globalThis.fetch
      ;(libraries[library] as Start)(url, noted, (id) => {
        seen.ids.push(Number(id))
        seen.lastAt = Date.now()
      })
    }
  },
  seen: () => clients,
  pid: () => process.pid,
  /** Blocks the event loop. */
  block(ms: number) {
    const until = performance.now() + ms
    while (performance.now() < until);
  },
})
