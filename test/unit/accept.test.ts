import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { wantsEventStream } from '../../src/index.js'

const rows: [accept: string | undefined, alone: boolean, againstJson: boolean][] = [
  [undefined, true, false],
  ['', true, false],
  ['text/event-stream', true, true],
  ['Text/Event-Stream', true, true],
  ['text/event-stream; charset=utf-8', true, true],
  ['*/*', true, false],
  ['text/*', true, true],
  ['application/json', false, false],
  ['text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8', true, false],
  ['application/json, text/event-stream', true, true],
  ['text/event-stream, application/json', true, true],
  ['application/json, text/event-stream;q=0.9', true, false],
  ['application/json;q=0.5, text/event-stream;q=0.9', true, true],
  ['application/json;q=0.5, */*', true, true],
  ['text/event-stream;q=0', false, false],
  ['text/event-stream;q=0, */*', false, false],
  ['text/event-stream; q=0.000, text/*', false, false],
  ['text/*;q=0, */*', false, false],
  ['text/*;q=0, text/event-stream', true, true],
  ['text/event-stream; Q=0.001', true, true],
  ['text/event-stream;q=2', false, false],
  ['text/event-stream;q=abc, */*;q=0.1', true, false],
  ['text/event-stream;q=0.1234', false, false],
  ['text/event-stream;x="a,b;q=0"', true, true],
  ['application/x;a="text/event-stream,text/event-stream"', false, false],
  ['text/event-stream;x="never closed, */*', true, true],
  [',,', false, false],
  ['text/event-streams', false, false],
]

describe('wantsEventStream', () => {
  for (const [accept, alone, againstJson] of rows) {
    it(`${accept === undefined ? 'without Accept' : `'${accept}'`}: ${alone}, rather than JSON ${againstJson}`, () => {
      const node = { headers: accept === undefined ? {} : { accept } } as IncomingMessage
      const web = new Request('http://x/', { headers: node.headers as Record<string, string> })
      for (const request of [node, web]) {
        expect(wantsEventStream(request)).toBe(alone)
        expect(wantsEventStream(request, ['application/json'])).toBe(againstJson)
      }
    })
  }

  it('is linear in the length of a hostile header', () => {
    const accept = `${'"\\'.repeat(20_000)}, ${';q='.repeat(20_000)}`
    const started = performance.now()
    wantsEventStream({ headers: { accept } })
    expect(performance.now() - started).toBeLessThan(500)
  })
})
