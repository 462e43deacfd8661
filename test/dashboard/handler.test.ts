// The dashboard as a handler: who gets what, and what it costs while no page is open.
import { channel } from 'node:diagnostics_channel'
import http from 'node:http'
import express from 'express'
import {
  createChannel,
  createEventStream,
  type EventStream,
  localHub,
  type TcpSseError,
} from 'tcp-sse'
import { type DashboardHandler, type DashboardOptions, dashboard } from 'tcp-sse/dashboard'
import { connectClient } from 'tcp-sse/testing'
import { describe, expect, it, vi } from 'vitest'
import { cleanup, listen } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

async function listening(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler)
  return `http://127.0.0.1:${await listen(server)}`
}

function made(options?: DashboardOptions): DashboardHandler {
  const handler = dashboard(options)
  cleanup.push(() => handler.close())
  return handler
}

interface Look {
  live: number
  verdicts: Record<string, number>
  rows: { id: number; label: string; verdict: string; delivered?: string }[]
  ended?: { id: number; reason: string; verdict: string; label: string }[]
  reasons: Record<string, number>
  channels?: {
    channels: Record<string, number>
    published: Record<string, number>
    troubles: { channel: string; what: string; cause: string; count: number }[]
  }
}

/** Watches, and returns what has come. */
async function watched(url: string): Promise<() => Promise<Look[]>> {
  const client = await connectClient(url)
  cleanup.push(() => void client.close())
  return async () => {
    const { text } = await client.received()
    return [...text.matchAll(/event: sample\ndata: (.+)\n\n/g)].map(
      ([, json]) => JSON.parse(json as string) as Look,
    )
  }
}

/** A stream of no connection, as the channels tell of it. */
function fakeStream(verdict: EventStream['verdict']) {
  const asked = vi.fn()
  const stream = {
    verdict,
    state: 'open',
    buffered: () => ({ pending: 1, unsent: 2, unacked: 3 }),
    inspect: () => {
      asked()
      return { status: 'ok', pending: 0, rtt: 1.5 }
    },
    delivered: () => ({ id: '7', events: 7, bytes: 70 }),
  }
  channel('tcp-sse:stream:open').publish({ stream })
  return { stream, asked }
}

const eventsOf = (url: string): string => `${url}/_sse/events`

