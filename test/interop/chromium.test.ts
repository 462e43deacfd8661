// A browser's own EventSource: what it sees, how it comes back, how many connections it allows itself.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import type { Server } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { describeWithChromium, startChromium } from '../support/chromium.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Client,
  IDS_BROUGHT,
  type NewsServer,
  newsServer,
  type OnRequest,
  SCRIPT,
  type Seen,
  TYPES,
} from './news-server.js'

const pem = (name: string): Buffer =>
  readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url))

/** Browsers speak HTTP/2 over TLS only. */
const protocols: Record<string, { scheme: string; make: (onRequest: OnRequest) => Server }> = {
  'HTTP/1.1': { scheme: 'http', make: (onRequest) => http.createServer(onRequest) },
  'HTTP/2': {
    scheme: 'https',
    make: (onRequest) =>
      http2.createSecureServer(
        { key: pem('key'), cert: pem('cert') },
        onRequest as never,
      ) as unknown as Server,
  },
}

/** A page of the server's, and what answers its other requests. */
const other: OnRequest = (_req, res) => {
  res.setHeader('content-type', 'text/html')
  res.end('<!doctype html><title>news</title>')
}

describeWithChromium("Chromium's EventSource", () => {
  let browser: Browser
  let server: NewsServer | undefined
  let page: Page | undefined

  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser?.close())
  afterEach(async () => {
    await page?.context().close()
    await server?.close()
  })

  async function open(protocol: string): Promise<{ server: NewsServer; page: Page }> {
    const { scheme, make } = protocols[protocol] as (typeof protocols)[string]
    server = await newsServer(make, other)
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    page = await context.newPage()
    await page.goto(`${scheme}://127.0.0.1:${server.port}/`)
    return { server, page }
  }

  for (const protocol of Object.keys(protocols)) {
    it(`sees every event once, and comes back with Last-Event-ID after an end and a broken connection, over ${protocol}`, async () => {
      const { server, page } = await open(protocol)
      const seen: Seen[] = []
      await page.exposeFunction('report', (event: Seen) => void seen.push(event))
      await page.evaluate(`
        const source = new EventSource('/events')
        for (const type of ${JSON.stringify(TYPES)}) {
          source.addEventListener(type, (e) => report({ type: e.type, data: e.data, id: e.lastEventId }))
        }
      `)
      const client: Client = { seen, close() {} }
      await server.runScript(client)
      expect(seen).toEqual(SCRIPT.map(({ type, data, id }) => ({ type, data, id })))
      expect(server.lastEventIds).toEqual(IDS_BROUGHT)
    })
  }

  const EIGHT = `
    globalThis.sources = Array.from({ length: 8 }, () => new EventSource('/events'))
  `
  const openOnes = (page: Page): Promise<number> =>
    page.evaluate('sources.filter(({ readyState }) => readyState === 1).length')
  /** Whether a further request of the page's gets an answer within a second. */
  const answered = (page: Page): Promise<string> =>
    page.evaluate(`
      fetch('/other', { signal: AbortSignal.timeout(1000) }).then(() => 'answered', ({ name }) => name)
    `)

  it('allows itself six connections to an origin over HTTP/1.1: two of eight streams wait, and every other request with them', async () => {
    const { server, page } = await open('HTTP/1.1')
    await page.evaluate(EIGHT)
    await waitFor('six streams', async () => (await openOnes(page)) === 6)
    expect(await answered(page)).toBe('TimeoutError')
    expect(await openOnes(page)).toBe(6)
    expect(server.channel.size).toBe(6)
    // One that leaves makes room for the next.
    await page.evaluate('sources.find(({ readyState }) => readyState === 1).close()')
    await waitFor('the seventh', () => server.lastEventIds.length === 7)
  })

  it('has no such limit over HTTP/2', async () => {
    const { server, page } = await open('HTTP/2')
    await page.evaluate(EIGHT)
    await waitFor('eight streams', async () => (await openOnes(page)) === 8)
    expect(server.channel.size).toBe(8)
    expect(await answered(page)).toBe('answered')
  })
})
