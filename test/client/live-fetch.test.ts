// `liveFetch` against servers that behave and servers that do not.
import http from 'node:http'
import { EventSource } from 'eventsource'
import { describe, expect, it, vi } from 'vitest'
import { liveEventSource, liveFetch } from '../../src/client/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { type EchoServer, echoServer } from '../support/echo-server.js'
import { waitFor } from '../support/wait-for.js'

async function ours(...args: Parameters<typeof echoServer>): Promise<EchoServer> {
  const server = await echoServer(...args)
  cleanup.push(() => server.close())
  return server
}

/** A server of the test's own. */
async function serve(onRequest: http.RequestListener): Promise<string> {
  const server = http.createServer(onRequest)
  const port = await listen(server)
  return `http://127.0.0.1:${port}/events`
}

const HEAD = { 'content-type': 'text/event-stream' }
const TOKEN = 'x'.repeat(24)

/** Opens a stream; it is given up with the test. */
async function open(url: string, options = {}): Promise<Response> {
  const controller = new AbortController()
  cleanup.push(() => controller.abort())
  return liveFetch({ jitter: 0, ...options })(url, {
    headers: { accept: 'text/event-stream' },
    signal: controller.signal,
  })
}

/** Reads to the end: all text, and how it ended. */
async function readAll(response: Response): Promise<{ text: string; error: Error | undefined }> {
  let text = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true })
    }
    return { text, error: undefined }
  } catch (error) {
    return { text, error: error as Error }
  }
}

/** Reads until a text has come: how the server's writes become chunks is Node's choice, and differs by its version. */
async function readUntil(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  wanted: string,
): Promise<void> {
  const decoder = new TextDecoder()
  let text = ''
  while (!text.includes(wanted)) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`The stream ended before ${wanted}`)
    text += decoder.decode(value, { stream: true })
  }
}

