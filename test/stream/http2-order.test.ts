// HTTP/2 sends a large event in slices: nothing else may come between them.
import http2 from 'node:http2'
import { expect, it } from 'vitest'
import { createEventStream, type EventStream, type EventStreamOptions } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

interface Exchange {
  readonly stream: EventStream
  readonly res: http2.Http2ServerResponse
  readonly text: () => string
  readonly ended: () => boolean
  readonly client: http2.ClientHttp2Stream
}

async function open(options: EventStreamOptions = {}): Promise<Exchange> {
  let opened: { stream: EventStream; res: http2.Http2ServerResponse } | undefined
  const server = http2.createServer((req, res) => {
    opened = { stream: createEventStream(req, res, options), res }
  })
  const port = await listen(server)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  const client = session.request()
  let text = ''
  let ended = false
  client.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  client.on('end', () => {
    ended = true
  })
  cleanup.push(
    () => server.close(),
    () => session.destroy(),
  )
  const { stream, res } = await waitFor('the stream', () => opened)
  return { stream, res, client, text: () => text, ended: () => ended }
}

const LARGE = 'x'.repeat(40_000)

it('padding of several slices is whole, and retry comes after it', async () => {
  const { text } = await open({ padding: 40_000, retry: 5 })
  await waitFor('the retry', () => text().includes('retry: 5\n\n'))
  expect(text().endsWith(`: ${' '.repeat(39_996)}\n\nretry: 5\n\n`)).toBe(true)
})

it('what is sent in the same tick as the padding comes after it', async () => {
  const { stream, text } = await open({ padding: 40_000, retry: 5 })
  stream.send({ data: 'first' })
  await waitFor('the event', () => text().includes('first'))
  expect(text().endsWith(`${' '.repeat(100)}\n\nretry: 5\n\ndata: first\n\n`)).toBe(true)
})

it("the application's own write comes after a large event, and not inside of it", async () => {
  const { stream, res, text } = await open()
  stream.send({ data: LARGE })
  res.write('data: own\n\n')
  stream.send({ data: 'after' })
  await waitFor('the last event', () => text().includes('after'))
  expect(text().endsWith(`data: ${LARGE}\n\ndata: own\n\ndata: after\n\n`)).toBe(true)
})

it("the application's own end comes after the whole of a large event", async () => {
  const { stream, res, text, ended } = await open()
  stream.send({ data: LARGE })
  res.end('data: last\n\n')
  await waitFor('the end', ended)
  expect(text().endsWith(`data: ${LARGE}\n\ndata: last\n\n`)).toBe(true)
  expect((await stream.closed).reason).toBe('ended')
})

it("the application's own write to the HTTP/2 stream comes after a large event", async () => {
  const { stream, res, text } = await open()
  stream.send({ data: LARGE })
  res.stream.write('data: own\n\n')
  stream.send({ data: 'after' })
  await waitFor('the last event', () => text().includes('after'))
  expect(text().endsWith(`data: ${LARGE}\n\ndata: own\n\ndata: after\n\n`)).toBe(true)
})

it("the application's own end of the HTTP/2 stream comes after the whole of a large event", async () => {
  const { stream, res, text, ended } = await open()
  stream.send({ data: LARGE })
  res.stream.end('data: last\n\n')
  await waitFor('the end', ended)
  expect(text().endsWith(`data: ${LARGE}\n\ndata: last\n\n`)).toBe(true)
  await stream.closed
})

it('an override of the HTTP/2 stream sees all bytes of a large event, before and after it', async () => {
  const { stream, res, text } = await open()
  const seen: string[] = []
  const override = () => {
    const write = res.stream.write.bind(res.stream) as (...args: unknown[]) => boolean
    res.stream.write = (...args: unknown[]) => {
      seen.push(String(args[0]))
      return write(...args)
    }
  }
  override()
  stream.send({ data: LARGE })
  await waitFor('the event', () => text().endsWith('x\n\n'))
  expect(seen.join('')).toBe(`data: ${LARGE}\n\n`)
  seen.length = 0
  override()
  stream.send({ data: LARGE })
  res.stream.write('data: own\n\n')
  await waitFor('the own event', () => text().endsWith('own\n\n'))
  expect(text().split(LARGE).length).toBe(3)
  // Both overrides saw both events.
  expect(seen.join('').split('data: ').length - 1).toBe(4)
  expect(seen.join('')).toHaveLength(2 * `data: ${LARGE}\n\ndata: own\n\n`.length)
})

it('an override of the HTTP/2 stream that ends the response cuts no event', async () => {
  const { stream, res, text, ended } = await open()
  const write = res.stream.write.bind(res.stream) as (...args: unknown[]) => boolean
  res.stream.write = (...args: unknown[]) => {
    const room = write(...args)
    res.end()
    return room
  }
  stream.send({ data: LARGE })
  await waitFor('the end', ended)
  expect(text().endsWith(`data: ${LARGE}\n\n`)).toBe(true)
})

it("Node's own method that was put back is taken over again", async () => {
  const { stream, res, text } = await open()
  const { write } = res.stream
  stream.send({ data: LARGE })
  await waitFor('the event', () => text().endsWith('x\n\n'))
  res.stream.write = write
  stream.send({ data: LARGE })
  res.stream.write('data: own\n\n')
  await waitFor('the own event', () => text().includes('own'))
  expect(text().endsWith(`data: ${LARGE}\n\ndata: own\n\n`)).toBe(true)
})

it('a large event to a client that resets the stream is dropped', async () => {
  const { stream, res, client } = await open()
  let bytes = 0
  const write = res.stream.write.bind(res.stream) as (...args: unknown[]) => boolean
  res.stream.write = (...args: unknown[]) => {
    bytes += (args[0] as Buffer).length
    return write(...args)
  }
  client.pause()
  stream.send({ data: 'x'.repeat(400_000) })
  const before = bytes
  client.close(http2.constants.NGHTTP2_CANCEL)
  expect((await stream.closed).reason).toMatch(/^client-/)
  expect(bytes - before).toBeLessThan(300_000)
})

it('writable() says false while the application has ended the response itself', async () => {
  const { stream, res } = await open()
  stream.send({ data: LARGE })
  const room = stream.writable()
  res.end()
  expect(await room).toBe(false)
  expect(await stream.writable()).toBe(false)
})
