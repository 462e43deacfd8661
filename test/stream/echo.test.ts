// Streams whose clients answer, from the server's side: raw clients that do, that do not, and that mean harm.
import http from 'node:http'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { Registry } from '../../src/dashboard/registry.js'
import { takeSample } from '../../src/dashboard/sample.js'
import {
  acceptEcho,
  createEventStream,
  type EchoRouteOptions,
  type EventStreamOptions,
  encodeComment,
  metrics,
  TcpSseError,
} from '../../src/index.js'
import { echoTargets } from '../../src/stream/echo-registry.js'
import { cleanup } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { type EchoServer, echoServer, tokenIn } from '../support/echo-server.js'
import { fillUp } from '../support/open-stream.js'
import { connect, type ProtocolClient } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

interface Scene {
  server: EchoServer
  client: ProtocolClient
  token: string
}

async function scene(options?: EventStreamOptions, route?: EchoRouteOptions): Promise<Scene> {
  const server = await echoServer(options, route)
  cleanup.push(() => server.close())
  const client = await connect('http', server.port)
  cleanup.push(() => client.leave())
  const token = await waitFor('the first beat', () => tokenIn(client.text()) || undefined)
  return { server, client, token }
}

interface Post {
  type?: string
  headers?: Record<string, string>
  method?: string
}

/** Sends a body as an echo; the status. */
async function post(
  { port }: { port: number },
  body: string | Buffer,
  { type = 'text/plain;echo=1', headers = {}, method = 'POST' }: Post = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      port,
      host: '127.0.0.1',
      method,
      headers: { 'content-type': type, ...headers },
    })
    request.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
      if (response.statusCode === 200) request.destroy()
    })
    request.on('error', reject)
    request.end(body)
  })
}

describe('a stream with echo', () => {
  it('is left alone when its client has never answered: others live on unwatched', async () => {
    const { server, client } = await scene()
    const beats = (): number => client.text().split(': beat ').length - 1
    await waitFor('beats for much longer than the silence', () => beats() > 9)
    const stream = await server.stream(0)
    expect(stream.state).toBe('open')
    expect(stream.lastEcho).toBeUndefined()
    expect(stream.confirmedId).toBeUndefined()
  })

  it('is closed as no-echo when a client that has answered falls silent, by its connection as well', async () => {
    const before = metrics()
    const registry = new Registry(5, () => '')
    cleanup.push(() => registry.close())
    const { server, client, token } = await scene()
    const answeredAt = performance.now()
    expect(await post(server, `${token}\n7`)).toBe(204)
    const stream = await server.stream(0)
    expect(stream.confirmedId).toBe('7')
    expect(Date.now() - (stream.lastEcho ?? 0)).toBeLessThan(800)
    expect(takeSample(registry, 5, () => '').rows.at(-1)?.lastEcho).toBeLessThan(800)
    await waitFor('the overdue echo', () => stream.verdict === 'congested')
    const info = await stream.closed
    const took = performance.now() - answeredAt
    expect(info.reason).toBe('no-echo')
    expect(info.error).toBeInstanceOf(TcpSseError)
    expect(info.error).toMatchObject({ code: 'ERR_NO_ECHO' })
    expect(took).toBeGreaterThan(800)
    expect(took).toBeLessThan(4_000)
    expect(await client.end).toBe('cut')
    expect(metrics().closed['no-echo']).toBe(before.closed['no-echo'] + 1)
    expect(metrics().echoes).toBe(before.echoes + 1)
    expect(registry.ended.at(-1)).toMatchObject({ reason: 'no-echo', verdict: 'dead' })
    // What is left of it: the token is known as one that has been.
    expect(await post(server, token)).toBe(410)
  })

  it('is closed where the first echo is required and does not come', async () => {
    const { server } = await scene({ echo: { beat: 200, silence: 600, required: true } })
    expect((await (await server.stream(0)).closed).reason).toBe('no-echo')
  })

  it('sends no beats where events flow, and a goodbye at a proper end only', async () => {
    const { server, client } = await scene({ echo: { beat: 1_000, silence: 60_000 } })
    const stream = await server.stream(0)
    for (let n = 0; n < 50; n++) {
      stream.send({ data: n })
      await delay(50)
    }
    expect(client.text().match(/: beat/g)).toHaveLength(1)
    await stream.close()
    await client.end
    expect(client.text()).toMatch(/: bye\n\n$/)
    const aging = await scene({ echo: { beat: 300 }, maxAge: 1_000 })
    expect((await (await aging.server.stream(0)).closed).reason).toBe('expired')
    await aging.client.end
    expect(aging.client.text()).not.toContain('bye')
  })

  it('writes no beat to a client that is behind, and goes on when it reads', async () => {
    // The counter is everybody's.
    await waitFor('the ends of earlier tests', () => echoTargets() === 0)
    const { server, client } = await scene({ echo: { beat: 150, silence: 60_000 } })
    const stream = await server.stream(0)
    client.pause()
    await fillUp(stream)
    const beats = metrics().heartbeats
    await delay(700)
    expect(metrics().heartbeats).toBe(beats)
    client.resume()
    await waitFor('the next beat', () => metrics().heartbeats > beats)
    expect(stream.state).toBe('open')
  })

  it('leaves nothing behind, however it ends', async () => {
    await waitFor('the ends of earlier tests', () => echoTargets() === 0)
    const before = 0
    const { server, client } = await scene()
    expect(echoTargets()).toBe(before + 1)
    client.leave()
    await (await server.stream(0)).closed
    expect(echoTargets()).toBe(before)
    const aborted = await echoServer({ echo: { beat: 200 }, signal: AbortSignal.abort() })
    cleanup.push(() => aborted.close())
    await connect('http', aborted.port).catch(() => {})
    await waitFor('the end', () => aborted.ends[0]?.reason === 'aborted')
    expect(aborted.streams[0]?.lastEcho).toBeUndefined()
    expect(echoTargets()).toBe(before)
  })

  it.each([
    [{ beat: 0 }, 'ERR_OPTION_VALUE'],
    [{ beat: '5s' }, 'ERR_OPTION_TYPE'],
    [{ beat: 1_000, silence: 1_999 }, 'ERR_OPTION_VALUE'],
    [{ required: 1 }, 'ERR_OPTION_TYPE'],
    [{ beats: 1_000 }, 'ERR_OPTION_UNKNOWN'],
    [true, 'ERR_OPTION_TYPE'],
  ])('refuses %j', (option, code) => {
    const make = () => createEventStream({} as never, {} as never, { echo: option as never })
    expect(make).toThrowError(expect.objectContaining({ code }))
  })
})

