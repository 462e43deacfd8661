// Ids come back in a request header, and what a header cannot carry does not come back: why our ids should be plain.
import http from 'node:http'
import { EventSource } from 'eventsource'
import { describe, expect, it } from 'vitest'
import { createEventStream } from '../../src/index.js'
import { cleanup } from '../support/cleanup.js'
import { listenOn } from '../support/ports.js'
import { waitFor } from '../support/wait-for.js'

/** The `Last-Event-ID` of a client's first two connections, each of which gives it an event with the id and ends. */
async function broughtBack(id: string, within = 10_000): Promise<string[]> {
  const brought: string[] = []
  const server = http.createServer((req, res) => {
    const stream = createEventStream(req, res, { retry: 20 })
    brought.push(stream.lastEventId)
    stream.send({ id, data: 'x' })
    void stream.close()
  })
  const port = await listenOn(server)
  const source = new EventSource(`http://127.0.0.1:${port}/`)
  cleanup.push(
    () => source.close(),
    () => void server.close().closeAllConnections(),
  )
  await waitFor('a connection', () => brought.length >= 1)
  await waitFor('another', () => brought.length >= 2, within).catch(() => {})
  return brought.slice(0, 2)
}

describe('a client on fetch, here eventsource', () => {
  it('brings a plain id back', async () => expect(await broughtBack('a-1')).toEqual(['', 'a-1']))

  it('never brings an id beyond Latin-1 back', async () =>
    expect(new Set(await broughtBack('…', 1_000))).toEqual(new Set([''])))

  it('loses the spaces around an id', async () =>
    expect(await broughtBack(' a b ')).toEqual(['', 'a b']))
})
