// The MCP SDK's client over `liveFetch`: its stream's URL takes other POSTs, too, which the echo's route leaves alone.
import http from 'node:http'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { expect, it } from 'vitest'
import { liveFetch } from '../../src/client/index.js'
import { createEventStream, type EventStream, echo } from '../../src/index.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

it('answers beats beside the protocol, and the SDK connects again with the last id when its server falls silent', async () => {
  const answersEcho = echo()
  const streams: EventStream[] = []
  let deaf = false
  const server = http.createServer(async (req, res) => {
    if (deaf && req.headers['content-type']?.startsWith('text/plain')) return
    if (answersEcho(req, res)) return
    if (req.method === 'GET') {
      streams.push(createEventStream(req, res, { echo: { beat: 300, silence: 1_200 }, retry: 50 }))
      return
    }
    let body = ''
    for await (const chunk of req) body += chunk
    const { id, method, params } = JSON.parse(body)
    if (method !== 'initialize') return void res.writeHead(202).end()
    const result = {
      protocolVersion: params.protocolVersion,
      capabilities: {},
      serverInfo: { name: 'test', version: '1' },
    }
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  })
  const port = await listenOn(server)
  const client = new Client({ name: 'test', version: '1' })
  const seen: unknown[] = []
  client.fallbackNotificationHandler = async ({ params }) => void seen.push(params)
  const say = (stream: EventStream, id: number): unknown =>
    stream.send({
      id,
      data: { jsonrpc: '2.0', method: 'notifications/test', params: { n: id } },
    })
  try {
    const url = new URL(`http://127.0.0.1:${port}/mcp`)
    await client.connect(
      new StreamableHTTPClientTransport(url, { fetch: liveFetch({ jitter: 0 }) }),
    )
    const first = await waitFor('the stream', () => streams[0])
    say(first, 1)
    await waitFor('the notification', () => seen.length === 1)
    await waitFor('the confirmation', () => first.confirmedId === '1')
    deaf = true
    expect((await first.closed).reason).toBe('no-echo')
    deaf = false
    const second = await waitFor('the next stream', () => streams[1])
    expect(second.lastEventId).toBe('1')
    say(second, 2)
    await waitFor('the second confirmation', () => second.confirmedId === '2')
    expect(seen).toEqual([{ n: 1 }, { n: 2 }])
  } finally {
    await client.close()
    server.close()
    server.closeAllConnections()
  }
})
