import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EventInput, encodeComment, encodeEvent } from '../../src/index.js'
import { EncodedEvent } from '../../src/sse/encode.js'

const text = (event: EventInput): string => encodeEvent(event).bytes.toString()

function parse(
  bytes: string,
): { id?: string | undefined; event?: string | undefined; data: string }[] {
  const events: { id?: string | undefined; event?: string | undefined; data: string }[] = []
  createParser({ onEvent: ({ id, event, data }) => events.push({ id, event, data }) }).feed(bytes)
  return events
}

describe('encodeEvent', () => {
  const rows: [string, EventInput, string][] = [
    [
      'all fields',
      { event: 'tick', id: 7, retry: 5, data: { n: 1 } },
      'event: tick\nid: 7\nretry: 5\ndata: {"n":1}\n\n',
    ],
    [
      'every kind of line break',
      { data: 'a\rb\nc\r\nd' },
      'data: a\ndata: b\ndata: c\ndata: d\n\n',
    ],
    ['empty data', { data: '' }, 'data: \n\n'],
    ['an id that resets', { id: '' }, 'id: \n\n'],
    ['a leading space', { data: ' x' }, 'data:  x\n\n'],
    ['null', { data: null }, 'data: null\n\n'],
    ['a comment in front', { comment: 'a\rdata: b', data: 'c' }, ': a\n: data: b\ndata: c\n\n'],
  ]
  for (const [title, event, expected] of rows) {
    it(`encodes ${title}`, () => expect(text(event)).toBe(expected))
  }

  const bad: [string, unknown][] = [
    ['a newline in id', { id: '1\ndata: EVIL' }],
    ['a CR in event', { event: 'x\r' }],
    ['a NUL in id', { id: 'a\0' }],
    ['a lone surrogate in id', { id: 'a\uD800' }],
    ['a lone surrogate in event', { event: '\uDC00' }],
    ['a fractional retry', { retry: 1.5 }],
    ['a negative retry', { retry: -1 }],
    ['an unknown field', { dta: 1 }],
    ['data without a text form', { data: () => 1 }],
    ['nothing', {}],
    ['a string', 'hello'],
    ['NaN for an id', { id: Number.NaN, data: 'x' }],
    ['an infinite id', { id: Number.POSITIVE_INFINITY, data: 'x' }],
    ['an object for an id', { id: {}, data: 'x' }],
    ['null for an id', { id: null, data: 'x' }],
    ['a bigint for an id', { id: 1n, data: 'x' }],
    ['true for an id', { id: true, data: 'x' }],
    ['an event name without data', { event: 'tick' }],
    ['an event name and an id without data', { event: 'tick', id: '1', data: undefined }],
    ['an event name beside retry and a comment', { event: 'tick', retry: 1, comment: 'x' }],
  ]
  for (const [title, event] of bad) {
    it(`refuses ${title}`, () => {
      expect(() => encodeEvent(event as EventInput)).toThrow(
        expect.objectContaining({ code: 'ERR_EVENT_INVALID' }),
      )
    })
  }

  it('says what to do about an event name without data, which no client dispatches', () => {
    expect(() => encodeEvent({ event: 'ping' })).toThrow("data: ''")
    expect(parse(text({ event: 'ping', data: '' }))).toMatchObject([{ event: 'ping', data: '' }])
    expect(parse('event: ping\n\n')).toEqual([])
  })

  it('takes ids, reconnection times and comments without data, as the standard allows', () => {
    expect(text({ id: 0 })).toBe('id: 0\n\n')
    expect(text({ id: -1.5 })).toBe('id: -1.5\n\n')
    expect(text({ retry: 5 })).toBe('retry: 5\n\n')
    expect(text({ comment: 'x' })).toBe(': x\n\n')
  })

  it('refuses an id or a key that is not a string with already encoded bytes', () => {
    for (const wrong of [[Number.NaN], [5], [{}], ['1', 5]]) {
      const [id, key] = wrong as never[]
      expect(() => new EncodedEvent(Buffer.from('data: x\n\n'), id, key)).toThrow(
        expect.objectContaining({ code: 'ERR_EVENT_INVALID' }),
      )
    }
  })

  it('cannot be used to forge: any data comes back as one event with that data', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (data, comment) => {
        const [event, ...more] = parse(text({ data, comment }))
        expect(more).toEqual([])
        expect(event?.data).toBe(Buffer.from(data.replace(/\r\n|\r/g, '\n')).toString())
      }),
    )
  })

  it('splits comments', () => expect(encodeComment('a\nb').bytes.toString()).toBe(': a\n: b\n\n'))
})