describe('the dashboard', () => {
  it.each(['/admin/events', '/admin/action'])(
    'is found where it is mounted as %s',
    async (mount) => {
      const url = await listening(express().use(mount, made()))
      const page = await fetch(url + mount)
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(page.url).toBe(`${url}${mount}/`)
    },
  )

  it('shows a connection whose description throws something without a string', async () => {
    const handler = made({
      describe() {
        throw Object.create(null)
      },
    })
    const samples = await watched(await listening((req, res) => handler(req, res)).then(eventsOf))
    fakeStream('alive')
    await waitFor('a look', async () => (await samples()).at(-1)?.rows[0]?.label !== undefined)
    expect((await samples()).at(-1)?.rows[0]?.label).toMatch(/^describe: /)
  })

  for (const [title, mount] of [
    ['in Express', (handler: DashboardHandler) => express().use('/_sse', handler)],
    ['in node:http', (handler: DashboardHandler) => handler],
  ] as const) {
    it(`serves a page with nothing from elsewhere, ${title}`, async () => {
      const url = await listening(mount(made()))
      const page = await fetch(`${url}/_sse/`)
      expect(page.status).toBe(200)
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
      const html = await page.text()
      expect(html).not.toMatch(/https?:\/\/|style="|onclick|<script>/)
      for (const [, file] of html.matchAll(/(?:src|href)="([^":]+)"/g)) {
        const asset = await fetch(`${url}/_sse/${file}`)
        expect(asset.status, file).toBe(200)
        expect(asset.headers.get('x-content-type-options')).toBe('nosniff')
      }
    })

    it(`leads to its folder, and keeps the query, ${title}`, async () => {
      const url = await listening(mount(made()))
      const answer = await fetch(`${url}/_sse?a=1`, { redirect: 'manual' })
      expect(answer.status).toBe(308)
      expect(answer.headers.get('location')).toBe('./_sse/?a=1')
    })
  }

  it('passes on other requests, and answers 404 without a next handler', async () => {
    const app = express().use('/_sse', made())
    app.use((_req, res) => void res.status(418).end())
    expect((await fetch(`${await listening(app)}/_sse/else`)).status).toBe(418)
    expect((await fetch(`${await listening(made())}/favicon.ico`)).status).toBe(404)
  })

  it('answers GET and HEAD only', async () => {
    const url = await listening(made())
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect((await fetch(`${url}/`, { method })).status, method).toBe(405)
    }
    const head = await fetch(`${url}/`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect((await fetch(`${url}/events`, { method: 'HEAD' })).status).toBe(405)
  })

  const guards: [string, NonNullable<DashboardOptions['authorize']>, number][] = [
    ['says false', () => false, 403],
    ['resolves to false', async () => false, 403],
    ['returns a value other than true', () => 'yes' as never, 403],
    ['rejects', async () => Promise.reject(new Error('no database')), 500],
    [
      'throws',
      () => {
        throw new Error('no database')
      },
      500,
    ],
    ['says true', () => true, 200],
  ]
  for (const [title, authorize, status] of guards) {
    it(`answers ${status} everywhere when the guard ${title}`, async () => {
      const act = vi.fn()
      const url = await listening(made({ authorize, actions: { act } }))
      for (const path of ['/', '/dashboard.js', '/dashboard.css']) {
        const answer = await fetch(url + path)
        expect(answer.status, path).toBe(status)
        if (status !== 200) expect(await answer.text()).not.toContain('database')
      }
      const events = new AbortController()
      const stream = await fetch(`${url}/events`, { signal: events.signal })
      expect(stream.status).toBe(status)
      events.abort()
      const headers = { 'x-tcp-sse': 'dashboard' }
      const { stream: fake } = fakeStream('alive')
      const acted = await fetch(`${url}/action?id=1&action=act`, { method: 'POST', headers })
      expect(acted.status).toBe(status)
      expect(act.mock.calls).toEqual(status === 200 ? [[fake]] : [])
    })
  }

  it('rejects actions without the header, which a form of another site cannot send', async () => {
    const act = vi.fn()
    const url = await listening(made({ actions: { act } }))
    fakeStream('alive')
    const post = (query: string, headers = {}) =>
      fetch(`${url}/action?${query}`, { method: 'POST', headers })
    const own = { 'x-tcp-sse': 'dashboard' }
    expect((await post('id=1&action=act')).status).toBe(403)
    expect((await fetch(`${url}/action?id=1&action=act`, { method: 'OPTIONS' })).status).toBe(405)
    expect((await post('id=1&action=toString', own)).status).toBe(404)
    expect((await post('id=99&action=act', own)).status).toBe(404)
    expect(act).not.toHaveBeenCalled()
    expect((await post('id=1&action=act', own)).status).toBe(200)
    expect(act).toHaveBeenCalledOnce()
  })

  it('shows channels with a hub: their states, outcomes of broadcasts, and the last troubles', async () => {
    const samples = await watched(eventsOf(await listening(made({ interval: 250 }))))
    const last = async (): Promise<Look['channels']> => (await samples()).at(-1)?.channels
    await waitFor('a sample', async () => (await samples()).length > 0)
    // A process without such a channel gets nothing to look at.
    expect(await last()).toBeUndefined()
    const news = createChannel({ hub: localHub(), name: 'news' })
    await news.broadcast({ data: 'x' })
    await waitFor('it is live', async () => (await last())?.channels.live === 1)
    expect((await last())?.published.taken).toBe(1)
    expect((await last())?.troubles).toEqual([])
    const publish = (name: string, state: string, cause?: Error): void =>
      channel('tcp-sse:channel:state').publish({ name, state, previous: 'live', cause })
    // An engine goes away and returns: it is one trouble of a thousand channels.
    const away = new Error('connect ECONNREFUSED')
    for (let n = 0; n < 1_000; n++) publish(`c${n}`, 'down', away)
    for (let n = 0; n < 1_000; n++) publish(`c${n}`, 'live')
    for (let n = 0; n < 30; n++) publish(`d${n}`, 'down', new Error(`cause ${n}`))
    channel('tcp-sse:channel:gap').publish({ name: 'news', after: 'a.7', next: 'a.9' })
    const troubles = await waitFor('the gap', async () => {
      const seen = (await last())?.troubles ?? []
      return seen.at(-1)?.what === 'gap' ? seen : undefined
    })
    expect(troubles.length).toBe(20)
    expect(troubles[0]).toMatchObject({ channel: 'd11', cause: 'cause 11', count: 1 })
    expect(troubles.at(-1)?.cause).toBe('after a.7, continues after a.9')
    for (let n = 0; n < 1_000; n++) publish(`c${n}`, 'down', away)
    for (let n = 0; n < 1_000; n++) publish(`c${n}`, 'live')
    const one = await waitFor('them all', async () =>
      (await last())?.troubles.find(({ count }) => count === 1_000),
    )
    expect(one).toMatchObject({ channel: 'c999', what: 'down', cause: 'connect ECONNREFUSED' })
    await news.close()
  })

  it("shows real streams, open and ended, and never the dashboard's", async () => {
    const page = made({ interval: 250, describe: () => 'one of mine' })
    let stream: EventStream | undefined
    const url = await listening((req, res) => {
      if (req.url?.startsWith('/_sse/')) return page(req, res)
      stream = createEventStream(req, res)
      stream.send({ id: 'first', data: 'x' })
    })
    const samples = await watched(`${url}/_sse/events`)
    const client = await connectClient(`${url}/stream`)
    const row = await waitFor('its row', async () => (await samples()).at(-1)?.rows[0])
    expect(row).toMatchObject({ id: 1, label: 'one of mine', verdict: 'alive' })
    await client.close()
    const last = await waitFor('its end', async () =>
      (await samples()).findLast(({ ended }) => ended?.length === 1),
    )
    expect(last).toMatchObject({ live: 0, rows: [], reasons: { 'client-closed': 1 } })
    expect(last.ended).toEqual([
      expect.objectContaining({ id: 1, label: 'one of mine', reason: 'client-closed' }),
    ])
  })

  it('takes no samples while no page is open, and then at most maxRows, those in trouble first', async () => {
    const url = await listening(made({ interval: 250, maxRows: 2 }))
    const streams = [
      fakeStream('alive'),
      fakeStream('alive'),
      fakeStream('slow'),
      fakeStream('dead'),
    ]
    const asked = () => streams.map((each) => each.asked.mock.calls.length)
    const wait = () => new Promise((resolve) => setTimeout(resolve, 600))
    await wait()
    expect(asked()).toEqual([0, 0, 0, 0])
    const samples = await watched(`${url}/events`)
    const two = await waitFor('three samples', async () => {
      const all = await samples()
      return all.length >= 3 && all.at(-1)
    })
    expect(two).toMatchObject({ live: 4, verdicts: { alive: 2, slow: 1, dead: 1 } })
    expect(two.rows.map(({ verdict }) => verdict)).toEqual(['slow', 'dead'])
    expect(asked().slice(0, 2)).toEqual([0, 0])
    for (const each of cleanup.splice(-1)) each()
    const settled = await waitFor('the end of the samples', async () => {
      const before = asked()
      await wait()
      return asked().join() === before.join()
    })
    expect(settled).toBe(true)
  })

  it('keeps at most maxEnded ended streams', async () => {
    const url = await listening(made({ interval: 250, maxEnded: 3 }))
    for (let each = 0; each < 10; each++) {
      const { stream } = fakeStream('slow')
      channel('tcp-sse:stream:verdict').publish({ stream, verdict: 'slow', previous: 'alive' })
      const info = { reason: 'stalled', openedFor: 5, error: new Error('x'.repeat(10_000)) }
      channel('tcp-sse:stream:close').publish({ stream, info })
    }
    const samples = await watched(`${url}/events`)
    const [first] = await waitFor('a look', async () => (await samples()).length > 0 && samples())
    expect(first?.ended?.map(({ id, verdict }) => [id, verdict])).toEqual([
      [8, 'slow'],
      [9, 'slow'],
      [10, 'slow'],
    ])
    expect(first?.reasons).toEqual({ stalled: 10 })
    expect(JSON.stringify(first).length).toBeLessThan(2_000)
  })

  it('refuses more than maxWatchers pages', async () => {
    const url = await listening(made({ maxWatchers: 1 }))
    await watched(`${url}/events`)
    const second = await fetch(`${url}/events`)
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '30'])
  })

  it('accepts no page once it is closed', async () => {
    const handler = made()
    const url = await listening(handler)
    await watched(`${url}/events`)
    handler.close()
    expect((await fetch(`${url}/events`)).status).toBe(503)
  })

  it('hears the rejection of an async describe, which it cannot use', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      const describe = async () => Promise.reject(new Error('later'))
      const url = await listening(made({ describe: describe as never }))
      fakeStream('alive')
      const samples = await watched(`${url}/events`)
      await waitFor('its row', async () => (await samples()).at(-1)?.rows[0])
      await new Promise(setImmediate)
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  it('goes on when describe throws', async () => {
    const url = await listening(
      made({
        describe: () => {
          throw new Error('no label')
        },
      }),
    )
    fakeStream('alive')
    const samples = await watched(`${url}/events`)
    const row = await waitFor('its row', async () => (await samples()).at(-1)?.rows[0])
    expect(row.label).toBe('describe: Error: no label')
  })

  it('refuses bad options', () => {
    const code = (options: unknown): string => {
      try {
        made(options as DashboardOptions)
        return 'taken'
      } catch (error) {
        return (error as TcpSseError).code
      }
    }
    expect(code({ authorise: () => true })).toBe('ERR_OPTION_UNKNOWN')
    expect(code({ interval: 10 })).toBe('ERR_OPTION_VALUE')
    expect(code({ maxRows: 1e6 })).toBe('ERR_OPTION_VALUE')
    expect(code({ actions: { act: 'now' } })).toBe('ERR_OPTION_TYPE')
    expect(code({ actions: () => {} })).toBe('ERR_OPTION_TYPE')
    expect(code({ authorize: true })).toBe('ERR_OPTION_TYPE')
  })
})
