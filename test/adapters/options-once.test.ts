// Options: one table each, and a frozen object is checked once for all functions that get it.
import express from 'express'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { eventStream as expressStream } from '../../src/adapters/express.js'
import { eventStream as honoStream } from '../../src/adapters/hono.js'
import { eventStream as koaStream } from '../../src/adapters/koa.js'
import { createEventResponse } from '../../src/adapters/web.js'
import type { EventStreamOptions } from '../../src/index.js'

/** Frozen options that count how often they are read. */
function counted(): { options: EventStreamOptions; reads: () => number } {
  let reads = 0
  const options = Object.freeze({
    get detectWithin() {
      reads += 1
      return 10_000
    },
  })
  return { options, reads: () => reads }
}

const request = (): Request => new Request('http://x/')

describe('a frozen options object', () => {
  it('is checked once by createEventResponse', () => {
    const { options, reads } = counted()
    for (let i = 0; i < 3; i++) createEventResponse(request(), options).stream.abort()
    expect(reads()).toBe(1)
  })

  it('is checked once by Hono', async () => {
    const { options, reads } = counted()
    const app = new Hono()
    app.get('/', (c) => {
      const { response, stream } = honoStream(c, options)
      void stream.close()
      return response
    })
    for (let i = 0; i < 3; i++) await (await app.request('/')).text()
    expect(reads()).toBe(1)
  })

  it('is checked once when several middlewares of Express and Koa get it', () => {
    const { options, reads } = counted()
    for (let i = 0; i < 2; i++) {
      express().use(expressStream(options))
      koaStream(options)
    }
    expect(reads()).toBe(1)
  })
})

describe('bad options', () => {
  const takers: [string, (options: never) => unknown][] = [
    ['Express', expressStream],
    ['Koa', koaStream],
    ['createEventResponse', (options) => createEventResponse(request(), options)],
  ]
  for (const [name, take] of takers) {
    for (const bad of [null, 5, 'x', []]) {
      it(`${name} refuses ${JSON.stringify(bad)}`, () => {
        expect(() => take(bad as never)).toThrow(
          expect.objectContaining({ code: 'ERR_OPTION_TYPE' }),
        )
      })
    }
    it(`${name} refuses an unknown option, and names the nearest`, () => {
      expect(() => take({ detectwithin: 1 } as never)).toThrow("'detectWithin'")
    })
  }

  it('createEventResponse names the nearest of its own options', () => {
    expect(() => createEventResponse(request(), { highWatermark: 1 } as never)).toThrow(
      /EventResponseOptions has no option 'highWatermark'. Did you mean 'highWaterMark'/,
    )
    expect(() => createEventResponse(request(), { highWaterMark: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_VALUE' }),
    )
  })
})