describe('liveFetch with a server that sends beats', () => {
  it('answers them: the server knows that the client is there, and the stream lives on', async () => {
    const server = await ours()
    const response = await open(server.url)
    const text = readAll(response)
    const stream = await server.stream(0)
    await waitFor('ten echoes', () => server.answers.length >= 10)
    expect(new Set(server.answers)).toEqual(new Set([204]))
    expect(Date.now() - (stream.lastEcho ?? 0)).toBeLessThan(800)
    expect(stream.state).toBe('open')
    await stream.close()
    expect((await text).error).toBeUndefined()
    expect((await text).text).toMatch(/: bye\n\n$/)
  })

  it('reports the id of the last event that was processed, not of the last one that arrived', async () => {
    const server = await ours()
    const response = await open(server.url)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const stream = await server.stream(0)
    await readUntil(reader, ': beat ')
    stream.send({ id: 'é1', data: 'x' })
    await readUntil(reader, 'id: é1')
    const before = server.answers.length
    await waitFor('echoes while nothing is read', () => server.answers.length > before + 2)
    expect(stream.confirmedId).toBeUndefined()
    void reader.read()
    await waitFor('the confirmation', () => stream.confirmedId === 'é1')
  })

  it('answers while its reader is busy elsewhere, and ends with it', async () => {
    const server = await ours()
    const controller = new AbortController()
    const response = await liveFetch()(server.url, { signal: controller.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await readUntil(reader, ': beat ')
    const stream = await server.stream(0)
    await waitFor('echoes', () => server.answers.length >= 8)
    expect(stream.state).toBe('open')
    const reason = new DOMException('enough', 'AbortError')
    controller.abort(reason)
    await expect(reader.read()).rejects.toBe(reason)
    expect((await stream.closed).reason).toMatch(/client/)
  })

  it('cancels the request when its body is cancelled', async () => {
    const server = await ours()
    const response = await open(server.url)
    const stream = await server.stream(0)
    await response.body?.cancel()
    expect((await stream.closed).reason).toMatch(/client/)
  })

  it('notices a server that has fallen silent, with an error other than an abort', async () => {
    const url = await serve((_req, res) => {
      res.writeHead(200, HEAD).write(`: beat ${TOKEN} 400\n\n`)
    })
    const began = performance.now()
    const { error } = await readAll(await open(url))
    const took = performance.now() - began
    expect(error).toBeInstanceOf(TypeError)
    expect(error?.name).toBe('TypeError')
    expect(took).toBeGreaterThan(400)
    expect(took).toBeLessThan(3_000)
  })

  it('takes an end that was not announced for an error, and one that was for an end', async () => {
    const url = await serve((req, res) => {
      res.writeHead(200, HEAD)
      res.end(`: beat ${TOKEN} 400\n\n${req.url === '/events?bye' ? ': bye\n\n' : ''}`)
    })
    expect((await readAll(await open(url))).error).toBeInstanceOf(TypeError)
    expect((await readAll(await open(`${url}?bye`))).error).toBeUndefined()
  })

  it('gives up a stream that the server has forgotten, but only when nothing more comes', async () => {
    let response: http.ServerResponse | undefined
    const url = await serve((req, res) => {
      if (req.method === 'POST') res.writeHead(410).end()
      else {
        response = res.writeHead(200, HEAD)
        res.write(`: beat ${TOKEN} 4000\n\n`)
      }
    })
    const all = readAll(await open(url))
    for (let n = 0; n < 6; n++) {
      await delay(400)
      response?.write(`data: ${n}\n\n`)
    }
    const began = performance.now()
    const { text, error } = await all
    expect(text).toContain('data: 5')
    expect(error).toBeInstanceOf(TypeError)
    expect(performance.now() - began).toBeLessThan(3_500)
  })

  it('sends one answer at a time, whether or not it arrives', async () => {
    let now = 0
    let most = 0
    const url = await serve((req, res) => {
      if (req.method === 'POST') {
        most = Math.max(most, ++now)
        res.on('close', () => now--)
        return
      }
      res.writeHead(200, HEAD)
      const timer = setInterval(() => res.write(`: beat ${TOKEN} 800\n\n`), 20)
      res.on('close', () => clearInterval(timer))
    })
    const all = readAll(await open(url))
    await waitFor('an answer', () => most > 0)
    await delay(1_500)
    expect(most).toBe(1)
    cleanup.shift()?.()
    await all
  })

  it('keeps url and redirected, and answers to where it was redirected', async () => {
    const server = await ours()
    const url = await serve((_req, res) => res.writeHead(307, { location: server.url }).end())
    const response = await open(url)
    expect(response.url).toBe(server.url)
    expect(response.redirected).toBe(true)
    const all = readAll(response)
    await waitFor('echoes', () => server.answers.includes(204))
    await (await server.stream(0)).close()
    await all
  })
})

describe('liveFetch with any server', () => {
  it('passes on other responses unchanged', async () => {
    const url = await serve((_req, res) => res.writeHead(404, { 'x-a': 'b' }).end('no'))
    const response = await open(url)
    expect(response.status).toBe(404)
    expect(response.headers.get('x-a')).toBe('b')
    expect(await response.text()).toBe('no')
  })

  it('passes on an event stream without beats as it is: silence and a plain end are nothing to it', async () => {
    const bytes = Buffer.from('data: ü\r\rid: 1\ndata: \u{1F984}\n\n')
    const url = await serve((_req, res) => {
      res.writeHead(200, HEAD)
      for (const byte of bytes) res.write(Buffer.of(byte))
      res.end()
    })
    const { text, error } = await readAll(await open(url))
    expect(error).toBeUndefined()
    expect(text).toBe(bytes.toString())
  })

  it.each([502, 503, 504])(
    'fails as the network does at %i, so that clients try again',
    async (status) => {
      const url = await serve((_req, res) => res.writeHead(status).end())
      await expect(open(url)).rejects.toBeInstanceOf(TypeError)
    },
  )

  it('leaves a 503 alone where no event stream was asked for', async () => {
    const url = await serve((_req, res) => res.writeHead(503).end())
    expect((await liveFetch()(url)).status).toBe(503)
  })

  it('waits as long as Retry-After says before the next try', async () => {
    const times: number[] = []
    const url = await serve((_req, res) => {
      times.push(performance.now())
      if (times.length === 1) res.writeHead(503, { 'retry-after': '1' }).end()
      else res.writeHead(200, HEAD).end()
    })
    const fetch = liveFetch({ jitter: 0 })
    const init = { headers: { accept: 'text/event-stream' } }
    await expect(fetch(url, init)).rejects.toBeInstanceOf(TypeError)
    await fetch(url, init)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(950)
  })

  it('waits for a random time in addition to the delay of the client itself', async () => {
    const times: number[] = []
    const url = await serve((_req, res) => {
      times.push(performance.now())
      res.writeHead(times.length === 1 ? 503 : 200, HEAD).end()
    })
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.5)
    cleanup.push(() => random.mockRestore())
    const fetch = liveFetch({ jitter: 800 })
    const init = { headers: { accept: 'text/event-stream' } }
    await expect(fetch(url, init)).rejects.toBeInstanceOf(TypeError)
    await delay(500)
    const calledAt = performance.now()
    await fetch(url, init)
    expect((times[1] ?? 0) - calledAt).toBeGreaterThan(380)
    // A request after one that succeeded does not wait.
    const againAt = performance.now()
    await fetch(url, init)
    expect((times[2] ?? 0) - againAt).toBeLessThan(380)
  })

  it('gives up a head that does not come, and not one of a POST', async () => {
    const url = await serve((req, res) => {
      if (req.method === 'POST') setTimeout(() => res.end('late'), 600)
    })
    await expect(open(url, { headTimeout: 200 })).rejects.toBeInstanceOf(TypeError)
    const response = await liveFetch({ headTimeout: 200 })(url, { method: 'POST', body: 'x' })
    expect(await response.text()).toBe('late')
  })

  it('throws the error of `fetch` when it was aborted before the call, or during it', async () => {
    const url = await serve(() => {})
    await expect(liveFetch()(url, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
    const controller = new AbortController()
    const pending = liveFetch()(url, { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('refuses times that are none', () => {
    expect(() => liveFetch({ headTimeout: '20s' as never })).toThrow(TypeError)
    expect(() => liveFetch({ jitter: -1 })).toThrow(TypeError)
  })
})

describe('an EventSource over it', () => {
  it('comes back after a silence, an end that was cut off, and a 503, without an event lost or doubled', async () => {
    let connection = 0
    const ids: unknown[] = []
    const url = await serve((req, res) => {
      if (req.method === 'POST') return void res.writeHead(204).end()
      ids.push(req.headers['last-event-id'])
      connection += 1
      if (connection === 3) return void res.writeHead(503).end()
      res.writeHead(200, HEAD)
      res.write(`retry: 20\n\n: beat ${TOKEN} 400\n\nid: ${connection}\ndata: ${connection}\n\n`)
      if (connection === 2) res.end()
    })
    const source = new EventSource(url, { fetch: liveFetch({ jitter: 0 }) })
    cleanup.push(() => source.close())
    const seen: string[] = []
    source.onmessage = ({ data }) => seen.push(data)
    await waitFor('the fourth connection', () => seen.includes('4'))
    expect(seen).toEqual(['1', '2', '4'])
    expect(ids).toEqual([undefined, '1', '2', '2'])
  })

  it('is made with one line', async () => {
    const server = await ours()
    const source = await liveEventSource(server.url)
    cleanup.push(() => source.close())
    const seen: string[] = []
    source.onmessage = ({ data }) => seen.push(data)
    await waitFor('the connection', () => source.readyState === 1)
    ;(await server.stream(0)).send({ data: 'hello' })
    await waitFor('the event', () => seen.includes('hello'))
    await waitFor('echoes', () => server.answers.includes(204))
  })
})