describe('the route of echoes, tried as an attacker', () => {
  it('tokens are of 144 bits, 96 of them random, and each stream has another', async () => {
    const { server, token } = await scene()
    const tokens = new Set([token])
    for (let n = 0; n < 20; n++) {
      const client = await connect('http', server.port)
      cleanup.push(() => client.leave())
      tokens.add(await waitFor('a beat', () => tokenIn(client.text()) || undefined))
    }
    expect(tokens.size).toBe(21)
    for (const each of tokens) expect(each).toMatch(/^[\w-]{24}$/)
    const random = [...tokens].map((each) => each.slice(8))
    // No two share more than a few characters of the beginning.
    expect(new Set(random.map((each) => each.slice(0, 6))).size).toBe(21)
  })

  it('a guess is 404, or 410 with the process right, and changes nothing', async () => {
    const { server, token } = await scene({ echo: { beat: 200, silence: 800, required: true } })
    expect(await post(server, 'A'.repeat(24))).toBe(404)
    expect(await post(server, `${token.slice(0, 23)}${token.endsWith('A') ? 'B' : 'A'}`)).toBe(410)
    const stream = await server.stream(0)
    expect(stream.lastEcho).toBeUndefined()
    expect((await stream.closed).reason).toBe('no-echo')
  })

  it.each([
    ['nothing', ''],
    ['a token that is none', 'short'],
    ['other characters', `${'A'.repeat(23)}é`],
    ['a third line', `${'A'.repeat(24)}\n1\n2`],
    ['a NUL in the id', `${'A'.repeat(24)}\n1\0`],
    ['a CR in the id', `${'A'.repeat(24)}\n1\r`],
    ['names of the language', '__proto__'],
  ])('%s is 400', async (_what, body) => {
    const { server } = await scene()
    expect(await post(server, body)).toBe(400)
  })

  it('a body that is too large is 413 and not read, said beforehand or not', async () => {
    const { server, token } = await scene()
    expect(await post(server, `${token}\n${'x'.repeat(3_000)}`)).toBe(413)
    const socket = net.connect(server.port, '127.0.0.1')
    cleanup.push(() => socket.destroy())
    socket.on('error', () => {})
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain;echo=1\r\n')
    socket.write('Transfer-Encoding: chunked\r\n\r\n')
    const chunk = `${(1_000).toString(16)}\r\n${'x'.repeat(1_000)}\r\n`
    const timer = setInterval(() => socket.writable && socket.write(chunk), 5)
    cleanup.push(() => clearInterval(timer))
    await closed
    expect(text).toMatch(/^HTTP\/1.1 413 /)
  })

  it('a body that trickles in is cut off after 5 s', async () => {
    const { server } = await scene()
    const socket = net.connect(server.port, '127.0.0.1')
    cleanup.push(() => socket.destroy())
    socket.on('error', () => {})
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain;echo=1\r\n')
    socket.write('Content-Length: 100\r\n\r\n')
    const timer = setInterval(() => socket.writable && socket.write('x'), 500)
    cleanup.push(() => clearInterval(timer))
    await closed
    expect(text).toMatch(/^HTTP\/1.1 408 /)
  })

  it('a flood of good echoes is 429, and keeps nobody else waiting', async () => {
    const { server, token } = await scene({ echo: { beat: 4_000 } })
    const began = performance.now()
    const statuses = await Promise.all(Array.from({ length: 200 }, () => post(server, token)))
    const most = 1 + (performance.now() - began) / 500
    expect(statuses.filter((status) => status === 204).length).toBeLessThanOrEqual(most)
    expect(new Set(statuses)).toEqual(new Set([204, 429]))
  })

  it('what is no echo is not answered: other types, other methods', async () => {
    const { server } = await scene()
    const length = server.streams.length
    expect(await post(server, 'x', { type: 'text/plain' })).toBe(200)
    expect(await post(server, 'x', { type: 'application/json; echo=1' })).toBe(200)
    expect(await post(server, 'x', { method: 'PUT' })).toBe(200)
    expect(server.streams.length).toBe(length + 3)
  })

  it("an id is the client's own word: any text of one line, and it is told as it came", async () => {
    const { server, token } = await scene()
    expect(await post(server, `${token}\n<script>日本 "1"`)).toBe(204)
    expect((await server.stream(0)).confirmedId).toBe('<script>日本 "1"')
  })
})

