// Clients that others wrote, over one server: each sees the same events, once each, across two cuts.
import { spawn, spawnSync } from 'node:child_process'
import { fetchEventSource } from '@microsoft/fetch-event-source'
import { EventSource } from 'eventsource'
import { createEventSource } from 'eventsource-client'
import { createParser } from 'eventsource-parser'
import { EventSource as UndiciEventSource } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type Client,
  IDS_BROUGHT,
  type NewsServer,
  newsServer,
  SCRIPT,
  type Seen,
  TYPES,
} from './news-server.js'

/** What `eventsource` and undici have in common with a browser's. */
interface EventIterable {
  addEventListener(type: string, listener: (event: Event) => void): void
  close(): void
}

function standard(source: EventIterable): Client {
  const seen: Seen[] = []
  for (const type of TYPES) {
    source.addEventListener(type, (event) => {
      const { data, lastEventId } = event as MessageEvent & { data: string }
      seen.push({ type: event.type, data, id: lastEventId })
    })
  }
  return { seen, close: () => source.close() }
}

const clients: Record<string, (url: string) => Client> = {
  eventsource: (url) => standard(new EventSource(url)),

  undici: (url) => standard(new UndiciEventSource(url) as unknown as EventIterable),

  'eventsource-client'(url) {
    const seen: Seen[] = []
    const source = createEventSource({
      url,
      onMessage: ({ event = 'message', data, id = '' }) => seen.push({ type: event, data, id }),
    })
    return { seen, close: () => source.close() }
  },

  '@microsoft/fetch-event-source'(url) {
    const seen: Seen[] = []
    const controller = new AbortController()
    void fetchEventSource(url, {
      signal: controller.signal,
      openWhenHidden: true,
      fetch: globalThis.fetch,
      onmessage({ event, data, id }) {
        // It reports blocks of comments and of `retry` too, as messages without anything.
        if (id !== '') seen.push({ type: event || 'message', data, id })
      },
      onclose() {
        // It takes a proper end for the end; this is how its documentation asks it to come back.
        throw new Error('closed')
      },
      onerror: () => 40,
    })
    return { seen, close: () => controller.abort() }
  },

  /** It knows no events: it is started again with the last id, as a shell script would do it. */
  curl(url) {
    const seen: Seen[] = []
    let stop = (): void => {}
    let stopped = false
    const start = (lastEventId: string): void => {
      const header = lastEventId === '' ? [] : ['--header', `Last-Event-ID: ${lastEventId}`]
      const child = spawn('curl', ['--silent', '--no-buffer', '--max-time', '30', ...header, url])
      const parser = createParser({
        onEvent: ({ event = 'message', data, id = '' }) => seen.push({ type: event, data, id }),
      })
      child.stdout.setEncoding('utf8')
      child.stdout.on('data', (text: string) => parser.feed(text))
      child.on('close', () => {
        if (!stopped) start(seen.at(-1)?.id ?? '')
      })
      stop = () => child.kill()
    }
    start('')
    return {
      seen,
      close() {
        stopped = true
        stop()
      },
    }
  },
}

let server: NewsServer
let client: Client | undefined

beforeEach(async () => {
  // What fetch-event-source wants of a browser.
  Object.assign(globalThis, { window: globalThis, document: { removeEventListener() {} } })
  server = await newsServer()
})
afterEach(async () => {
  await client?.close()
  client = undefined
  await server.close()
  for (const name of ['window', 'document']) Reflect.deleteProperty(globalThis, name)
})

const noCurl = spawnSync('curl', ['--version']).status !== 0
if (noCurl && process.env.CI !== 'true') console.warn('SKIPPED: curl: it is not installed')

describe('clients that others wrote see every event once, as it was sent, across an end and a broken connection', () => {
  for (const [name, connect] of Object.entries(clients)) {
    const skipped = name === 'curl' && noCurl && process.env.CI !== 'true'
    it.skipIf(skipped)(name, async () => {
      client = connect(server.url)
      await server.runScript(client)
      expect(client.seen).toEqual(SCRIPT.map(({ type, data, id }) => ({ type, data, id })))
      expect(server.lastEventIds).toEqual(IDS_BROUGHT)
    })
  }
})
