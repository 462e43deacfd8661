// Listeners of ours that an application has removed from a response together with its own: the next look makes up for them.
import type { Http2ServerResponse } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { createEventStream, type EventStream } from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { listen, type Protocol, serverOf } from '../support/framework-servers.js'
import { fillUp, opener } from '../support/open-stream.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

const PROTOCOLS: readonly Protocol[] = ['http', 'https', 'http2']
const options = { detectWithin: 4_000 }

/** @param beneath - over HTTP/2: those that the compatibility API has on the stream beneath the response go too */
async function deaf(protocol: Protocol, beneath = false) {
  const streams: EventStream[] = []
  const responses: { end(): void }[] = []
  const { port, close } = await listen(
    serverOf(protocol, (req, res) => {
      responses.push(res)
      streams.push(createEventStream(req, res, options))
      res.removeAllListeners('close')
      res.removeAllListeners('drain')
      if (beneath) (res as unknown as Http2ServerResponse).stream.removeAllListeners()
    }),
  )
  cleanup.push(close)
  const client = await connect(protocol, port)
  const [stream, res] = await waitFor('the stream', () => {
    return streams[0] !== undefined && ([streams[0], responses[0]] as const)
  })
  return { stream, res: res as { end(): void }, client }
}

describe('a stream whose listeners an application has removed', () => {
  it('notices that its client leaves, though the stream of HTTP/2 has lost its listeners too', async () => {
    const { stream, client } = await deaf('http2', true)
    client.leave()
    await waitFor('the end', () => stream.state === 'closed')
    expect((await stream.closed).reason).toBe('client-closed')
  })

  for (const protocol of PROTOCOLS) {
    it(`notices that its client leaves, over ${protocol}`, async () => {
      const { stream, client } = await deaf(protocol)
      client.leave()
      await waitFor('the end', () => stream.state === 'closed')
      expect((await stream.closed).reason).toBe('client-closed')
    })

    it(`notices that the application ends the response, over ${protocol}`, async () => {
      const { stream, res } = await deaf(protocol)
      res.end()
      await waitFor('the end', () => stream.state === 'closed')
      expect((await stream.closed).reason).toBe('ended')
    })

    it(`ends by close(), over ${protocol}`, async () => {
      const { stream } = await deaf(protocol)
      void stream.close()
      await waitFor('the end', () => stream.state === 'closed')
      expect((await stream.closed).reason).toBe('ended')
    })
  }

  it('goes on when its client reads again', async () => {
    const { stream, res, client } = await (await opener(cleanup)).open({
      ...options,
      fastPath: false,
    })
    client.pause()
    await fillUp(stream)
    res.removeAllListeners('drain')
    const room = stream.writable()
    client.resume()
    expect(await room).toBe(true)
  })
})
