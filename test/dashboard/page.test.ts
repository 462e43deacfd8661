// The page in a browser: what it shows, what it lets happen, and that nothing that clients send becomes markup.
import { channel } from 'node:diagnostics_channel'
import http from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { createEventStream } from 'tcp-sse'
import { dashboard } from 'tcp-sse/dashboard'
import { connectClient } from 'tcp-sse/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWithChromium, startChromium } from '../support/chromium.js'
import { delay } from '../support/delay.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

describeWithChromium('the page of the dashboard', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium()
  })
  afterAll(() => browser.close())

  it('shows a row for each client, and its end with the reason; texts stay texts; no complaint of the browser', async () => {
    const handler = dashboard({ interval: 250, describe: () => HOSTILE })
    const server = http.createServer((req, res) => {
      if (req.url?.startsWith('/_sse/')) return handler(req, res)
      createEventStream(req, res).send({ id: HOSTILE, data: 'x' })
    })
    const port = await listenOn(server)
    const url = `http://127.0.0.1:${port}`
    const page = await browser.newPage()
    const complaints: string[] = []
    const requests: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(`${url}/_sse/`)
    const clients = [await connectClient(`${url}/a`), await connectClient(`${url}/b`)]
    await waitFor('two rows', async () => (await page.locator('#live tbody tr').count()) === 2)
    const label = page.locator('#live tbody tr td[data-column=label]').first()
    expect(await label.textContent()).toBe(HOSTILE)
    expect(await page.locator('td img, td script').count()).toBe(0)
    const channels = page.locator('#channels')
    expect(await channels.isVisible()).toBe(false)
    const message = { name: HOSTILE, state: 'down', cause: new Error(HOSTILE) }
    channel('tcp-sse:channel:state').publish(message)
    await waitFor('channels', () => channels.isVisible())
    expect(await channels.locator('tbody td').allTextContents()).toEqual([
      HOSTILE,
      'down',
      HOSTILE,
      expect.stringMatching(/ ago$/),
    ])
    expect(await page.locator('td img, td script').count()).toBe(0)
    await clients[0]?.close()
    await waitFor('one row', async () => (await page.locator('#live tbody tr').count()) === 1)
    const ended = page.locator('#ended tbody tr')
    await waitFor('an ended one', async () => (await ended.count()) === 1)
    expect(await ended.textContent()).toContain('client-closed')
    expect(await page.title()).toBe('tcp-sse: connections')
    expect(complaints).toEqual([])
    for (const each of requests) expect(each.startsWith(url) || each === 'data:,', each).toBe(true)
    await clients[1]?.close()
    await page.close()
    handler.close()
    server.closeAllConnections()
    server.close()
  })

  it('is used with the keyboard: filter, pause, act', async () => {
    const acted: unknown[] = []
    const handler = dashboard({ interval: 250, actions: { close: (each) => acted.push(each) } })
    const server = http.createServer(handler)
    const port = await listenOn(server)
    const streams = (['alive', 'slow'] as const).map((verdict) => ({
      verdict,
      state: 'open',
      buffered: () => ({ pending: 0 }),
      inspect: () => undefined,
      delivered: () => undefined,
    }))
    for (const stream of streams) channel('tcp-sse:stream:open').publish({ stream })
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${port}/`)
    const visible = page.locator('#live tbody tr:visible')
    await waitFor('two rows', async () => (await visible.count()) === 2)
    await tabTo(page, 'slow')
    await page.keyboard.press('Space')
    await waitFor('the slow one', async () => (await visible.count()) === 1)
    expect(await visible.textContent()).toContain('slow')
    await tabTo(page, 'close: connection 2')
    await page.keyboard.press('Enter')
    await waitFor('the act', () => acted.length === 1)
    expect(acted).toEqual([streams[1]])
    await page.getByRole('button', { name: 'Pause' }).focus()
    await page.keyboard.press('Enter')
    channel('tcp-sse:stream:close').publish({ stream: streams[1], info: { reason: 'aborted' } })
    const count = page.locator('#live tbody tr')
    await delay(700)
    expect(await count.count()).toBe(2)
    await page.keyboard.press('Enter')
    await waitFor('the rest', async () => (await count.count()) === 1)
    await page.close()
    handler.close()
    server.closeAllConnections()
    server.close()
  })

  it('has colours for light and for dark', async () => {
    const handler = dashboard()
    const server = http.createServer(handler)
    const port = await listenOn(server)
    const backgrounds = []
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ colorScheme })
      await page.goto(`http://127.0.0.1:${port}/`)
      backgrounds.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
      await page.close()
    }
    expect(backgrounds).toEqual(['rgb(246, 247, 249)', 'rgb(17, 21, 27)'])
    handler.close()
    server.closeAllConnections()
    server.close()
  })
})

/** Presses Tab until a control of this name has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  const focused =
    '((at) => at.tagName === "BUTTON" ? (at.ariaLabel ?? at.textContent) : "")(document.activeElement)'
  for (let presses = 0; presses < 40; presses++) {
    if (String(await page.evaluate(focused)).includes(name)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`the keyboard does not get to '${name}'`)
}
