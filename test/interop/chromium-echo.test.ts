// `liveFetch` as a browser runs it: as the one file that a page loads, with the browser's own limits.
import http from 'node:http'
import http2 from 'node:http2'
import type { Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import {
  createChannel,
  createEventStream,
  type EventStreamOptions,
  echo,
  MemoryHistory,
} from '../../src/index.js'
import { describeWithChromium, startChromium } from '../support/chromium.js'
import { delay } from '../support/delay.js'
import { tls } from '../support/framework-servers.js'
import { listenOn } from '../support/ports.js'
import { PROXIES, proxyMissing, startProxy } from '../support/proxies.js'
import { waitFor } from '../support/wait-for.js'

interface Served {
  openedAt: number
  reason?: string
}

/** A loop of a page's own over the stream. */
const PAGE = `<!doctype html><title>echo</title><script type="module">
import { liveFetch } from '/client.js'
globalThis.seen = []
globalThis.failures = []
globalThis.start = async (number, options = {}) => {
  const fetch = liveFetch({ jitter: 100, ...options })
  const ids = []
  seen[number] = ids
  for (let last = ''; ; ) {
    try {
      const headers = { accept: 'text/event-stream', ...(last && { 'last-event-id': last }) }
      const response = await fetch('/events', { headers, cache: 'no-store' })
      let text = ''
      const decoder = new TextDecoder()
      for (const reader = response.body.getReader(); ; ) {
        const { value, done } = await reader.read()
        if (done) return
        text += decoder.decode(value, { stream: true })
        const blocks = text.split('\\n\\n')
        text = blocks.pop()
        for (const block of blocks) {
          const id = /^id: (.*)$/m.exec(block)?.[1]
          if (id !== undefined) ids.push(Number((last = id)))
        }
      }
    } catch (error) {
      failures.push([Date.now(), String(error)])
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}
globalThis.ready = true
</script>`

describeWithChromium('liveFetch in Chromium', () => {
  let browser: Browser
  let script: string
  let cleanup: (() => unknown)[] = []

  beforeAll(async () => {
    browser = await startChromium()
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL('../../src/client/index.ts', import.meta.url))],
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      external: ['eventsource'],
      write: false,
    })
    script = outputFiles[0]?.text ?? ''
  })
  afterAll(() => browser?.close())
  afterEach(async () => {
    for (const each of cleanup.reverse()) await each()
    cleanup = []
  })

  interface Scene {
    page: Page
    cdp: CDPSession
    served: Served[]
    ids(): Promise<number[][]>
    failures(): Promise<[number, string][]>
    port: number
  }

  /** A server, and a page of it. `through`: the port of a proxy, by the server's. */
  async function open(
    protocol: 'http' | 'h2',
    options: EventStreamOptions,
    through?: (port: number) => Promise<number>,
    streams = 1,
  ): Promise<Scene> {
    const channel = createChannel({ history: new MemoryHistory() })
    const answersEcho = echo()
    const served: Served[] = []
    const onRequest = (req: http.IncomingMessage, res: http.ServerResponse): void => {
      if (answersEcho(req, res)) return
      if (req.url === '/events') {
        const stream = createEventStream(req, res, options)
        const record: Served = { openedAt: Date.now() }
        served.push(record)
        void stream.closed.then(({ reason }) => {
          record.reason = reason
        })
        channel.subscribe(stream)
        return
      }
      const isScript = req.url === '/client.js'
      res.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      res.end(isScript ? script : PAGE)
    }
    const secure = protocol === 'h2' && through === undefined
    const server = secure
      ? (http2.createSecureServer(tls, onRequest as never) as unknown as Server)
      : http.createServer(onRequest)
    let port = await listenOn(server)
    if (through !== undefined) port = await through(port)
    let id = 0
    const timer = setInterval(() => void channel.broadcast({ id: ++id, data: 'x' }), 100)
    cleanup.push(() => {
      clearInterval(timer)
      server.close()
    })
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    cleanup.push(() => context.close())
    const page = await context.newPage()
    await page.goto(`${protocol === 'h2' ? 'https' : 'http'}://127.0.0.1:${port}/`)
    await page.waitForFunction('globalThis.ready')
    await page.evaluate(`for (let n = 0; n < ${streams}; n++) start(n); 0`)
    const cdp = await context.newCDPSession(page)
    return {
      page,
      cdp,
      served,
      port,
      ids: () => page.evaluate('seen'),
      failures: () => page.evaluate('failures'),
    }
  }

  const expectInOrder = (ids: readonly number[]): void =>
    expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) + index))

  const echoed = { echo: { beat: 500, silence: 2_000, required: true } }

  it.each([
    ['http', 5],
    ['h2', 20],
  ] as const)('over %s, %i streams of a page live on', async (protocol, streams) => {
    const { served, ids, failures } = await open(protocol, echoed, undefined, streams)
    await waitFor(
      'events on each',
      async () => (await ids()).filter((each) => each?.length > 0).length === streams,
    )
    await delay(7_000)
    expect(served).toHaveLength(streams)
    expect(served.filter(({ reason }) => reason !== undefined)).toEqual([])
    expect(await failures()).toEqual([])
    for (const each of await ids()) expectInOrder(each)
  })

  it('a page whose scripts are stopped is given up, and resumes without a loss when they go on', async () => {
    const { cdp, served, ids } = await open('h2', echoed)
    await waitFor('events', async () => ((await ids())[0]?.length ?? 0) > 3)
    // As when a debugger, or the system, stops the page: its connection stays, and its kernel answers.
    await cdp.send('Debugger.enable')
    await cdp.send('Debugger.pause')
    await waitFor('the end', () => served[0]?.reason)
    expect(served[0]?.reason).toBe('no-echo')
    await cdp.send('Debugger.resume')
    await cdp.send('Debugger.disable')
    await waitFor('the next stream', () => served.length === 2)
    const length = (await ids())[0]?.length ?? 0
    await waitFor('events', async () => ((await ids())[0]?.length ?? 0) > length + 3)
    expectInOrder((await ids())[0] ?? [])
  })

  it('a page whose loop is blocked for longer than the silence ends nothing by itself', async () => {
    const { page, served, ids, failures } = await open('h2', {
      echo: { beat: 500, silence: 4_000 },
    })
    await waitFor('events', async () => ((await ids())[0]?.length ?? 0) > 3)
    await page.evaluate('for (const end = performance.now() + 3_000; performance.now() < end; );')
    await delay(2_000)
    expect(served).toHaveLength(1)
    expect(await failures()).toEqual([])
  })

  const missing = proxyMissing()
  const skip = missing !== undefined && process.env.CI !== 'true'
  if (skip) console.warn(`SKIPPED: Chromium behind proxies: ${missing}`)

  it
    .skipIf(skip)
    .each(
      PROXIES.flatMap((name) =>
        (['http', 'h2'] as const).map((protocol) => [name, protocol] as const),
      ),
    )(
    'through %s over %s: an aborted connection resumes, an announced end is one',
    async (name, protocol) => {
      const through = async (port: number): Promise<number> => {
        const proxy = await startProxy(name, port)
        cleanup.push(() => proxy.stop())
        return protocol === 'h2' ? proxy.tls : proxy.plain
      }
      // An age of a second: each stream ends without a goodbye, so that the client comes back.
      const { served, ids } = await open(protocol, { ...echoed, maxAge: 1_000 }, through)
      await waitFor('the fourth stream', () => served.length >= 4)
      await waitFor('events of it', async () => ((await ids())[0]?.length ?? 0) > 20)
      expectInOrder((await ids())[0] ?? [])
      expect(new Set(served.slice(0, 3).map(({ reason }) => reason))).toEqual(new Set(['expired']))
    },
  )
})
