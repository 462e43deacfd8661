// The first byte of the body goes with the head: some proxies and clients hold the head back until it comes.
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { capabilities, type EventStream } from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { frameworks } from '../support/framework-servers.js'
import { opener } from '../support/open-stream.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

for (const framework of frameworks) {
  for (const protocol of framework.protocols) {
    it(`${framework.name} over ${protocol}: a comment comes before any event, and is no part of the account`, async () => {
      let stream: EventStream | undefined
      const { port, close } = await framework.serve(protocol, {}, (opened) => {
        stream = opened
      })
      cleanup.push(close)
      const client = await connect(protocol, port)
      cleanup.push(client.leave)
      await waitFor('the first byte', () => client.text() === ':\n\n')
      expect((await stream?.close())?.bytesSent).toBe(0)
    })
  }
}

describe('over HTTP/1', () => {
  it('head and comment are one segment', async () => {
    const { port, open } = await opener(cleanup)
    const chunks: string[] = []
    const client = net.connect(port, '127.0.0.1')
    cleanup.push(() => client.destroy())
    client.on('data', (chunk) => chunks.push(String(chunk)))
    await open({}, undefined, client)
    await waitFor('the first bytes', () => chunks.length > 0)
    expect(chunks[0]).toMatch(/\r\n\r\n3\r\n:\n\n\r\n$/)
  })

  it.runIf(capabilities().addon)(
    'what is delivered is counted from after the comment',
    async () => {
      const { stream } = await (await opener(cleanup)).open()
      expect(stream.delivered()).toEqual({ id: undefined, events: 0, bytes: 0 })
      expect(await stream.sendConfirmed({ id: '1', data: 'x' })).toBe('delivered')
      expect(stream.delivered()?.bytes).toBe('f\r\nid: 1\ndata: x\n\n\r\n'.length)
    },
  )

  it('HEAD gets none', async () => {
    const { received } = await (await opener(cleanup)).open(
      {},
      'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n',
    )
    await waitFor('the head', () => received().includes('\r\n\r\n'))
    expect(received().toString()).toMatch(/\r\n\r\n$/)
  })
})