describe("an echo that is another process's", () => {
  const foreign = `${'B'.repeat(24)}`

  it("is asked of the lookup, whose answer is the client's", async () => {
    const asked: unknown[] = []
    const answers = [true, false]
    const { server } = await scene(undefined, {
      lookup(each) {
        asked.push(each)
        return answers.shift() === true
      },
    })
    expect(await post(server, `${foreign}\n5`)).toBe(204)
    expect(await post(server, foreign)).toBe(410)
    expect(asked).toEqual([
      { token: foreign, lastEventId: '5' },
      { token: foreign, lastEventId: '' },
    ])
  })

  it('is 503 where the lookup fails, takes too long, or has too much to do', async () => {
    let release = (): void => {}
    const gate = new Promise<boolean>((resolve) => {
      release = () => resolve(true)
    })
    let calls = 0
    const { server, token } = await scene(
      { echo: { beat: 4_000 } },
      {
        lookup() {
          calls += 1
          if (calls === 1) throw new Error('no broker')
          return gate
        },
      },
    )
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    expect(await post(server, foreign)).toBe(503)
    expect(await warned).toMatchObject({ code: 'TCP_SSE_ECHO_LOOKUP' })
    const flood = Array.from({ length: 100 }, () => post(server, foreign))
    await waitFor('those that are too many', () => server.answers.length >= 37)
    expect(calls).toBe(65)
    // Its own are not among those that wait.
    expect(await post(server, token)).toBe(204)
    release()
    const statuses = await Promise.all(flood)
    expect(statuses.filter((status) => status === 204)).toHaveLength(64)
    expect(statuses.filter((status) => status === 503)).toHaveLength(36)
  })

  it('comes to its stream through acceptEcho', async () => {
    const { server, token } = await scene()
    expect(acceptEcho({ token: foreign, lastEventId: '' })).toBe('foreign')
    expect(acceptEcho({ token, lastEventId: '9' })).toBe('heard')
    expect(acceptEcho({ token, lastEventId: '10' })).toBe('limited')
    const stream = await server.stream(0)
    expect(stream.confirmedId).toBe('9')
    stream.abort()
    await stream.closed
    expect(acceptEcho({ token, lastEventId: '9' })).toBe('gone')
  })
})

it('a beat is a comment, which clients without echo do not see', () => {
  expect(encodeComment('beat x 5').bytes.toString()).toBe(': beat x 5\n\n')
})
