// maxAge: an end by age, proper and at a time of each stream's own.
import { describe, expect, it } from 'vitest'
import { capabilities, createEventStream, TcpSseError } from '../../src/index.js'
import { lifetime } from '../../src/stream/deadlines.js'
import { cleanup } from '../support/cleanup.js'
import { fillUp, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

describe('the lifetime', () => {
  it('is 80 to 100 % of maxAge', () => {
    expect(lifetime(10_000, 0)).toBe(10_000)
    expect(lifetime(10_000, 0.5)).toBe(9_000)
    expect(lifetime(10_000, 1)).toBe(8_000)
  })

  it('spreads evenly: no tenth of the range gets twice its share of 2 000 streams', () => {
    const tenths = new Array<number>(10).fill(0)
    for (let i = 0; i < 2_000; i++) {
      const tenth = Math.min(9, Math.floor((lifetime(10_000) - 8_000) / 200))
      tenths[tenth] = (tenths[tenth] as number) + 1
    }
    expect(Math.max(...tenths)).toBeLessThan(400)
  })
})

describe('maxAge', () => {
  it('ends a quiet stream at its age, with a proper end of the response', async () => {
    const { open } = await opener(cleanup)
    const { stream, received } = await open({ maxAge: 1_000 })
    stream.send({ id: '1', data: 'x' })
    const info = await stream.closed
    expect(info.reason).toBe('expired')
    expect(info.error).toBeUndefined()
    // A look can be early by a part of its pace, and what follows takes a moment.
    expect(info.openedFor).toBeGreaterThan(700)
    expect(info.openedFor).toBeLessThan(1_500)
    expect(info.delivered?.id).toBe(capabilities().addon ? '1' : undefined)
    await waitFor('the last chunk', () => received().toString().endsWith('\r\n0\r\n\r\n'))
  })

  it('lets a client that is behind have everything first', async () => {
    const { open } = await opener(cleanup)
    const { stream, client, received } = await open({ maxAge: 1_000 })
    client.pause()
    const ids = await fillUp(stream)
    await waitFor('its age', () => stream.state !== 'open')
    expect(stream.state).toBe('closing')
    client.resume()
    const info = await stream.closed
    expect(info.reason).toBe('expired')
    await waitFor('all of it', () => received().includes(`id: ${ids.at(-1)}\n`))
    if (!capabilities().addon) return
    expect(info.delivered?.id).toBe(ids.at(-1))
    expect(info.undelivered).toMatchObject({ events: 0 })
  })

  it('is off unless asked for', async () => {
    const { open } = await opener(cleanup)
    const { stream } = await open({})
    const aged = await open({ maxAge: 1_000 })
    await aged.stream.closed
    expect(stream.state).toBe('open')
  })

  it.each([0, 999, Number.NaN, '1s'])('refuses %s', (maxAge) => {
    expect(() => createEventStream({} as never, {} as never, { maxAge } as never)).toThrow(
      TcpSseError,
    )
  })
})
